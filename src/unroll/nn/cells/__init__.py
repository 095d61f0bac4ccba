"""The cells. A new one is a file here and a line in ``_entries``: tests, comparison, trace and report follow."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

from unroll.errors import ConfigError, did_you_mean
from unroll.nn.cell import Cell
from unroll.nn.cells.gru import GRUCell, GRUState
from unroll.nn.cells.indrnn import IndRNNCell, IndRNNState
from unroll.nn.cells.janet import JANETCell, JANETState
from unroll.nn.cells.lstm import GREFF, GateRecurrentState, LSTMCell, LSTMState
from unroll.nn.cells.mgu import MGUCell, MGUState
from unroll.nn.cells.qrnn import QRNNCell, QRNNState, QRNNWindowState
from unroll.nn.cells.rnn import RNNCell, RNNState
from unroll.nn.cells.sru import SRUCell, SRUState

__all__ = [
    "CELLS",
    "GREFF",
    "CellEntry",
    "GRUCell",
    "GRUState",
    "GateRecurrentState",
    "IndRNNCell",
    "IndRNNState",
    "JANETCell",
    "JANETState",
    "LSTMCell",
    "LSTMState",
    "MGUCell",
    "MGUState",
    "QRNNCell",
    "QRNNState",
    "QRNNWindowState",
    "RNNCell",
    "RNNState",
    "SRUCell",
    "SRUState",
    "cell_entry",
]


class CellEntry(NamedTuple):
    """A cell by name. ``make(input_size, hidden_size)`` builds it; ``label`` is how tables write it."""

    name: str
    label: str
    make: Callable[[int, int], Cell]


_entries = (
    CellEntry("rnn", "RNN", RNNCell),
    CellEntry("rnn_relu", "RNN relu", partial(RNNCell, nonlinearity="relu")),
    CellEntry("lstm", "LSTM", LSTMCell),
    *(CellEntry(f"lstm_{name.lower()}", f"LSTM {name}", partial(LSTMCell, variant=name)) for name in GREFF),
    CellEntry("gru", "GRU", GRUCell),
    CellEntry("gru_reset_before", "GRU (reset before)", partial(GRUCell, reset="before")),
    CellEntry("gru_write", "GRU (z writes)", partial(GRUCell, update="write")),
    CellEntry("mgu", "MGU", MGUCell),
    CellEntry("janet", "JANET", JANETCell),
    CellEntry("indrnn", "IndRNN", IndRNNCell),
    CellEntry("sru", "SRU", partial(SRUCell, projection=True)),
    CellEntry("qrnn", "QRNN", QRNNCell),
    CellEntry("qrnn_f", "QRNN f", partial(QRNNCell, pooling="f", window=1)),
    CellEntry("qrnn_ifo", "QRNN ifo", partial(QRNNCell, pooling="ifo")),
)

CELLS: dict[str, CellEntry] = {entry.name: entry for entry in _entries}


def cell_entry(name: str) -> CellEntry:
    """The registered cell ``name``, or the one that ``"package.module:Class"`` names.

    Raises:
        ConfigError: no such cell, or it cannot be imported.
    """
    if name in CELLS:
        return CELLS[name]
    if ":" in name:
        return _imported(name)
    raise ConfigError(
        f"unknown cell '{name}'.{did_you_mean(name, CELLS)}",
        expected=f"one of {', '.join(CELLS)}",
        fix="A cell of your own is given as package.module:Class",
    )


def _imported(name: str) -> CellEntry:
    module, _, attribute = name.partition(":")
    try:
        found = getattr(importlib.import_module(module), attribute)
    except Exception as error:  # whatever a module of the user's own may raise
        raise ConfigError(
            f"cannot import the cell '{name}': {type(error).__name__}: {error}",
            expected="package.module:Class, importable from where the command runs",
        ) from error
    if not (isinstance(found, type) and issubclass(found, Cell)):
        raise ConfigError(f"'{name}' is not a cell", expected="a subclass of unroll.nn.Cell")
    return CellEntry(name, attribute.removesuffix("Cell"), found)
