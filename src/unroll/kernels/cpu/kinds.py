"""The recurrences that the engine knows, and how their gates lie in its memory."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import torch
from torch import Tensor


class Kind(NamedTuple):
    """A recurrence of the engine.

    Attributes:
        number: ``Kind`` in layer.h.
        gates: blocks of H rows in the weights.
        slots: blocks of H numbers that a step computes before its activations.
        signals: the gates as they lie in the slots once a step is taken, by their names; "" for one that is none.
        cells: whether the state has a c.
    """

    number: int
    gates: int
    slots: int
    signals: tuple[str, ...]
    cells: bool = False

    @property
    def gated(self) -> bool:
        """Whether the way back reads the gates: a plain RNN's derivative is told by h."""
        return self.slots > 1

    def named(self, gates: Tensor) -> dict[str, Tensor]:
        """Views of ``gates`` (…, slots · H), each (…, H)."""
        parts = gates.chunk(self.slots, -1)
        return {name: part for name, part in zip(self.signals, parts) if name}


KINDS: dict[str, Kind] = {
    "rnn_tanh": Kind(0, 1, 1, ("a",)),
    "rnn_relu": Kind(1, 1, 1, ("a",)),
    "lstm": Kind(2, 4, 4, ("i", "f", "g", "o"), cells=True),
    "gru": Kind(3, 3, 4, ("n", "r", "z", "")),
    "gru_before": Kind(4, 3, 3, ("r", "z", "n")),
    "gru_write": Kind(5, 3, 4, ("n", "r", "z", "")),
    "gru_before_write": Kind(6, 3, 3, ("r", "z", "n")),
    "mgu": Kind(7, 2, 2, ("f", "n")),
    "janet": Kind(8, 2, 2, ("f", "g")),
    "lstm_options": Kind(9, 0, 0, (), cells=True),
}
NO_I, NO_F, NO_O, COUPLED, PLAIN_INPUT, PLAIN_OUTPUT = (1 << bit for bit in range(6))
"""What an LSTM is ``without``, see cell_lstm_options.h."""


def kind_of(name: str, without: int = 0) -> Kind:
    """The kind ``name``; of an LSTM with options the one with the gates that it has."""
    if name != "lstm_options":
        return KINDS[name]
    absent = {"i": NO_I, "f": NO_F | COUPLED, "o": NO_O}
    present = tuple(gate for gate in "ifgo" if not without & absent.get(gate, 0))
    return KINDS[name]._replace(gates=len(present), slots=len(present), signals=present)


def slot_bias(kind: Kind, weights: Mapping[str, Tensor]) -> Tensor | None:
    """All that is added to the slots, (slots · H); None where there is nothing, or where layer norms add it."""
    if "gain_ih" in weights or "bias_ih" not in weights:
        return None
    b_ih, b_hh = weights["bias_ih"], weights["bias_hh"]
    if kind.slots == kind.gates:
        return b_ih + b_hh
    rz = b_ih.shape[0] // 3 * 2
    return torch.cat([b_ih[rz:], b_ih[:rz] + b_hh[:rz], b_hh[rz:]])


def bias_gradients(kind: Kind, grad: Tensor) -> tuple[Tensor, Tensor]:
    """Of b_ih and b_hh, from that of ``slot_bias``."""
    if kind.slots == kind.gates:
        return grad, grad.clone()
    n, rz, q = grad.split([grad.shape[0] // 4, grad.shape[0] // 2, grad.shape[0] // 4])
    return torch.cat([rz, n]), torch.cat([rz, q])
