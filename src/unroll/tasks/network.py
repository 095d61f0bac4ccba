"""The recurrent part that networks of every task have."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import TypeVar

from torch import nn

from unroll.errors import ConfigError
from unroll.nn import Recurrent, cell_entry, initialise_
from unroll.options import NETWORK, option

_M = TypeVar("_M", bound=nn.Module)
_NUMBER = {"chrono": "longest", "keras": "forget_bias", "orthogonal": "gain", "identity": "scale"}
"""What the number after a recipe's name is."""


@dataclass(frozen=True)
class NetworkOptions:
    """One network: ``cell`` by its registered name, ``init`` the recipe its recurrent layers start from."""

    cell: str = "gru"
    hidden: int = 64
    layers: int = 1
    dropout: float = 0.0
    init: str | None = option(
        "How recurrent weights start: keras, orthogonal, identity, uniform_gate, or chrono:N for memory of N steps.",
        metavar="NAME",
        shown="as torch's",
        under=NETWORK,
    )

    def check(self) -> None:
        """Raises ConfigError for an unknown cell or an impossible size."""
        cell_entry(self.cell)
        for name, value in (("hidden", self.hidden), ("layers", self.layers)):
            if not isinstance(value, int) or value < 1:
                raise ConfigError(f"--{name} {value}", expected="a whole number above 0")
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
    made = Recurrent(cell, options.layers, dropout=options.dropout, batch_first=True, bidirectional=bidirectional)
    return made if options.init is None else _initialised(made, options.init)


def _initialised(layer: Recurrent, told: str) -> Recurrent:
    """``layer`` from a recipe as it is typed: "keras", "keras:2", "chrono:784"."""
    name, _, number = told.partition(":")
    try:
        value = {_NUMBER[name]: float(number)} if number else {}
    except (KeyError, ValueError):
        raise ConfigError(
            f"--init {told}", expected="a recipe, or one with a number: keras, keras:1, orthogonal, chrono:100"
        ) from None
    if name == "chrono" and not number:
        raise ConfigError("--init chrono", expected="the steps to remember", fix="Give --init chrono:100")
    return initialise_(layer, name, **value)


def in_double(network: _M) -> _M:
    """A float64 copy on the CPU in evaluation mode: looking inside leaves the network as it was."""
    return copy.deepcopy(network).cpu().double().eval()
