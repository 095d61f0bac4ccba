"""The shipped contract test passes what keeps the contract and names the law that a broken cell breaks."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from unroll import nn as un
from unroll.kernels import QUIET, Operator
from unroll.testing import ContractError, check_cell


@pytest.mark.parametrize("name", list(un.CELLS))
def test_every_registered_cell_keeps_the_contract(name: str) -> None:
    check_cell(un.CELLS[name].make)


def test_a_projected_cell_keeps_the_contract() -> None:
    check_cell(lambda i, h: un.LSTMCell(i, h, proj_size=2))


@pytest.mark.parametrize("make", [un.RNNCell, un.LSTMCell, un.GRUCell, un.MGUCell, un.JANETCell])
def test_a_cell_that_draws_noise_keeps_the_contract(make: Any) -> None:
    check_cell(lambda i, h: make(i, h, zoneout=0.3, recurrent_dropout=0.4))


class ForgetsItsNoise(un.GRUCell):
    """Draws a mask of its own, beside the one it is given."""

    def step(self, x: Tensor, state: Any, noise: Any = QUIET) -> un.Step:
        return super().step(torch.nn.functional.dropout(x, 0.5), state, noise)


class WrongOperator(un.GRUCell):
    """Claims to be what torch computes, and is not."""

    def operator(self) -> Operator | None:
        return Operator("gru", self._weights(), self.bias)


class Counting(un.RNNCell):
    """Keeps something outside its state."""

    calls = 0

    def step(self, x: Tensor, state: Any) -> un.Step:
        self.calls += 1
        return super().step(x + self.calls, state)

    def operator(self) -> Operator | None:
        return None


class MixingRows(un.RNNCell):
    """Lets one row of the batch see another."""

    def step(self, x: Tensor, state: Any) -> un.Step:
        return super().step(x - x.mean(dim=0), state)

    def operator(self) -> Operator | None:
        return None


class Detached(un.RNNCell):
    """Loses a part of its gradient."""

    def step(self, x: Tensor, state: Any) -> un.Step:
        h = (super().step(x, state).output - 0.5 * state.h + 0.5 * state.h.detach()).clone()
        return un.Step(h, type(state)(h), {})

    def operator(self) -> Operator | None:
        return None


class Single(un.RNNCell):
    """Turns its state into float32."""

    def step(self, x: Tensor, state: Any) -> un.Step:
        h = super().step(x, state).output
        return un.Step(h, type(state)(h.float()), {})


class ListState(un.RNNCell):
    def initial_state(self, batch_size: int, **options: Any) -> Any:
        return [torch.zeros(batch_size, self.hidden_size, dtype=torch.float64)]


class NoSuchGate(un.RNNCell):
    keep_gate = "f"


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda i, h: WrongOperator(i, h, reset="before"), "sequence = steps is broken with 1 layer"),
        (Counting, "sequence = steps is broken"),
        (ForgetsItsNoise, "sequence = steps is broken"),
        (MixingRows, "ragged = alone is broken"),
        (Detached, "first derivative of step"),
        (Single, "state 'h' goes in as .* torch.float64 and comes out as .* torch.float32"),
        (ListState, "must be a NamedTuple"),
        (NoSuchGate, "keep_gate is 'f', but the signals are a"),
        (lambda i, h: un.RNNCell(h, i), "input_size is 4, built with 3"),
    ],
)
def test_a_broken_cell_is_told_what_it_breaks(make: Any, message: str) -> None:
    with pytest.raises(ContractError, match=message):
        check_cell(make)
