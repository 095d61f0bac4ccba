"""Layers and cells beside torch.nn's: the same numbers first, then the time of each.

    python benchmarks/cpu_layers.py
    python benchmarks/cpu_layers.py --threads 2 --json benchmarks/results/cpu_layers.json

Each library runs in a process of its own and only one of the two works at a time. On one thread a time is that which
the processor spent on the process, so that other work on the machine counts as little as possible; on several it is the
time on the clock. Repeats alternate between the libraries: a time is the median over repeats, a ratio the median of the
ratios of neighbouring repeats. Where outputs or states differ by more than 2e-6 of the largest, or gradients by more
than 2e-5, no speed is printed.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from unroll.files import write_json
from unroll.machine import machine, versions

LIBRARIES = ("torch", "unroll")
FAMILIES = ("RNN", "LSTM", "GRU")
SHAPES = (
    (100, 32, 10, 20),
    (2000, 100, 1, 50),
    (128, 32, 128, 128),
    (35, 64, 200, 200),
    (35, 20, 650, 650),
    (1000, 1, 64, 128),
    (784, 128, 1, 128),
    (512, 8, 256, 512),
    (1000, 1, 64, 64),
    (100, 1, 32, 32),
    (16, 4, 16, 32),
)
CELL_SIZES = (32, 128)
SECONDS_PER_REPEAT = 0.03
SECONDS_PER_CASE = 4.0
FORWARD, BACKWARD = 2e-6, 2e-5
"""What may lie between two numbers, relative to the largest of their tensor."""


class Case(NamedTuple):
    """``shape`` is (T, batch, input_size, hidden_size); ``work`` is forward, backward or step."""

    family: str
    work: str
    shape: tuple[int, int, int, int]


def cases() -> Iterator[Case]:
    for shape in SHAPES:
        for family in FAMILIES:
            yield Case(family, "forward", shape)
            yield Case(family, "backward", shape)
    for size in CELL_SIZES:
        for family in FAMILIES:
            yield Case(family, "step", (1, 1, size, size))


# The process of one library


def serve(library: str, threads: int) -> None:
    """Answer the requests on stdin: a case with a file to write its numbers to, or with ``calls`` for its time.

    Each request builds its layer anew: where the weights happen to lie in memory is worth a few per cent of a step.
    """
    import numpy as np
    import torch

    torch.set_num_threads(threads)
    clock = time.process_time if threads == 1 else time.perf_counter
    layers = torch.nn if library == "torch" else importable_layers()
    for line in sys.stdin:
        request = json.loads(line)
        case = Case(request["family"], request["work"], tuple(request["shape"]))
        call = prepare(layers, case)
        numbers = call()
        if "calls" in request:
            answer: Any = timed(call, request["calls"], clock)
        else:
            np.savez(request["file"], *(tensor.detach().numpy() for tensor in numbers))
            answer = len(numbers)
        print(json.dumps(answer), flush=True)


def importable_layers() -> Any:
    import unroll.nn

    return unroll.nn


def prepare(layers: Any, case: Case) -> Callable[[], list[Any]]:
    """A call of the case that returns every tensor it computes. Weights and input depend on the case alone."""
    import torch

    T, B, inputs, hidden = case.shape
    torch.manual_seed(0)
    if case.work == "step":
        cell, x = getattr(layers, f"{case.family}Cell")(inputs, hidden), torch.randn(B, inputs)
        state = cell(x)
        return without_gradient(lambda: flat(cell(x, state)))
    layer, x = getattr(layers, case.family)(inputs, hidden), torch.randn(T, B, inputs)
    if case.work == "forward":
        return without_gradient(lambda: flat(layer(x)))
    x.requires_grad_()

    def backward() -> list[Any]:
        layer.zero_grad(set_to_none=True)
        x.grad = None
        results = flat(layer(x))
        results[0].sum().backward()
        return [*results, x.grad, *(p.grad for p in layer.parameters())]

    return backward


def without_gradient(call: Callable[[], list[Any]]) -> Callable[[], list[Any]]:
    import torch

    def run() -> list[Any]:
        with torch.no_grad():
            return call()

    return run


def flat(result: Any) -> list[Any]:
    return [tensor for part in result for tensor in flat(part)] if isinstance(result, tuple) else [result]


def timed(call: Callable[[], Any], calls: int, clock: Callable[[], float]) -> float:
    """Seconds of one call, over ``calls`` of them."""
    begin = clock()
    for _ in range(calls):
        call()
    return (clock() - begin) / calls


# The process that asks


class Library:
    """A process that runs the cases with one library."""

    def __init__(self, name: str, threads: int) -> None:
        self.name = name
        command = [sys.executable, __file__, "--serve", name, "--threads", str(threads)]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def ask(self, case: Case, **more: Any) -> Any:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps(case._asdict() | more) + "\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline()
        if not answer:
            sys.exit(f"the process of {self.name} ended at {case}")
        return json.loads(answer)

    def close(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait()


def differences(libraries: list[Library], case: Case) -> list[float]:
    """The largest difference between each two tensors, relative to the largest number in them."""
    import numpy as np

    with tempfile.TemporaryDirectory() as folder:
        files = [str(Path(folder) / f"{library.name}.npz") for library in libraries]
        for library, file in zip(libraries, files):
            library.ask(case, file=file)
        theirs, ours = (np.load(file) for file in files)
        return [
            float(np.abs(ours[name] - theirs[name]).max() / max(1e-30, np.abs(theirs[name]).max()))
            for name in theirs.files
        ]


def measure(libraries: list[Library], case: Case, most: int) -> dict[str, Any]:
    """The case's row, or a row without times where the two disagree."""
    row = {"family": case.family, "work": case.work, **dict(zip(("T", "batch", "input", "hidden"), case.shape))}
    apart = differences(libraries, case)
    results = 3 if case.family == "LSTM" and case.work != "step" else 2
    bounds = [FORWARD] * results + [BACKWARD] * len(apart)
    row["apart"] = float(f"{max(apart):.2g}")
    if any(not difference <= bound for difference, bound in zip(apart, bounds)):
        return row | {"equal": False}
    once = max(library.ask(case, calls=1) for library in libraries)
    calls = max(1, round(SECONDS_PER_REPEAT / once))
    repeats = max(5, min(most, round(SECONDS_PER_CASE / (2 * once * calls))))
    times: dict[str, list[float]] = {name: [] for name in LIBRARIES}
    for repeat in range(repeats):
        for library in libraries if repeat % 2 else reversed(libraries):
            times[library.name].append(library.ask(case, calls=calls))
    ratios = [theirs / ours for theirs, ours in zip(times["torch"], times["unroll"])]
    low, ratio, high = statistics.quantiles(ratios, n=4)
    microseconds = {f"{name}_microseconds": round(statistics.median(times[name]) * 1e6, 2) for name in LIBRARIES}
    quartiles = [round(low, 3), round(high, 3)]
    return row | {"equal": True, **microseconds, "faster": round(ratio, 3), "quartiles": quartiles, "repeats": repeats}


