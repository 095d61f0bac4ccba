"""``forget_bias`` and the recipes: what a keep gate says at zero input and zero state, whatever its sign."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from unroll import nn as un
from unroll.errors import ConfigError
from unroll.nn.initialisation import initialise_

H, LONGEST = 300, 100
KEEPERS: dict[str, Callable[..., un.Cell]] = {
    "LSTM": un.LSTMCell,
    **{
        f"LSTM {name}": lambda *sizes, name=name, **o: un.LSTMCell(*sizes, variant=name, **o)
        for name in ("V", "NIG", "NOG", "NIAF", "NOAF", "CIFG", "NP", "FGR")
    },
    "LSTM coupled": lambda *sizes, **o: un.LSTMCell(*sizes, coupled=True, **o),
    "LSTM layer norm": lambda *sizes, **o: un.LSTMCell(*sizes, layer_norm=True, **o),
    "GRU": un.GRUCell,
    "GRU write": lambda *sizes, **o: un.GRUCell(*sizes, update="write", **o),
    "GRU before, write": lambda *sizes, **o: un.GRUCell(*sizes, update="write", reset="before", **o),
    "GRU layer norm": lambda *sizes, **o: un.GRUCell(*sizes, layer_norm=True, **o),
    "MGU": un.MGUCell,
    "JANET": un.JANETCell,
}
every_keeper = pytest.mark.parametrize("name", KEEPERS)


def made(name: str, **options: Any) -> un.Cell:
    torch.manual_seed(0)
    return KEEPERS[name](3, H, dtype=torch.float64, **options)


def kept(cell: un.Cell) -> Tensor:
    """The keep gate at zero input and zero state, (units,)."""
    state = cell.initial_state(1, dtype=torch.float64)
    assert cell.keep_gate is not None
    return cell.step(torch.zeros(1, 3, dtype=torch.float64), state).signals[cell.keep_gate][0].detach()


def other_biases(cell: un.Cell) -> Tensor:
    """The sum of both biases in every gate but the one that keeps and, where that is f, the LSTM's i."""
    skipped = {cell.keeps[0]} | ({"i"} if {"i", "f"} <= set(cell.gate_names) else set())
    rows = [n for n, gate in enumerate(cell.gate_names) if gate not in skipped]
    total = cell.bias_ih + cell.bias_hh
    return torch.cat([total.chunk(cell.gates)[n] for n in rows]).detach()


@every_keeper
@pytest.mark.parametrize("value", [2.5, 0.0, -1.0])
def test_a_forget_bias_is_what_the_keep_gate_keeps_at_first(name: str, value: float) -> None:
    cell = made(name, forget_bias=value)
    assert torch.allclose(kept(cell), torch.full((H,), 1 / (1 + math.exp(-value)), dtype=torch.float64), atol=1e-15)
    assert other_biases(cell).unique().numel() == other_biases(cell).numel()  # drawn, as without the option


@every_keeper
def test_reset_and_the_default_recipe_keep_the_forget_bias(name: str) -> None:
    cell = made(name, forget_bias=2.0)
    expected = torch.full((H,), 1 / (1 + math.exp(-2.0)), dtype=torch.float64)
    for again in (cell.reset_parameters, lambda: initialise_(cell, "default")):
        with torch.no_grad():
            for parameter in cell.parameters():
                parameter.fill_(0.3)
        again()
        assert torch.allclose(kept(cell), expected, atol=1e-15)
        assert cell.weight_ih.unique().numel() == cell.weight_ih.numel()


@pytest.mark.parametrize(
    ("kind", "options"),
    [(un.LSTM, {}), (un.LSTM, {"variant": "CIFG"}), (un.GRU, {}), (un.GRU, {"update": "write"})],
    ids=str,
)
def test_every_layer_and_direction_has_the_forget_bias(kind: Any, options: dict[str, Any]) -> None:
    layer = kind(3, 3, 2, bidirectional=True, merge="sum", forget_bias=1.5, dtype=torch.float64, **options)
    for _ in range(2):
        for position in range(4):
            cell = layer.cell_at(*divmod(position, 2))
            expected = torch.full((3,), 1 / (1 + math.exp(-1.5)), dtype=torch.float64)
            assert torch.allclose(kept(cell), expected, atol=1e-15)
        layer.reset_parameters()


