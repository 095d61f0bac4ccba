"""IndRNN: every unit remembers for itself."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from unroll.errors import ConfigError, did_you_mean
from unroll.kernels import elementwise
from unroll.nn.cell import Cell, Step


class IndRNNState(NamedTuple):
    h: Tensor


class IndRNNCell(Cell):
    r"""Independently recurrent network (Li et al. 2018, arXiv:1803.04831, eq. 2).

    .. math:: h_t = \mathrm{ReLU}(W x_t + u \odot h_{t-1} + b)

    A unit reads no other unit's past, so its gradient over k steps is u^k while it is active. u is drawn from
    U(0, 1); W and b from U(-1/√hidden, 1/√hidden).

    Args:
        input_size: width of x_t.
        hidden_size: width of h_t.
        bias: whether b exists.
        nonlinearity: ``"relu"``, or ``"tanh"``, which bounds the state.

    Raises:
        ConfigError: the nonlinearity is another.

    Signals: ``a`` (batch, hidden), the pre-activation.

    Example::

        >>> layer = Recurrent(IndRNNCell(3, 4), num_layers=2)
    """

    bias: Tensor | None

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        device: Any = None,
        dtype: Any = None,
        *,
        nonlinearity: str = "relu",
    ) -> None:
        super().__init__()
        if nonlinearity not in elementwise.NONLINEARITIES:
            raise ConfigError(
                f"nonlinearity '{nonlinearity}'.{did_you_mean(nonlinearity, elementwise.NONLINEARITIES)}",
                expected=f"one of {', '.join(elementwise.NONLINEARITIES)}",
            )
        self.nonlinearity = nonlinearity
        self.input_size, self.hidden_size, self.output_size = input_size, hidden_size, hidden_size
        make = {"device": device, "dtype": dtype}
        self.weight = nn.Parameter(torch.empty(hidden_size, input_size, **make))
        self.u = nn.Parameter(torch.empty(hidden_size, **make))
        self.register_parameter("bias", nn.Parameter(torch.empty(hidden_size, **make)) if bias else None)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw every parameter anew."""
        bound = self.hidden_size**-0.5
        nn.init.uniform_(self.weight, -bound, bound)
        nn.init.uniform_(self.u, 0.0, 1.0)
        if self.bias is not None:
            nn.init.uniform_(self.bias, -bound, bound)

    def initial_state(
        self, batch_size: int, *, device: torch.device | None = None, dtype: torch.dtype | None = None
    ) -> IndRNNState:
        return IndRNNState(torch.zeros(batch_size, self.hidden_size, device=device, dtype=dtype))

    def step(self, x: Tensor, state: IndRNNState) -> Step:
        a = F.linear(x, self.weight, self.bias) + self.u * state.h
        h = a.relu() if self.nonlinearity == "relu" else a.tanh()
        return Step(h, IndRNNState(h), {"a": a})

    def sequence(self, x: Tensor, state: IndRNNState, resets: Tensor | None) -> tuple[Tensor, IndRNNState]:
        w = F.linear(x, self.weight, self.bias)
        h = elementwise.indrnn(w, self.u, state.h, resets=resets, nonlinearity=self.nonlinearity)
        return h, IndRNNState(h)

    def extra_repr(self) -> str:
        bias = "" if self.bias is not None else ", bias=False"
        return f"{self.input_size}, {self.hidden_size}{bias}" + (
            "" if self.nonlinearity == "relu" else f", nonlinearity={self.nonlinearity}"
        )
