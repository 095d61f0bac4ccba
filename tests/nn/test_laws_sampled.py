"""The five laws over random combinations of cells, options, sizes and shapes, in float64 to 1e-10.

Outputs, final states and every gradient. A failing combination names its seed and number: ``UNROLL_LAW_SEED`` repeats
it, ``UNROLL_LAW_COUNT`` draws more.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from combinations import COUNT, INPUTS, LAYERS, Combination, built, combination, started
from torch import Tensor
from twins import assert_close, flat, gradients, normal

from unroll import kernels
from unroll import nn as un
from unroll.inspect import trace
from unroll.nn.classic import LAYER_OPTIONS
from unroll.nn.gated import option_names
from unroll.nn.noise import Noise


def each(**fixed: Any) -> Callable[..., Any]:
    cases = [combination(number, **fixed) for number in range(COUNT)]
    return pytest.mark.parametrize("c", cases, ids=str)


MERGES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "concat": lambda a, b: torch.cat([a, b], -1),
    "sum": lambda a, b: a + b,
    "mean": lambda a, b: 0.5 * a + 0.5 * b,
    "product": lambda a, b: a * b,
}


def connected(c: Combination, layer: un.Recurrent, number: int, y: Tensor, x: Tensor) -> Tensor:
    name = c.around.get("connection")
    if name is None or not number:
        return y
    if name == "residual":
        return x + y
    gate = layer.get_submodule(f"connections.{number - 1}.gate")
    carry = torch.sigmoid(x @ gate.weight.T + gate.bias)
    return x + carry * (y - x)


def by_hand(
    c: Combination, layer: un.Recurrent, x: Tensor, states: list[Any], noise: Noise | None
) -> tuple[Tensor, list[Any]]:
    """Plain loops over the cells' ``step`` (T, batch, features), nothing of ``Recurrent`` but its cells."""
    final: list[Any] = []
    for number in range(layer.num_layers):
        outputs = []
        for direction in range(2 if c.around.get("bidirectional") else 1):
            cell, state, source, own = layer.cell_at(number, direction), states[len(final)], x, None
            if noise is not None:
                (cell, source), own = noise.cells[len(final)].applied(cell, x), noise.cells[len(final)].cell
            out = {}
            for t in sorted(range(len(x)), reverse=direction == 1):
                masks = () if own is None else (own.at(t),)
                out[t], state, _ = cell.step(source[t], state, *masks)
            outputs.append(torch.stack([out[t] for t in range(len(x))]))
            final.append(state)
        merged = outputs[0] if len(outputs) == 1 else MERGES[c.around.get("merge", "concat")](*outputs)
        x = connected(c, layer, number, merged, x)
        if noise is not None and noise.between and number < layer.num_layers - 1:
            x = x * noise.between[number]
    return x, final


def run(
    c: Combination,
    layer: un.Recurrent,
    x: Tensor,
    states: list[Any],
    lengths: tuple[int, ...] | None,
    noise: Noise | None,
) -> tuple[Tensor, list[Any]]:
    """The layer over x (T, batch, features), with a learned start as its own."""
    first = bool(c.around.get("batch_first"))
    given = None if layer.start is not None else states
    known = None if lengths is None else torch.tensor(lengths)
    output, final = layer(x.transpose(0, 1) if first else x, given, known, noise)
    return output.transpose(0, 1) if first else output, per_cell(layer, states, final)


def per_cell(layer: un.Recurrent, states: list[Any], final: Any) -> list[Any]:
    """The final state as one per layer and direction, whatever its form."""
    if isinstance(final, Tensor):
        final = (final,)
    if isinstance(final[0], Tensor):
        return [type(s)(*own) for s, own in zip(states, zip(*(leaf.unbind(0) for leaf in final)), strict=True)]
    return list(final)


def own_noise(c: Combination, layer: un.Recurrent) -> Noise | None:
    return layer.draw(c.T, c.B) if c.training else None


def assert_same_run(c: Combination, layer: un.Recurrent, got: Any, expected: Any, *inputs: Any) -> None:
    assert_close(got, expected)
    leaves = [leaf for leaf in flat(*inputs) if leaf.is_leaf]
    assert_close(gradients(layer, got, leaves), gradients(layer, expected, leaves))


@each()
def test_sequence_equals_steps(c: Combination) -> None:
    layer = built(c)
    (x, states), noise = started(c, layer), own_noise(c, layer)
    got, expected = run(c, layer, x, states, None, noise), by_hand(c, layer, x, states, noise)
    assert_same_run(c, layer, got, expected, x, states)
    if not layer.bidirectional:
        outputs, state = [], None if layer.start is not None else states
        for t in range(c.T):
            output, state = layer.step(x[t], state, None if noise is None else noise.narrow(t, 1))
            outputs.append(output)
        assert_same_run(c, layer, (torch.stack(outputs), list(state)), expected, x, states)


