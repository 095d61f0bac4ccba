"""The five laws, over every registered cell and the drop-in layers.

Each over a sample of all combinations, every cell among them; see ``sampling``.

float64 to 1e-10; float32 forward to 2e-6 and gradients to 2e-5, relative to the largest value compared.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any, NamedTuple

import pytest
import torch
from sampling import sampled
from torch import Tensor

from unroll import kernels
from unroll import nn as un
from unroll.inspect import trace

FORWARD = {torch.float64: 1e-10, torch.float32: 2e-6}
BACKWARD = {torch.float64: 1e-10, torch.float32: 2e-5}

CLASSICS: dict[str, Callable[..., un.Recurrent]] = {
    "RNN": un.RNN,
    "RNN-relu": lambda *a, **k: un.RNN(*a, nonlinearity="relu", **k),
    "LSTM": un.LSTM,
    "LSTM-proj": lambda i, h, **k: un.LSTM(i, h, proj_size=max(1, h // 2), **k) if h > 1 else un.LSTM(i, h, **k),
    "LSTM-nobias": lambda *a, **k: un.LSTM(*a, bias=False, **k),
    "GRU": un.GRU,
    "GRU-before": lambda *a, **k: un.GRU(*a, reset="before", **k),
}
CELLS = list(un.CELLS)
EVERY = [f"cell:{name}" for name in CELLS] + [f"layer:{name}" for name in CLASSICS]


class Shape(NamedTuple):
    T: int
    B: int
    inputs: int
    H: int


CUTS = [(1,), (1, 2, 30), (62,), (20, 20)]
LENGTHS = (None, [5, 0, 7])
SHAPES = [Shape(1, 1, 1, 1), Shape(7, 3, 2, 17), Shape(63, 2, 3, 4)]


def build(kind: str, shape: Shape, dtype: torch.dtype, **options: Any) -> un.Recurrent:
    torch.manual_seed(7)
    family, _, name = kind.partition(":")
    if family == "cell":
        layer = un.Recurrent(un.CELLS[name].make(shape.inputs, shape.H), options.pop("num_layers", 1), **options)
    else:
        layer = CLASSICS[name](shape.inputs, shape.H, **options)
    return layer.to(dtype)


def sequence(shape: Shape, layer: un.Recurrent, dtype: torch.dtype) -> Tensor:
    """A non-contiguous input that needs a gradient."""
    generator = torch.Generator().manual_seed(3)
    wide = torch.randn(shape.T, shape.B, 2 * shape.inputs, generator=generator, dtype=dtype)
    x = wide[..., ::2]
    x = x.transpose(0, 1) if layer.batch_first else x
    return x.detach().requires_grad_()


def start(shape: Shape, layer: un.Recurrent, dtype: torch.dtype) -> list[Any]:
    """A non-zero initial state, one per layer and direction, that needs a gradient."""
    generator = torch.Generator().manual_seed(5)
    blank = layer.initial_state(shape.B, dtype=dtype)
    return [
        type(s)(*(torch.randn(leaf.shape, generator=generator, dtype=dtype).mul_(0.5).requires_grad_() for leaf in s))
        for s in blank
    ]


def call(layer: un.Recurrent, x: Tensor, states: Any, lengths: Any = None) -> tuple[Tensor, list[Any]]:
    """Run a layer with states as lists of cell states, whatever its own format is."""
    if not isinstance(layer, un.RNN | un.LSTM | un.GRU):
        output, final = layer(x, states, lengths)
        return output, list(final)
    leaves = [torch.stack(leaf) for leaf in zip(*states)]
    output, final = layer(x, leaves[0] if len(leaves) == 1 else tuple(leaves), lengths=lengths)
    stacked = (final,) if isinstance(final, Tensor) else final
    return output, [type(states[0])(*leaf) for leaf in zip(*(s.unbind(0) for s in stacked))]


def by_hand(layer: un.Recurrent, x: Tensor, states: list[Any]) -> tuple[Tensor, list[Any]]:
    """The oracle: plain loops over ``step``, nothing of ``Recurrent`` but its cells."""
    x = x.transpose(0, 1) if layer.batch_first else x
    final = []
    for number in range(layer.num_layers):
        outputs = []
        for direction in range(2 if layer.bidirectional else 1):
            cell, state, out = layer.cell_at(number, direction), states[len(final)], {}
            times = range(x.shape[0])
            for t in reversed(times) if direction else times:
                output, state, _ = cell.step(x[t], state)
                out[t] = output
            outputs.append(torch.stack([out[t] for t in times]))
            final.append(state)
        x = torch.cat(outputs, -1)
    return (x.transpose(0, 1) if layer.batch_first else x), final


def gradients(layer: un.Recurrent, x: Tensor, states: list[Any], output: Tensor, final: list[Any]) -> list[Tensor]:
    """Of a loss that weighs every output and final state differently: parameters, input, initial state."""
    parts = [output, *(leaf for s in final for leaf in s)]
    generator = torch.Generator().manual_seed(11)
    loss = sum((p * torch.randn(p.shape, generator=generator, dtype=p.dtype)).sum() for p in parts)
    wanted = [*layer.parameters(), x, *(leaf for s in states for leaf in s)]
    grads = torch.autograd.grad(loss, wanted, allow_unused=True)
    return [torch.zeros_like(w) if g is None else g for g, w in zip(grads, wanted)]


def close(got: list[Tensor], expected: list[Tensor], tolerance: float) -> None:
    assert len(got) == len(expected)
    for g, e in zip(got, expected):
        assert g.shape == e.shape
        if e.numel():
            g, e = g.detach(), e.detach()
            scale = max(1.0, float(e.abs().max()))
            assert float((g - e).abs().max()) <= tolerance * scale


def flat(output: Tensor, final: list[Any]) -> list[Tensor]:
    return [output, *(leaf for s in final for leaf in s)]


every = pytest.mark.parametrize("kind", EVERY)
NO_YES = (False, True)
OPTIONS = ((1, 3), NO_YES, NO_YES)
"""num_layers, bidirectional, batch_first."""
DTYPES = (torch.float64, torch.float32)


@sampled("kind, num_layers, bidirectional, batch_first, dtype, shape", EVERY, *OPTIONS, DTYPES, SHAPES, each=10)
def test_sequence_equals_steps(
    kind: str, num_layers: int, bidirectional: bool, batch_first: bool, dtype: torch.dtype, shape: Shape
) -> None:
    layer = build(kind, shape, dtype, num_layers=num_layers, bidirectional=bidirectional, batch_first=batch_first)
    x, states = sequence(shape, layer, dtype), start(shape, layer, dtype)
    got, expected = call(layer, x, states), by_hand(layer, x, states)
    close(flat(*got), flat(*expected), FORWARD[dtype])
    close(gradients(layer, x, states, *got), gradients(layer, x, states, *expected), BACKWARD[dtype])


@sampled("kind, dtype, num_layers, batch_first, cuts", EVERY, DTYPES, (1, 3), NO_YES, CUTS, each=6)
def test_sequence_equals_chunks(
    kind: str, dtype: torch.dtype, num_layers: int, batch_first: bool, cuts: tuple[int, ...]
) -> None:
    shape = Shape(63, 2, 3, 4)
    layer = build(kind, shape, dtype, num_layers=num_layers, batch_first=batch_first)
    x, states = sequence(shape, layer, dtype), start(shape, layer, dtype)
    whole = call(layer, x, states)
    time = 1 if batch_first else 0
    outputs, state = [], states
    for begin, end in zip((0, *cuts), (*cuts, shape.T)):
        output, state = call(layer, x.narrow(time, begin, end - begin), state)
        outputs.append(output)
    chunked = torch.cat(outputs, time), state
    close(flat(*chunked), flat(*whole), FORWARD[dtype])
    close(gradients(layer, x, states, *chunked), gradients(layer, x, states, *whole), BACKWARD[dtype])


@sampled("kind, num_layers, bidirectional, batch_first, dtype", EVERY, *OPTIONS, DTYPES, each=6)
def test_ragged_equals_alone(
    kind: str, num_layers: int, bidirectional: bool, batch_first: bool, dtype: torch.dtype
) -> None:
    lengths = [3, 0, 7, 1, 7, 5]
    shape = Shape(7, len(lengths), 2, 5)
    layer = build(kind, shape, dtype, num_layers=num_layers, bidirectional=bidirectional, batch_first=batch_first)
    x, states = sequence(shape, layer, dtype), start(shape, layer, dtype)
    time, batch = (1, 0) if batch_first else (0, 1)
    poisoned = x.detach().clone()
    for row, length in enumerate(lengths):
        poisoned.select(batch, row)[length:] = float("nan")
    poisoned.requires_grad_()

    output, final = call(layer, poisoned, states, torch.tensor(lengths))
    rows, finals = [], []
    for row, length in enumerate(lengths):
        alone = x.narrow(batch, row, 1).narrow(time, 0, length)
        own = [type(s)(*(leaf[row : row + 1] for leaf in s)) for s in states]
        out, end = by_hand(layer, alone, own) if length else (alone.new_zeros(*alone.shape[:2], output.shape[-1]), own)
        padding = out.new_zeros(*((1, 7 - length) if batch_first else (7 - length, 1)), output.shape[-1])
        rows.append(torch.cat([out, padding], time))
        finals.append(end)
    joined = [type(s[0])(*(torch.cat(leaf) for leaf in zip(*s))) for s in zip(*finals)]
    expected = torch.cat(rows, batch), joined
    close(flat(output, final), flat(*expected), FORWARD[dtype])
    close(
        gradients(layer, poisoned, states, output, final),
        gradients(layer, x, states, *expected),
        BACKWARD[dtype],
    )


@sampled("kind, num_layers, bidirectional, batch_first, dtype, lengths", EVERY, *OPTIONS, DTYPES, LENGTHS, each=10)
def test_backend_equals_reference(
    kind: str, num_layers: int, bidirectional: bool, batch_first: bool, dtype: torch.dtype, lengths: list[int] | None
) -> None:
    shape = Shape(7, 3, 2, 5)
    layer = build(kind, shape, dtype, num_layers=num_layers, bidirectional=bidirectional, batch_first=batch_first)
    x, states = sequence(shape, layer, dtype), start(shape, layer, dtype)
    got = call(layer, x, states, lengths)
    with kernels.use("reference"):
        expected = call(layer, x, states, lengths)
    close(flat(*got), flat(*expected), FORWARD[dtype])
    close(gradients(layer, x, states, *got), gradients(layer, x, states, *expected), BACKWARD[dtype])


@pytest.mark.parametrize("kind", ["layer:LSTM", "layer:GRU", "layer:RNN"])
def test_backend_equals_reference_when_wide(kind: str) -> None:
    shape = Shape(3, 2, 3, 500)
    layer = build(kind, shape, torch.float64)
    x, states = sequence(shape, layer, torch.float64), start(shape, layer, torch.float64)
    got = call(layer, x, states)
    with kernels.use("reference"):
        expected = call(layer, x, states)
    close(flat(*got), flat(*expected), 1e-10)
    close(gradients(layer, x, states, *got), gradients(layer, x, states, *expected), 1e-10)


@every
@pytest.mark.parametrize("check", [torch.autograd.gradcheck, torch.autograd.gradgradcheck], ids=["first", "second"])
@pytest.mark.parametrize("lengths", [None, [3, 1]], ids=["full", "ragged"])
def test_gradients_are_those_of_finite_differences(kind: str, check: Callable[..., bool], lengths: Any) -> None:
    shape = Shape(3, 2, 2, 2)
    layer = build(kind, shape, torch.float64)
    names = [name for name, _ in layer.named_parameters()]

    def function(x: Tensor, *rest: Tensor) -> tuple[Tensor, ...]:
        weights, leaves = rest[: len(names)], list(rest[len(names) :])
        states = [type(s)(*(leaves.pop(0) for _ in s)) for s in layer.initial_state(2)]
        classic = isinstance(layer, un.RNN | un.LSTM | un.GRU)
        given: Any = states
        if classic:
            stacked = [torch.stack(leaf) for leaf in zip(*states)]
            given = stacked[0] if len(stacked) == 1 else tuple(stacked)
        output, final = torch.func.functional_call(layer, dict(zip(names, weights)), (x, given, lengths))
        if classic:
            return (output, final) if isinstance(final, Tensor) else (output, *final)
        return (output, *(leaf for s in final for leaf in s))

    x, states = sequence(shape, layer, torch.float64), start(shape, layer, torch.float64)
    weights = [p.detach().clone().requires_grad_() for p in layer.parameters()]
    assert check(function, (x, *weights, *(leaf for s in states for leaf in s)))


@sampled("kind, num_layers, bidirectional, batch_first, training, lengths", EVERY, *OPTIONS, NO_YES, LENGTHS, each=10)
def test_watching_changes_nothing(
    kind: str, num_layers: int, bidirectional: bool, batch_first: bool, training: bool, lengths: list[int] | None
) -> None:
    shape = Shape(7, 3, 2, 5)
    dropout = 0.5 if num_layers > 1 else 0.0
    layer = build(
        kind,
        shape,
        torch.float32,
        num_layers=num_layers,
        bidirectional=bidirectional,
        batch_first=batch_first,
        dropout=dropout,
    ).train(training)
    hook = layer.register_forward_hook(lambda *_: None)
    x = sequence(shape, layer, torch.float32)
    torch.manual_seed(1)
    plain = layer(x, None, lengths)
    rng = torch.get_rng_state()
    before = copy.deepcopy(layer.state_dict())
    torch.manual_seed(1)
    traced = trace(layer, x, None, lengths)
    assert torch.equal(torch.get_rng_state(), rng)
    assert torch.equal(traced.output[0], plain[0])
    for got, expected in zip(_leaves(traced.output[1]), _leaves(plain[1]), strict=True):
        assert torch.equal(got, expected)
    assert layer.training is training
    assert all(p.grad is None and p.requires_grad for p in layer.parameters())
    assert all(torch.equal(before[name], value) for name, value in layer.state_dict().items())
    assert list(layer._forward_hooks) == [hook.id]
    assert traced.output[0].requires_grad


@every
@pytest.mark.parametrize("bidirectional", [False, True], ids=["forward", "both"])
def test_trace_holds_the_states_and_outputs_of_the_layer(kind: str, bidirectional: bool) -> None:
    shape = Shape(6, 3, 2, 5)
    layer = build(kind, shape, torch.float64, num_layers=2, bidirectional=bidirectional)
    lengths = [6, 2, 0]
    x = sequence(shape, layer, torch.float64)
    traced = trace(layer, x, None, lengths)
    names = ["l0", "l1"] if not bidirectional else ["l0", "l0_reverse", "l1", "l1_reverse"]
    assert list(traced.layers) == names
    valid = traced["l1"].mask
    assert valid.tolist() == [[t < n for t in range(6)] for n in lengths]
    _, final = call(layer, x, layer.initial_state(3, dtype=torch.float64), lengths)
    for name, state in zip(names, final, strict=True):
        for row, last in enumerate((0, 0) if name.endswith("reverse") else (5, 1)):
            for leaf_name, leaf in zip(state._fields, state):
                assert torch.allclose(traced[name].states[leaf_name][row, last], leaf[row].detach(), atol=1e-12)
    top = [traced[n].states["h"] for n in names if n.startswith("l1") and "h" in traced[n].states]
    if top:
        output = traced.output[0].detach().transpose(0, 1)
        assert torch.allclose(torch.cat(top, -1)[valid], output[valid], atol=1e-12)
    for layer_trace in traced.layers.values():
        for value in (*layer_trace.signals.values(), *layer_trace.states.values()):
            assert value.shape[:2] == (3, 6)
            assert not value.requires_grad


def _leaves(state: Any) -> list[Tensor]:
    return [state] if isinstance(state, Tensor) else [leaf for part in state for leaf in _leaves(part)]
