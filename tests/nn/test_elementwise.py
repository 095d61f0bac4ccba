"""The recurrences of IndRNN and SRU in C++ and as a loop, against plain loops in float64."""

from __future__ import annotations

import itertools
from typing import Any, NamedTuple

import pytest
import torch
from test_linear_recurrence import BACKENDS, SETS, assert_near, poison, use  # noqa: F401
from torch import Tensor
from torch.library import opcheck

from unroll.errors import ConfigError
from unroll.kernels import cpu, recur
from unroll.kernels.elementwise import NONLINEARITIES, indrnn, sru

SHAPES = [(1, 1, 1), (7, 3, 5), (3, 2, 600), (40, 1, 33), (12, 70, 2)]
FORWARD = {torch.float32: 3e-6, torch.float64: 1e-13}
BACKWARD = {torch.float32: 3e-5, torch.float64: 1e-12}
KINDS = (*NONLINEARITIES, "sru")

kinds = pytest.mark.parametrize("kind", KINDS)
backends = pytest.mark.parametrize("isa", BACKENDS)
dtypes = pytest.mark.parametrize("dtype", list(FORWARD), ids=str)


class Case(NamedTuple):
    """The tensors of one recurrence: w, u, h0, or gates, v_f, v_r, skip, c0."""

    kind: str
    inputs: list[Tensor]
    resets: Tensor | None
    start: bool

    def run(self) -> list[Tensor]:
        given = self.inputs if self.start else [*self.inputs[:-1], None]  # type: ignore[list-item]
        if self.kind == "sru":
            return list(sru(*given, resets=self.resets))  # type: ignore[arg-type]
        return [indrnn(*given, resets=self.resets, nonlinearity=self.kind)]  # type: ignore[arg-type]

    def by_hand(self) -> list[Tensor]:
        first = self.inputs[-1] if self.start else torch.zeros_like(self.inputs[-1])
        return (
            of_sru(*self.inputs[:-1], first, self.resets)
            if self.kind == "sru"
            else [of_indrnn(self.kind, *self.inputs[:-1], first, self.resets)]
        )

    def gradients(self, found: list[Tensor]) -> list[Tensor]:
        generator = torch.Generator().manual_seed(7)
        weights = [torch.randn(t.shape, generator=generator, dtype=torch.float64).to(t.dtype) for t in found]
        return list(torch.autograd.grad(found, self.inputs, weights, materialize_grads=True, allow_unused=True))

    def to(self, dtype: torch.dtype) -> Case:
        return self._replace(inputs=[t.detach().to(dtype).requires_grad_() for t in self.inputs])


def case(kind: str, shape: tuple[int, ...], dtype: torch.dtype, resets: bool = False, start: bool = True) -> Case:
    """In numbers of float32, so that a wider twin begins with the same."""
    generator = torch.Generator().manual_seed(sum(shape))
    T, B, H = shape
    draw = lambda *size: torch.randn(*size, generator=generator)  # noqa: E731
    inputs = [draw(T, B, 3 * H), draw(H), draw(H), draw(T, B, H)] if kind == "sru" else [draw(T, B, H), draw(H)]
    marks = torch.rand(T, B, generator=generator) < 0.3
    marks[0, 0] = True
    return Case(kind, [*inputs, draw(B, H)], marks if resets else None, start).to(dtype)


def of_indrnn(kind: str, w: Tensor, u: Tensor, h: Tensor, resets: Tensor | None) -> Tensor:
    out = []
    for t in range(len(w)):
        if resets is not None:
            h = h * ~resets[t].unsqueeze(-1)
        a = w[t] + u * h
        h = a.relu() if kind == "relu" else a.tanh()
        out.append(h)
    return torch.stack(out)


def of_sru(gates: Tensor, v_f: Tensor, v_r: Tensor, skip: Tensor, c: Tensor, resets: Tensor | None) -> list[Tensor]:
    """Lei et al. 2018, eq. 1-4."""
    out = []
    for t in range(len(gates)):
        if resets is not None:
            c = c * ~resets[t].unsqueeze(-1)
        x, p, q = gates[t].chunk(3, -1)
        f, r = torch.sigmoid(p + v_f * c), torch.sigmoid(q + v_r * c)
        c = f * c + (1 - f) * x
        out.append((r * c + (1 - r) * skip[t], c))
    return [torch.stack(part) for part in zip(*out)]


@kinds
@backends
@dtypes
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_numbers_and_gradients_are_those_of_a_plain_loop(
    kind: str,
    isa: str,
    dtype: torch.dtype,
    shape: tuple[int, ...],
    monkeypatch: pytest.MonkeyPatch,
    poison: None,  # noqa: F811
) -> None:
    use(isa, monkeypatch)
    for resets, start in itertools.product((False, True), repeat=2):
        own = case(kind, shape, dtype, resets, start)
        twin = own.to(torch.float64)
        found, expected = own.run(), twin.by_hand()
        assert all(t.is_contiguous() for t in found)
        assert_near(found, expected, FORWARD[dtype])
        assert_near(own.gradients(found), twin.gradients(expected), BACKWARD[dtype])


@kinds
@backends
def test_any_strides_are_read_right(kind: str, isa: str, monkeypatch: pytest.MonkeyPatch) -> None:
    use(isa, monkeypatch)
    own = case(kind, (6, 4, 10), torch.float64, resets=True)
    assert own.resets is not None
    views = [
        lambda t: t.movedim(-1, 0).contiguous().movedim(0, -1),
        lambda t: t.transpose(0, 1).contiguous().transpose(0, 1) if t.dim() > 1 else t,
        lambda t: torch.cat([t, t], -1)[..., : t.shape[-1]],
        lambda t: torch._neg_view(-t),
    ]
    for view in views:
        given = own._replace(inputs=[view(t.detach()) for t in own.inputs], resets=own.resets.t().contiguous().t())
        assert_near(given.run(), own.run(), 0.0 if isa in SETS else 1e-15)


