"""QRNN: gates from a window of the input alone, and a pooling over time."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from unroll.errors import ConfigError, did_you_mean
from unroll.kernels import QUIET, StepNoise
from unroll.kernels.linear import linear_recurrence, unless_reset
from unroll.nn.cell import Cell, Step

POOLINGS = {"f": "zf", "fo": "zfo", "ifo": "zfoi"}
"""The candidate and the gates of each, in the order of their rows."""


class QRNNState(NamedTuple):
    c: Tensor


class QRNNWindowState(NamedTuple):
    """With the input before, which a window of 2 reads."""

    c: Tensor
    x: Tensor


class QRNNCell(Cell):
    r"""Quasi-recurrent network (Bradbury et al. 2017, arXiv:1611.01576, eq. 1-5).

    .. math::
        z_t &= \tanh(W_z [x_{t-1}, x_t] + b_z) \\
        f_t &= \sigma(W_f [x_{t-1}, x_t] + b_f) \\
        o_t &= \sigma(W_o [x_{t-1}, x_t] + b_o) \\
        c_t &= f_t \odot c_{t-1} + (1 - f_t) \odot z_t \\
        h_t &= o_t \odot c_t

    This is fo-pooling. In f-pooling h_t is c_t; in ifo-pooling c_t = f_t ⊙ c_{t-1} + i_t ⊙ z_t with a gate i_t of its
    own. x_0 is 0. The gates read no state, so everything but c_t is one product for the whole sequence, and c_t a
    linear recurrence.

    W and b are drawn from U(-1/√n, 1/√n), n = window · input, as torch draws a convolution's.

    Args:
        input_size: width of x_t.
        hidden_size: width of c_t and h_t.
        bias: whether the biases exist.
        pooling: ``"f"``, ``"fo"`` or ``"ifo"``.
        window: how many inputs the gates read, 1 or 2; 2 keeps the last one in the state.
        zoneout: probability that f_t is 1 in training, F = 1 - dropout(1 - F) without scaling (section 2.1 of the
            paper): the unit keeps its state where the pooling writes 1 - f_t. Evaluation has none.

    Raises:
        ConfigError: pooling, window or zoneout is none of these.

    Signals: ``z``, ``f`` and, where the pooling has them, ``o``, ``i`` (batch, hidden). The blocks of rows are in
    this order; the columns are those of the older input, then the newer one's.

    Example::

        >>> layer = Recurrent(QRNNCell(3, 4, pooling="ifo", window=1), num_layers=2)
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
        pooling: str = "fo",
        window: int = 2,
        zoneout: float = 0.0,
    ) -> None:
        super().__init__()
        if pooling not in POOLINGS:
            raise ConfigError(
                f"pooling '{pooling}'.{did_you_mean(pooling, POOLINGS)}", expected=f"one of {', '.join(POOLINGS)}"
            )
        if window not in (1, 2):
            raise ConfigError(f"window={window!r}", expected="1, or 2 for the input before as well")
        if isinstance(zoneout, bool) or not isinstance(zoneout, (int, float)) or not 0 <= zoneout <= 1:
            raise ConfigError(f"zoneout of {zoneout!r}", expected="a probability between 0 and 1")
        self.input_size, self.hidden_size, self.output_size = input_size, hidden_size, hidden_size
        self.pooling, self.window, self.zoneout = pooling, window, float(zoneout)
        make, rows = {"device": device, "dtype": dtype}, len(POOLINGS[pooling]) * hidden_size
        self.weight = nn.Parameter(torch.empty(rows, window * input_size, **make))
        self.register_parameter("bias", nn.Parameter(torch.empty(rows, **make)) if bias else None)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw every parameter anew."""
        bound = max(1, self.window * self.input_size) ** -0.5
        for parameter in (self.weight, self.bias):
            if parameter is not None:
                nn.init.uniform_(parameter, -bound, bound)

    def initial_state(
        self, batch_size: int, *, device: torch.device | None = None, dtype: torch.dtype | None = None
    ) -> QRNNState | QRNNWindowState:
        c = torch.zeros(batch_size, self.hidden_size, device=device, dtype=dtype)
        if self.window == 1:
            return QRNNState(c)
        return QRNNWindowState(c, torch.zeros(batch_size, self.input_size, device=device, dtype=dtype))

    @property
    def draws(self) -> bool:
        return self.zoneout > 0

    def draw(self, T: int, x: Tensor) -> StepNoise | None:
        if not self.zoneout:
            return None
        rate = torch.full((T, x.shape[0], self.hidden_size), self.zoneout, dtype=x.dtype, device=x.device)
        return StepNoise(steps={"zoneout": rate.bernoulli()})

    def step(self, x: Tensor, state: QRNNState | QRNNWindowState, noise: Mapping[str, Tensor] = QUIET) -> Step:
        window = torch.cat([state.x, x], -1) if isinstance(state, QRNNWindowState) else x
        signals = self._gates(window)
        if "zoneout" in noise:
            signals["f"] = torch.where(noise["zoneout"].bool(), signals["f"].new_ones(()), signals["f"])
        c = signals["f"] * state.c + self._written(signals)
        # A copy of x: a caller may write the next input into the same memory.
        return Step(self._shown(c, signals), self._state(c, x.clone()), signals)

    def sequence(
        self, x: Tensor, state: QRNNState | QRNNWindowState, resets: Tensor | None
    ) -> tuple[Tensor, QRNNState | QRNNWindowState]:
        window = x
        if isinstance(state, QRNNWindowState):
            before = torch.cat([state.x.unsqueeze(0), x[:-1]])
            window = torch.cat([unless_reset(before, resets), x], -1)
        signals = self._gates(window)
        c = linear_recurrence(signals["f"], self._written(signals), state.c, resets=resets)
        return self._shown(c, signals), self._state(c, x)

    def _gates(self, window: Tensor) -> dict[str, Tensor]:
        names = POOLINGS[self.pooling]
        parts = F.linear(window, self.weight, self.bias).chunk(len(names), -1)
        return {name: a.tanh() if name == "z" else a.sigmoid() for name, a in zip(names, parts)}

    def _written(self, signals: Mapping[str, Tensor]) -> Tensor:
        write = signals["i"] if self.pooling == "ifo" else 1 - signals["f"]
        return write * signals["z"]

    def _shown(self, c: Tensor, signals: Mapping[str, Tensor]) -> Tensor:
        return c if self.pooling == "f" else signals["o"] * c

    def _state(self, c: Tensor, x: Tensor) -> QRNNState | QRNNWindowState:
        return QRNNState(c) if self.window == 1 else QRNNWindowState(c, x)

    def extra_repr(self) -> str:
        options = {
            "bias": (self.bias is not None, True),
            "pooling": (self.pooling, "fo"),
            "window": (self.window, 2),
            "zoneout": (self.zoneout, 0.0),
        }
        shown = [f"{name}={value}" for name, (value, usual) in options.items() if value != usual]
        return ", ".join([f"{self.input_size}, {self.hidden_size}", *shown])
