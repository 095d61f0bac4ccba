"""Everything a recurrent layer computes, step by step, without changing what it computes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from unroll.errors import ConfigError
from unroll.inspect.foreign import sequences, watching_torch
from unroll.kernels import Captured, map_state
from unroll.nn import Call, watching


class LayerTrace(NamedTuple):
    """One layer in one direction.

    Attributes:
        signals: gates and other inner values by name, each (batch, T, units).
        states: the state after each step by name, each (batch, T, units).
        mask: (batch, T), True where a sequence is still running; elsewhere signals are 0 and states stand still.
        keep_gate: which signal keeps the old state, or None.
    """

    signals: Mapping[str, Tensor]
    states: Mapping[str, Tensor]
    mask: Tensor
    keep_gate: str | None


@dataclass(frozen=True)
class Trace:
    """What ``trace`` returns: the module's own output, and a ``LayerTrace`` by name.

    Names are ``"l0"``, ``"l0_reverse"``, … with the path of the recurrent layer in front when it is a part
    of a larger module: ``"encoder.l0"``.
    """

    output: Any
    layers: Mapping[str, LayerTrace]

    def __getitem__(self, name: str) -> LayerTrace:
        if name not in self.layers:
            raise KeyError(f"no layer {name!r} in this trace; it has {', '.join(self.layers)}")
        return self.layers[name]


def trace(module: nn.Module, *inputs: Any, **keywords: Any) -> Trace:
    """Call ``module`` and keep every gate and state of the recurrent layers inside it, unroll's and torch.nn's.

    The output is what ``module(*inputs, **keywords)`` gives, to the bit, with its graph. Gates and states, detached,
    are those that our engine computed, where it ran the layer; else they are recovered afterwards from the layer's own
    input, by the engine or by the loop over steps. ``module`` is left as it was.

    Of torch.nn, ``RNN``, ``LSTM``, ``GRU`` and their cells are seen, subclasses too, wherever they are called
    (as ``layer(x)``, not ``layer.forward(x)``). The calls of one cell are the steps of one sequence, as "l0" with
    time in order of the calls; a call with another batch size begins a new sequence, "l0#2". A compiled module is
    run uncompiled, a scripted or exported one keeps its layers to itself.

    Raises:
        ConfigError: no recurrent layer ran in ``module``, or one whose dropout cannot be repeated.

    Example::

        >>> layer = unroll.nn.LSTM(3, 4, batch_first=True)
        >>> t = unroll.trace(layer, torch.randn(2, 5, 3))
        >>> t["l0"].signals["f"].shape, t["l0"].states["c"].shape
        (torch.Size([2, 5, 4]), torch.Size([2, 5, 4]))
    """
    calls: list[Call] = []
    with watching(lambda call: calls.append(_settled(call))), watching_torch(calls.append):
        output = module(*inputs, **keywords)
    if not calls:
        raise ConfigError(
            f"{type(module).__name__} ran no recurrent layer of unroll or torch.nn that can be seen",
            expected="an unroll.nn layer, or torch's RNN, LSTM, GRU or one of their cells, called inside it",
            fix="Trace a scripted or exported module before it is scripted or exported",
        )
    paths = {id(part): name for name, part in module.named_modules()}
    layers: dict[str, LayerTrace] = {}
    for steps in sequences(calls):
        name = _name(paths.get(id(steps[0].owner), ""), steps[0], layers)
        layers[name] = _joined([_traced(call) for call in steps])
    return Trace(output, layers)


def _settled(call: Call) -> Call:
    """``call`` on copies in the cell's own dtype: what the model does later, in place, cannot reach its replay."""
    if call.captured is not None:
        signals, states = call.captured
        return call._replace(captured=Captured(signals, {name: leaf.clone() for name, leaf in states.items()}))
    dtype = next((weight.dtype for weight in call.cell.parameters()), call.x.dtype)

    def own(value: Tensor) -> Tensor:
        value = value.detach().clone()
        return value.to(dtype) if value.is_floating_point() else value

    return call._replace(cell=call.cell.with_parameters({}), x=own(call.x), state=map_state(own, call.state))


def _joined(parts: list[LayerTrace]) -> LayerTrace:
    """One trace from those of successive calls."""
    first = parts[0]
    if len(parts) == 1:
        return first
    return LayerTrace(
        {name: torch.cat([part.signals[name] for part in parts], dim=1) for name in first.signals},
        {name: torch.cat([part.states[name] for part in parts], dim=1) for name in first.states},
        torch.cat([part.mask for part in parts], dim=1),
        first.keep_gate,
    )


def _name(path: str, call: Call, taken: Mapping[str, Any]) -> str:
    name = (f"{path}." if path else "") + call.name
    if name not in taken:
        return name
    again = 2
    while f"{name}#{again}" in taken:
        again += 1
    return f"{name}#{again}"


def _traced(call: Call) -> LayerTrace:
    T, B = call.x.shape[:2]
    signals, states = call.inside()
    t = torch.arange(T, device=call.x.device)
    lengths = call.lengths if call.lengths is not None else torch.full((B,), T, device=call.x.device)
    return LayerTrace(_batch_first(signals), _batch_first(states), t < lengths.unsqueeze(1), call.cell.keep_gate)


def _batch_first(values: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: value.transpose(0, 1) for name, value in values.items()}