def test_a_forget_bias_changes_no_other_number_of_the_draw() -> None:
    cells = []
    for options in ({}, {"forget_bias": 1.0}):
        torch.manual_seed(0)
        cells.append(un.LSTMCell(3, 4, **options))
    for (name, plain), (_, biased) in zip(cells[0].named_parameters(), cells[1].named_parameters()):
        if name.startswith("bias"):
            assert torch.equal(biased.chunk(4)[1], torch.full((4,), 1.0 if name == "bias_ih" else 0.0))
            plain, biased = (torch.cat([p.chunk(4)[n] for n in (0, 2, 3)]) for p in (plain, biased))
        assert torch.equal(plain, biased)


# The recipes


@every_keeper
def test_chrono_spreads_what_is_kept_over_timescales_up_to_the_longest_lag(name: str) -> None:
    """keep / (1 - keep) is uniform on 1 … longest - 1 (Tallec & Ollivier 2018, eq. 16)."""
    cell = initialise_(made(name), "chrono", longest=LONGEST)
    keep = kept(cell)
    steps = keep / (1 - keep)
    assert 1 - 1e-9 <= float(steps.min()) < 4
    assert LONGEST - 4 < float(steps.max()) <= LONGEST - 1 + 1e-9
    assert abs(float(steps.mean()) - LONGEST / 2) < 5 * (LONGEST - 2) / math.sqrt(12 * H)
    assert not other_biases(cell).any()


@every_keeper
def test_uniform_gates_keep_shares_spread_evenly_over_zero_to_one(name: str) -> None:
    """Gu et al. 2020, section 3.3; the largest gap to the uniform distribution, at 1 in 10⁴."""
    cell = initialise_(made(name), "uniform_gate")
    keep = kept(cell).sort().values
    assert float(keep[0]) >= 1 / H - 1e-12
    assert float(keep[-1]) <= 1 - 1 / H + 1e-12
    ranks = torch.arange(1, H + 1, dtype=torch.float64) / H
    assert float((keep - ranks).abs().max()) < 2.23 / math.sqrt(H)
    assert not other_biases(cell).any()


@pytest.mark.parametrize("recipe", [("chrono", {"longest": LONGEST}), ("uniform_gate", {})], ids=lambda r: r[0])
@pytest.mark.parametrize("name", [name for name in KEEPERS if name.startswith("LSTM") and name != "LSTM NIG"])
def test_an_input_gate_of_its_own_lets_in_what_the_forget_gate_lets_go(name: str, recipe: tuple[str, Any]) -> None:
    cell = initialise_(made(name), recipe[0], **recipe[1])
    signals = cell.step(torch.zeros(1, 3, dtype=torch.float64), cell.initial_state(1, dtype=torch.float64)).signals
    assert torch.allclose(signals["i"], 1 - signals["f"], atol=1e-12)


@every_keeper
@pytest.mark.parametrize("value", [1.0, 3.0])
def test_keras_opens_a_forget_gate_and_leaves_an_update_gate_half_open(name: str, value: float) -> None:
    cell = initialise_(made(name), "keras", forget_bias=value)
    expected = 1 / (1 + math.exp(-value)) if cell.keep_gate == "f" else 0.5
    assert torch.allclose(kept(cell), torch.full((H,), expected, dtype=torch.float64), atol=1e-15)
    assert not other_biases(cell).any()


@pytest.mark.parametrize("recipe", [("chrono", {"longest": LONGEST}), ("uniform_gate", {})], ids=lambda r: r[0])
@pytest.mark.parametrize("make", [un.RNNCell, lambda i, h: un.LSTMCell(i, h, variant="NFG")], ids=["RNN", "LSTM NFG"])
def test_a_cell_without_a_gate_that_keeps_has_no_such_recipe(make: Any, recipe: tuple[str, Any]) -> None:
    with pytest.raises(ConfigError, match="a cell with a gate that keeps"):
        initialise_(make(3, 4), recipe[0], **recipe[1])


def test_keras_gives_an_lstm_without_a_forget_gate_no_forget_bias() -> None:
    cell = initialise_(un.LSTMCell(3, 4, variant="NFG"), "keras")
    assert not cell.bias_ih.any()
    assert not cell.bias_hh.any()
