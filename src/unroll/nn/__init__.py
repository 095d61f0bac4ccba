"""Recurrent layers: the contract, the cells, and drop-ins for torch's RNN, LSTM and GRU. Needs torch alone."""

from unroll.nn.cell import Cell, Step
from unroll.nn.cells import (
    CELLS,
    CellEntry,
    GRUCell,
    GRUState,
    IndRNNCell,
    IndRNNState,
    JANETCell,
    JANETState,
    LSTMCell,
    LSTMState,
    MGUCell,
    MGUState,
    QRNNCell,
    QRNNState,
    QRNNWindowState,
    RNNCell,
    RNNState,
    SRUCell,
    SRUState,
    cell_entry,
)
from unroll.nn.initialisation import initialise_
from unroll.nn.layers import GRU, LSTM, RNN
from unroll.nn.recurrent import Recurrent
from unroll.nn.time import Stream
from unroll.nn.watch import Call, watching

__all__ = [
    "CELLS",
    "GRU",
    "LSTM",
    "RNN",
    "Call",
    "Cell",
    "CellEntry",
    "GRUCell",
    "GRUState",
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
    "Recurrent",
    "SRUCell",
    "SRUState",
    "Step",
    "Stream",
    "cell_entry",
    "initialise_",
    "watching",
]
