"""Cells that compute a whole sequence at once: when they do, and that it changes nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from test_laws import BACKWARD, FORWARD, Shape, build, by_hand, close, flat, gradients, sequence, start
from test_linear_recurrence import BACKENDS, use
from torch import Tensor
from torch.func import functional_call, grad, jvp, stack_module_state, vjp, vmap

from unroll import kernels
from unroll import nn as un
from unroll.errors import ConfigError
from unroll.kernels import reference, scan

WHOLE = [name for name, entry in un.CELLS.items() if type(entry.make(2, 2)).sequence is not un.Cell.sequence]
SHAPE = Shape(7, 3, 2, 5)
LENGTHS = [5, 0, 7]
F64 = torch.float64

every = pytest.mark.parametrize("name", WHOLE)
directions = pytest.mark.parametrize("bidirectional", [False, True], ids=["forward", "both"])
ragged = pytest.mark.parametrize("lengths", [None, LENGTHS], ids=["full", "ragged"])


class StepsError(Exception):
    """A loop over steps has begun."""


@pytest.fixture
def no_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> Any:
        raise StepsError

    monkeypatch.setattr(reference, "run", refuse)
    monkeypatch.setattr(scan, "run", refuse)


def layer_of(name: str, dtype: torch.dtype = F64, **options: Any) -> un.Recurrent:
    return build(f"cell:{name}", SHAPE, dtype, **options)


def given(layer: un.Recurrent, dtype: torch.dtype = F64) -> Tensor:
    return sequence(SHAPE, layer, dtype)


def test_the_elementwise_cells_are_the_ones() -> None:
    assert WHOLE == ["indrnn", "sru", "qrnn", "qrnn_f", "qrnn_ifo"]


# When


@every
@directions
@ragged
@pytest.mark.parametrize("backend", ["auto", "cpu"])
def test_a_layer_takes_no_steps(name: str, bidirectional: bool, lengths: Any, backend: str, no_steps: None) -> None:
    layer = layer_of(name, num_layers=2, bidirectional=bidirectional)
    with kernels.use(backend):
        output, _ = layer(given(layer), None, lengths)
    output.sum().backward()
    layer.float()(given(layer, torch.float32), None, lengths)
    grad(lambda x: layer(x, None, lengths)[0].sum())(given(layer, torch.float32).detach())


@every
def test_what_it_is_not_for_takes_steps(name: str, no_steps: None) -> None:
    layer = layer_of(name)
    x = given(layer).detach()
    weights = dict(layer.named_parameters())
    with kernels.use("cpu"):
        layer(x[:3])
    calls: dict[str, Callable[[], Any]] = {
        "vmap": lambda: vmap(lambda x: layer(x)[0])(x.unsqueeze(0)),
        "vmap over weights": lambda: vmap(lambda w: functional_call(layer, w, (x,))[0])(
            {key: w.detach().unsqueeze(0) for key, w in weights.items()}
        ),
        "forward mode": lambda: jvp(lambda x: layer(x)[0], (x,), (x,)),
        "a few steps": lambda: layer(x[:3]),
        "state in another dtype": lambda: layer.float()(x.float(), layer.initial_state(3, dtype=F64)),
    }
    for call in calls.values():
        with pytest.raises(StepsError):
            call()
    with pytest.raises(StepsError), kernels.use("reference"):
        layer(x)
    with pytest.raises(StepsError), torch.autocast("cpu", dtype=torch.bfloat16):
        layer(x.float())


def test_noise_takes_steps(no_steps: None) -> None:
    layer = un.Recurrent(un.QRNNCell(2, 5, zoneout=0.3))
    with pytest.raises(StepsError):
        layer(torch.zeros(7, 3, 2))
    layer.eval()(torch.zeros(7, 3, 2))
    un.Recurrent(un.QRNNCell(2, 5), weight_dropout={"weight": 0.5})(torch.zeros(7, 3, 2))


@every
def test_insisting_on_torch_is_refused(name: str) -> None:
    layer = layer_of(name)
    with kernels.use("torch"), pytest.raises(ConfigError, match="torch has no operator for"):
        layer(given(layer))


def test_a_new_step_is_not_run_as_the_old_sequence() -> None:
    class Halved(un.IndRNNCell):
        def step(self, x: Tensor, state: Any) -> un.Step:
            h = super().step(x, state).output / 2
            return un.Step(h, un.IndRNNState(h), {})

    class Renamed(un.IndRNNCell):
        pass

    for make, runs_whole in ((Halved, False), (Renamed, True)):
        torch.manual_seed(0)
        layer = un.Recurrent(make(2, 5)).double()
        x, states = given(layer), start(SHAPE, layer, F64)
        close(flat(*layer(x, states)), flat(*by_hand(layer, x, states)), 1e-12)
        assert (make.sequence is not un.Cell.sequence) is runs_whole


# The same numbers


@every
@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("dtype", [F64, torch.float32], ids=str)
@directions
@ragged
def test_every_backend_gives_the_numbers_of_the_steps(
    name: str, backend: str, dtype: torch.dtype, bidirectional: bool, lengths: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    use(backend, monkeypatch)
    layer = layer_of(name, dtype, num_layers=2, bidirectional=bidirectional)
    x, states = sequence(SHAPE, layer, dtype), start(SHAPE, layer, dtype)
    got = layer(x, states, lengths)
    with kernels.use("reference"):
        expected = layer(x, states, lengths)
    close(flat(*got), flat(*expected), FORWARD[dtype])
    close(gradients(layer, x, states, *got), gradients(layer, x, states, *expected), BACKWARD[dtype])


@pytest.mark.parametrize("reverse", [False, True])
def test_padding_cannot_grow_beyond_all_bounds(reverse: bool) -> None:
    """|u| = 3 over 2,000 steps of padding would be infinite, and infinity times 0 is not a number."""
    cell = un.IndRNNCell(2, 3).double()
    torch.nn.init.constant_(cell.u, 3.0)
    torch.nn.init.constant_(cell.bias, 1.0)
    x = torch.randn(2000, 2, 2, dtype=F64)
    x[4:, 0] = 0
    x[2:, 1] = 0
    lengths = torch.tensor([4, 2])
    state = un.IndRNNState(torch.rand(2, 3, dtype=F64))
    output, final = kernels.run(cell, x, state, lengths=lengths, reverse=reverse)
    found = torch.autograd.grad(output.sum() + final.h.sum(), list(cell.parameters()))
    expected = reference.run(cell, x[:4], state, lengths=lengths, reverse=reverse)
    twins = torch.autograd.grad(expected[0].sum() + expected[1].h.sum(), list(cell.parameters()))
    close([output[:4], final.h, *found], [expected[0], expected[1].h, *twins], 1e-12)
    assert not output[4:].any()


@every
def test_a_final_state_has_memory_of_its_own(name: str) -> None:
    layer = layer_of(name)
    with torch.no_grad():
        output, (state,) = layer(given(layer))
        before = [leaf.clone() for leaf in state]
        output.zero_()
    assert all(torch.equal(a, b) for a, b in zip(state, before))
    assert all(leaf.untyped_storage().nbytes() == leaf.numel() * 8 for leaf in state)


def test_an_input_written_over_after_its_step_is_remembered() -> None:
    layer = un.Recurrent(un.QRNNCell(2, 3)).double()
    x = torch.randn(5, 1, 2, dtype=F64)
    buffer, state, outputs = torch.empty(1, 2, dtype=F64), None, []
    with torch.no_grad():
        for t in range(5):
            output, state = layer.step(buffer.copy_(x[t]), state)
            outputs.append(output)
        close(outputs, list(layer(x)[0]), 1e-12)


@every
@ragged
def test_first_and_second_derivatives_are_those_of_finite_differences(name: str, lengths: Any) -> None:
    shape = Shape(3, 2, 2, 2)
    layer = build(f"cell:{name}", shape, F64)
    states = start(shape, layer, F64)
    names = [key for key, _ in layer.named_parameters()]

    def function(x: Tensor, *rest: Tensor) -> tuple[Tensor, ...]:
        weights, leaves = rest[: len(names)], rest[len(names) :]
        own = [type(states[0])(*leaves)]
        with kernels.use("cpu"):
            output, (final,) = functional_call(layer, dict(zip(names, weights)), (x, own, lengths and [3, 1]))
        return output, *final

    inputs = (sequence(shape, layer, F64), *layer.parameters(), *states[0])
    assert torch.autograd.gradcheck(function, inputs)
    assert torch.autograd.gradgradcheck(function, inputs)


# Transforms


@every
@ragged
def test_reverse_mode_of_torch_func_is_autograd(name: str, lengths: Any) -> None:
    layer = layer_of(name, bidirectional=True)
    x, weights = given(layer).detach(), {key: w.detach() for key, w in layer.named_parameters()}

    def loss(weights: dict[str, Tensor], x: Tensor) -> Tensor:
        return functional_call(layer, weights, (x, None, lengths))[0].sin().sum()

    of_weights, of_x = grad(loss, (0, 1))(weights, x)
    leaf = x.clone().requires_grad_()
    expected = torch.autograd.grad(loss(dict(layer.named_parameters()), leaf), [leaf, *layer.parameters()])
    close([of_x, *of_weights.values()], list(expected), 1e-12)
    _, pull = vjp(lambda x: loss(weights, x), x)
    close([pull(torch.ones((), dtype=F64))[0]], [of_x], 1e-12)


@every
@ragged
def test_an_ensemble_and_per_sample_gradients_are_loops(name: str, lengths: Any) -> None:
    members = []
    for seed in range(3):
        torch.manual_seed(seed)
        members.append(un.Recurrent(un.CELLS[name].make(2, 5), 2).double())
    weights = {key: w.detach() for key, w in stack_module_state(members)[0].items()}
    x = given(members[0]).detach()

    def loss(w: dict[str, Tensor], x: Tensor) -> Tensor:
        return functional_call(members[0], w, (x, None, lengths))[0].sin().sum()

    got = vmap(grad(loss), (0, None))(weights, x)
    each = [torch.autograd.grad(m(x, None, lengths)[0].sin().sum(), list(m.parameters())) for m in members]
    close(list(got.values()), [torch.stack(parts) for parts in zip(*each)], 1e-12)


@every
@ragged
def test_forward_mode_is_reverse_mode(name: str, lengths: Any) -> None:
    layer = layer_of(name)
    x = given(layer).detach()
    direction = torch.randn_like(x)
    _, pushed = jvp(lambda x: layer(x, None, lengths)[0].sin().sum(), (x,), (direction,))
    pulled = grad(lambda x: layer(x, None, lengths)[0].sin().sum())(x)
    close([pushed], [(pulled * direction).sum()], 1e-12)


# Graphs


@pytest.fixture
def afresh() -> Iterator[None]:
    torch.compiler.reset()
    yield
    torch.compiler.reset()


@every
@ragged
def test_a_compiled_layer_holds_the_operator_and_trains_as_an_eager_one(
    name: str, lengths: Any, afresh: None, no_steps: None
) -> None:
    layer = layer_of(name, bidirectional=True)
    ends = None if lengths is None else torch.tensor(lengths)
    compiled = torch.compile(layer, backend="aot_eager", fullgraph=True, dynamic=True)
    for T in (7, 9):
        shape = SHAPE._replace(T=T)
        x, states = sequence(shape, layer, F64), start(shape, layer, F64)
        got, expected = compiled(x, states, ends), layer(x, states, ends)
        close(flat(*got), flat(*expected), 1e-12)
        close(gradients(layer, x, states, *got), gradients(layer, x, states, *expected), 1e-12)


@every
def test_an_exported_program_needs_nothing_of_unroll(name: str, afresh: None) -> None:
    layer = layer_of(name, bidirectional=True)
    free = {"x": {0: torch.export.Dim("T"), 1: torch.export.Dim("B")}, "lengths": {0: torch.export.Dim("B")}}
    program = torch.export.export(
        layer, (given(layer).detach(),), {"lengths": torch.tensor(LENGTHS)}, dynamic_shapes=free, strict=False
    )
    assert "unroll." not in str(program.graph_module.print_readable(print_output=False))
    x = torch.randn(9, 2, 2, dtype=F64)
    got = program.module()(x, lengths=torch.tensor([9, 4]))
    close([got[0]], [layer(x, None, [9, 4])[0]], 1e-12)


def test_inductor_gives_the_same_numbers(afresh: None) -> None:
    layer = un.Recurrent([un.QRNNCell(2, 5), un.SRUCell(5, 5), un.IndRNNCell(5, 3)]).double()
    x = torch.randn(7, 3, 2, dtype=F64, requires_grad=True)
    got, expected = torch.compile(layer)(x)[0], layer(x)[0]
    close([got, *torch.autograd.grad(got.sum(), x)], [expected, *torch.autograd.grad(expected.sum(), x)], 1e-12)
