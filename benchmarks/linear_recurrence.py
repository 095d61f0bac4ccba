"""The linear recurrence beside a plain C++ loop and a loop over torch's operators; the cells on it beside their steps.

    python benchmarks/linear_recurrence.py
    python benchmarks/linear_recurrence.py --json benchmarks/results/linear_recurrence.json

The plain loop is the five lines below, compiled here for this machine; once into memory that is there, once into memory
of its own as the operator has to make it. One thread, the time that the processor spent; medians over repeats that
alternate, the torch loop apart from the others, since what it leaves in the allocator slows them. Where numbers differ
by more than 1e-5 of the largest, no speed is printed.
"""

from __future__ import annotations

import argparse
import ctypes
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

import unroll.nn
from unroll import kernels
from unroll.files import write_json
from unroll.kernels.linear import linear_recurrence
from unroll.machine import machine, versions

TOLERANCE = 1e-5
SHAPES = ((1024, 8, 256), (4096, 4, 256), (16384, 1, 256))
LAYER_SHAPES = ((1000, 1, 64), (100, 32, 128))
CELLS = ("indrnn", "sru", "qrnn")
SECONDS_PER_REPEAT = 0.02
PLAIN_LOOP = """
extern "C" void plain(long steps, long width, const float* a, const float* b, float* h) {
    for (long i = 0; i < width; ++i) h[i] = b[i];
    for (long t = 1; t < steps; ++t)
        for (long i = 0; i < width; ++i)
            h[t * width + i] = a[t * width + i] * h[(t - 1) * width + i] + b[t * width + i];
}
"""

Calls = dict[str, Callable[[], Any]]


def compiled_loop(folder: Path) -> Callable[..., Any] | None:
    """The plain loop as a function, or None without a compiler."""
    compiler = shutil.which(os.environ.get("CXX", "c++"))
    if compiler is None:
        return None
    source, library = folder / "plain.cpp", folder / "plain.so"
    source.write_text(PLAIN_LOOP, encoding="utf-8")
    subprocess.run([compiler, "-O3", "-march=native", "-shared", "-fPIC", source, "-o", library], check=True)
    return ctypes.CDLL(str(library)).plain


def torch_loop(a: Tensor, b: Tensor) -> Tensor:
    steps = [b[0]]
    for t in range(1, len(b)):
        steps.append(torch.addcmul(b[t], a[t], steps[-1]))
    return torch.stack(steps)


def timed(call: Callable[[], Any], calls: int) -> float:
    begin = time.process_time()
    for _ in range(calls):
        call()
    return (time.process_time() - begin) / calls


def medians(calls: Calls, repeats: int) -> dict[str, float]:
    """Milliseconds of each call by name."""
    counts = {name: max(1, round(SECONDS_PER_REPEAT / max(timed(call, 2), 1e-9))) for name, call in calls.items()}
    for name, count in counts.items():
        timed(calls[name], 2 * count)  # until the allocator has settled
    times: dict[str, list[float]] = {name: [] for name in calls}
    for repeat in range(repeats):
        for name in list(calls) if repeat % 2 else reversed(list(calls)):
            times[name].append(timed(calls[name], counts[name]))
    return {name: round(statistics.median(own) * 1e3, 3) for name, own in times.items()}


def equal(got: Any, expected: Any) -> bool:
    pairs = zip(got, expected, strict=True)
    return all(
        float((a - b).detach().abs().max()) <= TOLERANCE * max(1.0, float(b.detach().abs().max())) for a, b in pairs
    )


def recurrence(shape: tuple[int, int, int], plain: Callable[..., Any] | None, repeats: int) -> dict[str, Any]:
    T, B, D = shape
    a, b = torch.rand(shape) * 2 - 1, torch.randn(shape)
    kept = torch.empty(shape)
    calls: Calls = {"operator": lambda: linear_recurrence(a, b)}

    def run_plain(h: Tensor) -> Tensor:
        assert plain is not None
        plain(ctypes.c_long(T), ctypes.c_long(B * D), *(ctypes.c_void_p(t.data_ptr()) for t in (a, b, h)))
        return h

    if plain is not None:
        calls |= {"plain loop": lambda: run_plain(kept), "in new memory": lambda: run_plain(torch.empty(shape))}
    row = {"T": T, "batch": B, "features": D}
    times = medians(calls, repeats) | medians({"torch loop": lambda: torch_loop(a, b)}, repeats)
    expected = torch_loop(a.double(), b.double())
    same = equal([call() for call in calls.values()], [expected] * len(calls))
    return row | {"equal": same} | ({"milliseconds": times} if same else {})


def layer(name: str, shape: tuple[int, int, int], training: bool, repeats: int) -> dict[str, Any]:
    T, B, H = shape
    torch.manual_seed(0)
    own = unroll.nn.Recurrent(unroll.nn.CELLS[name].make(H, H))
    x = torch.randn(T, B, H)

    def run(backend: str) -> list[Tensor]:
        with kernels.use(backend), torch.set_grad_enabled(training):
            output, _ = own(x)
        return list(torch.autograd.grad(output.sum(), list(own.parameters()))) if training else [output]

    same = equal(run("auto"), run("reference"))
    row = {"cell": name, "work": "training" if training else "forward", "T": T, "batch": B, "hidden": H, "equal": same}
    calls: Calls = {"whole": lambda: run("auto"), "steps": lambda: run("reference")}
    return row | ({"milliseconds": medians(calls, repeats)} if same else {})


def printed(row: dict[str, Any]) -> str:
    what = "  ".join(str(value) for key, value in row.items() if key not in ("milliseconds", "equal"))
    if not row["equal"]:
        return f"{what:32} NUMBERS DIFFER"
    return f"{what:32} " + "   ".join(f"{name} {value:9.3f} ms" for name, value in row["milliseconds"].items())


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=11)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    result: dict[str, Any] = {"repeats": options.repeats, "threads": 1, "clock": "processor", "dtype": "float32"}
    result |= {"started": time.strftime("%Y-%m-%dT%H:%M:%S%z"), "machine": machine(), "versions": versions()}
    with tempfile.TemporaryDirectory() as folder:
        plain = compiled_loop(Path(folder))
        if plain is None:
            print("no C++ compiler here: the plain loop is left out")
        result["recurrences"] = [recurrence(shape, plain, options.repeats) for shape in SHAPES]
    result["layers"] = [
        layer(name, shape, training, options.repeats)
        for name in CELLS
        for training in (False, True)
        for shape in LAYER_SHAPES
    ]
    rows = [*result["recurrences"], *result["layers"]]
    print(*map(printed, rows), sep="\n")
    if options.json:
        write_json(options.json, result)
    return 0 if all(row["equal"] for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
