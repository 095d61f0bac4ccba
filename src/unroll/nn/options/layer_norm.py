"""Layer normalisation inside the cell."""

from __future__ import annotations

from dataclasses import dataclass

import torch.nn.functional as F
from torch import Tensor

from unroll.errors import ConfigError


@dataclass(frozen=True)
class LayerNorm:
    r"""LN(a; α, β) = α ⊙ (a - mean a) / √(var a + ε) + β over the features (Ba et al. 2016, arXiv:1607.06450, eq. 4).

    LSTM normalises W_ih x and W_hh h, each over all its gates together, and c before the output reads it (eq. 20-22);
    GRU the products of r and z together and that of n (supplement, skip-thoughts); RNN the sum of both (eq. 4).
    MGU normalises the products of f and of n each by itself, JANET those of f and g together. Where the cell has a bias
    it is the β of its product.
    """

    eps: float = 1e-5

    @classmethod
    def of(cls, given: bool | LayerNorm) -> LayerNorm | None:
        """From a switch, or itself.

        Raises:
            ConfigError: it is neither.
        """
        if isinstance(given, LayerNorm):
            return given
        if not isinstance(given, bool):
            raise ConfigError(f"layer_norm={given!r}", expected="True, False, or LayerNorm(eps=...)")
        return cls() if given else None

    def __call__(self, a: Tensor, gain: Tensor, bias: Tensor | None) -> Tensor:
        return F.layer_norm(a, a.shape[-1:], gain, bias, self.eps)
