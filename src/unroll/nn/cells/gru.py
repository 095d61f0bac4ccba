"""The gated recurrent unit, with the reset gate after or before the recurrent product."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from unroll.kernels import Operator
from unroll.nn.cell import GatedCell, Step


class GRUState(NamedTuple):
    h: Tensor


class GRUCell(GatedCell):
    r"""GRU (Cho et al. 2014, arXiv:1406.1078), drop-in for ``torch.nn.GRUCell``.

    .. math::
        r_t &= \sigma(W_{ir} x_t + b_{ir} + W_{hr} h_{t-1} + b_{hr}) \\
        z_t &= \sigma(W_{iz} x_t + b_{iz} + W_{hz} h_{t-1} + b_{hz}) \\
        n_t &= \tanh(W_{in} x_t + b_{in} + r_t \odot (W_{hn} h_{t-1} + b_{hn})) && \text{reset="after"} \\
        n_t &= \tanh(W_{in} x_t + b_{in} + W_{hn} (r_t \odot h_{t-1}) + b_{hn}) && \text{reset="before"} \\
        h_t &= (1 - z_t) \odot n_t + z_t \odot h_{t-1}

    ``reset="after"`` is version 1 of the paper, what torch and cuDNN compute; ``"before"`` is the published
    form (eq. 8). z keeps the old state in both, so a large z is a long memory.

    Args:
        input_size: width of x_t.
        hidden_size: width of h_t.
        bias: whether the biases exist.
        reset: where the reset gate acts, ``"after"`` (torch) or ``"before"`` the product W_hn h.

    Signals: ``r``, ``z``, ``n`` (batch, hidden). Gate order in the weights is torch's: r, z, n.

    Raises:
        ValueError: ``reset`` is neither of the two.

    Example::

        >>> cell = GRUCell(3, 4, reset="before")
        >>> h = cell(torch.randn(2, 3))      # (2, 4)
    """

    gates = 3
    gate_names = ("r", "z", "n")
    keep_gate = "z"

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        device: Any = None,
        dtype: Any = None,
        *,
        reset: str = "after",
    ) -> None:
        if reset not in ("after", "before"):
            raise ValueError(f"Unknown reset '{reset}'. Select from 'after' or 'before'.")
        super().__init__(input_size, hidden_size, bias, device=device, dtype=dtype)
        self.reset = reset
        self.reset_parameters()

    def initial_state(
        self, batch_size: int, *, device: torch.device | None = None, dtype: torch.dtype | None = None
    ) -> GRUState:
        return GRUState(torch.zeros(batch_size, self.hidden_size, device=device, dtype=dtype))

    def step(self, x: Tensor, state: GRUState) -> Step:
        h = state.h
        x_rz, x_n = F.linear(x, self.weight_ih, self.bias_ih).split((2 * self.hidden_size, self.hidden_size), -1)
        if self.reset == "after":
            h_rz, h_n = F.linear(h, self.weight_hh, self.bias_hh).split((2 * self.hidden_size, self.hidden_size), -1)
            r, z = (x_rz + h_rz).sigmoid().chunk(2, -1)
            n = (x_n + r * h_n).tanh()
        else:
            (W_rz, W_n), (b_rz, b_n) = self._split(self.weight_hh), self._split(self.bias_hh)
            r, z = (x_rz + F.linear(h, W_rz, b_rz)).sigmoid().chunk(2, -1)
            n = (x_n + F.linear(r * h, W_n, b_n)).tanh()
        h = (1 - z) * n + z * h
        return Step(h, GRUState(h), {"r": r, "z": z, "n": n})

    def operator(self) -> Operator | None:
        return Operator("gru", self._weights(), self.bias) if self.reset == "after" else None

    def _split(self, weight: Tensor | None) -> tuple[Any, Any]:
        if weight is None:
            return None, None
        return weight[: 2 * self.hidden_size], weight[2 * self.hidden_size :]

    def extra_repr(self) -> str:
        return super().extra_repr() + ("" if self.reset == "after" else f", reset={self.reset}")
