"""Long short-term memory."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from unroll.kernels import Operator
from unroll.nn.cell import GatedCell, Step


class LSTMState(NamedTuple):
    h: Tensor
    c: Tensor


class LSTMCell(GatedCell):
    r"""LSTM with a forget gate (Hochreiter & Schmidhuber 1997; Gers et al. 2000), drop-in for ``torch.nn.LSTMCell``.

    .. math::
        i_t &= \sigma(W_{ii} x_t + b_{ii} + W_{hi} h_{t-1} + b_{hi}) \\
        f_t &= \sigma(W_{if} x_t + b_{if} + W_{hf} h_{t-1} + b_{hf}) \\
        g_t &= \tanh(W_{ig} x_t + b_{ig} + W_{hg} h_{t-1} + b_{hg}) \\
        o_t &= \sigma(W_{io} x_t + b_{io} + W_{ho} h_{t-1} + b_{ho}) \\
        c_t &= f_t \odot c_{t-1} + i_t \odot g_t, \qquad h_t = o_t \odot \tanh(c_t)

    With ``proj_size`` the output is projected, h_t = W_hr (o_t ⊙ tanh c_t) (Sak et al. 2014, eq. 7).

    Args:
        input_size: width of x_t.
        hidden_size: width of c_t.
        bias: whether the biases exist.
        proj_size: width of h_t if it is to be projected; 0 for none.

    Signals: ``i``, ``f``, ``g``, ``o`` (batch, hidden). Gate order in the weights is torch's: i, f, g, o.

    Raises:
        ValueError: ``proj_size`` is negative or not below ``hidden_size``.

    Example::

        >>> cell = LSTMCell(3, 4)
        >>> h, c = cell(torch.randn(2, 3))      # (2, 4) each
    """

    gates = 4
    gate_names = ("i", "f", "g", "o")
    weight_hr: Tensor | None
    keep_gate = "f"

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        device: Any = None,
        dtype: Any = None,
        *,
        proj_size: int = 0,
    ) -> None:
        if proj_size < 0:
            raise ValueError("proj_size should be a positive integer or zero to disable projections")
        if proj_size >= hidden_size > 0:
            raise ValueError("proj_size has to be smaller than hidden_size")
        super().__init__(input_size, hidden_size, bias, recurrent_size=proj_size, device=device, dtype=dtype)
        self.proj_size = proj_size
        projection = torch.empty(proj_size, hidden_size, device=device, dtype=dtype) if proj_size else None
        self.register_parameter("weight_hr", None if projection is None else nn.Parameter(projection))
        self.reset_parameters()

    def initial_state(
        self, batch_size: int, *, device: torch.device | None = None, dtype: torch.dtype | None = None
    ) -> LSTMState:
        return LSTMState(
            torch.zeros(batch_size, self.output_size, device=device, dtype=dtype),
            torch.zeros(batch_size, self.hidden_size, device=device, dtype=dtype),
        )

    def step(self, x: Tensor, state: LSTMState) -> Step:
        a = F.linear(x, self.weight_ih, self.bias_ih) + F.linear(state.h, self.weight_hh, self.bias_hh)
        a_i, a_f, a_g, a_o = a.chunk(4, dim=-1)
        i, f, g, o = a_i.sigmoid(), a_f.sigmoid(), a_g.tanh(), a_o.sigmoid()
        c = f * state.c + i * g
        h = o * c.tanh()
        if self.weight_hr is not None:
            h = F.linear(h, self.weight_hr)
        return Step(h, LSTMState(h, c), {"i": i, "f": f, "g": g, "o": o})

    def operator(self) -> Operator | None:
        projection = (self.weight_hr,) if self.proj_size else ()
        return Operator("lstm", self._weights() + projection, self.bias)  # type: ignore[operator]

    def extra_repr(self) -> str:
        return super().extra_repr() + (f", proj_size={self.proj_size}" if self.proj_size else "")
