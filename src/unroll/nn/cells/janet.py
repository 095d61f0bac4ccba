"""JANET: an LSTM with the forget gate alone."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from unroll.nn.cell import GatedCell, Step


class JANETState(NamedTuple):
    h: Tensor


class JANETCell(GatedCell):
    r"""Just another network (van der Westhuizen & Lasenby 2018, arXiv:1804.04849, eq. 11-14).

    .. math::
        s_t &= W_{if} x_t + b_{if} + W_{hf} h_{t-1} + b_{hf} \\
        g_t &= \tanh(W_{ig} x_t + b_{ig} + W_{hg} h_{t-1} + b_{hg}) \\
        h_t &= \sigma(s_t) \odot h_{t-1} + (1 - \sigma(s_t - \beta)) \odot g_t

    Args:
        input_size: width of x_t.
        hidden_size: width of h_t.
        bias: whether the biases exist.
        beta: β, how much more is taken in than is let go; 1 in the paper.

    Signals: ``f`` = σ(s), ``g`` (batch, hidden). Gate order in the weights: f, g.

    Example::

        >>> layer = Recurrent(JANETCell(3, 4), bidirectional=True)
    """

    gates = 2
    gate_names = ("f", "g")
    keep_gate = "f"

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        device: Any = None,
        dtype: Any = None,
        *,
        beta: float = 1.0,
    ) -> None:
        super().__init__(input_size, hidden_size, bias, device=device, dtype=dtype)
        self.beta = beta
        self.reset_parameters()

    def initial_state(
        self, batch_size: int, *, device: torch.device | None = None, dtype: torch.dtype | None = None
    ) -> JANETState:
        return JANETState(torch.zeros(batch_size, self.hidden_size, device=device, dtype=dtype))

    def step(self, x: Tensor, state: JANETState) -> Step:
        a = F.linear(x, self.weight_ih, self.bias_ih) + F.linear(state.h, self.weight_hh, self.bias_hh)
        s, a_g = a.chunk(2, -1)
        f, g = s.sigmoid(), a_g.tanh()
        h = f * state.h + (1 - (s - self.beta).sigmoid()) * g
        return Step(h, JANETState(h), {"f": f, "g": g})

    def extra_repr(self) -> str:
        return super().extra_repr() + ("" if self.beta == 1 else f", beta={self.beta:g}")
