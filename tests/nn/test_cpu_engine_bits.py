"""What the C++ engine promises to the bit, fresh memory, threads and processes.

The recurrence does not depend on the rows beside a row, on how time is cut into blocks, or on the number of threads.
torch's products around it do, by a rounding error; with W_ih = 1 they are exact, which leaves the engine alone.
"""

from __future__ import annotations

import multiprocessing
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import torch
from engine_runs import (
    BACKWARD,
    F64,
    SETS,
    Numbers,
    assert_near,
    blocks_of,
    dtypes,
    every_kind,
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
from test_laws import Shape, build, call, flat
from torch import Tensor

from unroll import kernels
from unroll.kernels.cpu import layer as engine

GATES = {"layer:RNN": 1, "layer:RNN-relu": 1, "layer:LSTM": 4, "layer:GRU": 3}
every_set = pytest.mark.parametrize("isa", SETS)
sizes = pytest.mark.parametrize("H", [1, 5, 17, 50, 130])


class Exact:
    """A layer whose input has a feature for every gate and W_ih = 1, so that a product with W_ih rounds nothing."""

    def __init__(self, kind: str, H: int, dtype: torch.dtype, T: int, B: int, is_ragged: bool) -> None:
        self.shape = Shape(T, B, GATES[kind] * H, H)
        self.layer = build(kind, self.shape, dtype)
        torch.nn.init.eye_(self.layer.weight_ih_l0)
        generator = torch.Generator().manual_seed(5)
        draw = lambda *size: torch.randn(*size, generator=generator, dtype=dtype)  # noqa: E731
        leaves = 2 if kind == "layer:LSTM" else 1
        self.x, self.states = draw(T, B, self.shape.inputs), [draw(1, B, H) for _ in range(leaves)]
        self.weights = [draw(T, B, H), *(draw(1, B, H) for _ in range(leaves))]
        self.lengths = lengths_of(self.shape, is_ragged)

    def run(self, rows: slice = slice(None)) -> tuple[list[Tensor], list[Tensor]]:
        """Of some rows: output, final state and the gradients of input and initial state; those of the parameters."""
        inputs = [t[:, rows].clone().requires_grad_() for t in (self.x, *self.states)]
        given = inputs[1] if len(inputs) == 2 else tuple(inputs[1:])
        with kernels.use("cpu"):
            output, final = self.layer(inputs[0], given, self.lengths and self.lengths[rows])
        parts = [output, final] if isinstance(final, Tensor) else [output, *final]
        loss = sum((part * weight[:, rows]).sum() for part, weight in zip(parts, self.weights))
        of_inputs = torch.autograd.grad(loss, inputs, retain_graph=True)
        return [*(p.detach() for p in parts), *of_inputs], list(torch.autograd.grad(loss, self.layer.parameters()))


@every_kind
@dtypes
@every_set
@sizes
@ragged
def test_rows_blocks_and_threads_change_no_bit(
    kind: str, dtype: torch.dtype, isa: str, H: int, is_ragged: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    case = Exact(kind, H, dtype, T=7, B=13, is_ragged=is_ragged)
    set_of(monkeypatch, isa)
    expected, of_parameters = case.run()
    again = case.run()
    assert same(again[0], expected)
    assert same(again[1], of_parameters)
    for groups in (1, 4, 9):
        found = [case.run(slice(begin, begin + groups))[0] for begin in range(0, 13, groups)]
        assert same([torch.cat(parts, 1) for parts in zip(*found)], expected)
    for steps in (1, 3):
        with monkeypatch.context() as patch:
            blocks_of(patch, steps)
            assert same(case.run()[0], expected)
    for threads in (2, 3, 16):
        with monkeypatch.context() as patch:
            threads_of(patch, threads)
            found, of_weights = case.run()
            again = case.run()[1]
        assert same(found, expected)
        # Each thread sums the gradients of its rows: they are repeatable for a number of threads.
        assert same(of_weights, again)
        assert off(of_weights, of_parameters) <= BACKWARD[dtype]


@every_kind
@dtypes
def test_two_threads_of_torch_too_give_the_numbers_of_one(
    kind: str, dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    case = prepared(kind, Shape(31, 9, 17, 17), dtype, True, num_layers=2)
    expected = twin_of(*case)
    monkeypatch.setattr(engine, "ALONE", 0)
    torch.set_num_threads(2)
    try:
        got, again = numbers(*case), numbers(*case)
    finally:
        torch.set_num_threads(1)
    assert same([*got.forward, *got.backward], [*again.forward, *again.backward])
    assert_near(got, expected, dtype)


@pytest.fixture
def poison() -> Iterator[None]:
    """Fresh memory of torch holds NaN, or the largest integer."""
    torch.use_deterministic_algorithms(True)
    assert torch.zeros(2).new_empty(5).isnan().all()
    assert torch.empty_like(torch.zeros(5)).isnan().all()
    yield
    torch.use_deterministic_algorithms(False)


@every_kind
@dtypes
@ragged
@pytest.mark.parametrize("steps", [None, 1, 4])
def test_nothing_is_read_before_it_is_written(
    kind: str, dtype: torch.dtype, is_ragged: bool, steps: int | None, poison: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    layer, x, states, lengths = prepared(kind, Shape(7, 9, 3, 17), dtype, is_ragged, num_layers=2, bidirectional=True)
    blocks_of(monkeypatch, steps)
    assert_near(numbers(layer, x, states, lengths), twin_of(layer, x, states, lengths), dtype)
    with torch.no_grad(), kernels.use("cpu"):
        kept = flat(*call(layer, x, states, lengths))
    assert same(kept, numbers(layer, x, states, lengths).forward)


@every_kind
def test_a_row_that_is_not_a_number_leaves_the_others_as_they_are(kind: str) -> None:
    case = Exact(kind, 17, F64, T=7, B=9, is_ragged=False)
    expected, _ = case.run()
    case.x[3, 4, 2], case.x[2, 7, 1] = float("nan"), float("inf")
    got, _ = case.run()
    others = [row for row in range(9) if row not in (4, 7)]
    # Of the others' gradients a product with W_ih makes NaN of nothing: only their own rows enter it.
    assert same([g[:, others] for g in got], [e[:, others] for e in expected])
    assert got[0][3:, 4].isnan().any()


@every_kind
def test_calls_from_several_python_threads_at_once(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    threads_of(monkeypatch, 2)
    cases = [prepared(kind, Shape(63, 3, 5, 10 + number), F64, True) for number in range(8)]
    expected = [twin_of(*case) for case in cases]

    def work(case: Any) -> Numbers:
        for _ in range(5):
            got = numbers(*case)
        return got

    with ThreadPoolExecutor(8) as pool:
        for got, right in zip(pool.map(work, cases), expected):
            assert_near(got, right, F64)


def _in_child(case: Exact, answers: Any) -> None:
    parts, of_parameters = case.run()
    answers.put([t.numpy() for t in (*parts, *of_parameters)])


@pytest.mark.skipif(not hasattr(__import__("os"), "fork"), reason="no fork here")
@every_kind
def test_a_forked_child_runs_the_engine_as_its_parent_did(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    threads_of(monkeypatch, 2)
    case = Exact(kind, 17, F64, T=7, B=9, is_ragged=True)
    parts, of_parameters = case.run()
    context = multiprocessing.get_context("fork")
    answers = context.Queue()
    child = context.Process(target=_in_child, args=(case, answers))
    child.start()
    try:
        got = [torch.from_numpy(a) for a in answers.get(timeout=300)]
    finally:
        child.join(10)
        child.kill()
    assert same(got, [*parts, *of_parameters])


WITHOUT_THREADS = """
import resource, threading, torch
from unroll import kernels, nn
from unroll.kernels.cpu import layer as layer_of_engine
torch.set_num_threads(1)
torch.manual_seed(0)
layer, x = nn.GRU(5, 17), torch.randn(30, 6, 5)
def run():
    with kernels.use("cpu"):
        output = layer(x)[0]
    return [output.detach(), *torch.autograd.grad(output.sum(), layer.parameters())]
expected = run()
layer_of_engine.ALONE, torch.get_num_threads = 0, lambda: 4
size = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (size + (4 << 20), -1))
try:
    threading.Thread(target=print).start()
except RuntimeError:
    print("no thread to be had")
output, *grads = run()
# The gradients of the weights are summed in as many parts as there were to be threads.
print(torch.equal(output, expected[0]) and all(torch.allclose(a, b, atol=1e-4) for a, b in zip(grads, expected[1:])))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="limits memory as Linux does")
def test_where_the_system_gives_no_thread_the_call_runs_alone() -> None:
    told = subprocess.run([sys.executable, "-c", WITHOUT_THREADS], capture_output=True, text=True)
    assert told.stdout.splitlines() == ["no thread to be had", "True"], told.stderr
