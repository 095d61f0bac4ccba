"""The five laws over the C++ engine, its derivatives, and every instruction set of the machine.

The oracle is the step loop in float64: the engine's float64 is held to 1e-10 of it, its float32 to 2e-6 forward and
2e-5 in gradients.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest
import torch
from engine_runs import (
    F32,
    F64,
    KINDS,
    SETS,
    Numbers,
    assert_near,
    blocks_of,
    dtypes,
    every_kind,
    gradients,
    lengths_of,
    numbers,
    off,
    prepared,
    ragged,
    same,
    set_of,
    threads_of,
    twin_of,
)
from sampling import sampled
from test_laws import Shape, build, by_hand, call, flat, sequence, start
from torch import Tensor

from unroll import kernels
from unroll.errors import ConfigError
from unroll.inspect import trace
from unroll.kernels import cpu

NO_YES = (False, True)
STACK = (NO_YES, (1, 3), NO_YES, NO_YES)
"""bias, num_layers, bidirectional, batch_first."""
TIMES, BATCHES, SIZES = (1, 7, 63), (1, 3, 9), (1, 5, 17, 50, 130)
STEPS = (None, 1, 5)
"""In a block."""


@sampled(
    "kind, bias, num_layers, bidirectional, batch_first, dtype, T, B, H, is_ragged, steps, threads",
    *(KINDS, *STACK, (F32, F64), TIMES, BATCHES, SIZES, NO_YES, STEPS, (1, 2)),
    each=60,
)
def test_engine_equals_reference(
    kind: str,
    bias: bool,
    num_layers: int,
    bidirectional: bool,
    batch_first: bool,
    dtype: torch.dtype,
    T: int,
    B: int,
    H: int,
    is_ragged: bool,
    steps: int | None,
    threads: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stack = {"num_layers": num_layers, "bidirectional": bidirectional, "batch_first": batch_first}
    layer, x, states, lengths = prepared(kind, Shape(T, B, 3, H), dtype, is_ragged, bias=bias, **stack)
    expected = twin_of(layer, x, states, lengths)
    blocks_of(monkeypatch, steps)
    threads_of(monkeypatch, threads)
    assert_near(numbers(layer, x, states, lengths), expected, dtype)


@every_kind
@dtypes
@pytest.mark.parametrize("isa", SETS)
@pytest.mark.parametrize("B", [1, 3, 9, 17])
@pytest.mark.parametrize("H", [1, 5, 17, 50, 130])
def test_every_instruction_set_equals_reference(
    kind: str, dtype: torch.dtype, isa: str, B: int, H: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    layer, x, states, lengths = prepared(kind, Shape(7, B, 3, H), dtype, True)
    expected = twin_of(layer, x, states, lengths)
    blocks_of(monkeypatch, 4)
    set_of(monkeypatch, isa)
    assert_near(numbers(layer, x, states, lengths), expected, dtype)


@pytest.mark.parametrize("isa", SETS)
@pytest.mark.parametrize("isa_back", SETS)
def test_weights_packed_for_one_set_are_not_read_by_another(
    isa: str, isa_back: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    layer, x, states, _ = prepared("layer:GRU", Shape(7, 3, 3, 17), F64, False)
    expected = twin_of(layer, x, states, None)
    with kernels.use("cpu"):
        set_of(monkeypatch, isa)
        result = call(layer, x, states)
        set_of(monkeypatch, isa_back)
        assert_near(Numbers(flat(*result), gradients(layer, x, states, *result)), expected, F64)


@every_kind
@pytest.mark.parametrize("T", [1, 7, 63])
@pytest.mark.parametrize("steps", STEPS)
def test_sequence_equals_steps(kind: str, T: int, steps: int | None, monkeypatch: pytest.MonkeyPatch) -> None:
    layer, x, states, _ = prepared(kind, Shape(T, 3, 2, 17), F64, False, num_layers=3, bidirectional=True)
    expected = by_hand(layer, x, states)
    blocks_of(monkeypatch, steps)
    own = Numbers(flat(*expected), gradients(layer, x, states, *expected))
    assert_near(numbers(layer, x, states, None), own, F64)


@every_kind
@dtypes
@pytest.mark.parametrize("cuts", [(1,), (1, 2, 30), (62,), (20, 20)], ids=str)
@pytest.mark.parametrize("batch_first", NO_YES)
def test_sequence_equals_chunks(
    kind: str, dtype: torch.dtype, cuts: tuple[int, ...], batch_first: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    layer, x, states, _ = prepared(kind, Shape(63, 2, 3, 5), dtype, False, num_layers=3, batch_first=batch_first)
    blocks_of(monkeypatch, 8)
    whole, time, outputs, state = numbers(layer, x, states, None), int(batch_first), [], states
    with kernels.use("cpu"):
        for begin, end in zip((0, *cuts), (*cuts, 63)):
            output, state = call(layer, x.narrow(time, begin, end - begin), state)
            outputs.append(output)
        chunked = torch.cat(outputs, time), state
        assert_near(Numbers(flat(*chunked), gradients(layer, x, states, *chunked)), whole, dtype)


@every_kind
@pytest.mark.parametrize("bidirectional", NO_YES)
@pytest.mark.parametrize("batch_first", NO_YES)
def test_ragged_equals_alone(kind: str, bidirectional: bool, batch_first: bool) -> None:
    shape = Shape(7, 6, 2, 5)
    options: dict[str, Any] = {"num_layers": 3, "bidirectional": bidirectional, "batch_first": batch_first}
    layer, x, states, lengths = prepared(kind, shape, F64, True, **options)
    assert lengths is not None
    assert 0 in lengths
    got, batch = numbers(layer, x, states, lengths), 0 if batch_first else 1
    output, finals = got.forward[0], got.forward[1:]
    for row, length in enumerate(lengths):
        assert not output.select(batch, row)[length:].any()
        own = [type(s)(*(leaf[row : row + 1] for leaf in s)) for s in states]
        if not length:
            assert all(torch.equal(f[row], leaf[row]) for f, leaf in zip(finals, flat(x, states)[1:]))
            continue
        alone = x.narrow(batch, row, 1).narrow(1 - batch, 0, length)
        out, end = by_hand(layer, alone, own)
        given = [output.narrow(batch, row, 1).narrow(1 - batch, 0, length), *(f[row : row + 1] for f in finals)]
        assert off(given, flat(out, end)) <= 1e-10


@every_kind
@pytest.mark.parametrize("bidirectional", NO_YES)
@ragged
def test_watching_changes_nothing(kind: str, bidirectional: bool, is_ragged: bool) -> None:
    shape = Shape(7, 3, 2, 5)
    layer = build(kind, shape, F32, num_layers=2, dropout=0.5, bidirectional=bidirectional)
    x, lengths = sequence(shape, layer, F32), lengths_of(shape, is_ragged)
    with kernels.use("cpu"):
        torch.manual_seed(1)
        plain = layer(x, None, lengths)
        rng = torch.get_rng_state()
        torch.manual_seed(1)
        traced = trace(layer, x, None, lengths)
    assert torch.equal(torch.get_rng_state(), rng)
    finals = [r if isinstance(r, tuple) else (r,) for r in (plain[1], traced.output[1])]
    assert same([plain[0], *finals[0]], [traced.output[0], *finals[1]])
    assert traced.output[0].requires_grad


@every_kind
@pytest.mark.parametrize("check", [torch.autograd.gradcheck, torch.autograd.gradgradcheck], ids=["first", "second"])
@ragged
@pytest.mark.parametrize("bias", NO_YES)
def test_gradients_are_those_of_finite_differences(
    kind: str, check: Callable[..., bool], is_ragged: bool, bias: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    shape = Shape(4, 2, 2, 2)
    layer = build(kind, shape, F64, bias=bias, bidirectional=True)
    blocks_of(monkeypatch, 3)
    names = [name for name, _ in layer.named_parameters()]
    x, leaves = sequence(shape, layer, F64), [torch.stack(leaf) for leaf in zip(*start(shape, layer, F64))]

    def function(x: Tensor, *rest: Tensor) -> tuple[Tensor, ...]:
        given = rest[len(names)] if len(leaves) == 1 else rest[len(names) :]
        weights = dict(zip(names, rest))
        output, final = torch.func.functional_call(layer, weights, (x, given, [3, 0] if is_ragged else None))
        return (output, final) if isinstance(final, Tensor) else (output, *final)

    weights = [p.detach().clone().requires_grad_() for p in layer.parameters()]
    with kernels.use("cpu"):
        assert check(function, (x, *weights, *(leaf.detach().requires_grad_() for leaf in leaves)))


def test_a_set_the_machine_does_not_have_is_refused() -> None:
    program = (
        "import torch\nfrom unroll import kernels, nn\nfrom unroll.errors import ConfigError\n"
        "with kernels.use('cpu'):\n"
        "    try:\n        nn.GRU(2, 3)(torch.zeros(4, 1, 2))\n"
        "    except ConfigError as error:\n        print(error)\n"
    )
    run = [sys.executable, "-c", program]
    told = subprocess.run(run, env={**os.environ, "UNROLL_ISA": "mmx"}, capture_output=True, text=True, check=True)
    assert "UNROLL_ISA=mmx" in told.stdout
    assert all(isa in told.stdout for isa in SETS)


@pytest.mark.parametrize("isa", SETS)
def test_the_environment_chooses_the_set(isa: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UNROLL_ISA", isa)
    assert cpu.instruction_set.__wrapped__() == isa
    monkeypatch.setenv("UNROLL_ISA", isa.upper())
    with pytest.raises(ConfigError, match=isa):
        cpu.instruction_set.__wrapped__()
