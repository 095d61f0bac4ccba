"""The gates that a layer hands out: the signals of its steps, on every backend, and nothing else changes.

The oracle is a loop over ``cell.step``, each row alone: float64 to 1e-10, float32 to 2e-6.
"""

from __future__ import annotations

from typing import Any

import pytest
import torch
from sampling import sampled
from test_laws import EVERY, FORWARD, Shape, build, by_hand, sequence, start
from test_laws_sampled import built, each, own_noise, started
from torch import Tensor
from torch.nn.utils.rnn import pack_padded_sequence
from twins import assert_close, flat

from unroll import kernels
from unroll import nn as un
from unroll.errors import ConfigError
from unroll.inspect import trace
from unroll.kernels import cpu
from unroll.kernels.cpu import layer as engine

F32, F64 = torch.float32, torch.float64
NO_YES = (False, True)
LENGTHS = (None, [5, 0, 7])
FORCED = ("auto", "cpu", "torch", "reference")
Named = dict[str, dict[str, Tensor]]


def where_it_runs(backend: str, layer: un.Recurrent, x: Tensor) -> str:
    """``backend``, or "auto" where that has nothing for the layer."""
    cell = layer.cell_at(0)
    if backend == "torch" and cell.operator() is None:
        return "auto"
    program = cell.program() if backend == "cpu" else None
    return backend if backend != "cpu" or (program is not None and cpu.takes(program, x)) else "auto"


def given(layer: un.Recurrent, states: list[Any]) -> Any:
    """An initial state as the layer takes it."""
    if not isinstance(layer, un.RNN | un.LSTM | un.GRU):
        return states
    leaves = tuple(torch.stack(leaf) for leaf in zip(*states))
    return leaves[0] if len(leaves) == 1 else leaves


def by_steps(layer: un.Recurrent, x: Tensor, states: list[Any], lengths: list[int] | None) -> Named:
    """Signals of every step, (T, batch, …), by a loop over each row alone; 0 where it has ended."""
    found: Named = {}
    with torch.no_grad():
        for row, length in enumerate(lengths or [x.shape[0]] * x.shape[1]):
            own = x[:length, row : row + 1]
            state = [type(s)(*(leaf[row : row + 1] for leaf in s)) for s in states]
            for number in range(layer.num_layers):
                outputs = []
                for direction in range(layer.directions):
                    name = f"l{number}" + ("_reverse" if direction else "")
                    cell, now = layer.cell_at(number, direction), state[number * layer.directions + direction]
                    out = [x.new_zeros(1, cell.output_size)] * length
                    for t in reversed(range(length)) if direction else range(length):
                        out[t], now, signals = cell.step(own[t], now)
                        for key, value in signals.items():
                            each = found.setdefault(name, {})
                            each.setdefault(key, x.new_zeros(*x.shape[:2], value.shape[1]))[t, row] = value[0]
                    outputs.append(torch.stack(out) if out else x.new_zeros(0, 1, cell.output_size))
                own = torch.cat(outputs, -1)
    return found


def assert_gates(got: Any, expected: Named, tolerance: float) -> None:
    assert list(got) == list(expected)
    for name, own in expected.items():
        assert list(got[name]) == list(own)
        for key, value in own.items():
            scale = max(1.0, float(value.abs().max())) if value.numel() else 1.0
            torch.testing.assert_close(got[name][key], value, rtol=0, atol=tolerance * scale, msg=f"{name} {key}")
            assert not got[name][key].requires_grad


@sampled(
    "kind, backend, bidirectional, batch_first, dtype, lengths",
    *(EVERY, FORCED, NO_YES, NO_YES, (F64, F32), LENGTHS),
    each=24,
)
def test_gates_are_the_signals_of_steps(
    kind: str, backend: str, bidirectional: bool, batch_first: bool, dtype: torch.dtype, lengths: list[int] | None
) -> None:
    shape = Shape(7, 3, 2, 5)
    options = {"num_layers": 2, "bidirectional": bidirectional, "batch_first": batch_first}
    layer = build(kind, shape, dtype, **options)
    x, states = sequence(shape, layer, dtype), start(shape, layer, dtype)
    with kernels.use(where_it_runs(backend, layer, x)):
        _, _, got = layer.with_gates(x, given(layer, states), lengths=lengths)
    if batch_first:
        got = {name: {key: gate.transpose(0, 1) for key, gate in own.items()} for name, own in got.items()}
    wide = [type(s)(*(leaf.detach().double() for leaf in s)) for s in states]
    time_major = x.detach().double().transpose(0, 1) if batch_first else x.detach().double()
    expected = by_steps(layer.double(), time_major, wide, lengths)
    named = {name: {key: value.to(dtype) for key, value in own.items()} for name, own in expected.items()}
    assert_gates(got, named, FORWARD[dtype])


