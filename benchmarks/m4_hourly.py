"""M4 hourly: 414 series, 48 hours ahead, one network for all, beside what the competition reached.

    python benchmarks/m4_hourly.py                  train, score, write the result
    python benchmarks/m4_hourly.py --out FOLDER     the same in a folder that is continued when killed
    python benchmarks/m4_hourly.py --small          two epochs; nothing is written

Data lie under $UNROLL_DATA (folder m4), else in ../shared/data. MASE is scaled as in the competition, by the mean
change over 24 hours in all rows before the test; the seasonal naive forecast has to give its published figures (MASE
1.193, sMAPE 13.912), or the script stops. The last 48 rows before the test choose the epoch and fit the intervals.
Recipes were compared on these rows too, though their test scores were printed beside; the choices are those of the
former. The result is results/m4_hourly.json.
"""

from __future__ import annotations

import argparse
import csv
import os
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from unroll import api
from unroll.data import Series
from unroll.files import write_json
from unroll.report import render_terminal
from unroll.tasks import DataOptions, Forecaster, ForecastOptions, LastValue, SeasonalNaive, prepare
from unroll.tasks.forecast.scores import seasonal_scale

HERE = Path(__file__).resolve().parent
DATA = Path(os.environ.get("UNROLL_DATA") or HERE.parents[1] / "shared" / "data") / "m4"
RESULT = HERE / "results" / "m4_hourly.json"
HORIZON, SEASON = 48, 24
READ = {"layout": "rows"}
LEARNED = {
    "horizon": HORIZON, "input": 336, "season": SEASON, "split": f"rest,{HORIZON},{HORIZON}", "normalise": "seasonal",
    "decode": "segments", "segment": SEASON, "interval": 0.95,
}  # fmt: skip
TRAINED = {
    "cell": "lstm",
    "hidden": 128,
    "dropout": 0.1,
    "lr": 1.5e-3,
    "batch_size": 128,
    "epochs": 20,
    "schedule": "cosine",
}
NAIVE = {"MASE": 1.193, "sMAPE": 13.912}
PUBLISHED = {"ES-RNN (winner)": {"MASE": 0.89, "sMAPE": 9.328}}


def table() -> pl.DataFrame:
    """One row per series: its name, its training values and the 48 of the test, with nothing after them."""
    rows = [[*known[:1], *known[1:], *after[1:]] for known, after in zip(_rows("train"), _rows("test"), strict=True)]
    width = max(map(len, rows))
    columns = [[row[k] if k < len(row) else None for row in rows] for k in range(width)]
    names = ["V1", *(f"V{k + 1}" for k in range(1, width))]
    return pl.DataFrame(
        {n: c if n == "V1" else [None if v is None else float(v) for v in c] for n, c in zip(names, columns)}
    )


def _rows(part: str) -> list[list[str]]:
    with (DATA / f"Hourly-{part}.csv").open(encoding="utf-8", newline="") as file:
        return [[value for value in row if value not in ("", "NA")] for row in list(csv.reader(file))[1:]]


def scored(task: Any, forecaster: Any) -> dict[str, float]:
    """MASE and sMAPE as the competition computes them."""
    truth = task.windows.targets_original("test", np.arange(task.windows.count("test")))
    forecast = task.forecast(forecaster, "test")
    scales = np.concatenate([_scale(task.series_set.series[k]) for k in truth.series])
    error, size = np.abs(truth.values - forecast)[..., 0], (np.abs(truth.values) + np.abs(forecast))[..., 0]
    return {"MASE": float((error.mean(1) / scales).mean()), "sMAPE": float(200.0 * (error / size).mean())}


def _scale(series: Series) -> np.ndarray:
    return seasonal_scale(series.values[:-HORIZON], SEASON)


def run(folder: Path, seed: int, small: bool) -> dict[str, Any]:
    frame = table()
    trained = {**TRAINED, "seed": seed, **({"epochs": 2} if small else {})}
    task = prepare(frame, DataOptions(**READ), ForecastOptions(**LEARNED))
    naive = scored(task, SeasonalNaive(SEASON))
    if any(abs(naive[name] - value) > 5e-4 for name, value in NAIVE.items()):
        raise SystemExit(f"the seasonal naive forecast gives {naive}, published is {NAIVE}: the data are others")
    result = api.train(frame, **READ, **LEARNED, **trained, out=folder).result
    print(render_terminal(result), flush=True)
    rows = {
        "network": Forecaster.load(folder).network,
        "seasonal naive": SeasonalNaive(SEASON),
        "last value": LastValue(),
    }
    figures = {name: scored(task, forecaster) for name, forecaster in rows.items()}
    for name, figure in {**figures, **PUBLISHED}.items():
        print(f"{name:<18} MASE {figure['MASE']:.3f}   sMAPE {figure['sMAPE']:.3f}", flush=True)
    kept = ("name", "parameters", "train_seconds", "scores", "lr", "seeds", "curves", "peak_memory_mb")
    repeat = result["repeat"]
    return {
        "command": f"python benchmarks/m4_hourly.py --seed {seed}",
        "recipe": {**LEARNED, **trained},
        "competition": {"scale": "mean change over 24 hours, all rows before the test", **figures},
        "published": PUBLISHED,
        "data": result["data"] | {"source": "m4/Hourly-train.csv, m4/Hourly-test.csv"},
        "protocol": result["protocol"],
        "forecasters": [{k: row[k] for k in kept if k in row} for row in [*result["candidates"], *result["baselines"]]],
        **{k: repeat[k] for k in ("machine", "versions", "started", "seconds")},
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--small", action="store_true", help="two epochs; nothing is written")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, help="run folder, continued when it is there")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        entry = run(asked.out or Path(folder) / "m4-hourly", asked.seed, asked.small)
    if not asked.small:
        write_json(RESULT, entry)


if __name__ == "__main__":
    main()
