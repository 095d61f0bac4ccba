"""The C++ engine on shapes drawn at random, against the step loop in float64.

    python benchmarks/fuzz_cpu_engine.py
    python benchmarks/fuzz_cpu_engine.py 2000 --seed 7
    python benchmarks/fuzz_cpu_engine.py 1 --first 4711

Every case is a kind of layer with its options, sizes, lengths, direction, dtype, masks, instruction set, number of
threads, length of the engine's blocks, and whether gates are kept; compared are the output, the final state and every
gradient. A case is known by its seed and number.
"""

from __future__ import annotations

import argparse
import random
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial
from typing import Any, NamedTuple
from unittest.mock import patch

import torch
from torch import Tensor

from unroll import nn as un
from unroll.kernels import cpu, reference
from unroll.kernels.cpu import layer as engine
from unroll.nn.cells import GREFF

COUNT = 100_000
CELLS: dict[str, Any] = {
    "rnn_tanh": un.RNNCell,
    "rnn_relu": lambda *sizes: un.RNNCell(*sizes, nonlinearity="relu"),
    "lstm": un.LSTMCell,
    "gru": un.GRUCell,
    "gru_write": partial(un.GRUCell, update="write"),
    "gru_before": partial(un.GRUCell, reset="before"),
    "gru_before_write": partial(un.GRUCell, reset="before", update="write"),
    "mgu": un.MGUCell,
    "janet": un.JANETCell,
    "lstm_options": un.LSTMCell,
}
TOLERANCE = {torch.float64: (1e-10, 1e-10), torch.float32: (2e-6, 2e-5)}
"""Forward and gradients, relative to the largest number of a tensor where that is above 1."""


class Case(NamedTuple):
    """``scale`` multiplies the weights; ``steps`` is how many the engine takes at a time."""

    seed: int
    number: int
    kind: str
    bias: bool
    T: int
    B: int
    inputs: int
    H: int
    lengths: tuple[int, ...] | None
    reverse: bool
    dtype: torch.dtype
    scale: float
    isa: str
    threads: int
    steps: int
    kept: bool
    options: dict[str, Any]

    def cell(self) -> un.Cell:
        return CELLS[self.kind](self.inputs, self.H, self.bias, **self.options)  # type: ignore[no-any-return]


def case(seed: int, number: int) -> Case:
    """Number ``number`` of a seed."""
    draw = random.Random(f"{seed} {number}")
    small_or_not = lambda small, large: draw.randint(1, draw.choice([small, small, large]))  # noqa: E731
    T, B = small_or_not(8, 40), small_or_not(5, 30)
    lengths = tuple(draw.choice([0, T, draw.randint(0, T)]) for _ in range(B))
    dtype = draw.choice([torch.float32, torch.float64])
    kind, H = draw.choice(list(CELLS)), small_or_not(20, 140)
    options = lstm_options(draw, H, dtype) if kind == "lstm_options" else {}
    return Case(
        seed,
        number,
        kind=kind,
        bias=draw.random() < 0.7,
        T=T,
        B=B,
        inputs=small_or_not(4, 40),
        H=H,
        lengths=draw.choice([None, lengths]),
        reverse=draw.random() < 0.5,
        dtype=dtype,
        scale=draw.choice([0.5, 1.0, 2.0]) if dtype is torch.float64 else 1.0,
        isa=draw.choice(cpu.native().instruction_sets()),
        threads=draw.choice([1, 1, 2, 3]),
        steps=draw.choice([T, small_or_not(3, T)]),
        kept=draw.random() < 0.5,
        options=options,
    )


def lstm_options(draw: random.Random, H: int, dtype: torch.dtype) -> dict[str, Any]:
    """Some of what an LSTM may have. A layer norm multiplies rounding by what it divides by: in float64 alone."""
    every: dict[str, Any] = {
        "variant": draw.choice([name for name in GREFF if name != "FGR"]),
        "clip": draw.choice([0.3, 1.0]),
        "zoneout": draw.choice([0.3, (0.4, 0.0), (0.0, 0.4)]),
        "recurrent_dropout": 0.3,
    }
    if H > 1:
        every["proj_size"] = draw.randint(1, H - 1)
    if dtype is torch.float64:
        every["layer_norm"] = True
    return {name: value for name, value in every.items() if draw.random() < 0.5} or {"peepholes": True}


