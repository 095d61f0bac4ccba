"""State clipping."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from unroll.errors import ConfigError


@dataclass(frozen=True)
class Clip:
    r"""Keeps a state within ±bound: clip(s) = max(-bound, min(bound, s)), inside the step, so that the output sees it.

    The gradient of a clipped entry is 0. LSTM clips c before h is read off it, as Sak et al. 2014 do; RNN and GRU
    clip h.

    Raises:
        ConfigError: the bound is not a positive number.
    """

    bound: float

    def __post_init__(self) -> None:
        if isinstance(self.bound, bool) or not isinstance(self.bound, (int, float)) or not self.bound > 0:
            raise ConfigError(f"clip={self.bound!r}", expected="a positive bound on the state, such as 3.0")

    def __call__(self, state: Tensor) -> Tensor:
        return state.clamp(-self.bound, self.bound)