@kinds
@backends
@dtypes
@pytest.mark.parametrize("shape", [(0, 3, 2), (4, 0, 2), (4, 3, 0)], ids=str)
def test_nothing_gives_nothing(
    kind: str, isa: str, dtype: torch.dtype, shape: tuple[int, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    use(isa, monkeypatch)
    inputs = [
        t.new_zeros(*shape[:2], *t.shape[2:]) if t.dim() == 3 else t for t in case(kind, (1, 1, shape[2]), dtype).inputs
    ]
    inputs[-1] = inputs[0].new_zeros(shape[1:])
    own = Case(kind, inputs, None, True).to(dtype)
    found = own.run()
    assert all(t.shape == shape for t in found)
    assert [g.shape for g in own.gradients(found)] == [t.shape for t in inputs]


@pytest.mark.skipif(not SETS, reason="this installation has no C++ core")
@kinds
@dtypes
@pytest.mark.parametrize("shape", [(7, 13, 50), (5, 1, 1000), (3, 600, 1)], ids=str)
def test_threads_change_no_bit(
    kind: str, dtype: torch.dtype, shape: tuple[int, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recur, "ALONE", 1)
    for isa, resets in itertools.product(SETS, (False, True)):
        monkeypatch.setattr(cpu, "instruction_set", lambda isa=isa: isa)
        own, expected = case(kind, shape, dtype, resets), None
        for threads in (1, 2, 3, 16):
            monkeypatch.setattr(torch, "get_num_threads", lambda threads=threads: threads)
            found = own.run()
            found = [*found, *own.gradients(found)]
            expected = expected or found
            assert all(torch.equal(g, e) for g, e in zip(found, expected, strict=True))


@backends
def test_what_is_not_a_number_stays_one_in_its_unit_alone(isa: str, monkeypatch: pytest.MonkeyPatch) -> None:
    use(isa, monkeypatch)
    for kind in KINDS:
        own = case(kind, (5, 2, 40), torch.float32)
        with torch.no_grad():
            own.inputs[0][2, 1, 3] = float("nan")
        for found in own.run():
            wrong = found.isnan()
            assert wrong[2:, 1, 3].all()
            assert int(wrong.sum()) == 3


@kinds
@pytest.mark.parametrize("isa", [*SETS[:1], "loop"])
@pytest.mark.parametrize("resets", [False, True])
def test_first_and_second_derivatives_are_those_of_finite_differences(
    kind: str, isa: str, resets: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    use(isa, monkeypatch)
    own = case(kind, (4, 2, 2), torch.float64, resets)

    def function(*inputs: Tensor) -> tuple[Tensor, ...]:
        return tuple(own._replace(inputs=list(inputs)).run())

    assert torch.autograd.gradcheck(function, own.inputs)
    assert torch.autograd.gradgradcheck(function, own.inputs)


@pytest.mark.parametrize("resets", [False, True])
def test_the_operators_are_what_torch_asks_of_one(resets: bool) -> None:
    for kind in NONLINEARITIES:
        own = case(kind, (4, 3, 2), torch.float64, resets)
        opcheck(torch.ops.unroll.indrnn.default, (*own.inputs, own.resets, kind))
    own = case("sru", (4, 3, 2), torch.float64, resets)
    opcheck(torch.ops.unroll.sru.default, (*own.inputs, own.resets))


T, B, H = 4, 3, 2
INDRNN = {"w": torch.zeros(T, B, H), "u": torch.zeros(H)}
SRU = {"gates": torch.zeros(T, B, 3 * H), "v_f": torch.zeros(H), "v_r": torch.zeros(H), "skip": torch.zeros(T, B, H)}
BAD: list[tuple[dict[str, Any], str]] = [
    ({"w": torch.zeros(T, H)}, "indrnn: w"),
    ({"w": torch.zeros(T, B, H, dtype=torch.complex64)}, "indrnn: w"),
    ({"w": torch.zeros(T, B, H, dtype=torch.int64)}, "indrnn: w"),
    ({"u": torch.zeros(H + 1)}, "indrnn: u"),
    ({"u": torch.zeros(H, dtype=torch.float64)}, "indrnn: u"),
    ({"h0": torch.zeros(1, H)}, "indrnn: h0"),
    ({"resets": torch.zeros(T, B)}, "indrnn: resets"),
    ({"nonlinearity": "gelu"}, "indrnn: nonlinearity 'gelu'"),
    ({"skip": torch.zeros(T, B)}, "sru: skip"),
    ({"gates": torch.zeros(T, B, H)}, "sru: gates"),
    ({"gates": torch.zeros(T, B, 3 * H, device="meta")}, "sru: gates"),
    ({"v_f": torch.zeros(1)}, "sru: v_f"),
    ({"v_r": torch.zeros(H, dtype=torch.float16)}, "sru: v_r"),
    ({"c0": torch.zeros(B + 1, H)}, "sru: c0"),
    ({"resets": torch.zeros(T + 1, B, dtype=torch.bool), "skip": SRU["skip"]}, "sru: resets"),
]


@pytest.mark.parametrize(("changed", "message"), BAD, ids=[f"{m}, {n}" for n, (_, m) in enumerate(BAD)])
def test_what_does_not_fit_is_refused_before_it_is_read(changed: dict[str, Any], message: str) -> None:
    run, good = (sru, SRU) if message.startswith("sru") else (indrnn, INDRNN)
    run(**good)  # type: ignore[operator]
    with pytest.raises(ConfigError, match=message):
        run(**good | changed)  # type: ignore[operator]
