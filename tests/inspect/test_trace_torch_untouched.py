"""Watching torch.nn's modules changes nothing: numbers, gradients, generators, hooks, modes and graphs stay."""

from __future__ import annotations

import threading
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.modules import module as hooks
from torch.utils.checkpoint import checkpoint
from torch_models import CELLS, HIDDEN, INPUTS, KINDS, TOKENS, B, Fault, Loop, Model, T, condition, normal

from unroll.inspect import Trace, trace


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_output_and_gradients_are_those_of_a_plain_call_to_the_bit(kind: str, training: bool) -> None:
    model = Model(kind, dropout=0.3).train(training)
    before = condition(model)
    torch.manual_seed(4)
    seen = trace(model, TOKENS)
    state = torch.get_rng_state()
    assert condition(model) == before
    gradients = torch.autograd.grad(seen.output.sum(), list(model.parameters()))
    torch.manual_seed(4)
    output = model(TOKENS)
    assert state.equal(torch.get_rng_state())
    assert torch.equal(output, seen.output)
    for one, other in zip(gradients, torch.autograd.grad(output.sum(), list(model.parameters()))):
        assert torch.equal(one, other)


def test_a_checkpointed_model_is_differentiated_as_without_a_trace() -> None:
    class Checkpointed(Model):
        def forward(self, tokens: Tensor) -> Tensor:
            return checkpoint(super().forward, tokens, use_reentrant=False)

    model = Checkpointed(dropout=0.5)
    torch.manual_seed(4)
    output = trace(model, TOKENS).output
    gradients = torch.autograd.grad(output.sum(), list(model.parameters()))
    torch.manual_seed(4)
    for one, other in zip(gradients, torch.autograd.grad(model(TOKENS).sum(), list(model.parameters()))):
        assert torch.equal(one, other)


def test_the_trace_has_no_graph() -> None:
    for model, x in ((Model(), TOKENS), (Loop(nn.LSTMCell(INPUTS, 1)), normal(T, B, INPUTS).float())):
        for layer in trace(model, x).layers.values():
            assert not any(value.requires_grad for value in (*layer.signals.values(), *layer.states.values()))


@pytest.mark.parametrize("fault", [RuntimeError("broken here"), KeyboardInterrupt("broken here")], ids=["error", "key"])
def test_a_model_that_raises_leaves_nothing_behind(fault: BaseException) -> None:
    model = nn.Sequential(Fault(INPUTS, HIDDEN))
    model[0].fault = fault
    before = condition(model)
    with pytest.raises(type(fault), match="broken here"):
        trace(model, normal(T, B, INPUTS).float())
    assert condition(model) == before
    assert not hooks._global_forward_hooks
    assert not hooks._global_forward_pre_hooks


