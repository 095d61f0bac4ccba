"""What the C++ engine may be handed: memory in any order, frozen parts, packed batches, and what it must refuse."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from typing import Any

import pytest
import torch
from engine_runs import (
    F32,
    F64,
    assert_as_reference,
    derivatives,
    dtypes,
    every_kind,
    hx_of,
    numbers,
    prepared,
    ragged,
    same,
    tensors,
)
from test_laws import Shape, build
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils.checkpoint import checkpoint

from unroll import kernels
from unroll import nn as un
from unroll.errors import ConfigError
from unroll.kernels import cpu

T, B, INPUTS, H = 7, 3, 2, 5
SHAPE = Shape(T, B, INPUTS, H)
RAGGED = [5, 0, 7]


# Memory


def strided(*size: int) -> Tensor:
    """Every other number of every other row, the last two axes exchanged."""
    *before, rows, columns = size
    wide = torch.randn(*before, 2 * columns, 2 * rows, dtype=F64) / 2
    return wide[..., ::2, ::2].transpose(-1, -2)


def negated(*size: int) -> Tensor:
    """Numbers whose sign is a note beside the memory, not in it."""
    return torch._neg_view(torch.randn(*size, dtype=F64) / 2)


def repeated(*size: int) -> Tensor:
    """One number's memory for all rows."""
    return (torch.randn(size[-1], dtype=F64) / 2).expand(*size)


def shifted(*size: int) -> Tensor:
    """Numbers that begin where no vector of the machine would."""
    count = torch.Size(size).numel()
    return (torch.randn(count + 1, dtype=F64) / 2)[1:].view(size)


@every_kind
@ragged
@pytest.mark.parametrize("memory", [strided, negated, repeated, shifted])
def test_memory_in_any_order_gives_the_same_numbers(kind: str, is_ragged: bool, memory: Callable[..., Tensor]) -> None:
    layer = build(kind, SHAPE, F64, bidirectional=True)
    lengths = RAGGED if is_ragged else None

    def run() -> list[Tensor]:
        x, *leaves = memory(T, B, INPUTS), memory(2, B, H), memory(2, B, H)
        leaves = leaves[: 2 if kind == "layer:LSTM" else 1]
        weights = {
            name: memory(*p.shape) if p.dim() > 1 else memory(1, *p.shape)[0] for name, p in layer.named_parameters()
        }
        wanted = [t.requires_grad_() for t in (x, *leaves, *weights.values())]
        result = torch.func.functional_call(layer, weights, (x, hx_of(kind, *leaves), lengths))
        first = derivatives(result, *wanted)
        return [*tensors(result), *first, *derivatives([g.square() for g in first], *wanted)]

    assert_as_reference(run)


@every_kind
def test_a_gradient_of_any_order_in_memory_arrives(kind: str) -> None:
    layer = build(kind, SHAPE, F64)

    def run() -> list[Tensor]:
        x = torch.randn(T, B, INPUTS, dtype=F64, requires_grad=True)
        output, final = layer(x)
        handed = [(output, strided(T, B, H)), *((f, repeated(1, B, H)) for f in tensors(final))]
        wanted = [x, *layer.parameters()]
        grads = torch.autograd.grad([t for t, _ in handed], wanted, [g for _, g in handed], retain_graph=True)
        negative = torch.autograd.grad(output, wanted, negated(T, B, H), retain_graph=True)
        of_state = torch.autograd.grad(tensors(final)[0], wanted, negated(1, B, H))
        return [*grads, *negative, *of_state]

    assert_as_reference(run)


# Which gradients are asked for


@every_kind
@dtypes
@ragged
@pytest.mark.parametrize(("of_x", "of_states", "of_weights"), list(product([False, True], repeat=3)))
def test_any_part_may_be_frozen(
    kind: str, dtype: torch.dtype, is_ragged: bool, of_x: bool, of_states: bool, of_weights: bool
) -> None:
    layer, x, states, lengths = prepared(kind, SHAPE, dtype, is_ragged, num_layers=2)
    every = numbers(layer, x, states, lengths)
    wanted = [of_weights] * len(list(layer.parameters())) + [of_x] + [of_states] * sum(len(s) for s in states)
    layer.requires_grad_(of_weights)
    x = x.detach().requires_grad_(of_x)
    leaves = [torch.stack(leaf).detach().requires_grad_(of_states) for leaf in zip(*states)]
    with kernels.use("cpu"):
        result = tensors(layer(x, leaves[0] if len(leaves) == 1 else tuple(leaves), lengths))
    assert [t.requires_grad for t in result] == [any(wanted)] * len(result)
    assert same([t.detach() for t in result[:1]], every.forward[:1])
    if any(wanted):
        result[0].sum().backward()
        grads = [p.grad for p in (*layer.parameters(), x, *leaves)]
        assert [g is not None for g in grads] == [p.requires_grad for p in (*layer.parameters(), x, *leaves)]