@each(bidirectional=False)
def test_sequence_equals_chunks(c: Combination) -> None:
    layer = built(c)
    (x, states), noise = started(c, layer), own_noise(c, layer)
    lengths = c.lengths if c.ragged else None
    whole = run(c, layer, x, states, lengths, noise)
    for size in {1, 3, c.T - 1, c.T} - {0}:
        outputs, state = [], states
        for begin in range(0, c.T, size):
            count = min(size, c.T - begin)
            own = None if lengths is None else tuple(min(max(n - begin, 0), count) for n in lengths)
            part = None if noise is None else noise.narrow(begin, count)
            first = bool(c.around.get("batch_first"))
            piece = x[begin : begin + count]
            known = None if own is None else torch.tensor(own)
            output, final = layer(piece.transpose(0, 1) if first else piece, state, known, part)
            state = per_cell(layer, states, final)
            outputs.append(output.transpose(0, 1) if first else output)
        assert_same_run(c, layer, (torch.cat(outputs), state), whole, x, states)


@each()
def test_ragged_equals_alone(c: Combination) -> None:
    layer = built(c)
    (x, states), noise = started(c, layer), own_noise(c, layer)
    spoilt = x.detach().clone()
    for row, length in enumerate(c.lengths):
        spoilt[length:, row] = float("nan")
    spoilt.requires_grad_()
    got = run(c, layer, spoilt, states, c.lengths, noise)
    rows, finals = [], []
    for row, length in enumerate(c.lengths):
        mine = slice(row, row + 1)
        end = [type(s)(*(leaf[mine] for leaf in s)) for s in states]
        output = x.new_zeros(0, 1, layer.output_size)
        if length:
            own = None if noise is None else noise.rows(mine).narrow(0, length)
            output, end = by_hand(c, layer, x[:length, mine], end, own)
        rows.append(torch.cat([output, output.new_zeros(c.T - length, 1, layer.output_size)]))
        finals.append(end)
    expected = torch.cat(rows, 1), [type(s[0])(*(torch.cat(leaf) for leaf in zip(*s))) for s in zip(*finals)]
    assert_close(got, expected)
    leaves = [leaf for leaf in flat(states) if leaf.is_leaf]
    assert_close(gradients(layer, got, spoilt, leaves), gradients(layer, expected, x, leaves))


@each()
def test_backend_equals_reference(c: Combination) -> None:
    layer = built(c)
    (x, states), noise = started(c, layer), own_noise(c, layer)
    lengths = c.lengths if c.ragged else None
    got = run(c, layer, x, states, lengths, noise)
    with kernels.use("reference"):
        expected = run(c, layer, x, states, lengths, noise)
    assert_same_run(c, layer, got, expected, x, states)


@each()
def test_watching_changes_nothing(c: Combination) -> None:
    layer = built(c)
    x, states = started(c, layer)
    lengths = torch.tensor(c.lengths) if c.ragged else None
    given = None if layer.start is not None else states
    x = x.transpose(0, 1) if c.around.get("batch_first") else x
    torch.manual_seed(c.number)
    plain = layer(x, given, lengths)
    rng, before = torch.get_rng_state(), {name: value.clone() for name, value in layer.state_dict().items()}
    torch.manual_seed(c.number)
    traced = trace(layer, x, given, lengths)
    assert torch.equal(torch.get_rng_state(), rng)
    assert_close(traced.output, plain, 0.0)
    assert layer.training is c.training
    assert all(torch.equal(before[name], value) for name, value in layer.state_dict().items())
    assert_close(gradients(layer, traced.output), gradients(layer, plain))
    assert len(traced.layers) == layer.num_layers * (2 if c.around.get("bidirectional") else 1)


def test_sixty_combinations_hold_every_cell_and_every_option() -> None:
    cases = [combination(number) for number in range(60)]
    assert {name for c in cases for name in c.kind.split("+")} >= {*un.CELLS, *LAYERS}
    said = {name for c in cases for name in (*c.inside, *c.around)}
    known = {name for layer in LAYERS.values() for name in (*option_names(layer.kind), *LAYER_OPTIONS)}
    assert said >= known


@pytest.mark.parametrize("kind", LAYERS)
@pytest.mark.parametrize("num_layers", [1, 3])
@pytest.mark.parametrize("training", [False, True], ids=["evaluation", "training"])
def test_watching_a_plain_layer_in_both_directions_changes_no_bit(kind: str, num_layers: int, training: bool) -> None:
    torch.manual_seed(0)
    options = {"dropout": 0.4} if num_layers > 1 else {}
    layer = LAYERS[kind](INPUTS, 17, num_layers, bidirectional=True, dtype=torch.float64, **options).train(training)
    x = normal(7, 2, 2 * INPUTS)[..., ::2]
    torch.manual_seed(1)
    plain = layer(x)
    torch.manual_seed(1)
    assert_close(trace(layer, x).output, plain, 0.0)
