"""SRU: gates that read the input and their own unit's past, and a highway around them."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from unroll.errors import ConfigError
from unroll.kernels import elementwise
from unroll.nn.cell import Cell, Step


class SRUState(NamedTuple):
    c: Tensor


class SRUCell(Cell):
    r"""Simple recurrent unit (Lei et al. 2018, arXiv:1709.02755, eq. 1-4).

    .. math::
        z_t &= W_z x_t \\
        f_t &= \sigma(W_f x_t + v_f \odot c_{t-1} + b_f) \\
        r_t &= \sigma(W_r x_t + v_r \odot c_{t-1} + b_r) \\
        c_t &= f_t \odot c_{t-1} + (1 - f_t) \odot z_t \\
        h_t &= r_t \odot c_t + (1 - r_t) \odot \alpha s_t

    where s_t is x_t, or W_s x_t with a projection. No unit reads another one's past, so all products with the input
    are one for the whole sequence.

    W is drawn from U(-√(3/input), √(3/input)), W_f, W_r and v, from U(-√3, √3), are scaled by √½, b_f is 0: as the
    authors' code does it.

    Args:
        input_size: width of x_t.
        hidden_size: width of c_t and h_t.
        bias: whether b_f and b_r exist.
        projection: whether W_s exists; None: where the widths differ, which need it.
        highway_bias: what b_r starts as; below 0, h starts nearer to s.
        rescale: whether α = √(1 + 2 exp(highway_bias)), the paper's correction, with which h begins with about the
            variance of x however deep the stack; else α = 1.

    Raises:
        ConfigError: without a projection the widths differ.

    Signals: ``f``, ``r``, ``z`` (batch, hidden). The blocks of rows of the weight are z, f, r, s, those of the bias
    f, r.

    Example::

        >>> layer = Recurrent(SRUCell(3, 4, rescale=True), num_layers=2)
    """

    keep_gate = "f"
    bias: Tensor | None

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        device: Any = None,
        dtype: Any = None,
        *,
        projection: bool | None = None,
        highway_bias: float = 0.0,
        rescale: bool = False,
    ) -> None:
        super().__init__()
        self.input_size, self.hidden_size, self.output_size = input_size, hidden_size, hidden_size
        self.projection = input_size != hidden_size if projection is None else projection
        if not self.projection and input_size != hidden_size:
            raise ConfigError(
                f"SRU without a projection, of {input_size} inputs and {hidden_size} hidden units",
                expected="as many inputs as hidden units, which the highway adds",
                fix="Leave projection out",
            )
        self.highway_bias, self.rescale = highway_bias, rescale
        self.alpha = math.sqrt(1 + 2 * math.exp(highway_bias)) if rescale else 1.0
        make = {"device": device, "dtype": dtype}
        self.weight = nn.Parameter(torch.empty((4 if self.projection else 3) * hidden_size, input_size, **make))
        self.v_f = nn.Parameter(torch.empty(hidden_size, **make))
        self.v_r = nn.Parameter(torch.empty(hidden_size, **make))
        self.register_parameter("bias", nn.Parameter(torch.empty(2 * hidden_size, **make)) if bias else None)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw every parameter anew."""
        bound, H = math.sqrt(3 / max(1, self.input_size)), self.hidden_size
        nn.init.uniform_(self.weight, -bound, bound)
        with torch.no_grad():
            self.weight[H : 3 * H].mul_(math.sqrt(0.5))
        for v in (self.v_f, self.v_r):
            nn.init.uniform_(v, -math.sqrt(1.5), math.sqrt(1.5))
        if self.bias is not None:
            nn.init.zeros_(self.bias[:H])
            nn.init.constant_(self.bias[H:], self.highway_bias)

    def initial_state(
        self, batch_size: int, *, device: torch.device | None = None, dtype: torch.dtype | None = None
    ) -> SRUState:
        return SRUState(torch.zeros(batch_size, self.hidden_size, device=device, dtype=dtype))

    def step(self, x: Tensor, state: SRUState) -> Step:
        gates, skip = self._of_input(x)
        z, p, q = gates.chunk(3, -1)
        f, r = (p + self.v_f * state.c).sigmoid(), (q + self.v_r * state.c).sigmoid()
        c = f * state.c + (1 - f) * z
        return Step(r * c + (1 - r) * skip, SRUState(c), {"f": f, "r": r, "z": z})

    def sequence(self, x: Tensor, state: SRUState, resets: Tensor | None) -> tuple[Tensor, SRUState]:
        gates, skip = self._of_input(x)
        h, c = elementwise.sru(gates, self.v_f, self.v_r, skip, state.c, resets=resets)
        return h, SRUState(c)

    def _of_input(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """z and what x gives f and r, side by side; α s."""
        H, bias = self.hidden_size, None
        if self.bias is not None:
            zeros = self.bias.new_zeros(H)
            bias = torch.cat([zeros, self.bias, zeros] if self.projection else [zeros, self.bias])
        product = F.linear(x, self.weight, bias)
        skip = product[..., 3 * H :] if self.projection else x
        return product[..., : 3 * H], skip * self.alpha if self.rescale else skip

    def extra_repr(self) -> str:
        options = {
            "bias": (self.bias is not None, True),
            "projection": (self.projection, self.input_size != self.hidden_size),
            "highway_bias": (self.highway_bias, 0.0),
            "rescale": (self.rescale, False),
        }
        shown = [f"{name}={value}" for name, (value, usual) in options.items() if value != usual]
        return ", ".join([f"{self.input_size}, {self.hidden_size}", *shown])
