"""``linear_recurrence`` in C++ and as a loop, against a plain Python loop over numbers of twice the width."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import pytest
import torch
from torch import Tensor
from torch.library import opcheck

from unroll.kernels import cpu, recur
from unroll.kernels.linear import linear_recurrence

SETS = cpu.native().instruction_sets() if recur.native() else []
BACKENDS = [*SETS, "loop"]
WIDE = {torch.float32: torch.float64, torch.complex64: torch.complex128}
TOLERANCE = {torch.float32: 2e-6, torch.complex64: 4e-6, torch.float64: 1e-14, torch.complex128: 1e-14}
SHAPES = [(1, 1, 1), (5, 3, 7), (9, 4, 3, 5), (6, 2), (3, 2, 600), (40, 1, 33), (17, 300, 1), (4, 2, 256, 2)]

dtypes = pytest.mark.parametrize("dtype", list(TOLERANCE), ids=lambda dtype: str(dtype).removeprefix("torch."))


@pytest.fixture
def backend(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    use(request.param, monkeypatch)
    return str(request.param)


def use(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if name == "loop":
        monkeypatch.setattr(recur, "native", lambda: None)
    else:
        monkeypatch.setattr(cpu, "instruction_set", lambda: name)


@pytest.fixture
def poison() -> Iterator[None]:
    """Fresh memory of torch holds NaN."""
    torch.use_deterministic_algorithms(True)
    assert torch.zeros(2).new_empty(5).isnan().all()
    yield
    torch.use_deterministic_algorithms(False)


class Case(NamedTuple):
    a: Tensor
    b: Tensor
    h0: Tensor | None
    resets: Tensor | None
    reverse: bool

    @property
    def inputs(self) -> list[Tensor]:
        return [t for t in (self.a, self.b, self.h0) if t is not None]

    def run(self) -> Tensor:
        return linear_recurrence(self.a, self.b, self.h0, resets=self.resets, reverse=self.reverse)

    def widened(self) -> Case:
        a, b, h0 = (None if t is None else wide(t) for t in self[:3])
        assert a is not None
        assert b is not None
        return Case(a, b, h0, self.resets, self.reverse)


def wide(t: Tensor) -> Tensor:
    return t.detach().to(WIDE.get(t.dtype, t.dtype)).requires_grad_()


def case(
    shape: tuple[int, ...],
    dtype: torch.dtype,
    shared: str = "",
    start: bool = True,
    resets: bool = False,
    reverse: bool = False,
) -> Case:
    """Of either sign, |a| up to 1; ``shared`` names the sizes of ``a`` that are 1."""
    generator = torch.Generator().manual_seed(len(shape) + sum(shape))
    draw = lambda *size: torch.randn(*size, generator=generator, dtype=dtype)  # noqa: E731
    of_a = [1 if name in shared else size for name, size in zip("tbf", shape)] + list(shape[3:])
    a = (
        torch.tanh(draw(*of_a).real)
        if not dtype.is_complex
        else torch.polar(torch.rand(of_a, generator=generator, dtype=draw(1).real.dtype), draw(*of_a).real * 3)
    )
    given = [a.to(dtype), draw(*shape), draw(*shape[1:]) if start else None]
    marks = torch.rand(shape[:2], generator=generator) < 0.3
    marks[:1, :1] = True
    leaves = [None if t is None else t.requires_grad_() for t in given]
    return Case(*leaves, marks if resets else None, reverse)  # type: ignore[arg-type]


def by_hand(c: Case) -> Tensor:
    a, state, out = c.a.expand(c.b.shape), c.h0, {}
    times = range(c.b.shape[0])
    for t in reversed(times) if c.reverse else times:
        h = c.b[t] if state is None else a[t] * state + c.b[t]
        if c.resets is not None:
            h = torch.where(c.resets[t].view(-1, *[1] * (h.dim() - 1)), c.b[t], h)
        out[t] = state = h
    return torch.stack([out[t] for t in times])


def gradients(c: Case, h: Tensor) -> list[Tensor]:
    weight = torch.randn(h.shape, generator=torch.Generator().manual_seed(7), dtype=torch.float64)
    return list(
        torch.autograd.grad(
            h,
            c.inputs,
            (weight + 1j * weight.flip(0) if h.is_complex() else weight).to(h.dtype),
            materialize_grads=True,
        )
    )


def assert_near(got: list[Tensor], expected: list[Tensor], tolerance: float) -> None:
    for g, e in zip(got, expected, strict=True):
        assert g.shape == e.shape
        if e.numel():
            g, e = g.detach().to(e.dtype), e.detach()
            assert float((g - e).abs().max()) <= tolerance * max(1.0, float(e.abs().max()))


def assert_equals_loop(c: Case) -> None:
    h, twin = c.run(), c.widened()
    expected = by_hand(twin)
    assert h.is_contiguous()
    assert_near([h, *gradients(c, h)], [expected, *gradients(twin, expected)], TOLERANCE[c.b.dtype])


# The numbers


@pytest.mark.parametrize("backend", BACKENDS, indirect=True)
@dtypes
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_numbers_and_gradients_are_those_of_a_plain_loop(
    backend: str, dtype: torch.dtype, shape: tuple[int, ...], poison: None
) -> None:
    for start, resets, reverse in itertools.product((False, True), repeat=3):
        assert_equals_loop(case(shape, dtype, "", start, resets, reverse))


@pytest.mark.parametrize("backend", BACKENDS, indirect=True)
@dtypes
@pytest.mark.parametrize("shared", ["t", "b", "tb", "f", "tbf"])
def test_a_coefficient_that_is_shared_is_one_that_is_repeated(backend: str, dtype: torch.dtype, shared: str) -> None:
    for shape, resets, reverse in itertools.product(
        [(5, 3, 7), (4, 3, 2, 5), (6, 1, 300)], (False, True), (False, True)
    ):
        c = case(shape, dtype, shared, True, resets, reverse)
        assert_equals_loop(c)
        expanded = c._replace(a=c.a.expand(shape))
        assert torch.equal(expanded.run(), c.run())
        assert_near(gradients(c, expanded.run()), gradients(c, c.run()), TOLERANCE[dtype])


@pytest.mark.parametrize("backend", SETS, indirect=True)
def test_a_shared_coefficient_is_not_repeated_in_memory(backend: str) -> None:
    c = case((64, 8, 32), torch.float64, "tb")
    lines = recur._lines(c.a.expand(64, 8, 32), torch.Size([32]))
    assert lines.shape == (1, 1, 32)
    assert lines.data_ptr() == c.a.data_ptr()


@pytest.mark.parametrize("backend", BACKENDS, indirect=True)
@dtypes
def test_any_strides_and_lazy_conjugates_are_read_right(backend: str, dtype: torch.dtype) -> None:
    T, B, F = 6, 4, 10
    plain = case((T, B, F), dtype, resets=True)
    expected = plain.run()
    assert plain.h0 is not None
    assert plain.resets is not None
    views: list[Callable[[Tensor], Tensor]] = [
        lambda t: t.detach().movedim(-1, 0).contiguous().movedim(0, -1),  # features far apart
        lambda t: t.detach().transpose(0, 1).contiguous().transpose(0, 1),  # steps inside rows
        lambda t: torch.cat([t.detach(), t.detach()], -1)[..., :F],  # rows with a gap
        lambda t: t.detach().conj().resolve_conj().conj(),  # the conjugate of a conjugate
        lambda t: torch._neg_view(-t.detach()),
    ]
    for a, b, h0 in itertools.product(views, repeat=3):
        given = Case(a(plain.a), b(plain.b), h0(plain.h0), plain.resets.t().contiguous().t(), False)
        assert_near([given.run()], [expected], 0.0 if backend in SETS else TOLERANCE[dtype])


@pytest.mark.parametrize("backend", BACKENDS, indirect=True)
@dtypes
@pytest.mark.parametrize("reverse", [False, True])
def test_a_reset_forgets_even_what_is_not_finite(backend: str, dtype: torch.dtype, reverse: bool) -> None:
    c = case((6, 2, 5), dtype, reverse=reverse)
    a, b, h0 = (t.detach().clone() for t in c.inputs)
    last, cut = (5, 3) if reverse else (0, 2)
    h0[0], b[last, 1], a[cut] = float("inf"), float("nan"), float("inf")
    resets = torch.zeros(6, 2, dtype=torch.bool)
    resets[last, 0] = resets[cut] = True
    given = Case(a.requires_grad_(), b.requires_grad_(), h0.requires_grad_(), resets, reverse)
    h = given.run()
    after = slice(0, cut + 1) if reverse else slice(cut, None)
    assert h[after].isfinite().all()
    assert h[:, 0].isfinite().all()
    assert torch.equal(h[cut], b[cut])
    of_a, of_b, of_h0 = torch.autograd.grad(h[after].abs().sum(), given.inputs)
    assert all(grad.isfinite().all() for grad in (of_a[after], of_a[:, 0], of_b, of_h0))
    assert not of_h0.any()
    assert not of_a[cut].any()


@pytest.mark.parametrize("backend", BACKENDS, indirect=True)
@dtypes
@pytest.mark.parametrize("shape", [(0, 3, 2), (4, 0, 2), (4, 3, 0), (0, 0, 0), (0, 2)], ids=str)
def test_nothing_gives_nothing(backend: str, dtype: torch.dtype, shape: tuple[int, ...]) -> None:
    for shared, resets, reverse in itertools.product(("", "t", "tb"), (False, True), (False, True)):
        c = case(shape, dtype, shared if shape[0] else "", True, resets, reverse)
        h = c.run()
        assert h.shape == shape
        for grad, given in zip(torch.autograd.grad(h.abs().sum(), c.inputs), c.inputs, strict=True):
            assert grad.shape == given.shape
            assert not grad.any()


@pytest.mark.skipif(not SETS, reason="this installation has no C++ core")
@dtypes
@pytest.mark.parametrize("shape", [(7, 13, 50), (5, 1, 1000), (3, 600, 1)], ids=str)
def test_threads_change_no_bit(dtype: torch.dtype, shape: tuple[int, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recur, "ALONE", 1)
    for isa, resets in itertools.product(SETS, (False, True)):
        monkeypatch.setattr(cpu, "instruction_set", lambda isa=isa: isa)
        c = case(shape, dtype, resets=resets)
        expected = None
        for threads in (1, 2, 3, 16):
            monkeypatch.setattr(torch, "get_num_threads", lambda threads=threads: threads)
            h = c.run()
            found = [h, *gradients(c, h)]
            expected = expected or found
            assert all(torch.equal(g, e) for g, e in zip(found, expected, strict=True))


@pytest.mark.skipif(not SETS, reason="this installation has no C++ core")
@pytest.mark.parametrize("isa", SETS)
def test_the_instruction_set_of_the_environment_is_the_one_that_runs(isa: str) -> None:
    program = (
        "import torch; from unroll.kernels import recur; from unroll.kernels.linear import linear_recurrence as run\n"
        "names, core = [], recur.native().recur\n"
        "recur.native = lambda: type('', (), {'recur': lambda *a: names.append(a[0]) or core(*a)})\n"
        "h = run(torch.full((1, 1, 1), -0.5), torch.ones(4, 1, 37))\n"
        "assert h[:, 0, 36].tolist() == [1.0, 0.5, 0.75, 0.625]; print(*names)"
    )
    environment = {**os.environ, "UNROLL_ISA": isa}
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.split() == [isa]


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=str)
def test_a_dtype_without_c_is_looped_over(dtype: torch.dtype) -> None:
    c = case((5, 2, 3), torch.float32)
    h = linear_recurrence(*(t.detach().to(dtype) for t in c.inputs))
    assert h.dtype == dtype
    torch.testing.assert_close(h.float(), c.run().detach(), rtol=0, atol=0.1)


# Derivatives


@pytest.mark.parametrize("backend", [*SETS[:1], "loop"], indirect=True)
@pytest.mark.parametrize("dtype", [torch.float64, torch.complex128], ids=str)
@pytest.mark.parametrize("shared", ["", "tb"])
@pytest.mark.parametrize("reverse", [False, True])
def test_first_and_second_derivatives_are_those_of_finite_differences(
    backend: str, dtype: torch.dtype, shared: str, reverse: bool
) -> None:
    c = case((4, 2, 2), dtype, shared, resets=True, reverse=reverse)

    def function(*given: Tensor) -> Tensor:
        return c._replace(a=given[0], b=given[1], h0=given[2]).run()

    assert torch.autograd.gradcheck(function, c.inputs)
    assert torch.autograd.gradgradcheck(function, c.inputs)


@pytest.mark.parametrize("backend", [*SETS[:1], "loop"], indirect=True)
@pytest.mark.parametrize("dtype", [torch.float64, torch.complex128], ids=str)
@pytest.mark.parametrize("shared", ["", "tb"])
@pytest.mark.parametrize("reverse", [False, True])
def test_the_operators_are_what_torch_asks_of_one(backend: str, dtype: torch.dtype, shared: str, reverse: bool) -> None:
    for start, resets in itertools.product((False, True), repeat=2):
        c = case((4, 3, 2), dtype, shared, start, resets, reverse)
        opcheck(torch.ops.unroll.linear_recurrence.default, (c.a, c.b, c.h0, c.resets, reverse))
        opcheck(torch.ops.unroll.linear_recurrence_adjoint.default, (c.a, c.b, c.resets, reverse))


def test_it_compiles_with_a_free_time_length() -> None:
    def loss(a: Tensor, b: Tensor, h0: Tensor) -> Tensor:
        return linear_recurrence(a, b, h0, reverse=True).sin().sum()

    compiled = torch.compile(loss, backend="aot_eager", fullgraph=True, dynamic=True)
    for T in (2, 5, 9):
        c = case((T, 3, 4), torch.float64, "b")
        assert_near(
            list(torch.autograd.grad(compiled(*c.inputs), c.inputs)),
            list(torch.autograd.grad(loss(*c.inputs), c.inputs)),
            1e-14,
        )


@pytest.mark.parametrize("dims", [(0, 0, 0, 0), (2, 1, None, None), (None, -1, 0, None), (0, None, 1, 2)], ids=str)
@pytest.mark.parametrize("shared", ["", "b", "tb"])
@pytest.mark.parametrize("reverse", [False, True])
def test_vmap_is_the_loop_over_its_members(dims: tuple[Any, ...], shared: str, reverse: bool) -> None:
    size = 3
    members = [case((4, 2, 5), torch.float64, shared, True, True, reverse) for _ in range(size)]
    fields = [
        [(n + 1) * t.detach() if t.is_floating_point() else t.roll(n, 0) for n, t in enumerate(own)]
        for own in ([m[i] for m in members] for i in range(4))
    ]  # type: ignore[misc]
    given = [own[0] if dim is None else torch.stack(own, dim) for own, dim in zip(fields, dims)]

    def run(a: Tensor, b: Tensor, h0: Tensor, resets: Tensor) -> Tensor:
        return linear_recurrence(a, b, h0, resets=resets, reverse=reverse)

    def loss(*given: Tensor) -> Tensor:
        return run(*given).sin().sum()

    each = [[own[0] if dim is None else own[n] for own, dim in zip(fields, dims)] for n in range(size)]
    assert torch.equal(torch.func.vmap(run, dims)(*given), torch.stack([run(*own) for own in each]))
    of_all = torch.func.vmap(torch.func.grad(loss, (0, 1, 2)), dims)(*given)
    for n, own in enumerate(each):
        leaves = [t.requires_grad_() for t in own[:3]]
        expected = torch.autograd.grad(loss(*leaves, own[3]), leaves)
        assert_near([g[n] for g in of_all], list(expected), 1e-14)


def test_second_derivatives_of_transforms_are_those_of_autograd() -> None:
    c = case((4, 2, 3), torch.float64, "tb")

    def loss(a: Tensor) -> Tensor:
        return linear_recurrence(a, c.b.detach()).sin().sum()

    got = torch.func.jacrev(torch.func.jacrev(loss))(c.a.detach())
    assert_near([got], [torch.autograd.functional.hessian(loss, c.a.detach())], 1e-13)
