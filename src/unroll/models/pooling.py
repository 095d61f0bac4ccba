"""From a sequence to one vector: over the steps that exist, whatever lies in the padding."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from unroll.errors import ConfigError
from unroll.models.checks import check_width, checked_size
from unroll.models.masking import masked_softmax, valid_steps
from unroll.nn.lengths import checked_lengths


class Pooling(nn.Module):
    """(batch, T, features) to (batch, features), called as ``pool(x, lengths)``; a row of length 0 gives zeros.

    Attributes:
        features: width of what goes in and of what comes out.
    """

    def __init__(self, features: int) -> None:
        super().__init__()
        self.features = checked_size("features", features)

    def forward(self, x: Tensor, lengths: Tensor | Sequence[int] | None = None) -> Tensor:
        """Pool ``x`` (batch, T, features) over time; ``lengths`` (batch,) says how many steps exist, zero allowed.

        What lies beyond a length reaches neither the result nor a gradient, NaN included.

        Raises:
            ValueError: ``x`` is not 3-D, or ``lengths`` do not fit it.
            RuntimeError: ``x`` has another width than ``features``.
        """
        return self._pool(x, self._lengths(x, lengths))

    def _pool(self, x: Tensor, lengths: Tensor) -> Tensor:
        raise NotImplementedError(f"{type(self).__name__} must define _pool(x, lengths)")

    def _lengths(self, x: Tensor, lengths: Tensor | Sequence[int] | None) -> Tensor:
        if x.dim() != 3:
            raise ValueError(f"x must be (batch, T, {self.features}), got {tuple(x.shape)}")
        check_width("x", x, self.features)
        B, T = x.shape[:2]
        known = checked_lengths(lengths, B, T, x.device)
        return torch.full((B,), T, device=x.device) if known is None else known

    def extra_repr(self) -> str:
        return f"{self.features}"


class LastPooling(Pooling):
    r"""The output at each row's last step.

    .. math:: y = x_{n} \qquad\text{or, with two directions,}\qquad y = [x^{\rightarrow}_{n}; x^{\leftarrow}_{1}]

    A bidirectional layer's output is [forward; backward]. Its backward half ends at the first step: at the last one
    it has read a single step. With ``directions=2`` each half is taken at its own end. (Directions that a layer has
    summed or otherwise merged cannot be taken apart, nor has a Transformer any.)

    Args:
        features: width of ``x``, both halves together.
        directions: 2 for a bidirectional layer's output, both halves side by side, else 1.

    Example::

        >>> layer = nn.GRU(3, 4, bidirectional=True, batch_first=True)
        >>> output, state = layer(torch.randn(2, 5, 3), lengths=[5, 2])
        >>> torch.equal(LastPooling(8, directions=2)(output, [5, 2]), torch.cat([state[0], state[1]], -1))
        True

    Raises:
        ConfigError: ``directions`` is neither 1 nor 2, or 2 with an odd width.
    """

    def __init__(self, features: int, directions: int = 1) -> None:
        super().__init__(features)
        if directions not in (1, 2):
            raise ConfigError(f"directions={directions!r}", expected="1, or 2 for a bidirectional layer's output")
        if features % directions:
            raise ConfigError(f"features={features} with directions=2", expected="two halves of the same width")
        self.directions = directions

    def _pool(self, x: Tensor, lengths: Tensor) -> Tensor:
        if x.shape[1] == 0:
            return x.sum(1)
        last = (lengths - 1).clamp(min=0).view(-1, 1, 1).expand(-1, 1, self.features)
        if self.directions == 2:
            first = torch.zeros_like(last)
            last = torch.cat([last[..., : self.features // 2], first[..., self.features // 2 :]], -1)
        return x.gather(1, last).squeeze(1).masked_fill((lengths == 0).unsqueeze(1), 0)


class MeanPooling(Pooling):
    r"""The mean over each row's steps.

    .. math:: y = \frac1n \sum_{t=1}^{n} x_t

    Example::

        >>> MeanPooling(1)(torch.tensor([[[1.0], [3.0], [99.0]]]), [2])
        tensor([[2.]])
    """

    def _pool(self, x: Tensor, lengths: Tensor) -> Tensor:
        beyond = ~valid_steps(lengths, x.shape[1]).unsqueeze(-1)
        return x.masked_fill(beyond, 0).sum(1) / lengths.clamp(min=1).unsqueeze(1)


class MaxPooling(Pooling):
    r"""The largest value of each feature over each row's steps.

    .. math:: y_j = \max_{1 \le t \le n} x_{t,j}

    Example::

        >>> MaxPooling(1)(torch.tensor([[[1.0], [3.0], [99.0]]]), [2])
        tensor([[3.]])
    """

    def _pool(self, x: Tensor, lengths: Tensor) -> Tensor:
        if x.shape[1] == 0:
            return x.sum(1)
        beyond = ~valid_steps(lengths, x.shape[1]).unsqueeze(-1)
        return x.masked_fill(beyond, -math.inf).amax(1).masked_fill((lengths == 0).unsqueeze(1), 0)


class AttentionPooling(Pooling):
    r"""A learned query says which steps count: Yang et al. 2016 (NAACL, N16-1174), eq. 5-7.

    .. math::
        u_t = \tanh(W x_t + b), \qquad \alpha = \mathrm{softmax}_t(u_t^\top u_w), \qquad y = \sum_t \alpha_t x_t

    u_w is drawn from U(-1/√n, 1/√n), n its width; W and b as ``nn.Linear`` draws them.

    Args:
        features: width of ``x``.
        attention_size: width of u; ``features`` unless given.

    Example::

        >>> pool = AttentionPooling(4)
        >>> y, weights = pool.attend(torch.randn(2, 5, 4), [5, 0])
        >>> y.shape, weights.shape
        (torch.Size([2, 4]), torch.Size([2, 5]))

    Raises:
        ConfigError: a size is no integer above 0.
    """

    def __init__(self, features: int, attention_size: int | None = None) -> None:
        super().__init__(features)
        size = features if attention_size is None else checked_size("attention_size", attention_size)
        self.W = nn.Linear(features, size)
        self.u = nn.Parameter(torch.empty(size))
        nn.init.uniform_(self.u, -(size**-0.5), size**-0.5)

    def attend(self, x: Tensor, lengths: Tensor | Sequence[int] | None = None) -> tuple[Tensor, Tensor]:
        """What the call gives, and the weights (batch, T) it was made with: 0 beyond each length."""
        return self._attend(x, self._lengths(x, lengths))

    def _pool(self, x: Tensor, lengths: Tensor) -> Tensor:
        return self._attend(x, lengths)[0]

    def _attend(self, x: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        valid = valid_steps(lengths, x.shape[1])
        x = x.masked_fill(~valid.unsqueeze(-1), 0)
        weights = masked_softmax(torch.tanh(self.W(x)) @ self.u, valid)
        return (weights.unsqueeze(1) @ x).squeeze(1), weights
