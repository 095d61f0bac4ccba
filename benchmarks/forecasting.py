"""The main job on real series: what the networks reach beside the baselines, and what it costs.

    python benchmarks/forecasting.py                 every case below
    python benchmarks/forecasting.py co2 etth1-all   some of them

Data sets are found as the command line finds them (`unroll datasets use PATH`, `fetch NAME`, or UNROLL_DATA). The
last results are in results/forecasting.json, one entry per case: protocol, command, seeds, scores with intervals,
machine and versions.
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import unroll
from unroll.files import write_json
from unroll.report import render_terminal

RESULTS = Path(__file__).parent / "results" / "forecasting.json"
ETT = {"horizon": 96, "split": "8640,2880,2880"}
CASES: dict[str, tuple[str, dict[str, Any]]] = {
    "co2": ("co2", {"target": "co2", "horizon": 12, "missing": "carry"}),
    "airpassengers": ("airpassengers", {"target": "#Passengers"}),
    "etth1-OT": ("etth1", {"target": "OT", "budget": "3m", **ETT}),
    "etth1-all": ("etth1", {"target": "all", "metric": "scaled MSE", "budget": "6m", **ETT}),
    "m4-hourly": ("m4-hourly", {"layout": "rows", "horizon": 48, "split": "rest,48,48", "budget": "4m"}),
}


def run(name: str) -> dict[str, Any]:
    """One case: its table on stdout, its entry for the results file."""
    source, options = CASES[name]
    with tempfile.TemporaryDirectory() as folder:
        result = unroll.compare(source, **options, out=Path(folder) / name).result
    print(render_terminal(result), flush=True)
    kept = ("name", "parameters", "train_seconds", "scores", "scaled", "lr", "step_microseconds", "peak_memory_mb")
    rows = [{k: row[k] for k in kept if k in row} for row in [*result["candidates"], *result["baselines"]]]
    for row, candidate in zip(rows, result["candidates"]):
        row["gradient_horizon"] = candidate["gradient"]["horizon"]
    repeat = result["repeat"]
    return {
        "command": f"unroll.compare({source!r}, {', '.join(f'{k}={v!r}' for k, v in options.items())})",
        "data": result["data"],
        "task": result["task"],
        "protocol": result["protocol"],
        "answer": result["answer"],
        "forecasters": rows,
        **{k: repeat[k] for k in ("seeds", "machine", "versions", "started", "seconds", "budget_seconds")},
    }


def main() -> None:
    names = sys.argv[1:] or list(CASES)
    unknown = [name for name in names if name not in CASES]
    if unknown:
        sys.exit(f"no case {unknown[0]!r}; there are {', '.join(CASES)}")
    held = json.loads(RESULTS.read_text(encoding="utf-8")) if RESULTS.exists() else {}
    for name in names:
        held[name] = run(name)
        write_json(RESULTS, {case: held[case] for case in CASES if case in held})


if __name__ == "__main__":
    main()