def summary(rows: list[dict[str, Any]]) -> dict[str, float]:
    """How many times faster than torch, by kind of work: the geometric mean over shapes."""
    found: dict[str, list[float]] = {}
    for row in rows:
        if row["equal"]:
            found.setdefault(f"{row['family']} {row['work']}", []).append(row["faster"])
    return {name: round(statistics.geometric_mean(values), 2) for name, values in found.items()}


def line(row: dict[str, Any]) -> str:
    name = f"{row['family']:<5}{row['work']:<10}{row['T']:>5}{row['batch']:>6}{row['input']:>6}{row['hidden']:>7}"
    if not row["equal"]:
        return f"{name}   the two differ by {row['apart']}: no speed"
    low, high = row["quartiles"]
    times = f"{row['torch_microseconds']:>12.1f}{row['unroll_microseconds']:>12.1f}"
    return f"{name}{times}{row['faster']:>9.2f}   {low:.2f} to {high:.2f}"


HEAD = (
    f"{'':<15}{'T':>5}{'batch':>6}{'input':>6}{'hidden':>7}"
    f"{'torch µs':>12}{'unroll µs':>12}{'faster':>9}   middle half of the ratios torch / unroll"
)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="unroll's layers beside torch.nn's: equal numbers, then times.")
    parser.add_argument("--json", type=Path, metavar="PATH", help="write the result there, with machine and versions")
    parser.add_argument("--repeats", type=int, default=61, help="how often each case is timed at most (%(default)s)")
    parser.add_argument("--threads", type=int, default=1, help="threads of each library (%(default)s)")
    parser.add_argument("--serve", choices=LIBRARIES, help=argparse.SUPPRESS)
    return parser.parse_args()


def main() -> None:
    given = arguments()
    if given.serve:
        serve(given.serve, given.threads)
        return
    started = time.strftime("%Y-%m-%dT%H:%M:%S%z")
    libraries = [Library(name, given.threads) for name in LIBRARIES]
    rows = []
    print(HEAD)
    for case in cases():
        rows.append(measure(libraries, case, given.repeats))
        print(line(rows[-1]), flush=True)
    for library in libraries:
        library.close()
    means = summary(rows)
    print("geometric means:", ", ".join(f"{name} {value}" for name, value in means.items()))
    if given.json:
        clock = "processor" if given.threads == 1 else "wall"
        how = {"threads": given.threads, "clock": clock, "dtype": "float32", "started": started}
        write_json(given.json, {**how, "machine": machine(), "versions": versions(), "faster": means, "rows": rows})
    if not all(row["equal"] for row in rows):
        sys.exit("some numbers differ from torch's by more than they may")


if __name__ == "__main__":
    main()
