"""The laws of a recurrent layer, held by the Transformer encoder: sequence = steps = chunks, ragged = alone."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel

from models.comparing import assert_close, gradients, normal, poisoned
from models.encoding import (
    INPUTS,
    LAYERS,
    LENGTHS,
    B,
    T,
    ages,
    both,
    build,
    layouts,
    leaves,
    norms,
    ragged,
    started,
)
from unroll.models import KeyValueState

SHAPES = [(1, 1, 1, 1, 1), (3, 63, 2, 17, 1), (2, 7, 3, 6, 3)]
shapes = pytest.mark.parametrize("shape", SHAPES, ids=lambda s: f"B{s[0]}-T{s[1]}-{s[2]}x{s[3]}-H{s[4]}")


@shapes
@norms
@layouts
def test_sequence_equals_steps(shape: tuple[int, ...], norm_first: bool, batch_first: bool) -> None:
    rows, steps, inputs, width, heads = shape
    layer = build(input_size=inputs, d_model=width, num_heads=heads, norm_first=norm_first, batch_first=batch_first)
    x = normal(*((rows, steps) if batch_first else (steps, rows)), inputs)
    output, final = layer(x)
    state, outputs = None, []
    for t in range(steps):
        out, state = layer.step(x.select(1 if batch_first else 0, t), state)
        outputs.append(out)
    stepped = torch.stack(outputs, 1 if batch_first else 0)
    assert ages(final) == ages(state) == [[steps] * rows] * LAYERS
    got, expected = [output, *leaves(final)], [stepped, *leaves(state)]
    assert_close(got, expected)
    wanted = [x, *layer.parameters()]
    assert_close(gradients(got, wanted), gradients(expected, wanted))


@norms
@ragged
@pytest.mark.parametrize("from_start", [True, False], ids=["blank", "carried"])
@pytest.mark.parametrize("size", [1, 2, 6, 9])
def test_sequence_equals_chunks(size: int, from_start: bool, lengths: list[int] | None, norm_first: bool) -> None:
    layer, x = build(norm_first=norm_first), normal(B, T, INPUTS)
    before = layer.initial_state(B, dtype=torch.float64) if from_start else started(layer)
    output, final = layer(x, before, lengths)
    pieces = list(layer.chunks(x, size, before, lengths, detach=False))
    got = [torch.cat([out for out, _ in pieces], 1), *leaves(pieces[-1][1])]
    expected = [output, *leaves(final)]
    assert ages(pieces[-1][1]) == ages(final)
    assert_close(got, expected)
    wanted = [x, *layer.parameters(), *([] if from_start else leaves(before))]
    assert_close(gradients(got, wanted), gradients(expected, wanted))


def test_a_detached_chunk_sends_no_gradient_into_the_one_before() -> None:
    layer, x = build(), normal(B, T, INPUTS)
    second = list(layer.chunks(x, 4))[1][0]
    (gradient,) = gradients([second], [x])
    assert not gradient[:, :4].any()
    assert gradient[:, 4:].any()
    assert_close([second], [layer(x)[0][:, 4:]])


@norms
@both
def test_a_ragged_row_gets_what_it_gets_alone_gradients_included(norm_first: bool, causal: bool) -> None:
    layer, x = build(norm_first=norm_first, causal=causal), normal(B, T, INPUTS)
    output, final = layer(x, lengths=LENGTHS)
    outputs, states = [], []
    for row, length in enumerate(LENGTHS):
        out, state = layer(x[row : row + 1, :length])
        outputs.append(F.pad(out, (0, 0, 0, T - length)))
        states.append([F.pad(leaf, (0, 0, 0, T - length)) for leaf in leaves(state)])
    expected = [torch.cat(outputs), *(torch.cat(leaf) for leaf in zip(*states))]
    got = [output, *leaves(final)]
    assert ages(final) == ([LENGTHS] * LAYERS if causal else [])
    assert_close(got, expected)
    wanted = [x, *layer.parameters()]
    assert_close(gradients(got, wanted), gradients(expected, wanted))


def test_rows_of_different_age_go_on_as_each_does_alone() -> None:
    """A ragged sequence, then a ragged chunk, then steps: each row beside its own steps in one run."""
    layer, x = build(), normal(B, T + 6, INPUTS)
    chunk = [3, 4, 0, 1, 2]
    first, state = layer(x[:, :T], lengths=LENGTHS)
    second, state = layer(x[:, T : T + 4], state, chunk)
    third, state = layer.step(x[:, T + 4], state)
    fourth, state = layer.step(x[:, T + 5], state)
    assert ages(state) == [[n + m + 2 for n, m in zip(LENGTHS, chunk)]] * LAYERS
    got, expected = [], []
    for row, (n, m) in enumerate(zip(LENGTHS, chunk)):
        own = torch.cat([x[row, :n], x[row, T : T + m], x[row, T + 4 :]])
        alone, _ = layer(own.unsqueeze(0))
        expected.append(alone[0])
        got.append(torch.cat([first[row, :n], second[row, :m], third[row : row + 1], fourth[row : row + 1]]))
        assert not first[row, n:].any()
        assert not second[row, m:].any()
    assert_close(got, expected)
    wanted = [x, *layer.parameters()]
    assert_close(gradients(got, wanted), gradients(expected, wanted))


@both
@norms
def test_what_is_in_the_padding_reaches_no_value_and_no_gradient(causal: bool, norm_first: bool) -> None:
    layer, x = build(causal=causal, norm_first=norm_first), normal(B, T, INPUTS)
    results = []
    for given in (x, poisoned(x, LENGTHS)):
        output, state = layer(given, None, LENGTHS)
        parts = [output, *leaves(state)]
        if causal:
            parts.append(layer.step(x[:, 0].detach(), state)[0])
        results.append([*parts, *gradients(parts, [given, *layer.parameters()])])
    for clean, other in zip(*results, strict=True):
        assert torch.equal(clean, other)
        assert torch.isfinite(other).all()


@ragged
def test_what_is_behind_a_rows_own_keys_reaches_no_value_and_no_gradient(lengths: list[int] | None) -> None:
    layer, x = build(), normal(B, T, INPUTS)
    before, results = started(layer), []
    for rubbish in (0.0, float("nan")):
        filled = []
        for s in before:
            behind = torch.arange(3) >= s.length.view(B, 1, 1)
            keys, values = (leaf.masked_fill(behind.unsqueeze(-1), rubbish) for leaf in (s.keys, s.values))
            filled.append(KeyValueState(keys, values, s.length))
        output, state = layer(x, filled, lengths)
        parts = [output, *leaves(state)]
        results.append([*parts, *gradients(parts, [x, *layer.parameters(), *leaves(before)])])
    for clean, other in zip(*results, strict=True):
        assert torch.equal(clean, other)
        assert torch.isfinite(other).all()


@both
@pytest.mark.parametrize("lengths", [None, [3, 0]], ids=["full", "ragged"])
@pytest.mark.parametrize("check", [torch.autograd.gradcheck, torch.autograd.gradgradcheck], ids=["first", "second"])
def test_gradients_are_those_of_finite_differences(causal: bool, lengths: list[int] | None, check: Any) -> None:
    layer = build(input_size=2, d_model=4, num_layers=1, feedforward_size=3, causal=causal)
    names = [name for name, _ in layer.named_parameters()]
    _, carried = layer(normal(2, 2, 2, seed=3), lengths=[1, 2])
    kept = [leaf.detach().requires_grad_() for leaf in leaves(carried)]

    def function(x: Tensor, *rest: Tensor) -> tuple[Tensor, ...]:
        weights, own = rest[: len(names)], rest[len(names) :]
        state = (KeyValueState(*own, carried[0].length),) if causal else None
        output, final = torch.func.functional_call(layer, dict(zip(names, weights)), (x, state, lengths))
        return (output, *leaves(final))

    weights = [p.detach().clone().requires_grad_() for p in layer.parameters()]
    with sdpa_kernel(SDPBackend.MATH):  # the fused operator has no second derivative on a CPU
        assert check(function, (normal(2, 3, 2), *weights, *kept))


def test_a_causal_step_reads_nothing_of_those_after_it_and_a_whole_one_does() -> None:
    x = normal(B, T, INPUTS)
    for causal in (True, False):
        reach = gradients([build(causal=causal)(x)[0][:, 3]], [x])[0].abs().sum((0, 2))
        assert (reach[:4] > 0).all()
        assert (reach[4:] > 0).all() != causal
        assert reach[4:].any() != causal


def test_without_positions_a_whole_encoder_is_blind_to_order_and_with_them_it_is_not() -> None:
    x, order = normal(B, T, INPUTS), torch.tensor([3, 0, 6, 1, 2, 5, 4])
    for positions in ("none", "sinusoidal"):
        layer = build(causal=False, positions=positions)
        moved, still = layer(x[:, order])[0], layer(x)[0][:, order]
        assert torch.allclose(moved, still, atol=1e-12) == (positions == "none")
