"""Long short-term memory, with or without each of its gates."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from unroll.errors import ConfigError, did_you_mean
from unroll.kernels import QUIET, Operator, Program
from unroll.kernels.cpu.kinds import COUPLED, NO_F, NO_I, NO_O, PLAIN_INPUT, PLAIN_OUTPUT
from unroll.nn.cell import Step
from unroll.nn.gated import GatedCell
from unroll.nn.options.activation import Activation

_OPTIONAL = ("weight_hr", "gain_ih", "gain_hh", "weight_ci", "weight_cf", "weight_co", "gain_c", "bias_c")


class LSTMState(NamedTuple):
    h: Tensor
    c: Tensor


class GateRecurrentState(NamedTuple):
    """With full gate recurrence: the gates of the last step too."""

    h: Tensor
    c: Tensor
    i: Tensor
    f: Tensor
    o: Tensor


class Variant(NamedTuple):
    """What an LSTM has or lacks (Greff et al. 2017, section 3)."""

    absent: tuple[str, ...] = ()
    coupled: bool = False
    peepholes: bool = True
    gate_recurrence: bool = False
    input_activation: str | None = None
    output_activation: str | None = None


GREFF: dict[str, Variant] = {
    "V": Variant(),
    "NIG": Variant(absent=("i",)),
    "NFG": Variant(absent=("f",)),
    "NOG": Variant(absent=("o",)),
    "NIAF": Variant(input_activation="identity"),
    "NOAF": Variant(output_activation="identity"),
    "CIFG": Variant(coupled=True),
    "NP": Variant(peepholes=False),
    "FGR": Variant(gate_recurrence=True),
}
"""The vanilla LSTM and its eight variants by the paper's names: no input, forget or output gate, no input or output
activation function, coupled input and forget gate, no peepholes, full gate recurrence."""


class LSTMCell(GatedCell):
    r"""LSTM with a forget gate (Hochreiter & Schmidhuber 1997; Gers et al. 2000), drop-in for ``torch.nn.LSTMCell``.

    .. math::
        i_t &= \sigma(W_{ii} x_t + b_{ii} + W_{hi} h_{t-1} + b_{hi} + w_{ci} \odot c_{t-1}) \\
        f_t &= \sigma(W_{if} x_t + b_{if} + W_{hf} h_{t-1} + b_{hf} + w_{cf} \odot c_{t-1}) \\
        g_t &= \tanh(W_{ig} x_t + b_{ig} + W_{hg} h_{t-1} + b_{hg}) \\
        c_t &= f_t \odot c_{t-1} + i_t \odot g_t \\
        o_t &= \sigma(W_{io} x_t + b_{io} + W_{ho} h_{t-1} + b_{ho} + w_{co} \odot c_t) \\
        h_t &= o_t \odot \tanh(c_t)

    The peepholes w_c (Gers & Schmidhuber 2000) are there only if asked for. With ``proj_size`` the output is
    projected, h_t = W_hr (o_t ⊙ tanh c_t) (Sak et al. 2014, eq. 7). With full gate recurrence (FGR) every gate also
    reads W_gg [i_{t-1}; f_{t-1}; o_{t-1}].

    Args:
        input_size: width of x_t.
        hidden_size: width of c_t.
        bias: whether the biases exist.
        proj_size: width of h_t if it is to be projected; 0 for none.
        variant: one of Greff et al. 2017: V, NIG, NFG, NOG, NIAF, NOAF, CIFG, NP, FGR. All but NP have peepholes.
        peepholes: whether the gates read c; by default as the variant says, without one no.
        coupled: f_t = 1 - i_t, without rows of its own (CIFG).
        activation: of g and of c in the output, by name or as a function; tanh.
        gate_activation: of i, f and o; sigmoid.
        layer_norm, recurrent_dropout, zoneout, clip, forget_bias: see ``unroll.nn.options``; clip bounds c.

    Signals: ``i``, ``f``, ``g``, ``o`` (batch, hidden), those that the variant has. Gate order in the weights is
    torch's: i, f, g, o, without the absent ones.

    Raises:
        ValueError: ``proj_size`` is negative or not below ``hidden_size``.
        ConfigError: an option is unknown, or does not fit another.

    Example::

        >>> cell = LSTMCell(3, 4)
        >>> h, c = cell(torch.randn(2, 3))      # (2, 4) each
        >>> Recurrent(LSTMCell(3, 4, variant="CIFG", layer_norm=True))(torch.randn(5, 2, 3))[0].shape
        torch.Size([5, 2, 4])
    """

    weight_ci: Tensor | None
    weight_cf: Tensor | None
    weight_co: Tensor | None
    weight_gg: Tensor | None
    gain_c: Tensor | None
    bias_c: Tensor | None

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        device: Any = None,
        dtype: Any = None,
        *,
        variant: str | None = None,
        peepholes: bool | None = None,
        coupled: bool = False,
        activation: str | Callable[[Tensor], Tensor] = "tanh",
        gate_activation: str | Callable[[Tensor], Tensor] = "sigmoid",
        **options: Any,
    ) -> None:
        self.variant = variant
        self.form = form = _form(variant, peepholes, coupled)
        absent = (*form.absent, "f") if form.coupled else form.absent
        self.gate_names = tuple(name for name in "ifgo" if name not in absent)
        if "f" not in form.absent:
            self.keeps = ("i", -1) if form.coupled else ("f", 1)
            self.keep_gate = "f"
        self.activation, self.gate_activation = Activation(activation), Activation(gate_activation)
        self.input_activation = Activation(form.input_activation or activation)
        self.output_activation = Activation(form.output_activation or activation)
        super().__init__(input_size, hidden_size, bias, device=device, dtype=dtype, **options)
        standard = self._activations() == ("tanh", "tanh", "sigmoid") and form == Variant(peepholes=False)
        self._as_torch = self._as_torch and standard
        self.reset_parameters()

    def _register(self, device: Any, dtype: Any) -> None:
        super()._register(device, dtype)
        H, form, normed = self.hidden_size, self.form, self.layer_norm is not None
        sigmoid = [name for name in self.gate_names if name != "g"]
        shapes: dict[str, tuple[int, ...] | None] = {
            f"weight_c{name}": (H,) if form.peepholes and name in sigmoid else None for name in "ifo"
        }
        shapes["weight_gg"] = (len(sigmoid) * H, len(sigmoid) * H) if form.gate_recurrence else None
        shapes["gain_c"] = (H,) if normed else None
        shapes["bias_c"] = (H,) if normed and self.bias else None
        for name, shape in shapes.items():
            empty = None if shape is None else nn.Parameter(torch.empty(shape, device=device, dtype=dtype))
            self.register_parameter(name, empty)

    def initial_state(
        self, batch_size: int, *, device: torch.device | None = None, dtype: torch.dtype | None = None
    ) -> LSTMState | GateRecurrentState:
        h = torch.zeros(batch_size, self.output_size, device=device, dtype=dtype)
        c = torch.zeros(batch_size, self.hidden_size, device=device, dtype=dtype)
        if self.form.gate_recurrence:
            return GateRecurrentState(h, c, torch.zeros_like(c), torch.zeros_like(c), torch.zeros_like(c))
        return LSTMState(h, c)

    def step(self, x: Tensor, state: Any, noise: Mapping[str, Tensor] = QUIET) -> Step:
        (a_x,), (a_h,) = self.input_product(x), self.recurrent_product(state.h, noise)
        a = dict(zip(self.gate_names, (a_x + a_h).chunk(self.gates, dim=-1)))
        if self.weight_gg is not None:
            names = [name for name in self.gate_names if name != "g"]
            back = F.linear(torch.cat([getattr(state, name) for name in names], -1), self.weight_gg)
            a |= {name: a[name] + part for name, part in zip(names, back.chunk(len(names), -1))}
        σ, gates = self.gate_activation, {"g": self.input_activation(a["g"])}
        if "i" in a:
            gates["i"] = σ(_peeped(a["i"], self.weight_ci, state.c))
        if "f" in a:
            gates["f"] = σ(_peeped(a["f"], self.weight_cf, state.c))
        elif self.form.coupled:
            gates["f"] = 1 - gates["i"]
        kept = gates["f"] * state.c if "f" in gates else state.c
        c = self.clipped(kept + (gates["i"] * gates["g"] if "i" in gates else gates["g"]))
        h = self.output_activation(c if self.gain_c is None else self._normed(c, self.bias_c, self.gain_c))
        if "o" in a:
            gates["o"] = σ(_peeped(a["o"], self.weight_co, c))
            h = gates["o"] * h
        h = self.zoned("h", self.projected(h), state.h, noise)
        c = self.zoned("c", c, state.c, noise)
        signals = {name: gates[name] for name in "ifgo" if name in gates}
        if self.weight_gg is not None:
            return Step(h, GateRecurrentState(h, c, gates["i"], gates["f"], gates["o"]), signals)
        return Step(h, LSTMState(h, c), signals)

    def operator(self) -> Operator | None:
        if not self._as_torch:
            return None
        projection = (self.weight_hr,) if self.proj_size else ()
        return Operator("lstm", self._weights() + projection, self.bias)  # type: ignore[operator]

    def program(self, noisy: bool = False) -> Program | None:
        if self._as_torch and not self.proj_size and not noisy:
            return Program("lstm", self._named_weights(), {}, self)
        input_activation, output_activation, gate_activation = self._activations()
        known = {input_activation, output_activation} <= {"tanh", "identity"} and gate_activation == "sigmoid"
        if not known or self.form.gate_recurrence:
            return None
        numbers: dict[str, float] = {
            "without": self._without(),
            "rate_h": self.zoneout.h,
            "rate_c": self.zoneout.c,
            "clip": 0.0 if self.clip is None else self.clip.bound,
            "eps": 0.0 if self.layer_norm is None else self.layer_norm.eps,
        }
        return Program("lstm_options", self._named_weights(*_OPTIONAL), numbers, self)

    def signals_of(self, gates: Mapping[str, Tensor]) -> dict[str, Tensor]:
        known = {**gates, "f": 1 - gates["i"]} if self.form.coupled else gates
        return {name: known[name] for name in "ifgo" if name in known}

    def _without(self) -> int:
        """What this LSTM lacks, as the engine numbers it."""
        lacks = {
            NO_I: "i" in self.form.absent,
            NO_F: "f" in self.form.absent,
            NO_O: "o" in self.form.absent,
            COUPLED: self.form.coupled,
            PLAIN_INPUT: self.input_activation.known == "identity",
            PLAIN_OUTPUT: self.output_activation.known == "identity",
        }
        return sum(bit for bit, lacking in lacks.items() if lacking)

    def _activations(self) -> tuple[str | None, ...]:
        return tuple(f.known for f in (self.input_activation, self.output_activation, self.gate_activation))

    def _options(self) -> list[tuple[str, Any, Any]]:
        return [
            *super()._options(),
            ("variant", self.variant, None),
            ("peepholes", self.form.peepholes, self.variant is not None and GREFF[self.variant].peepholes),
            ("coupled", self.form.coupled, self.variant == "CIFG"),
            ("activation", self.activation.name, "tanh"),
            ("gate_activation", self.gate_activation.name, "sigmoid"),
        ]


def _peeped(a: Tensor, weight: Tensor | None, c: Tensor) -> Tensor:
    return a if weight is None else a + weight * c


def _form(variant: str | None, peepholes: bool | None, coupled: bool) -> Variant:
    """The variant as asked for, with what was asked for besides."""
    if variant is None:
        form = Variant(peepholes=False)
    elif variant in GREFF:
        form = GREFF[variant]
    else:
        raise ConfigError(
            f"unknown LSTM variant '{variant}'.{did_you_mean(str(variant).upper(), GREFF)}",
            expected=f"one of {', '.join(GREFF)}",
        )
    if coupled and {"i", "f"} & set(form.absent):
        raise ConfigError(
            f"coupled=True with variant {variant}",
            expected="an LSTM that has both gates, i and f",
            fix="Leave coupled out, or take variant CIFG",
        )
    return form._replace(
        coupled=coupled or form.coupled, peepholes=form.peepholes if peepholes is None else bool(peepholes)
    )
