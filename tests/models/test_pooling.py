"""Pooling over time beside NumPy, and beside the final states of recurrent layers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from models.comparing import assert_close, drawn, gradients, normal, poisoned
from unroll import nn
from unroll.models import AttentionPooling, Pooling, pooling

SHAPES = [(1, 1, 2), (3, 7, 4), (2, 63, 18), (2, 0, 4)]
B, T, F = 5, 6, 4
LENGTHS = [6, 0, 1, 4, 2]
KINDS: dict[str, tuple[str, dict[str, Any]]] = {
    "last": ("last", {}),
    "last-2": ("last", {"directions": 2}),
    "mean": ("mean", {}),
    "max": ("max", {}),
    "attention": ("attention", {}),
    "attention-3": ("attention", {"attention_size": 3}),
}

every = pytest.mark.parametrize("kind", KINDS)
shapes = pytest.mark.parametrize("shape", SHAPES, ids=str)


def build(kind: str, features: int = F) -> Pooling:
    torch.manual_seed(2)
    name, options = KINDS[kind]
    module = drawn(pooling(name, features, **options))
    assert isinstance(module, Pooling)
    return module


def replay(kind: str, pool: Pooling, x: np.ndarray) -> np.ndarray:
    """One row's own steps ``x`` (n, features), n above 0, by the definition."""
    half = x.shape[1] // 2
    if kind == "last":
        return x[-1]
    if kind == "last-2":
        return np.concatenate([x[-1, :half], x[0, half:]])
    if kind == "mean":
        return sum(x) / len(x)
    if kind == "max":
        return np.array([max(column) for column in x.T])
    p = {name: value.detach().numpy() for name, value in pool.named_parameters()}
    e = np.array([np.exp(np.tanh(p["W.weight"] @ step + p["W.bias"]) @ p["u"]) for step in x])
    return sum(w * step for w, step in zip(e / e.sum(), x))


@every
@shapes
@pytest.mark.parametrize("ragged", [False, True], ids=["full", "ragged"])
def test_a_pooling_is_what_its_definition_says(kind: str, shape: tuple[int, int, int], ragged: bool) -> None:
    rows, steps, features = shape
    pool, x = build(kind, features), normal(*shape)
    lengths = [max(1, steps // 2), 0, steps][:rows] if ragged and steps else [steps] * rows
    got = pool(x, lengths if ragged else None)
    assert got.shape == (rows, features)
    for row, length in enumerate(lengths):
        own = x[row, :length].detach().numpy()
        expected = replay(kind, pool, own) if length else np.zeros(features)
        assert_close([got[row]], [torch.tensor(expected)])


@every
def test_a_ragged_row_gets_what_it_gets_alone_gradients_included(kind: str) -> None:
    pool, x = build(kind), normal(B, T, F)
    got = pool(x, LENGTHS)
    alone = torch.cat([pool(x[row : row + 1, :length]) for row, length in enumerate(LENGTHS)])
    wanted = [x, *pool.parameters()]
    assert_close([got, *gradients([got], wanted)], [alone, *gradients([alone], wanted)])


@every
def test_what_is_in_the_padding_reaches_no_value_and_no_gradient(kind: str) -> None:
    pool, x = build(kind), normal(B, T, F)
    results = []
    for given in (x, poisoned(x, LENGTHS)):
        got = pool(given, torch.tensor(LENGTHS))
        results.append([got, *gradients([got], [given, *pool.parameters()])])
    for clean, other in zip(*results, strict=True):
        assert torch.equal(clean, other)
        assert torch.isfinite(other).all()


@every
def test_rows_without_steps_give_zeros_and_no_gradient(kind: str) -> None:
    pool, x = build(kind), poisoned(normal(2, 3, F), [0, 0])
    with torch.autograd.set_detect_anomaly(True):  # not even on the way back
        got = pool(x, [0, 0])
        found = gradients([got], [x, *pool.parameters()])
    for part in [got, *found]:
        assert torch.equal(part, torch.zeros_like(part))


@every
@pytest.mark.parametrize("lengths", [None, [3, 0, 2]], ids=["full", "ragged"])
def test_gradients_are_those_of_finite_differences(kind: str, lengths: list[int] | None) -> None:
    pool = build(kind, 2)
    names = [name for name, _ in pool.named_parameters()]

    def function(x: Tensor, *weights: Tensor) -> Tensor:
        return torch.func.functional_call(pool, dict(zip(names, weights)), (x, lengths))

    given = (normal(3, 3, 2), *(p.detach().clone().requires_grad_() for p in pool.parameters()))
    assert torch.autograd.gradcheck(function, given)
    assert torch.autograd.gradgradcheck(function, given)


@pytest.mark.parametrize("cell", ["gru", "lstm", "mgu"])
@pytest.mark.parametrize("bidirectional", [False, True])
def test_last_is_the_final_state_of_each_direction(cell: str, bidirectional: bool) -> None:
    torch.manual_seed(3)
    layer = nn.Recurrent(nn.CELLS[cell].make(F, 5), 2, bidirectional=bidirectional, batch_first=True).double()
    output, state = layer(normal(B, T, F), lengths=LENGTHS)
    directions = 2 if bidirectional else 1
    got = pooling("last", layer.output_size, directions=directions)(output, LENGTHS)
    assert torch.equal(got, torch.cat([s.h for s in state[-directions:]], -1))


@pytest.mark.parametrize("lengths", [None, LENGTHS], ids=["full", "ragged"])
def test_attention_pooling_shows_the_weights_it_pooled_with(lengths: list[int] | None) -> None:
    pool, x = build("attention"), normal(B, T, F)
    assert isinstance(pool, AttentionPooling)
    pooled, weights = pool.attend(x, lengths)
    assert torch.equal(pooled, pool(x, lengths))
    assert_close([(weights.unsqueeze(-1) * x).sum(1)], [pooled], 1e-14)
    exist = torch.tensor(lengths or [T] * B)
    assert_close([weights.sum(1)], [(exist > 0).double()], 1e-14)
    assert torch.equal(weights > 0, torch.arange(T) < exist.unsqueeze(1))


# What it refuses


@every
def test_an_input_that_does_not_fit_is_refused_by_name(kind: str) -> None:
    pool = build(kind)
    with pytest.raises(ValueError, match=r"x must be \(batch, T, 4\), got \(6, 4\)"):
        pool(torch.zeros(T, F))
    with pytest.raises(RuntimeError, match=r"x must have 4 features .* got \(5, 6, 8\)"):
        pool(torch.zeros(B, T, 8))
    with pytest.raises(ValueError, match="lengths must hold 5 integers"):
        pool(torch.zeros(B, T, F), [1, 2])
    with pytest.raises(ValueError, match="between 0 and the time length 6, got -1 to 2"):
        pool(torch.zeros(B, T, F), [1, 2, -1, 0, 0])
