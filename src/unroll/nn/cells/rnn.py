"""The Elman network."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from unroll.kernels import QUIET, Operator
from unroll.nn.cell import Step
from unroll.nn.gated import GatedCell
from unroll.nn.options.activation import FUNCTIONS, Activation


class RNNState(NamedTuple):
    h: Tensor


class RNNCell(GatedCell):
    r"""Elman's recurrence (Elman 1990, *Finding structure in time*), drop-in for ``torch.nn.RNNCell``.

    .. math:: h_t = \phi(W_{ih} x_t + b_{ih} + W_{hh} h_{t-1} + b_{hh})

    With ``proj_size`` the output is projected, h_t = W_hr φ(…).

    Args:
        input_size: width of x_t.
        hidden_size: width of h_t.
        bias: whether b_ih and b_hh exist.
        nonlinearity: φ, ``"tanh"``, ``"relu"``, another of ``unroll.nn.options.Activation``, or a function.
        proj_size, layer_norm, recurrent_dropout, zoneout, clip: see ``unroll.nn.options``; clip bounds h.

    Signals: ``a`` (batch, hidden), the pre-activation.

    Raises:
        ValueError: no such nonlinearity.
        ConfigError: an option is wrong, or does not fit: this cell has no gate for ``forget_bias``.

    Example::

        >>> cell = RNNCell(3, 4)
        >>> h = cell(torch.randn(2, 3))      # (2, 4)
    """

    gate_names = ("a",)

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        nonlinearity: str | Callable[[Tensor], Tensor] = "tanh",
        device: Any = None,
        dtype: Any = None,
        **options: Any,
    ) -> None:
        if isinstance(nonlinearity, str) and nonlinearity not in FUNCTIONS:
            raise ValueError(f"Unknown nonlinearity '{nonlinearity}'. Select from 'tanh' or 'relu'.")
        self.activation = Activation(nonlinearity)
        self.nonlinearity = self.activation.name
        super().__init__(input_size, hidden_size, bias, device=device, dtype=dtype, **options)
        self._as_torch = self._as_torch and self.activation.known in ("tanh", "relu") and not self.proj_size
        self.reset_parameters()

    def _register(self, device: Any, dtype: Any) -> None:
        super()._register(device, dtype)
        self.register_parameter("gain_hh", None)  # the sum is normalised, by gain_ih

    def initial_state(
        self, batch_size: int, *, device: torch.device | None = None, dtype: torch.dtype | None = None
    ) -> RNNState:
        return RNNState(torch.zeros(batch_size, self.output_size, device=device, dtype=dtype))

    def step(self, x: Tensor, state: RNNState, noise: Mapping[str, Tensor] = QUIET) -> Step:
        if self.gain_ih is None:
            (a_x,), (a_h,) = self.input_product(x), self.recurrent_product(state.h, noise)
            a = a_x + a_h
        else:
            a = self._normed_sum(x, state.h * noise["h"] if "h" in noise else state.h)
        h = self.clipped(self.projected(self.activation(a)))
        h = self.zoned("h", h, state.h, noise)
        return Step(h, RNNState(h), {"a": a})

    def _normed_sum(self, x: Tensor, h: Tensor) -> Tensor:
        bias = None if self.bias_ih is None or self.bias_hh is None else self.bias_ih + self.bias_hh
        return self._normed(F.linear(x, self.weight_ih) + F.linear(h, self.weight_hh), bias, self.gain_ih)

    def signals_of(self, gates: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        return gates

    def operator(self) -> Operator | None:
        if not self._as_torch:
            return None
        return Operator(f"rnn_{self.activation.known}", self._weights(), self.bias)

    def _options(self) -> list[tuple[str, Any, Any]]:
        return [*super()._options(), ("nonlinearity", self.activation.name, "tanh")]
