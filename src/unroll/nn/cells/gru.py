"""The gated recurrent unit, with the reset gate after or before the recurrent product."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor

from unroll.kernels import QUIET, Operator, Program
from unroll.nn.cell import Step
from unroll.nn.gated import GatedCell
from unroll.nn.options.activation import Activation


class GRUState(NamedTuple):
    h: Tensor


class GRUCell(GatedCell):
    r"""GRU (Cho et al. 2014, arXiv:1406.1078), drop-in for ``torch.nn.GRUCell``.

    .. math::
        r_t &= \sigma(W_{ir} x_t + b_{ir} + W_{hr} h_{t-1} + b_{hr}) \\
        z_t &= \sigma(W_{iz} x_t + b_{iz} + W_{hz} h_{t-1} + b_{hz}) \\
        n_t &= \tanh(W_{in} x_t + b_{in} + r_t \odot (W_{hn} h_{t-1} + b_{hn})) && \text{reset="after"} \\
        n_t &= \tanh(W_{in} x_t + b_{in} + W_{hn} (r_t \odot h_{t-1}) + b_{hn}) && \text{reset="before"} \\
        h_t &= (1 - z_t) \odot n_t + z_t \odot h_{t-1} && \text{update="keep"} \\
        h_t &= (1 - z_t) \odot h_{t-1} + z_t \odot n_t && \text{update="write"}

    ``reset="after"`` is version 1 of the paper, what torch and cuDNN compute; ``"before"`` is the published
    form (eq. 8). In torch's convention, ``update="keep"``, a large z is a long memory; Chung et al. 2014 (eq. 4)
    write it the other way round, ``"write"``. With ``proj_size`` the output is W_hr h_t, and W_hh reads that
    of the step before: h itself stays whole, for z to carry.

    Args:
        input_size: width of x_t.
        hidden_size: width of h_t.
        bias: whether the biases exist.
        reset: where the reset gate acts, ``"after"`` (torch) or ``"before"`` the product W_hn h.
        update: whether a large z says ``"keep"`` (torch) or ``"write"``.
        activation: of n, by name or as a function; tanh.
        gate_activation: of r and z; sigmoid.
        proj_size, layer_norm, recurrent_dropout, zoneout, clip, forget_bias: see ``unroll.nn.options``; clip
            bounds h, forget_bias is that of keeping.

    Signals: ``r``, ``z``, ``n`` (batch, hidden); with ``update="write"`` also ``k`` = 1 - z, what is kept. Gate order
    in the weights is torch's: r, z, n.

    Raises:
        ValueError: ``reset`` or ``update`` is neither of the two.
        ConfigError: an option is unknown.

    Example::

        >>> cell = GRUCell(3, 4, reset="before")
        >>> h = cell(torch.randn(2, 3))      # (2, 4)
    """

    gate_names = ("r", "z", "n")
    norm_groups = (2, 1)

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        device: Any = None,
        dtype: Any = None,
        *,
        reset: str = "after",
        update: str = "keep",
        activation: str | Callable[[Tensor], Tensor] = "tanh",
        gate_activation: str | Callable[[Tensor], Tensor] = "sigmoid",
        **options: Any,
    ) -> None:
        if reset not in ("after", "before"):
            raise ValueError(f"Unknown reset '{reset}'. Select from 'after' or 'before'.")
        if update not in ("keep", "write"):
            raise ValueError(f"Unknown update '{update}'. Select from 'keep' or 'write'.")
        self.reset, self.update = reset, update
        self.keep_gate, self.keeps = ("z", ("z", 1)) if update == "keep" else ("k", ("z", -1))
        self.activation, self.gate_activation = Activation(activation), Activation(gate_activation)
        super().__init__(input_size, hidden_size, bias, device=device, dtype=dtype, **options)
        standard = (self.activation.known, self.gate_activation.known) == ("tanh", "sigmoid")
        same = standard and reset == "after" and update == "keep" and not self.proj_size
        self._plain = self._as_torch and standard
        self._as_torch = self._as_torch and same
        self.reset_parameters()

    def initial_state(
        self, batch_size: int, *, device: torch.device | None = None, dtype: torch.dtype | None = None
    ) -> GRUState:
        return GRUState(torch.zeros(batch_size, self.hidden_size, device=device, dtype=dtype))

    def step(self, x: Tensor, state: GRUState, noise: Mapping[str, Tensor] = QUIET) -> Step:
        σ, φ, h = self.gate_activation, self.activation, state.h
        x_rz, x_n = self.input_product(x)
        if self.reset == "after":
            h_rz, h_n = self.recurrent_product(self.projected(h), noise)
            r, z = σ(x_rz + h_rz).chunk(2, -1)
            n = φ(x_n + r * h_n)
        else:
            (h_rz,) = self.recurrent_product(self.projected(h), noise, group=0)
            r, z = σ(x_rz + h_rz).chunk(2, -1)
            (h_n,) = self.recurrent_product(self.projected(r * h), noise, group=1)
            n = φ(x_n + h_n)
        new = (1 - z) * n + z * h if self.update == "keep" else (1 - z) * h + z * n
        h = self.zoned("h", self.clipped(new), h, noise)
        signals = {"r": r, "z": z, "n": n}
        if self.update == "write":
            signals["k"] = 1 - z
        return Step(self.projected(h), GRUState(h), signals)

    def signals_of(self, gates: Mapping[str, Tensor]) -> dict[str, Tensor]:
        signals = {name: gates[name] for name in self.gate_names}
        return signals if self.update == "keep" else {**signals, "k": 1 - signals["z"]}

    def program(self, noisy: bool = False) -> Program | None:
        if noisy or not self._plain or self.proj_size:
            return None
        kind = "gru" + ("_before" if self.reset == "before" else "") + ("_write" if self.update == "write" else "")
        return Program(kind, self._named_weights(), {}, self)

    def operator(self) -> Operator | None:
        return Operator("gru", self._weights(), self.bias) if self._as_torch else None

    def _options(self) -> list[tuple[str, Any, Any]]:
        return [
            *super()._options(),
            ("reset", self.reset, "after"),
            ("update", self.update, "keep"),
            ("activation", self.activation.name, "tanh"),
            ("gate_activation", self.gate_activation.name, "sigmoid"),
        ]