def differences(c: Case) -> tuple[float, float]:
    """The engine's largest difference from the reference, forward and in gradients."""
    generator = torch.Generator().manual_seed(c.number)
    torch.manual_seed(c.number)
    cell = c.cell().to(c.dtype).train(c.number % 3 > 0)
    with torch.no_grad():
        for p in cell.parameters():
            p *= c.scale
    lengths = None if c.lengths is None else torch.tensor(c.lengths)
    x = torch.randn(c.T, c.B, c.inputs, generator=generator, dtype=c.dtype)
    if lengths is not None:
        x[torch.arange(c.T).unsqueeze(1) >= lengths] = 0
    leaves = [torch.randn(leaf.shape, generator=generator, dtype=c.dtype) for leaf in cell.initial_state(c.B)]
    noise = cell.draw(c.T, x[0]) if cell.training else None
    inputs = [x.requires_grad_(), *(leaf.requires_grad_() for leaf in leaves), *cell.parameters()]
    how: dict[str, Any] = {"lengths": lengths, "reverse": c.reverse}
    with as_it_says(c):
        program = cell.program(noise is not None)
        assert program is not None
        output, final = cpu.run(program, x, tuple(leaves), **how, noise=noise)
        own = [output, *final, *torch.autograd.grad(weighted(output, final), inputs)]
    twin = c.cell().double().train(cell.training)
    twin.load_state_dict(cell.state_dict())
    wide = [t.detach().double().requires_grad_() for t in inputs[: 1 + len(leaves)]]
    same = None if noise is None else noise.map(Tensor.double, Tensor.double)
    output, final = reference.run(twin, wide[0], type(twin.initial_state(1))(*wide[1:]), **how, noise=same)
    grads = torch.autograd.grad(weighted(output, final), [*wide, *twin.parameters()], materialize_grads=True)
    parts = 1 + len(leaves)
    off = [apart(a, b) for a, b in zip(own, [output, *final, *grads], strict=True)]
    return max(off[:parts]), max(off[parts:])


def as_it_says(c: Case) -> ExitStack:
    """The engine set up as the case says."""
    stack = ExitStack()
    for target, name, value in (
        (engine, "BLOCK", c.steps),
        (engine, "KEPT", 1 << 26 if c.kept else 0),
        (engine, "ALONE", 0),
        (engine, "instruction_set", lambda: c.isa),
        (torch, "get_num_threads", lambda: c.threads),
    ):
        stack.enter_context(patch.object(target, name, value))
    return stack


def weighted(output: Tensor, final: Any) -> Tensor:
    """A loss that weighs every number differently, the same in every dtype."""
    generator = torch.Generator().manual_seed(1)
    parts = [output, *final]
    return sum(  # type: ignore[return-value]
        (p * torch.randn(p.shape, generator=generator, dtype=torch.float64).to(p.dtype)).sum() for p in parts
    )


def apart(got: Tensor, expected: Tensor) -> float:
    difference = float((got.detach().double() - expected.detach()).abs().max())
    return difference / max(1.0, float(expected.detach().abs().max())) if difference == difference else float("inf")


def failures(seed: int, numbers: range) -> Iterator[tuple[Case, float, float]]:
    """The cases that are further apart than the tolerance, with how far."""
    for number in numbers:
        c = case(seed, number)
        forward, backward = differences(c)
        if forward > TOLERANCE[c.dtype][0] or backward > TOLERANCE[c.dtype][1]:
            yield c, forward, backward


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("count", nargs="?", type=int, default=COUNT, help="how many shapes (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=2026)
    parser.add_argument("--first", type=int, default=0, help="number of the first case")
    options = parser.parse_args()
    if cpu.native() is None:
        sys.exit("this installation has no engine")
    torch.set_num_threads(1)
    begun, failed = time.monotonic(), 0
    for begin in range(options.first, options.first + options.count, 1000):
        end = min(begin + 1000, options.first + options.count)
        for c, forward, backward in failures(options.seed, range(begin, end)):
            failed += 1
            print(f"off by {forward:.2g} forward, {backward:.2g} backward: {c}", flush=True)
        print(f"{end - options.first} shapes, {failed} failed, {time.monotonic() - begun:.0f} s", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
