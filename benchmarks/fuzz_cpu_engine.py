"""The C++ engine on shapes drawn at random, against the step loop in float64.

    python benchmarks/fuzz_cpu_engine.py
    python benchmarks/fuzz_cpu_engine.py 2000 --seed 7
    python benchmarks/fuzz_cpu_engine.py 1 --first 4711
    python benchmarks/fuzz_cpu_engine.py --out benchmarks/results/fuzz_cpu_engine.json

Every case is a kind of layer with its options, sizes, lengths, direction, dtype, masks, instruction set, number of
threads, length of the engine's blocks, and whether gates are kept; compared are the output, the final state and every
gradient. A case is known by its seed and number. What --out writes counts the shapes done, so that a run that was cut
short goes on from there with --first.
"""

from __future__ import annotations

import argparse
import random
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple
from unittest.mock import patch

import torch
from torch import Tensor

from unroll import nn as un
from unroll.files import write_json
from unroll.kernels import cpu, reference
from unroll.kernels.cpu import layer as engine
from unroll.machine import machine, versions
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
ROUNDING = 2.0**-52
SHARE, MOST = 10, 1e-3
"""In float64 a case is ill-conditioned, and no failure, where the engine is at most ``SHARE`` times as far from the
reference as the reference is from itself once all it is given is off by one rounding, and not further than ``MOST``.
A layer norm on large weights is chaotic."""


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


class Off(NamedTuple):
    """Differences from the reference, forward and in gradients: of the engine, and of the reference when nudged."""

    case: Case
    engine: tuple[float, float]
    own: tuple[float, float]

    @property
    def ill_conditioned(self) -> bool:
        tolerance = TOLERANCE[self.case.dtype]
        return not beyond(self.engine, [max(min(SHARE * own, MOST), most) for own, most in zip(self.own, tolerance)])

    def __str__(self) -> str:
        told = f"off by {self.engine[0]:.2g} forward, {self.engine[1]:.2g} backward"
        if self.ill_conditioned:
            told += f" (the reference, off by one rounding, by {self.own[0]:.2g} and {self.own[1]:.2g})"
        return f"{told}: {self.case}"


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


class Drawn(NamedTuple):
    """The numbers of a case: a cell with its weights, inputs and state, masks."""

    cell: un.Cell
    x: Tensor
    leaves: list[Tensor]
    noise: Any
    how: dict[str, Any]


def drawn(c: Case) -> Drawn:
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
    return Drawn(cell, x, leaves, noise, {"lengths": lengths, "reverse": c.reverse})


def by_engine(c: Case, d: Drawn) -> list[Tensor]:
    """Output, final state, then all gradients."""
    inputs = [t.clone().requires_grad_() for t in (d.x, *d.leaves)]
    with as_it_says(c):
        program = d.cell.program(d.noise is not None)
        assert program is not None
        output, final = cpu.run(program, inputs[0], tuple(inputs[1:]), **d.how, noise=d.noise)
        wanted = [*inputs, *d.cell.parameters()]
        return [output, *final, *torch.autograd.grad(weighted(output, final), wanted)]


def by_steps(c: Case, d: Drawn, nudge: float = 0.0) -> list[Tensor]:
    """The same by the step loop in float64; every number given to it off by up to ``nudge`` of itself."""
    generator = torch.Generator().manual_seed(2)

    def near(t: Tensor) -> Tensor:
        t = t.detach().double()
        return t * (1 + nudge * (2 * torch.rand(t.shape, generator=generator, dtype=t.dtype) - 1))

    twin = c.cell().double().train(d.cell.training)
    twin.load_state_dict({name: near(weight) for name, weight in d.cell.state_dict().items()})
    wide = [near(t).requires_grad_() for t in (d.x, *d.leaves)]
    noise = None if d.noise is None else d.noise.map(Tensor.double, Tensor.double)
    output, final = reference.run(twin, wide[0], type(twin.initial_state(1))(*wide[1:]), **d.how, noise=noise)
    wanted = [*wide, *twin.parameters()]
    return [output, *final, *torch.autograd.grad(weighted(output, final), wanted, materialize_grads=True)]


def differences(c: Case) -> Off:
    """How far the engine is from the reference and, where that is much, the reference from itself."""
    d = drawn(c)
    expected = by_steps(c, d)
    engine = largest(by_engine(c, d), expected, 1 + len(d.leaves))
    own = (0.0, 0.0)
    if c.dtype is torch.float64 and beyond(engine, TOLERANCE[c.dtype]):
        own = largest(by_steps(c, d, ROUNDING), expected, 1 + len(d.leaves))
    return Off(c, engine, own)


def largest(got: Sequence[Tensor], expected: Sequence[Tensor], results: int) -> tuple[float, float]:
    """The largest difference, forward and in gradients."""
    off = [apart(a, b) for a, b in zip(got, expected, strict=True)]
    return max(off[:results]), max(off[results:])


def beyond(off: Sequence[float], most: Sequence[float]) -> bool:
    return any(not a <= b for a, b in zip(off, most))


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


def findings(seed: int, numbers: range) -> Iterator[Off]:
    """The cases that are further apart than the tolerance."""
    for number in numbers:
        found = differences(case(seed, number))
        if beyond(found.engine, TOLERANCE[found.case.dtype]):
            yield found


def failures(seed: int, numbers: range) -> Iterator[Off]:
    """Those that the equation does not make so by itself."""
    return (found for found in findings(seed, numbers) if not found.ill_conditioned)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("count", nargs="?", type=int, default=COUNT, help="how many shapes (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=2026)
    parser.add_argument("--first", type=int, default=0, help="number of the first case")
    parser.add_argument("--out", type=Path, help="JSON file to write as it goes")
    options = parser.parse_args()
    if options.count < 1:
        parser.error("count must be at least 1")
    if cpu.native() is None:
        sys.exit("this installation has no engine")
    torch.set_num_threads(1)
    begun, found = time.monotonic(), list[Off]()
    for begin in range(options.first, options.first + options.count, 1000):
        end = min(begin + 1000, options.first + options.count)
        for one in findings(options.seed, range(begin, end)):
            found.append(one)
            print(one, flush=True)
        told = record(options.seed, options.first, end - options.first, found, time.monotonic() - begun)
        print(f"{told['shapes']} shapes, {len(told['failures'])} failed, {told['seconds']} s", flush=True)
        if options.out is not None:
            write_json(options.out, told)
    return 1 if told["failures"] else 0


def record(seed: int, first: int, shapes: int, found: Sequence[Off], taken: float) -> dict[str, Any]:
    return {
        "shapes": shapes,
        "seed": seed,
        "first": first,
        "failures": [str(one) for one in found if not one.ill_conditioned],
        "ill_conditioned": [str(one) for one in found if one.ill_conditioned],
        "seconds": round(taken),
        "tolerance": {str(dtype): bounds for dtype, bounds in TOLERANCE.items()},
        "compiler": cpu.native().compiler(),
        "machine": machine(),
        "versions": versions(),
    }


if __name__ == "__main__":
    sys.exit(main())
