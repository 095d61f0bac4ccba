"""Compiled and exported layers beside eager ones: the same numbers first, then the time of each.

    python benchmarks/compiled_layers.py
    python benchmarks/compiled_layers.py --json benchmarks/results/compiled_layers.json

Three tables: inductor's code beside eager layers, with the seconds the first call takes; ONNX Runtime beside eager
layers; and what a graph's size and first call do as T grows. "scan" is what runs where no operator fits, measured here
for the layers that have one too. One thread; a time is that which the processor spent, the median over repeats that
alternate. Where numbers differ by more than 1e-5 of the largest, no speed is printed.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import io
import logging
import statistics
import sys
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any
from unittest.mock import patch

import torch
from torch import Tensor
from torch._inductor import config as inductor
from torch.export import Dim
from torch.fx import GraphModule

import unroll.nn
from unroll import kernels
from unroll.files import write_json
from unroll.kernels import onnx_op
from unroll.machine import machine, versions

TOLERANCE = 1e-5
SHAPES = ((100, 16, 64), (1000, 1, 64))
RUNTIME_SHAPES = ((100, 1, 64), (100, 32, 64))
GROWTH = (10, 100, 1000)
SECONDS_PER_REPEAT = 0.02
LAYERS: dict[str, Callable[[int], torch.nn.Module]] = {
    "RNN": lambda H: unroll.nn.RNN(H, H),
    "LSTM": lambda H: unroll.nn.LSTM(H, H),
    "GRU": lambda H: unroll.nn.GRU(H, H),
    "GRU before": lambda H: unroll.nn.GRU(H, H, reset="before"),
}
PLAIN = ("RNN", "LSTM", "GRU")


def scan_alone() -> AbstractContextManager[Any]:
    """Graphs without operators, as if none fitted."""
    return patch.object(kernels, "_engine_in_graph", lambda operator, x: None)


def flat(result: Any) -> list[Tensor]:
    return [result] if isinstance(result, Tensor) else [tensor for part in result for tensor in flat(part)]


def differ(got: Sequence[Tensor], expected: Sequence[Tensor]) -> bool:
    pairs = [(a.detach(), b.detach()) for a, b in zip(got, expected, strict=True)]
    return max(float((a - b).abs().max() / b.abs().max().clamp(min=1)) for a, b in pairs) > TOLERANCE


def timed(call: Callable[[], Any], calls: int) -> float:
    begin = time.process_time()
    for _ in range(calls):
        call()
    return (time.process_time() - begin) / calls


def medians(calls: dict[str, Callable[[], Any]], repeats: int) -> dict[str, float]:
    """Microseconds of each call by name."""
    counts = {name: max(1, round(SECONDS_PER_REPEAT / timed(call, 2))) for name, call in calls.items()}
    times: dict[str, list[float]] = {name: [] for name in calls}
    for repeat in range(repeats):
        for name in list(calls) if repeat % 2 else reversed(list(calls)):
            times[name].append(timed(calls[name], counts[name]))
    return {f"{name}_microseconds": round(statistics.median(own) * 1e6, 1) for name, own in times.items()}


# torch.compile


def worker(layer: torch.nn.Module, function: Callable[..., Any], x: Tensor, work: str) -> Callable[[], list[Tensor]]:
    def forward() -> list[Tensor]:
        with torch.no_grad():
            return flat(function(x))

    def training() -> list[Tensor]:
        results = flat(function(x))
        return [*results, *torch.autograd.grad(results[0].sum(), list(layer.parameters()))]

    return forward if work == "forward" else training


def compiled_case(name: str, work: str, shape: tuple[int, int, int], repeats: int) -> dict[str, Any]:
    T, B, H = shape
    torch.manual_seed(0)
    layer, x = LAYERS[name](H), torch.randn(T, B, H)
    row: dict[str, Any] = {"layer": name, "work": work, "T": T, "batch": B, "hidden": H}
    eager = worker(layer, layer, x, work)
    expected = eager()
    for kind, how in {"compiled": nullcontext(), "scan": scan_alone()}.items():
        if kind == "scan" and name not in PLAIN:  # it is what runs anyway
            continue
        torch.compiler.reset()
        call = worker(layer, torch.compile(lambda x: layer(x), fullgraph=True), x, work)
        with how:
            begin = time.perf_counter()
            got = call()
            row[f"{kind}_first_call_seconds"] = round(time.perf_counter() - begin, 1)
            if differ(got, expected):
                return row | {"equal": False}
            # Both are one piece of code to dynamo, so one is measured before the other is made.
            row = row | medians({"eager": eager, kind: call}, repeats) | row
    return row | {"equal": True}


# ONNX Runtime


def session_of(layer: torch.nn.Module, H: int) -> tuple[Any, list[str]]:
    import onnxruntime

    free = ({0: Dim("T"), 1: Dim("B")},)
    program = torch.onnx.export(layer, (torch.randn(7, 3, H),), dynamic_shapes=free, dynamo=True, verbose=False)
    assert program is not None
    kept, options = io.BytesIO(), onnxruntime.SessionOptions()
    program.save(kept)
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(kept.getvalue(), options, providers=["CPUExecutionProvider"])
    return session, [node.op_type for node in program.model_proto.graph.node]


def runtime_cases(name: str, repeats: int) -> Iterator[dict[str, Any]]:
    H = RUNTIME_SHAPES[0][2]
    torch.manual_seed(0)
    layer = LAYERS[name](H).eval()
    sessions = {}
    without_operators = patch.object(onnx_op, "fits", lambda operator, x: False)
    for kind, how in {"runtime": nullcontext(), "scan": without_operators}.items():
        with how:
            sessions[kind], operators = session_of(layer, H)
            if kind == "runtime":
                used = next(known for known in operators if known in ("LSTM", "GRU", "Scan"))
    for T, B, _ in RUNTIME_SHAPES:
        x = torch.randn(T, B, H)
        eager = worker(layer, layer, x, "forward")
        calls: dict[str, Callable[[], Any]] = {"eager": eager}
        equal = True
        for kind, session in sessions.items():
            inputs = {session.get_inputs()[0].name: x.numpy()}
            calls[kind] = lambda session=session, inputs=inputs: session.run(None, inputs)
            equal &= not differ([torch.from_numpy(a) for a in calls[kind]()], eager())
        row = {"layer": name, "operator": used, "T": T, "batch": B, "hidden": H, "equal": equal}
        yield row | (medians(calls, repeats) if equal else {})


# Growth with T


def growth_case(name: str, T: int) -> dict[str, Any]:
    torch.manual_seed(0)
    layer, x = LAYERS[name](8), torch.randn(T, 4, 8)
    counts: list[int] = []

    def count(graph: GraphModule, _: Any) -> Any:
        counts.append(sum(len(part.graph.nodes) for part in graph.modules() if isinstance(part, GraphModule)))
        return graph.forward

    torch.compiler.reset()
    torch.compile(lambda x: layer(x), fullgraph=True, backend=count)(x)
    torch.compiler.reset()
    begin = time.perf_counter()
    got = torch.compile(lambda x: layer(x), fullgraph=True)(x)
    seconds = round(time.perf_counter() - begin, 1)
    equal = not differ(flat(got), flat(layer(x)))
    return {"layer": name, "T": T, "equal": equal, "nodes": sum(counts), "first_call_seconds": seconds}


# The whole


def cells(row: dict[str, Any]) -> str:
    if not row["equal"]:
        return f"{row['layer']:<12} the numbers differ: no speed"
    return "  ".join(
        f"{name.replace('_microseconds', ' µs')} {value}" for name, value in row.items() if name != "equal"
    )


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Compiled and exported layers beside eager ones.")
    parser.add_argument("--json", type=Path, metavar="PATH", help="write the result there, with machine and versions")
    parser.add_argument("--repeats", type=int, default=21, help="how often each case is timed (%(default)s)")
    return parser.parse_args()


def main() -> None:
    given = arguments()
    started = time.strftime("%Y-%m-%dT%H:%M:%S%z")
    torch.set_num_threads(1)
    inductor.force_disable_caches = True
    logging.disable(logging.WARNING)
    warnings.simplefilter("ignore")
    tables: dict[str, list[dict[str, Any]]] = {"compiled": [], "onnx_runtime": [], "growth": []}

    def note(table: str, row: dict[str, Any]) -> None:
        tables[table].append(row)
        print(cells(row), flush=True)

    LAYERS["RNN"](2)(torch.randn(2, 2, 2))
    torch.compile(torch.sin)(torch.ones(1))  # what the first compilation of a process alone takes
    for T in GROWTH:
        for name in ("LSTM", "GRU before"):
            note("growth", growth_case(name, T))
    for shape in SHAPES:
        for name in LAYERS:
            for work in ("forward", "training"):
                note("compiled", compiled_case(name, work, shape, given.repeats))
    for name in LAYERS:
        for row in runtime_cases(name, given.repeats):
            note("onnx_runtime", row)
    if given.json:
        how = {"repeats": given.repeats, "threads": 1, "clock": "processor", "dtype": "float32", "started": started}
        known = versions() | {"onnxruntime": importlib.metadata.version("onnxruntime")}
        write_json(given.json, {**how, "machine": machine(), "versions": known, **tables})
    if not all(row["equal"] for table in tables.values() for row in table):
        sys.exit("some numbers differ from the eager layers'")


if __name__ == "__main__":
    main()