@every_kind
def test_a_single_frozen_weight_changes_no_other_gradient(kind: str) -> None:
    layer, x, _, lengths = prepared(kind, SHAPE, F64, True)
    weights = dict(layer.named_parameters())

    def gradients_of(names: list[str]) -> list[Tensor]:
        output = layer(x, None, lengths)[0]
        return list(torch.autograd.grad(output.square().sum(), [*(weights[name] for name in names), x]))

    with kernels.use("cpu"):
        *every, of_x = gradients_of(list(weights))
        for frozen in weights:
            weights[frozen].requires_grad_(False)
            kept = [gradient for gradient, name in zip(every, weights) if name != frozen]
            assert same(gradients_of([name for name in weights if name != frozen]), [*kept, of_x])
            weights[frozen].requires_grad_(True)


@every_kind
@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
@ragged
def test_without_gradients_the_numbers_are_those_of_training(kind: str, mode: Any, is_ragged: bool) -> None:
    layer, x, states, lengths = prepared(kind, SHAPE, F32, is_ragged, num_layers=2, bidirectional=True)
    leaves = [torch.stack(leaf) for leaf in zip(*states)]
    given = leaves[0] if len(leaves) == 1 else tuple(leaves)
    with kernels.use("cpu"):
        expected = tensors(layer(x, given, lengths))
        with mode():
            got = tensors(layer(x, given, lengths))
    assert not any(t.requires_grad for t in got)
    assert same(got, expected)


@every_kind
def test_what_was_handed_in_is_left_as_it_was(kind: str) -> None:
    layer, x, states, lengths = prepared(kind, SHAPE, F64, True, bidirectional=True)
    before = [t.detach().clone() for t in (x.nan_to_num(), *(leaf for s in states for leaf in s), *layer.parameters())]
    numbers(layer, x, states, lengths)
    after = [t.detach() for t in (x.nan_to_num(), *(leaf for s in states for leaf in s), *layer.parameters())]
    assert same(before, after)


# Second derivatives where inputs are made of one another


@pytest.mark.parametrize("cell", [un.GRUCell, un.LSTMCell, un.RNNCell])
@ragged
def test_second_derivatives_where_the_input_is_made_of_the_state(cell: Any, is_ragged: bool) -> None:
    layer = un.Recurrent(cell(H, H)).double()
    lengths = RAGGED if is_ragged else None

    def run() -> list[Tensor]:
        h = torch.randn(B, H, dtype=F64, requires_grad=True) * 1
        kind = type(layer.initial_state(B)[0])
        state = kind(*[h] * len(kind._fields))  # an LSTM's c is its h
        x = h.sin().expand(T, B, H).contiguous()
        first = derivatives(layer(x, [state], lengths), h, *layer.parameters())
        return [*first, *derivatives([g.square() for g in first], h, *layer.parameters())]

    assert_as_reference(run)


def test_second_derivatives_where_one_weight_serves_twice() -> None:
    layer = un.GRU(H, H).double()

    def run() -> list[Tensor]:
        w = torch.randn(3 * H, H, dtype=F64, requires_grad=True)
        b = torch.randn(3 * H, dtype=F64, requires_grad=True)
        tied = {"weight_ih_l0": w, "weight_hh_l0": w, "bias_ih_l0": b, "bias_hh_l0": b}
        first = derivatives(torch.func.functional_call(layer, tied, torch.randn(T, B, H, dtype=F64)), w, b)
        return [*first, *derivatives([g.square() for g in first], w, b)]

    assert_as_reference(run)


@every_kind
def test_a_graph_is_gone_through_twice_and_through_a_checkpoint(kind: str) -> None:
    layer, x, states, lengths = prepared(kind, SHAPE, F64, True)
    expected = numbers(layer, x, states, lengths).backward[len(list(layer.parameters()))]
    with kernels.use("cpu"):
        output = layer(x, None, lengths)[0]
        once = torch.autograd.grad(output.square().sum(), x, retain_graph=True)
        twice = torch.autograd.grad(output.square().sum(), x)
        kept = checkpoint(lambda x: layer(x, None, lengths)[0].square().sum(), x, use_reentrant=False)
        again = torch.autograd.grad(kept, x)
    assert once[0].shape == expected.shape
    assert same(once, twice)
    assert same(once, again)


# What it does not run


def refused(run: Callable[[], Any]) -> None:
    with kernels.use("cpu"), pytest.raises(ConfigError, match=r"the CPU engine does not run|torch has no operator"):
        run()


