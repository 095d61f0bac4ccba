"""Weights read in bfloat16: the numbers of weights rounded so, to the bit; nothing of it where gradients may be."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from engine_runs import SETS, set_of
from torch import Tensor

from unroll import kernels
from unroll import nn as un

MAKE: dict[str, Any] = {
    "rnn": un.RNNCell,
    "lstm": un.LSTMCell,
    "gru": un.GRUCell,
    "gru-before": lambda *sizes: un.GRUCell(*sizes, reset="before"),
    "mgu": un.MGUCell,
    "janet": un.JANETCell,
    "projection": lambda *sizes: un.LSTMCell(*sizes, proj_size=3),
}
BIASES = ("bias_ih", "bias_hh")
every = pytest.mark.parametrize("name", MAKE)


def pair(name: str, H: int, dtype: torch.dtype = torch.float32) -> tuple[un.Recurrent, un.Recurrent]:
    """A layer, and one whose matrices are rounded."""
    torch.manual_seed(0)
    cell = MAKE[name](5, H).to(dtype)
    rounded = MAKE[name](5, H).to(dtype)
    weights = {n: p if n in BIASES else p.bfloat16().to(dtype) for n, p in cell.state_dict().items()}
    rounded.load_state_dict(weights)
    return un.Recurrent(cell).eval(), un.Recurrent(rounded).eval()


def run(layer: un.Recurrent, x: Tensor) -> list[Tensor]:
    with kernels.use("cpu"):
        output, (state,) = layer(x, lengths=[9, 0, 4] if x.shape[1] == 3 else None)
    return [output, *state]


@every
@pytest.mark.parametrize("isa", SETS)
@pytest.mark.parametrize(("B", "H"), [(1, 7), (3, 17), (7, 70)])
def test_the_result_is_that_of_the_rounded_weights_to_the_bit(
    name: str, isa: str, B: int, H: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_of(monkeypatch, isa)
    layer, rounded = pair(name, H)
    x = torch.randn(9, B, 5)
    with torch.no_grad():
        expected, whole = run(rounded, x), run(layer, x)
        with kernels.bfloat16_weights():
            got = run(layer, x)
    assert all(torch.equal(a, b) for a, b in zip(got, expected))
    assert not torch.equal(got[0], whole[0])


@every
def test_where_a_gradient_may_be_asked_for_and_in_float64_weights_are_read_in_full(name: str) -> None:
    layer, _ = pair(name, 6)
    x = torch.randn(9, 2, 5)
    expected = run(layer, x)
    with kernels.bfloat16_weights():
        assert all(torch.equal(a, b) for a, b in zip(run(layer, x), expected))
    wide, _ = pair(name, 6, torch.float64)
    with torch.no_grad():
        expected = run(wide, x.double())
        with kernels.bfloat16_weights():
            assert all(torch.equal(a, b) for a, b in zip(run(wide, x.double()), expected))


def test_numbers_that_are_none_stay_none_and_ties_go_to_even() -> None:
    layer, rounded = pair("rnn", 4)
    values = torch.tensor([1 + 2**-8, 1 + 3 * 2**-8, float("nan"), float("inf"), -(2.0**-140), 3.4e38])
    with torch.no_grad():
        for one, exact in ((layer, values), (rounded, values.bfloat16().float())):
            one.cells[0].weight_ih.view(-1)[:6] = exact
        x = torch.eye(5).unsqueeze(0)[:, :2]
        with kernels.bfloat16_weights():
            got = run(layer, x)
        expected = run(rounded, x)
    assert all(torch.allclose(a, b, atol=0, rtol=0, equal_nan=True) for a, b in zip(got, expected))


@every
def test_a_stream_packs_what_is_in_force_at_its_first_step(name: str) -> None:
    layer, rounded = pair(name, 6)
    x = torch.randn(4, 2, 5)
    stream, twin = layer.stream(2), rounded.stream(2)
    with kernels.bfloat16_weights():
        stream.step(x[0])
    twin.step(x[0])
    assert all(torch.equal(stream.step(row), twin.step(row)) for row in x[1:])
