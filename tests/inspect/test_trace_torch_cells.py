"""torch's cells in the user's own loop: their calls are the steps of one sequence."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils import parametrizations
from torch_models import CELLS, HIDDEN, INPUTS, KINDS, B, Loop, T, assert_same, normal

from unroll.inspect import trace


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("rows", [None, 1, B])
def test_the_calls_of_a_cell_are_the_steps_of_a_sequence(kind: str, bias: bool, rows: int | None) -> None:
    torch.manual_seed(2)
    cell, layer = getattr(nn, f"{kind}Cell")(INPUTS, HIDDEN, bias), getattr(nn, kind)(INPUTS, HIDDEN, bias=bias)
    layer.load_state_dict({f"{name}_l0": value for name, value in cell.state_dict().items()})
    x = normal(T, INPUTS) if rows is None else normal(T, rows, INPUTS)
    loop, whole = trace(Loop(cell.double()), x), trace(layer.double(), x)
    assert list(loop.layers) == ["cell.l0"]
    assert_same(loop["cell.l0"], whole["l0"])


def test_a_cell_of_its_own_is_one_step() -> None:
    seen = trace(nn.RNNCell(INPUTS, HIDDEN, nonlinearity="relu"), normal(B, INPUTS).float())
    assert list(seen.layers) == ["l0"]
    assert seen["l0"].mask.shape == (B, 1)
    torch.testing.assert_close(seen["l0"].states["h"][:, 0], seen.output.detach(), rtol=0, atol=1e-6)


@pytest.mark.parametrize("kind", CELLS)
def test_what_the_loop_does_to_the_state_is_seen(kind: str) -> None:
    def halved(state: Any) -> Any:
        return tuple(leaf / 2 for leaf in state) if isinstance(state, tuple) else state / 2

    model = Loop(getattr(nn, kind)(INPUTS, HIDDEN).double(), halved)
    seen = trace(model, normal(T, B, INPUTS))
    for t, state in enumerate(seen.output):
        for name, leaf in zip(("h", "c"), state if isinstance(state, tuple) else (state,)):
            torch.testing.assert_close(seen["cell.l0"].states[name][:, t], 2 * leaf.detach(), rtol=0, atol=1e-12)


def test_a_cell_begins_a_new_sequence_with_another_batch() -> None:
    class Two(Loop):
        def forward(self, x: Tensor) -> list[Any]:
            return [*super().forward(x[:4]), *super().forward(x[:, :2])]

    seen = trace(Two(nn.GRUCell(INPUTS, HIDDEN).double()), normal(T, B, INPUTS))
    assert {name: tuple(layer.mask.shape) for name, layer in seen.layers.items()} == {
        "cell.l0": (B, 4),
        "cell.l0#2": (2, T),
    }


def test_two_cells_in_one_loop_are_two_sequences() -> None:
    class Stack(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.low, self.high = nn.GRUCell(INPUTS, HIDDEN), nn.LSTMCell(HIDDEN, 1)

        def forward(self, x: Tensor) -> Any:
            h, s = None, None
            for step in x:
                h = self.low(step, h)
                s = self.high(h, s)
            return s

    seen = trace(Stack().double(), normal(T, B, INPUTS))
    assert {name: list(layer.signals) for name, layer in seen.layers.items()} == {
        "low.l0": ["r", "z", "n"],
        "high.l0": ["i", "f", "g", "o"],
    }
    assert all(layer.mask.shape == (B, T) for layer in seen.layers.values())
    torch.testing.assert_close(seen["high.l0"].states["c"][:, -1], seen.output[1].detach(), rtol=0, atol=1e-12)


def test_a_parametrised_cell_is_traced_in_a_loop() -> None:
    cell = parametrizations.weight_norm(nn.GRUCell(INPUTS, HIDDEN).double(), "weight_hh")
    seen = trace(Loop(cell), normal(T, B, INPUTS))
    torch.testing.assert_close(seen["cell.l0"].states["h"], torch.stack(seen.output, 1).detach(), rtol=0, atol=1e-12)
