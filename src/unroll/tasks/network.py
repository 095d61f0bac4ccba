"""The recurrent part that networks of every task have."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import TypeVar

from torch import nn

from unroll.errors import ConfigError
from unroll.nn import Recurrent, cell_entry

_M = TypeVar("_M", bound=nn.Module)


@dataclass(frozen=True)
class NetworkOptions:
    """One network: ``cell`` by its registered name."""

    cell: str = "gru"
    hidden: int = 64
    layers: int = 1
    dropout: float = 0.0

    def check(self) -> None:
        """Raises ConfigError for an unknown cell or an impossible size."""
        cell_entry(self.cell)
        for option, value in (("hidden", self.hidden), ("layers", self.layers)):
            if not isinstance(value, int) or value < 1:
                raise ConfigError(f"--{option} {value}", expected="a whole number above 0")
        if not isinstance(self.dropout, (int, float)) or not 0 <= self.dropout < 1:
            raise ConfigError(f"--dropout {self.dropout}", expected="a share from 0 to below 1")

    @property
    def name(self) -> str:
        """As tables write it: "GRU 64", "LSTM 64x2"."""
        return f"{cell_entry(self.cell).label} {self.hidden}" + (f"x{self.layers}" if self.layers > 1 else "")


def build_encoder(options: NetworkOptions, input_size: int, *, bidirectional: bool = False) -> Recurrent:
    """The recurrent layers ``options`` describe, reading (batch, T, input_size).

    Raises:
        ConfigError: an option is wrong, or the cell cannot be built.
    """
    options.check()
    try:
        cell = cell_entry(options.cell).make(input_size, options.hidden)
    except TypeError as error:
        raise ConfigError(
            f"cannot build the cell '{options.cell}': {error}",
            expected="a class called as Class(input_size, hidden_size)",
        ) from error
    return Recurrent(cell, options.layers, dropout=options.dropout, batch_first=True, bidirectional=bidirectional)


def in_double(network: _M) -> _M:
    """A float64 copy on the CPU in evaluation mode: looking inside leaves the network as it was."""
    return copy.deepcopy(network).cpu().double().eval()
