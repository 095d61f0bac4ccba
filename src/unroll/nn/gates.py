"""The gates of a layer beside its output."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from unroll.errors import ConfigError
from unroll.nn.watch import Call, watcher_in_force, watching

if TYPE_CHECKING:
    from unroll.nn.recurrent import Recurrent

Gates = dict[str, Mapping[str, Tensor]]
"""By layer and direction, ``"l0"``, ``"l0_reverse"``, …, then by name."""


def with_gates(layer: Recurrent, *inputs: Any, **keywords: Any) -> tuple[Any, Any, Gates]:
    r"""``layer(*inputs, **keywords)`` and all its gates, without a loop over steps.

    .. math:: \text{gates}_t = \mathrm{step}(x_t, s_{t-1}).\text{signals}

    Output, state and gradients are those of the plain call, to the bit. Where our CPU engine runs the layer, its gates
    are the numbers that it computed; else they are computed once more, by the engine or by the loop over ``step``.

    Returns:
        output and state as the layer gives them, and its gates: ``gates["l0"]["f"]`` is the signal f of the first
        layer, ``gates["l0_reverse"]["f"]`` that of its backward direction. Names are those of ``cell.step``'s signals.
        Each is laid out as the output is, (T, batch, hidden), (batch, T, hidden) with ``batch_first``, or (T, hidden)
        for one sequence; for a ``PackedSequence`` it is padded, in the order of the caller's rows. It is 0 where a
        sequence has ended, and detached: no gradient passes through it. The backward pass may read it, so change a
        copy of it, not itself.

    Raises:
        ConfigError: inside ``torch.compile`` or ``torch.export``, where nothing inside a layer is seen.

    Example::

        >>> layer = nn.GRU(3, 4, num_layers=2, batch_first=True)
        >>> output, h_n, gates = layer.with_gates(torch.randn(2, 5, 3), lengths=[5, 2])
        >>> list(gates), list(gates["l1"]), gates["l1"]["z"].shape
        (['l0', 'l1'], ['r', 'z', 'n'], torch.Size([2, 5, 4]))
    """
    if torch.compiler.is_compiling():
        raise ConfigError(
            f"the gates of a {type(layer).__name__} inside a compiled or exported graph",
            expected="a call outside of torch.compile and torch.export",
            fix="Call with_gates on the layer itself, or trace the model",
        )
    gates: Gates = {}
    outer = watcher_in_force()

    def keep(call: Call) -> None:
        if call.owner is layer:
            gates[call.name] = call.inside().signals
        if outer is not None:
            outer(call)

    with watching(keep):
        output, final = layer(*inputs, **keywords)
    if isinstance(output, Tensor) and (layer.batch_first or output.dim() == 2):
        own = _one_row if output.dim() == 2 else _batch_first
        gates = {name: {key: own(gate) for key, gate in each.items()} for name, each in gates.items()}
    return output, final, gates


def _one_row(gate: Tensor) -> Tensor:
    return gate.squeeze(1)


def _batch_first(gate: Tensor) -> Tensor:
    return gate.transpose(0, 1)
