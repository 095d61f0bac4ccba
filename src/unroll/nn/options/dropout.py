"""Dropout that is one mask for the whole sequence: on a cell's input, on the state it reads, on a weight."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from unroll.errors import ConfigError


def mask(p: float, shape: tuple[int, ...], like: Tensor) -> Tensor:
    """Zeros with probability ``p``, 1/(1-p) elsewhere, of ``like``'s dtype and device."""
    keep = 1.0 - p
    if keep == 0.0:
        return like.new_zeros(shape)
    return torch.full(shape, keep, dtype=like.dtype, device=like.device).bernoulli().div_(keep)


@dataclass(frozen=True)
class _Rate:
    p: float
    option: ClassVar[str]

    def __post_init__(self) -> None:
        if isinstance(self.p, bool) or not isinstance(self.p, (int, float)) or not 0 <= self.p <= 1:
            raise ConfigError(f"{self.option}={self.p!r}", expected="a probability between 0 and 1")


class InputDropout(_Rate):
    """Variational dropout of x_t: x_t ⊙ m / (1-p), m the same at every step (Gal & Ghahramani 2016, section 4)."""

    option = "input_dropout"

    def draw(self, x: Tensor) -> Tensor:
        """For the rows and features of ``x`` (batch, features)."""
        return mask(self.p, tuple(x.shape), x)


class RecurrentDropout(_Rate):
    """Variational dropout of the h that W_hh reads: W_hh (h_{t-1} ⊙ m / (1-p)) (Gal & Ghahramani 2016, section 4).

    m is the same at every step and for every gate. What a gate carries over, such as z ⊙ h, is not dropped.
    """

    option = "recurrent_dropout"

    def draw(self, size: int, x: Tensor) -> Tensor:
        """For the rows of ``x`` (batch, …)."""
        return mask(self.p, (x.shape[0], size), x)


class WeightDropout(_Rate):
    """DropConnect on W_hh: W_hh ⊙ m / (1-p), one m for all steps and rows of a call (Merity et al. 2017, section 2).

    The parameter itself is untouched, so nothing has to be flattened or renamed.
    """

    option = "weight_dropout"
    parameter = "weight_hh"

    def draw(self, weight: Tensor) -> Tensor:
        """For ``weight``."""
        return mask(self.p, tuple(weight.shape), weight.detach())
