"""Runs of the C++ engine for its tests: setups, backends, and what is compared."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import pytest
import torch
from test_laws import Shape, build, call, flat, sequence, start
from torch import Tensor

from unroll import kernels
from unroll import nn as un
from unroll.kernels import cpu
from unroll.kernels.cpu import layer as engine

if cpu.native() is None:
    pytest.skip("this installation has no engine", allow_module_level=True)

KINDS = ("layer:RNN", "layer:RNN-relu", "layer:LSTM", "layer:GRU")
SETS = cpu.native().instruction_sets()
F32, F64 = torch.float32, torch.float64
FORWARD = {F64: 1e-10, F32: 2e-6}
BACKWARD = {F64: 1e-10, F32: 2e-5}

every_kind = pytest.mark.parametrize("kind", KINDS, ids=[kind.removeprefix("layer:") for kind in KINDS])
dtypes = pytest.mark.parametrize("dtype", [F32, F64], ids=["f32", "f64"])
ragged = pytest.mark.parametrize("is_ragged", [False, True], ids=["full", "ragged"])


class Numbers(NamedTuple):
    """Outputs and final states; gradients of parameters, input and initial states."""

    forward: list[Tensor]
    backward: list[Tensor]


def lengths_of(shape: Shape, is_ragged: bool) -> list[int] | None:
    """A zero, a one, a whole row and what lies between, as far as there are rows."""
    if not is_ragged:
        return None
    return [(0, shape.T, 1, shape.T // 2, shape.T - 1)[(row + shape.B) % 5] for row in range(shape.B)]


def poisoned(x: Tensor, lengths: Sequence[int] | None, batch_first: bool) -> Tensor:
    """``x`` with NaN in its padding."""
    data = x.detach()
    for row, length in enumerate(lengths or ()):
        (data[row] if batch_first else data[:, row])[length:] = float("nan")
    return x


def gradients(layer: un.Recurrent, x: Tensor, states: Any, output: Tensor, final: Any) -> list[Tensor]:
    """Of a loss that weighs every number differently, the same in every dtype."""
    generator = torch.Generator().manual_seed(11)
    parts = flat(output, final)
    loss = sum((p * torch.randn(p.shape, generator=generator, dtype=F64).to(p.dtype)).sum() for p in parts)
    wanted = [*layer.parameters(), x, *(leaf for s in states for leaf in s)]
    return list(torch.autograd.grad(loss, wanted, materialize_grads=True))


def numbers(layer: un.Recurrent, x: Tensor, states: Any, lengths: Any, backend: str = "cpu") -> Numbers:
    with kernels.use(backend):
        result = call(layer, x, states, lengths)
        grads = gradients(layer, x, states, *result)
    return Numbers([t.detach() for t in flat(*result)], grads)


def twin_of(layer: un.Recurrent, x: Tensor, states: Any, lengths: Any) -> Numbers:
    """The reference in float64, from the same numbers."""
    wide = [type(s)(*(leaf.detach().double().requires_grad_() for leaf in s)) for s in states]
    before = {name: p.detach().clone() for name, p in layer.named_parameters()}
    dtype = x.dtype
    layer.double()
    try:
        return numbers(layer, x.detach().double().requires_grad_(), wide, lengths, "reference")
    finally:
        layer.to(dtype)
        for name, p in layer.named_parameters():
            p.data.copy_(before[name])


def prepared(
    kind: str, shape: Shape, dtype: torch.dtype, is_ragged: bool, **options: Any
) -> tuple[un.Recurrent, Tensor, list[Any], list[int] | None]:
    """A layer, an input with NaN in its padding, initial states and lengths."""
    layer, lengths = build(kind, shape, dtype, **options), lengths_of(shape, is_ragged)
    x = poisoned(sequence(shape, layer, dtype), lengths, layer.batch_first)
    return layer, x, start(shape, layer, dtype), lengths


def off(got: Sequence[Tensor], expected: Sequence[Tensor]) -> float:
    """The largest difference, relative to the largest number of its tensor where that is above 1; NaN is infinite."""
    assert [g.shape for g in got] == [e.shape for e in expected]
    worst = 0.0
    for g, e in zip([g.detach() for g in got], [e.detach() for e in expected]):
        if e.numel():
            difference = float((g.double() - e.double()).abs().max() / max(1.0, float(e.abs().max())))
            worst = max(worst, difference if difference == difference else float("inf"))
    return worst


def assert_near(got: Numbers, expected: Numbers, dtype: torch.dtype) -> None:
    assert off(got.forward, expected.forward) <= FORWARD[dtype]
    assert off(got.backward, expected.backward) <= BACKWARD[dtype]


def same(a: Sequence[Tensor], b: Sequence[Tensor]) -> bool:
    """Equal to the bit, tensor by tensor."""
    return len(a) == len(b) and all(torch.equal(left, right) for left, right in zip(a, b))


def set_of(monkeypatch: pytest.MonkeyPatch, isa: str) -> None:
    """Make the engine run on this instruction set."""
    monkeypatch.setattr(engine, "instruction_set", lambda: isa)


def blocks_of(monkeypatch: pytest.MonkeyPatch, steps: int | None) -> None:
    """Make the engine walk time in blocks of ``steps``; None leaves its own choice."""
    monkeypatch.setattr(engine, "BLOCK", steps or 0)


def threads_of(monkeypatch: pytest.MonkeyPatch, count: int) -> None:
    """Make the engine run on ``count`` threads whatever the size."""
    monkeypatch.setattr(engine, "ALONE", 0)
    monkeypatch.setattr(torch, "get_num_threads", lambda: count)


def by_both(function: Callable[[], list[Tensor]]) -> tuple[list[Tensor], list[Tensor]]:
    """The same by the engine and by the reference, with the same draws."""
    found = []
    for backend in ("cpu", "reference"):
        torch.manual_seed(2)
        with kernels.use(backend):
            found.append(function())
    return found[0], found[1]


def assert_as_reference(function: Callable[[], list[Tensor]], tolerance: float = 1e-10) -> None:
    got, expected = by_both(function)
    assert got
    assert any(e.any() for e in expected)
    assert off(got, expected) <= tolerance


def tensors(value: Any) -> list[Tensor]:
    return [value] if isinstance(value, Tensor) else [t for part in value for t in tensors(part)]


def derivatives(result: Any, *wanted: Tensor) -> list[Tensor]:
    parts = [t for t in tensors(result) if t.requires_grad]
    return list(torch.autograd.grad(sum(p.sin().sum() for p in parts), wanted, create_graph=True))


def hx_of(kind: str, *leaves: Tensor) -> Any:
    """torch's initial state from two leaves or more."""
    return leaves[:2] if kind == "layer:LSTM" else leaves[0]