@each()
def test_gates_under_every_option_are_those_of_the_loop(c: Any) -> None:
    layer = built(c)
    (x, states), noise = started(c, layer), own_noise(c, layer)
    first, lengths = bool(c.around.get("batch_first")), torch.tensor(c.lengths) if c.ragged else None
    before = None if layer.start is not None else states
    x = x.transpose(0, 1) if first else x
    output, final, got = layer.with_gates(x, before, lengths, noise)
    assert_close((output, final), layer(x, before, lengths, noise), 0.0)
    with kernels.use("reference"):
        _, _, expected = layer.with_gates(x, before, lengths, noise)
    assert len(got) == layer.num_layers * layer.directions
    assert_gates(got, expected, 1e-10)


def results(layer: un.Recurrent, x: Tensor, states: list[Any], lengths: Any, captured: bool) -> list[Tensor]:
    """Output, final state and every gradient."""
    torch.manual_seed(1)
    how = x, given(layer, states), lengths
    output, final = layer.with_gates(*how)[:2] if captured else layer(*how)
    parts = flat(output, final)
    wanted = [*layer.parameters(), x, *flat(states)]
    loss = sum((part.cos() * part).sum() for part in parts)
    return [*parts, *torch.autograd.grad(loss, wanted, materialize_grads=True)]