def test_a_model_that_catches_its_error_goes_on_and_is_traced() -> None:
    class Cautious(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.second = Fault(INPUTS, HIDDEN), nn.RNN(INPUTS, HIDDEN)

        def forward(self, x: Tensor) -> Tensor:
            try:
                return self.first(x)[0]
            except RuntimeError:
                assert torch._C._len_torch_function_stack() == 0
                return self.second(x)[0]

    seen = trace(Cautious(), normal(T, B, INPUTS).float())
    last = seen["second.l0"].states["h"].transpose(0, 1)
    torch.testing.assert_close(last, seen.output.detach(), rtol=0, atol=1e-6)


def test_nothing_is_registered_before_and_after() -> None:
    inside: list[int] = []

    class Looking(nn.Linear):
        def forward(self, input: Tensor) -> Tensor:
            inside.append(len(hooks._global_forward_hooks) + len(hooks._global_forward_pre_hooks))
            inside.append(torch._C._len_torch_function_stack())
            return super().forward(input)

    model = Model()
    model.readout = Looking(HIDDEN, 1)
    model(TOKENS)
    trace(model, TOKENS)
    model(TOKENS)
    assert inside == [0, 0, 2, 0, 0, 0]


@pytest.mark.parametrize("kind", [*KINDS, *CELLS])
def test_autocast_around_the_trace_changes_neither_output_nor_gradients(kind: str) -> None:
    torch.manual_seed(0)
    model = Loop(getattr(nn, kind)(INPUTS, HIDDEN)) if kind in CELLS else getattr(nn, kind)(INPUTS, HIDDEN, 2)
    x = normal(T, B, INPUTS).float()

    def total(given: Any) -> Tensor:
        if isinstance(given, Tensor):
            return given.float().sum()
        return sum((total(part) for part in given), torch.zeros(()))

    with torch.autocast("cpu", torch.bfloat16):
        trace(model, x)
        once = total(trace(model, x).output)
        plain = total(model(x))
    assert torch.equal(once, plain)
    parameters = list(model.parameters())
    for one, other in zip(torch.autograd.grad(once, parameters), torch.autograd.grad(plain, parameters)):
        assert torch.equal(one, other)


@pytest.mark.parametrize("how", ["module", "method"])
def test_a_compiled_model_is_run_uncompiled_and_stays_compiled(how: str) -> None:
    compiled: list[int] = []

    def backend(graph: Any, inputs: Any) -> Any:
        compiled.append(1)
        return graph.forward

    class Decoder(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.linear, self.cell = nn.Linear(INPUTS, INPUTS), nn.GRUCell(INPUTS, HIDDEN)

        def forward(self, x: Tensor) -> Tensor:
            return self.cell(self.linear(x))

    model, x = Decoder(), normal(B, INPUTS).float()
    if how == "module":
        run: Any = torch.compile(model, backend=backend)
    else:
        run = model
        run.compile(backend=backend)
    run(x)
    count = len(compiled)
    seen = trace(nn.Sequential(run), x)
    assert [name.rsplit(".", 2)[-2:] for name in seen.layers] == [["cell", "l0"]]
    torch.testing.assert_close(seen.output, run(x))
    assert len(compiled) == count > 0


def test_another_threads_calls_are_not_in_the_trace() -> None:
    inside, done = threading.Event(), threading.Event()

    class Slow(nn.RNN):
        def forward(self, input: Any, hx: Any = None) -> Any:
            inside.set()
            assert done.wait(10)
            return super().forward(input, hx)

    class Threaded(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer, self.other = nn.GRU(INPUTS, HIDDEN), Slow(INPUTS, HIDDEN)

        def forward(self, x: Tensor) -> Tensor:
            thread = threading.Thread(target=self.other, args=(x,))
            thread.start()
            assert inside.wait(10)
            output = self.layer(x)[0]
            done.set()
            thread.join()
            return output

    assert list(trace(Threaded(), normal(T, B, INPUTS).float()).layers) == ["layer.l0"]


@pytest.mark.parametrize("inner", [nn.LSTM(INPUTS, HIDDEN, 2), Loop(nn.GRUCell(INPUTS, HIDDEN))], ids=["layer", "cell"])
def test_a_trace_inside_a_trace_keeps_its_layers(inner: nn.Module) -> None:
    x = normal(T, B, INPUTS).float()
    found: list[Trace] = []

    class Outer(nn.GRU):
        def forward(self, input: Any, hx: Any = None) -> Any:
            found.append(trace(inner, input))
            return super().forward(input, hx)

    outer = trace(Outer(INPUTS, HIDDEN), x)
    assert list(outer.layers) == ["l0"]
    assert list(outer["l0"].signals) == ["r", "z", "n"]
    assert list(found[0].layers) == list(trace(inner, x).layers)
    assert torch._C._len_torch_function_stack() == 0


@pytest.mark.filterwarnings("error")
def test_a_module_that_fails_before_it_runs_does_not_disturb_the_trace() -> None:
    class Retrying(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.GRU(INPUTS, HIDDEN)

        def forward(self, x: Tensor) -> Tensor:
            try:
                return self.layer(x)[0]
            except RuntimeError:
                return self.layer(x)[0]

    refusals = [RuntimeError("not yet")]

    def refuse_once(module: nn.Module, args: Any) -> None:
        if isinstance(module, nn.GRU) and refusals:
            raise refusals.pop()

    handle = hooks.register_module_forward_pre_hook(refuse_once)
    try:
        assert list(trace(Retrying(), normal(T, B, INPUTS).float()).layers) == ["layer.l0"]
    finally:
        handle.remove()
