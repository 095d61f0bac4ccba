"""Recursive decoding: one step ahead at a time, each forecast read before the next."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from unroll.models.forecast import ForecastKnowingAhead
from unroll.models.normalise import Level, Normalisation
from unroll.nn import Recurrent


class RecursiveForecast(ForecastKnowingAhead):
    r"""A head that forecasts one step, fed back what it forecast, the state carried.

    .. math::
        (o_T, s_T) = \mathrm{encoder}(x'_1, \dots, x'_T), \qquad
        \hat y'_{T+1} = x'_T + W o_T + b

        (o_{T+k}, s_{T+k}) = \mathrm{step}(\hat y'_{T+k}, s_{T+k-1}), \qquad
        \hat y'_{T+k+1} = \hat y'_{T+k} + W o_{T+k} + b

    The encoder reads the T steps of the history and the first h - 1 of the forecast, each once. It is trained as it
    forecasts, on its own forecasts and through all h steps, never on the truth in their place (no teacher forcing), so
    the loss is that of what is scored.

    What is known of the steps to be forecast, f, is read twice: of step T+k+1 beside o, where it adds to that step, and
    as a part of row T+k+1 once that is fed back.

    .. math:: \hat y'_{T+k+1} \mathrel{+}= V \,\mathrm{relu}(A f_{T+k+1} + B o_{T+k} + a)

    Args:
        encoder: reads (batch, T, targets + future + n).
        future: how many numbers are known of each step of the horizon (``ForecastKnowingAhead``).

    The others, and shapes, as in ``ForecastNetwork``. The channels of ``x`` are the targets, then those of ``future``,
    then n that are the same at every step of a window. There are no quantiles: what would be fed back is a path, and
    the quantiles of a step given the median of the one before are too narrow.

    Example::

        >>> network = RecursiveForecast(Recurrent(GRUCell(2, 8), batch_first=True), targets=2, horizon=5)
        >>> x = torch.randn(3, 20, 2)
        >>> network(x, x[:, -1]).shape
        torch.Size([3, 5, 2])
    """

    def __init__(
        self,
        encoder: Recurrent,
        targets: int,
        horizon: int,
        normalise: Normalisation | None = None,
        *,
        future: int = 0,
    ) -> None:
        super().__init__(encoder, targets, horizon, normalise)
        self.head = nn.Linear(encoder.output_size, targets)
        self._know(future)
        self.future = future

    def decode(self, read: Tensor, future: Tensor | None) -> Tensor:
        output, state = self.encoder(read)
        steady = read[:, -1, self.targets + self.future :]
        ahead = [self._next(read[:, -1, : self.targets], output[:, -1], future, 0)]
        while (k := len(ahead)) < self.horizon:
            known = [] if future is None else [future[:, k - 1]]
            output, state = self.encoder(torch.cat([ahead[-1], *known, steady], -1).unsqueeze(1), state)
            ahead.append(self._next(ahead[-1], output[:, -1], future, k))
        return torch.stack(ahead, 1)

    def from_summary(self, summary: Tensor, read: Tensor, level: Level, future: Tensor | None) -> Tensor:
        """The first step; those after it need the state."""
        first = self._next(read[:, -1, : self.targets], summary, future, 0)
        return self.normalise.inverse(first.unsqueeze(1), level)

    def _next(self, value: Tensor, output: Tensor, future: Tensor | None, k: int) -> Tensor:
        """The step after ``value``, (batch, targets), the horizon's ``k``-th from 0."""
        known = None if future is None else future[:, k : k + 1]
        return self._changed((value + self.head(output)).unsqueeze(1), output, known).squeeze(1)
