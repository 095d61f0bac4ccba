"""Conformal intervals: what share of the truth they hold where they should, and what early stopping costs.

    python benchmarks/intervals.py

Two questions, each answered by measuring; the result is results/intervals.json.

"stopping": autoregressive series of 500 rows, a network stopped early on 75 validation rows; its 90 % intervals are
fitted once on those windows and once on as many windows that nothing has looked at, and both are held against 2,000
later rows of the same process. The difference is what it costs to use the validation part twice.

"sets": real series, 90 % intervals by default, the share held on the test part beside that of the baselines.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from unroll import api
from unroll.comparison.run import Clock
from unroll.files import write_json
from unroll.tasks import DataOptions, ForecastOptions, NetworkOptions, prepare
from unroll.tasks.forecast.conformal import Conformal
from unroll.train import FitSettings, fit

RESULT = Path(__file__).parent / "results" / "intervals.json"
SERIES, LEARN, HELD, LATER, HORIZON = 20, 350, 75, 2_000, 4
LEVEL, EPOCHS = 0.9, 12
SETS: dict[str, tuple[str, dict[str, Any]]] = {
    "co2": ("co2", {"target": "co2", "horizon": 12, "missing": "carry"}),
    "airpassengers": ("airpassengers", {"target": "#Passengers"}),
    "etth1-OT": ("etth1", {"target": "OT", "horizon": 24, "split": "8640,2880,2880"}),
}


def process(rows: int, rng: np.random.Generator) -> np.ndarray:
    """x_t = 0.6 x_{t-1} + 0.3 x_{t-7} + noise."""
    x = np.zeros(rows + 100)
    for t in range(7, len(x)):
        x[t] = 0.6 * x[t - 1] + 0.3 * x[t - 7] + rng.normal()
    return x[100:]


def stopping() -> dict[str, Any]:
    """Coverage with intervals fitted on the windows that stopped the training, and on windows it has not seen."""
    found: dict[str, list[float]] = {"stopped on": [], "unseen": []}
    for seed in range(SERIES):
        values = process(LEARN + 2 * HELD + LATER, np.random.default_rng(seed))
        frame = pl.DataFrame({"y": values})
        shares = f"{LEARN},{HELD},{HELD + LATER}"
        options = ForecastOptions(horizon=HORIZON, input=14, season=7, split=shares, interval=LEVEL)
        task = prepare(frame, DataOptions(("y",), time="none"), options)
        network = task.network(NetworkOptions(hidden=16), seed)
        fit(network, task.problem(), FitSettings(seed=seed, epochs=15, patience=3))
        network.eval()
        errors = task.errors(network)
        windows = np.arange(task.windows.count("test"))
        fresh, late = windows[: task.windows.count("valid")], windows[HELD:]
        truth, told = task.windows.targets_original("test", windows).values, task.told(network, "test")
        deviation = task.deviation("test", windows)
        other = Conformal.fit(told[fresh], told[fresh], truth[fresh], deviation[fresh], LEVEL)
        assert other is not None
        low, high = other.bounds(told[late], told[late], deviation[late])
        inside = (low <= truth[late]) & (truth[late] <= high)
        found["stopped on"].append(float(errors.sums["covered"][late].sum() / errors.count[late].sum()))
        found["unseen"].append(float(inside.mean()))
    gaps = np.array(found["unseen"]) - np.array(found["stopped on"])
    return {
        "nominal": LEVEL,
        "series": SERIES,
        "coverage": {name: _mean(values) for name, values in found.items()},
        "cost": _mean(gaps),
        "each": found,
    }


def _mean(values: Any) -> dict[str, float]:
    values = np.asarray(values)
    return {"mean": float(values.mean()), "standard_error": float(values.std(ddof=1) / len(values) ** 0.5)}


def sets() -> dict[str, Any]:
    """Coverage, width and MSIS of a GRU and of the baselines on real series."""
    found = {}
    for name, (source, options) in SETS.items():
        with tempfile.TemporaryDirectory() as folder:
            result = api.train(source, **options, epochs=EPOCHS, out=Path(folder) / name).result
        rows = [*result["candidates"], *result["baselines"]]
        kept = ("coverage", "interval width", "MSIS", "MASE")
        found[name] = {
            "options": options,
            "nominal": result["task"]["interval"],
            "windows": result["data"]["windows"],
            "forecasters": {row["name"]: {m: row["scores"][m] for m in kept} for row in rows},
        }
        for row in rows:
            print(name, row["name"], {m: round(row["scores"][m]["mean"], 3) for m in kept}, flush=True)
    return found


def main() -> None:
    clock, began = Clock(), time.monotonic()
    content = {"stopping": stopping()}
    print(content["stopping"]["coverage"], content["stopping"]["cost"], flush=True)
    content["sets"] = sets()
    record = clock.record("python benchmarks/intervals.py", {}, list(range(SERIES)), machine={}, budget=None)
    kept = ("command", "versions", "machine", "started")
    write_json(RESULT, {**{k: record[k] for k in kept}, "seconds": round(time.monotonic() - began, 1), **content})


if __name__ == "__main__":
    main()