@every_kind
def test_what_the_engine_does_not_run_is_refused(kind: str) -> None:
    layer, x, _, _ = prepared(kind, SHAPE, F32, False)
    with torch.autocast("cpu"):
        refused(lambda: layer(x))
    refused(lambda: torch.func.vmap(lambda v: layer(v)[0], in_dims=1)(x.unsqueeze(2)))
    refused(lambda: torch.func.grad(lambda v: layer(v)[0].sum())(x))
    refused(lambda: torch.func.jvp(lambda v: layer(v)[0], (x,), (x,)))
    refused(lambda: build(kind, SHAPE, F32).to(torch.bfloat16)(x.bfloat16()))
    with FakeTensorMode():
        fake = getattr(un, kind.split(":")[1].removesuffix("-relu"))(INPUTS, H)
        refused(lambda: fake(torch.zeros(T, B, INPUTS)))
    meta = build(kind, SHAPE, F32).to("meta")
    refused(lambda: meta(torch.zeros(T, B, INPUTS, device="meta")))


def test_a_cell_that_the_engine_does_not_know_is_refused() -> None:
    refused(lambda: un.GRU(INPUTS, H, proj_size=2)(torch.zeros(T, B, INPUTS)))
    refused(lambda: un.GRU(INPUTS, H, layer_norm=True)(torch.zeros(T, B, INPUTS)))
    refused(lambda: un.LSTM(INPUTS, H, variant="FGR")(torch.zeros(T, B, INPUTS)))
    refused(lambda: un.LSTM(INPUTS, H, activation="relu")(torch.zeros(T, B, INPUTS)))


class Own(Tensor):
    """A tensor whose class may do anything with an operation."""


def test_tensors_of_another_class_are_left_to_torch() -> None:
    program = build("layer:GRU", SHAPE, F32).cell_at(0).program()
    assert program is not None
    x = torch.zeros(T, B, INPUTS)
    assert cpu.takes(program, x)
    assert cpu.takes(program, nn.Parameter(x))
    assert not cpu.takes(program, x.as_subclass(Own))
    own = {name: weight.detach().as_subclass(Own) for name, weight in program.weights.items()}
    assert not cpu.takes(program._replace(weights={**program.weights, "bias_hh": own["bias_hh"]}), x)
    assert not cpu.takes(program, x[:0])
    assert not cpu.takes(program, x.double())


@every_kind
def test_a_state_or_weight_that_does_not_fit_is_refused_before_memory_is_read(kind: str) -> None:
    layer, x, _, _ = prepared(kind, SHAPE, F64, False)
    small = torch.zeros(1, B, H)
    with kernels.use("cpu"):
        with pytest.raises(RuntimeError, match=r"Expected h in torch\.float64.* got torch\.float32 on cpu"):
            layer(x, hx_of(kind, small, small))
        with pytest.raises(RuntimeError, match=r"Expected h .* on meta"):
            layer(x, hx_of(kind, *[small.double().to("meta")] * 2))
        for name, p in layer.named_parameters():
            with pytest.raises(RuntimeError, match=r"Expected (weight|bias)_[ih]h of .*, got \("):
                torch.func.functional_call(layer, {name: p[:-1]}, x)
        program = layer.cell_at(0).program()
        assert program is not None
        with pytest.raises(RuntimeError, match=r"Expected h of shape \(3, 5\), got \(2, 5\)"):
            cpu.run(program, x, (x.new_zeros(2, H), x.new_zeros(B, H))[: 2 if kind == "layer:LSTM" else 1])


@pytest.mark.parametrize(("blank", "told"), [(False, "a call is None"), (True, "steps and batch must be positive")])
def test_a_call_that_says_nothing_is_refused(blank: bool, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        cpu.native().run("portable", False, [cpu.native().Call() if blank else None], 1)


@every_kind
def test_autocast_around_the_way_back_changes_no_number(kind: str) -> None:
    layer, x, _, lengths = prepared(kind, SHAPE, F32, True)
    with kernels.use("cpu"):
        output = layer(x, None, lengths)[0]
        expected = torch.autograd.grad(output, x, torch.ones_like(output), retain_graph=True)
        with torch.autocast("cpu"):
            assert same(torch.autograd.grad(output, x, torch.ones_like(output)), expected)


@every_kind
def test_a_default_device_elsewhere_changes_nothing(kind: str) -> None:
    layer, x, _, lengths = prepared(kind, SHAPE, F32, True)
    with kernels.use("cpu"):
        output = layer(x, None, lengths)[0]
        given = torch.ones_like(output)
        expected = torch.autograd.grad(output, x, given, retain_graph=True)
        with torch.device("meta"):
            assert same(torch.autograd.grad(output, x, given), expected)
