"""The Elman network."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from unroll.kernels import Operator
from unroll.nn.cell import GatedCell, Step


class RNNState(NamedTuple):
    h: Tensor


class RNNCell(GatedCell):
    r"""Elman's recurrence (Elman 1990, *Finding structure in time*), drop-in for ``torch.nn.RNNCell``.

    .. math:: h_t = \phi(W_{ih} x_t + b_{ih} + W_{hh} h_{t-1} + b_{hh}), \quad \phi = \tanh \text{ or } \mathrm{ReLU}

    Args:
        input_size: width of x_t.
        hidden_size: width of h_t.
        bias: whether b_ih and b_hh exist.
        nonlinearity: ``"tanh"`` or ``"relu"``.

    Signals: ``a`` (batch, hidden), the pre-activation.

    Raises:
        ValueError: the nonlinearity is neither of the two.

    Example::

        >>> cell = RNNCell(3, 4)
        >>> h = cell(torch.randn(2, 3))      # (2, 4)
    """

    gates = 1
    gate_names = ("a",)

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        nonlinearity: str = "tanh",
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        if nonlinearity not in ("tanh", "relu"):
            raise ValueError(f"Unknown nonlinearity '{nonlinearity}'. Select from 'tanh' or 'relu'.")
        super().__init__(input_size, hidden_size, bias, device=device, dtype=dtype)
        self.nonlinearity = nonlinearity
        self.reset_parameters()

    def initial_state(
        self, batch_size: int, *, device: torch.device | None = None, dtype: torch.dtype | None = None
    ) -> RNNState:
        return RNNState(torch.zeros(batch_size, self.hidden_size, device=device, dtype=dtype))

    def step(self, x: Tensor, state: RNNState) -> Step:
        a = F.linear(x, self.weight_ih, self.bias_ih) + F.linear(state.h, self.weight_hh, self.bias_hh)
        h = a.tanh() if self.nonlinearity == "tanh" else a.relu()
        return Step(h, RNNState(h), {"a": a})

    def operator(self) -> Operator | None:
        return Operator(f"rnn_{self.nonlinearity}", self._weights(), self.bias)

    def extra_repr(self) -> str:
        return super().extra_repr() + ("" if self.nonlinearity == "tanh" else f", nonlinearity={self.nonlinearity}")