@sampled(
    "kind, backend, bidirectional, dtype, lengths, kept",
    *(EVERY, ("auto", "cpu"), NO_YES, (F64, F32), LENGTHS, NO_YES),
    each=12,
)
def test_a_capture_changes_no_bit_of_output_and_gradients(
    kind: str,
    backend: str,
    bidirectional: bool,
    dtype: torch.dtype,
    lengths: list[int] | None,
    kept: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if not kept:
        monkeypatch.setattr(engine, "KEPT", 0)
    shape = Shape(9, 3, 2, 17)
    layer = build(kind, shape, dtype, num_layers=2, bidirectional=bidirectional, dropout=0.4)
    x, states = sequence(shape, layer, dtype), start(shape, layer, dtype)
    with kernels.use(where_it_runs(backend, layer, x)):
        plain = results(layer, x, states, lengths, captured=False)
        rng = torch.get_rng_state()
        watched = results(layer, x, states, lengths, captured=True)
    assert torch.equal(rng, torch.get_rng_state())
    assert all(torch.equal(a, b) for a, b in zip(plain, watched, strict=True))


@pytest.mark.parametrize("kind", EVERY)
@pytest.mark.parametrize("lengths", LENGTHS, ids=["full", "ragged"])
def test_gates_are_the_same_with_and_without_gradients(kind: str, lengths: list[int] | None) -> None:
    shape = Shape(7, 3, 2, 5)
    layer = build(kind, shape, F32, num_layers=2, bidirectional=True)
    x = sequence(shape, layer, F32)
    with kernels.use(where_it_runs("cpu", layer, x)):
        output, _, trained = layer.with_gates(x, lengths=lengths)
        assert output.requires_grad
        with torch.no_grad():
            _, _, inferred = layer.with_gates(x, lengths=lengths)
    assert_gates(trained, inferred, 0.0)


@pytest.mark.parametrize("kind", EVERY)
def test_gates_are_nothing_where_a_row_has_ended(kind: str) -> None:
    """Derived ones too: k = 1 - f is not 1 there. What lies in the padding reaches none."""
    shape, lengths = Shape(7, 3, 2, 5), [5, 0, 7]
    layer = build(kind, shape, F32, num_layers=2, bidirectional=True)
    x = sequence(shape, layer, F32).detach()
    for row, length in enumerate(lengths):
        x[length:, row] = float("nan")
    for own in layer.with_gates(x, lengths=lengths)[2].values():
        for gate in own.values():
            for row, length in enumerate(lengths):
                assert not gate[length:, row].any()
                assert not gate[:, row].isnan().any()


@pytest.mark.parametrize("kind", EVERY)
@pytest.mark.parametrize("batch_first", NO_YES)
def test_one_sequence_has_the_gates_of_a_batch_of_one(kind: str, batch_first: bool) -> None:
    layer = build(kind, Shape(7, 1, 2, 5), F64, bidirectional=True, batch_first=batch_first)
    x = torch.randn(7, 2, dtype=F64, generator=torch.Generator().manual_seed(1))
    output, _, alone = layer.with_gates(x)
    _, _, batch = layer.with_gates(x.unsqueeze(0 if batch_first else 1))
    assert output.dim() == 2
    rows = {name: {key: g[0] if batch_first else g[:, 0] for key, g in own.items()} for name, own in batch.items()}
    assert_gates(alone, rows, 1e-12)


@pytest.mark.parametrize("family", [un.RNN, un.LSTM, un.GRU])
@pytest.mark.parametrize("dtype", [F64, F32])
def test_a_packed_sequence_has_padded_gates_in_the_callers_order(family: Any, dtype: torch.dtype) -> None:
    layer, lengths = family(2, 5, 2, bidirectional=True, dtype=dtype), [3, 7, 1]
    x = torch.randn(7, 3, 2, dtype=dtype, generator=torch.Generator().manual_seed(1))
    _, _, packed = layer.with_gates(pack_padded_sequence(x, lengths, enforce_sorted=False))
    _, _, padded = layer.with_gates(x, lengths=lengths)
    assert_gates(packed, padded, FORWARD[dtype])


@pytest.mark.parametrize("kind", EVERY)
@pytest.mark.parametrize(("T", "B"), [(0, 2), (3, 0)])
def test_nothing_has_empty_gates(kind: str, T: int, B: int) -> None:
    layer = build(kind, Shape(3, 2, 2, 5), F32)
    _, _, none = layer.with_gates(torch.zeros(T, B, 2))
    _, _, some = layer.with_gates(torch.zeros(1, 1, 2))
    assert list(none["l0"]) == list(some["l0"])
    assert all(gate.shape == (T, B, *some["l0"][name].shape[2:]) for name, gate in none["l0"].items())


@pytest.mark.skipif(cpu.native() is None, reason="this installation has no engine")
@pytest.mark.parametrize("kind", ["layer:RNN", "layer:LSTM", "layer:GRU", "cell:lstm_cifg", "cell:mgu", "cell:janet"])
@pytest.mark.parametrize("look", ["with_gates", "trace"])
def test_the_engine_hands_out_what_it_computed_and_runs_once(
    kind: str, look: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    layer = build(kind, Shape(7, 3, 2, 5), F32, num_layers=2, bidirectional=True)
    native, calls = cpu.native(), []

    class Counted:
        def __getattr__(self, name: str) -> Any:
            calls.append(name)
            return getattr(native, name)

    def refuse(*_: Any, **__: Any) -> Any:
        raise AssertionError("the loop over steps was asked")

    monkeypatch.setattr(engine, "native", Counted)
    monkeypatch.setattr(kernels.reference, "run", refuse)
    x = torch.randn(7, 3, 2)
    with kernels.use("cpu"):
        layer.with_gates(x, lengths=[5, 0, 7]) if look == "with_gates" else trace(layer, x, lengths=[5, 0, 7])
    assert calls.count("run") == 2  # two layers, both directions in one call


@pytest.mark.parametrize("dtype", [F64, F32])
@pytest.mark.parametrize("lengths", LENGTHS, ids=["full", "ragged"])
@pytest.mark.parametrize("kind", EVERY)
def test_a_trace_is_that_of_the_loop(kind: str, lengths: list[int] | None, dtype: torch.dtype) -> None:
    """Gates, states and what stands in the padding."""
    shape = Shape(7, 3, 2, 5)
    layer = build(kind, shape, dtype, num_layers=2, bidirectional=True)
    x = sequence(shape, layer, dtype)
    got = trace(layer, x, lengths=lengths)
    with kernels.use("reference"):
        expected = trace(layer, x, lengths=lengths)
    for name, own in expected.layers.items():
        other = got[name]
        assert torch.equal(other.mask, own.mask)
        assert other.keep_gate == own.keep_gate
        assert_gates({"": other.signals, "s": other.states}, {"": own.signals, "s": own.states}, FORWARD[dtype])


def test_a_trace_around_sees_what_with_gates_runs() -> None:
    class Regularised(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.gru = un.GRU(2, 5)

        def forward(self, x: Tensor) -> Tensor:
            output, _, gates = self.gru.with_gates(x)
            return output * gates["l0"]["z"]

    x = torch.randn(7, 3, 2)
    seen = trace(Regularised(), x)
    assert list(seen.layers) == ["gru.l0"]
    z, h = seen["gru.l0"].signals["z"].transpose(0, 1), seen["gru.l0"].states["h"].transpose(0, 1)
    assert torch.equal(seen.output.detach(), z * h)


def test_what_a_model_does_to_its_output_in_place_does_not_reach_the_trace() -> None:
    class Clearing(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.lstm = un.LSTM(2, 5)

        def forward(self, x: Tensor) -> Tensor:
            output, (h, c) = self.lstm(x)
            return output.zero_() + h.zero_() + c.zero_()

    model, x = Clearing(), torch.randn(7, 3, 2)
    with torch.no_grad(), kernels.use(where_it_runs("cpu", model.lstm, x)):
        seen, plain = trace(model, x)["lstm.l0"], model.lstm(x)
    assert torch.equal(seen.states["h"].transpose(0, 1), plain[0])
    assert torch.equal(seen.states["c"][:, -1], plain[1][1][0])


class Renamed(un.GRUCell):
    """torch's GRU by an equation of its own, which shows something else."""

    def step(self, x: Tensor, state: Any, noise: Any = kernels.QUIET) -> un.Step:
        output, new, signals = super().step(x, state, noise)
        return un.Step(output, new, {"written": 1 - signals["z"]})

    def operator(self) -> Any:
        return un.GRUCell.operator(self)

    def program(self, noisy: bool = False) -> Any:
        return un.GRUCell.program(self, noisy)


def test_a_cell_that_the_engine_runs_shows_its_own_signals() -> None:
    layer = un.Recurrent(Renamed(2, 5), bidirectional=True)
    x = torch.randn(7, 3, 2)
    output, _, gates = layer.with_gates(x)
    assert list(gates["l0"]) == ["written"]
    expected, _ = by_hand(layer, x, list(layer.initial_state(3)))
    assert_close(output, expected, 2e-6)
    assert_gates(gates, by_steps(layer, x, list(layer.initial_state(3)), None), 2e-6)


def test_a_compiled_graph_hands_out_no_gates() -> None:
    layer = un.GRU(2, 5)
    with pytest.raises(ConfigError, match="the gates of a GRU inside a compiled"):
        torch.compile(lambda x: layer.with_gates(x)[2]["l0"]["z"], backend="eager")(torch.randn(7, 3, 2))


def test_a_run_that_fails_leaves_nothing_watching() -> None:
    layer = un.GRU(2, 5)
    with pytest.raises(RuntimeError, match="Expected 2, got 4"):
        layer.with_gates(torch.randn(7, 3, 4))
    assert un.watch.watcher_in_force() is None


def test_second_derivatives_pass_through_a_captured_run() -> None:
    layer = un.LSTM(2, 3, bidirectional=True, dtype=F64)
    x = torch.randn(4, 2, 2, dtype=F64, requires_grad=True)
    found = []
    for ask in (layer, lambda x: layer.with_gates(x)[:2]):
        with kernels.use("cpu"):
            (grad,) = torch.autograd.grad(ask(x)[0].cos().sum(), x, create_graph=True)
            found.append(torch.autograd.grad(grad.square().sum(), [x, *layer.parameters()]))
    assert_close(found[0], found[1], 0.0)
