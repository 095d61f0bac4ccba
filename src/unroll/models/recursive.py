"""Recursive decoding: one step ahead at a time, each forecast read before the next."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from unroll.models.forecast import ForecastNetwork
from unroll.models.normalise import Level, Normalisation
from unroll.nn import Recurrent


class RecursiveForecast(ForecastNetwork):
    r"""A head that forecasts one step, fed back what it forecast, the state carried.

    .. math::
        (o_T, s_T) = \mathrm{encoder}(x'_1, \dots, x'_T), \qquad
        \hat y'_{T+1} = x'_T + W o_T + b

        (o_{T+k}, s_{T+k}) = \mathrm{step}(\hat y'_{T+k}, s_{T+k-1}), \qquad
        \hat y'_{T+k+1} = \hat y'_{T+k} + W o_{T+k} + b

    The encoder reads the T steps of the history and the first h - 1 of the forecast, each once. It is trained as it
    forecasts, on its own forecasts and through all h steps, never on the truth in their place (no teacher forcing), so
    the loss is that of what is scored.

    Arguments and shapes as in ``ForecastNetwork``; ``x`` has no channels but the targets. There are no quantiles: what
    would be fed back is a path, and the quantiles of a step given the median of the one before are too narrow.

    Example::

        >>> network = RecursiveForecast(Recurrent(GRUCell(2, 8), batch_first=True), targets=2, horizon=5)
        >>> x = torch.randn(3, 20, 2)
        >>> network(x, x[:, -1]).shape
        torch.Size([3, 5, 2])
    """

    def __init__(self, encoder: Recurrent, targets: int, horizon: int, normalise: Normalisation | None = None) -> None:
        super().__init__(encoder, targets, horizon, normalise)
        self.head = nn.Linear(encoder.output_size, targets)

    def read(self, x: Tensor, level: Level) -> Tensor:
        return self.normalise(x, level)

    def decode(self, read: Tensor, future: Tensor | None) -> Tensor:
        output, state = self.encoder(read)
        ahead = [read[:, -1] + self.head(output[:, -1])]
        while len(ahead) < self.horizon:
            output, state = self.encoder(ahead[-1].unsqueeze(1), state)
            ahead.append(ahead[-1] + self.head(output[:, -1]))
        return torch.stack(ahead, 1)

    def from_summary(self, summary: Tensor, read: Tensor, level: Level, future: Tensor | None) -> Tensor:
        """The first step; those after it need the state."""
        return self.normalise.inverse((read[:, -1] + self.head(summary)).unsqueeze(1), level)
