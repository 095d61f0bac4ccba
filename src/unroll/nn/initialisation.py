"""Initialisation recipes for recurrent layers, by name and in place.

Each takes a cell or a layer of the classic kind (RNN, LSTM, GRU and their cells), draws from torch's generator, and
returns what it was given. Of the two biases only b_ih carries a value; b_hh is zero, so that nothing is added twice.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import torch
from torch import nn

from unroll.errors import ConfigError, did_you_mean
from unroll.nn.gated import GatedCell
from unroll.nn.recurrent import Recurrent

_M = TypeVar("_M", bound=nn.Module)


def default_(module: _M) -> _M:
    """torch's own: every number from U(-1/√H, 1/√H)."""
    for cell in _cells(module):
        cell.reset_parameters()
    return module


@torch.no_grad()
def keras_(module: _M, forget_bias: float = 1.0) -> _M:
    r"""Keras': W_ih Glorot-uniform, W_hh orthogonal, biases 0 and the forget gate's ``forget_bias``.

    W_ih ~ U(-a, a), a = √(6 / (input + gates · H)) (Glorot & Bengio 2010, eq. 16); W_hh has orthonormal columns
    (Saxe et al. 2014); forget bias 1 after Jozefowicz et al. 2015. GRU and RNN have no forget bias.
    """
    for cell in _cells(module):
        nn.init.xavier_uniform_(cell.weight_ih)
        nn.init.orthogonal_(cell.weight_hh)
        _zero_biases(cell)
        if cell.keep_gate == "f":
            cell.set_forget_bias(forget_bias)
    return module


@torch.no_grad()
def chrono_(module: _M, longest: int) -> _M:
    r"""Chrono initialisation for dependencies of up to ``longest`` steps (Tallec & Ollivier 2018, eq. 16).

    LSTM: b_f ~ log U(1, longest - 1), b_i = -b_f. GRU, whose z keeps the state in torch's convention:
    b_z ~ log U(1, longest - 1), where z overwrites -b_z; with coupled gates -b_i. Other biases are 0; the weights
    stay as they are.

    Raises:
        ConfigError: ``longest`` is below 3, or the cell has no gate that keeps.
    """
    if longest < 3:
        raise ConfigError(f"chrono initialisation for {longest} steps", expected="3 steps or more")
    for cell in _cells(module):
        keep, sign = _keeps(cell, "chrono")
        _zero_biases(cell)
        bias = cell.gate_bias(keep).uniform_(1, longest - 1).log_().mul_(sign)
        if {"i", "f"} <= set(cell.gate_names):
            cell.gate_bias("i").copy_(-bias)
    return module


@torch.no_grad()
def uniform_gate_(module: _M) -> _M:
    r"""Uniform gate initialisation (Gu et al. 2020, section 3.3): keep gates spread evenly over 0…1.

    b = -log(1/u - 1), u ~ U(1/H, 1 - 1/H), for f (LSTM, and b_i = -b_f) or z (GRU); other biases 0.

    Raises:
        ConfigError: the cell has no gate that keeps.
    """
    for cell in _cells(module):
        keep, sign = _keeps(cell, "uniform gate")
        _zero_biases(cell)
        edge = min(1 / cell.hidden_size, 0.5)
        bias = cell.gate_bias(keep).uniform_(edge, 1 - edge)
        bias.copy_(-torch.log(1 / bias - 1)).mul_(sign)
        if {"i", "f"} <= set(cell.gate_names):
            cell.gate_bias("i").copy_(-bias)
    return module


@torch.no_grad()
def orthogonal_(module: _M, gain: float = 1.0) -> _M:
    """Every gate's block of W_hh orthogonal times ``gain``, the other parameters as they are."""
    for cell in _cells(module):
        for block in cell.weight_hh.chunk(cell.gates):
            nn.init.orthogonal_(block, gain)
    return module


@torch.no_grad()
def identity_(module: _M, scale: float = 1.0) -> _M:
    """IRNN: W_hh = scale · I, biases 0, W_ih ~ N(0, 0.001) (Le et al. 2015, section 3). For the plain RNN with ReLU.

    Raises:
        ConfigError: the cell is gated.
    """
    for cell in _cells(module):
        if cell.gates != 1:
            raise ConfigError(
                f"identity initialisation of {type(cell).__name__}", expected="a plain RNN, best with ReLU"
            )
        nn.init.eye_(cell.weight_hh)
        cell.weight_hh.mul_(scale)
        nn.init.normal_(cell.weight_ih, std=0.001)
        _zero_biases(cell)
    return module


RECIPES: dict[str, Callable[..., Any]] = {
    "default": default_,
    "keras": keras_,
    "chrono": chrono_,
    "uniform_gate": uniform_gate_,
    "orthogonal": orthogonal_,
    "identity": identity_,
}


def initialise_(module: _M, recipe: str, **options: Any) -> _M:
    """Apply a recipe by name: default, keras, chrono, uniform_gate, orthogonal or identity.

    Example::

        >>> lstm = initialise_(unroll.nn.LSTM(3, 64), "chrono", longest=200)

    Raises:
        ConfigError: no such recipe, or it does not fit the cell.
    """
    if recipe not in RECIPES:
        raise ConfigError(
            f"unknown initialisation '{recipe}'.{did_you_mean(recipe, RECIPES)}",
            expected=f"one of {', '.join(RECIPES)}",
        )
    RECIPES[recipe](module, **options)
    return module


def _cells(module: nn.Module) -> Iterator[GatedCell]:
    """The classic cells of ``module``, with the parameters that it trains."""
    cells: list[nn.Module] = [module]
    if isinstance(module, Recurrent):
        cells = [module.cell_at(n, d) for n in range(module.num_layers) for d in range(module.directions)]
    for cell in cells:
        if not isinstance(cell, GatedCell):
            raise ConfigError(
                f"no recipe for {type(cell).__name__}",
                expected="RNN, LSTM, GRU or one of their cells, or a layer of them",
            )
        yield cell


def _zero_biases(cell: GatedCell) -> None:
    for bias in (cell.bias_ih, cell.bias_hh):
        if bias is not None:
            bias.zero_()


def _keeps(cell: GatedCell, recipe: str) -> tuple[str, int]:
    """The gate whose bias says how much is kept, and its sign."""
    if cell.keeps is None:
        raise ConfigError(f"{recipe} initialisation of {type(cell).__name__}", expected="a cell with a gate that keeps")
    return cell.keeps
