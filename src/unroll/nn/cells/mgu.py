"""The minimal gated unit: a GRU with one gate."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from unroll.nn.cell import GatedCell, Step


class MGUState(NamedTuple):
    h: Tensor


class MGUCell(GatedCell):
    r"""Minimal gated unit (Zhou et al. 2016, arXiv:1603.09420, eq. 4-6).

    .. math::
        f_t &= \sigma(W_{if} x_t + b_{if} + W_{hf} h_{t-1} + b_{hf}) \\
        n_t &= \tanh(W_{in} x_t + b_{in} + W_{hn} (f_t \odot h_{t-1}) + b_{hn}) \\
        h_t &= (1 - f_t) \odot h_{t-1} + f_t \odot n_t

    The paper calls f a forget gate, though it says how much is overwritten; what is kept is the signal k = 1 - f.

    Args:
        input_size: width of x_t.
        hidden_size: width of h_t.
        bias: whether the biases exist.

    Signals: ``f``, ``k``, ``n`` (batch, hidden). Gate order in the weights: f, n.

    Example::

        >>> layer = Recurrent(MGUCell(3, 4), num_layers=2)
    """

    gates = 2
    gate_names = ("f", "n")
    keep_gate = "k"

    def __init__(
        self, input_size: int, hidden_size: int, bias: bool = True, device: Any = None, dtype: Any = None
    ) -> None:
        super().__init__(input_size, hidden_size, bias, device=device, dtype=dtype)
        self.reset_parameters()

    def initial_state(
        self, batch_size: int, *, device: torch.device | None = None, dtype: torch.dtype | None = None
    ) -> MGUState:
        return MGUState(torch.zeros(batch_size, self.hidden_size, device=device, dtype=dtype))

    def step(self, x: Tensor, state: MGUState) -> Step:
        h = state.h
        x_f, x_n = F.linear(x, self.weight_ih, self.bias_ih).chunk(2, -1)
        W_f, W_n = self.weight_hh.chunk(2)
        b_f, b_n = (None, None) if self.bias_hh is None else self.bias_hh.chunk(2)
        f = (x_f + F.linear(h, W_f, b_f)).sigmoid()
        n = (x_n + F.linear(f * h, W_n, b_n)).tanh()
        h = (1 - f) * h + f * n
        return Step(h, MGUState(h), {"f": f, "k": 1 - f, "n": n})
