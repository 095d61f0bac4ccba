"""Zoneout."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from unroll.errors import ConfigError


@dataclass(frozen=True)
class Zoneout:
    r"""Units keep their old value now and then (Krueger et al. 2017, arXiv:1606.01305, section 3.3).

    .. math:: h_t = d_t \odot h_{t-1} + (1 - d_t) \odot \tilde h_t, \qquad d_t \sim \mathrm{Bernoulli}(h)

    and the same for c with its own d; h̃ and c̃ are what the cell alone would give, h̃ from c̃. In evaluation d is its
    mean.

    Args:
        h: probability that a unit of h keeps its value.
        c: the same for c, where the cell has one.

    Raises:
        ConfigError: a rate is not a probability.
    """

    h: float = 0.0
    c: float = 0.0

    def __post_init__(self) -> None:
        for rate in (self.h, self.c):
            if isinstance(rate, bool) or not isinstance(rate, (int, float)) or not 0 <= rate <= 1:
                raise ConfigError(f"zoneout of {rate!r}", expected="a probability between 0 and 1")

    @classmethod
    def of(cls, given: float | Sequence[float] | Zoneout) -> Zoneout:
        """From a rate for h and c alike, or one for each."""
        if isinstance(given, Zoneout):
            return given
        if isinstance(given, (int, float)):
            return cls(given, given)
        if not isinstance(given, Sequence) or len(given) != 2:
            raise ConfigError(f"zoneout={given!r}", expected="a rate, or (rate of h, rate of c)")
        return cls(*given)

    def draw(self, rate: float, T: int, size: int, x: Tensor) -> Tensor:
        """d for ``T`` steps and the rows of ``x`` (batch, …): 1 where the old value stays."""
        return torch.full((T, x.shape[0], size), float(rate), dtype=x.dtype, device=x.device).bernoulli()

    def __call__(self, new: Tensor, old: Tensor, rate: float, d: Tensor | None) -> Tensor:
        return torch.lerp(new, old, rate) if d is None else torch.where(d.bool(), old, new)
