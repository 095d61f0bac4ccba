"""A made-up result with the shape of a real comparison, from formulas, so that nothing needs training."""

from __future__ import annotations

import copy
import datetime
import math
import random
from typing import Any

HORIZON, INPUT, SEASON = 12, 104, 52
METRICS = {"MASE": 1.0, "MAE": 0.43, "RMSE": 0.55, "sMAPE": 0.19}
COMMAND = "unroll compare --config runs/co2/config.yaml"

# name, cell, parameters, MASE, spread, epochs, decades lost per lag, decades at start, gate
CELLS: list[tuple[str, str, int, float, float, int, float, float, str | None]] = [
    ("GRU 64", "gru", 13132, 0.612, 0.021, 14, 0.031, 0.075, "z"),
    ("LSTM 64", "lstm", 17420, 0.624, 0.032, 18, 0.0145, 0.118, "f"),
    ("RNN 64", "rnn", 4428, 0.783, 0.061, 11, 0.34, 0.47, None),
]
BASELINES: list[tuple[str, int, float, float, float]] = [
    ("ridge AR(104)", 104, 0.1, 0.662, 0.018),
    ("seasonal naive", 0, 0.0, 1.0, 0.0),
    ("last value", 0, 0.0, 1.713, 0.0),
]


def fake_result(seeds: int = 3) -> dict[str, Any]:
    """Three cells, three baselines and two examples of a weekly series."""
    return {
        "schema": 1,
        "kind": "comparison",
        "unroll": "0.1.0",
        "name": "co2",
        "task": {
            "name": "forecast", "targets": ["co2"], "features": [], "horizon": HORIZON, "input": INPUT,
            "season": SEASON, "season_source": "detected", "metric": "MASE", "match": "hidden",
        },
        "data": {
            "source": "co2.csv", "fingerprint": "9f2c" * 16, "series": 1, "rows": 2284, "missing": 59,
            "unit": "weeks", "split": {"train": 1599, "valid": 342, "test": 343},
            "windows": {"train": 1484, "valid": 331, "test": 332},
            "notes": ["59 missing values carried forward as inputs, not scored"],
        },
        "protocol": (
            "The series is cut in time: the first 70 % train, the next 15 % validate, the last 15 % test. "
            "The scaler is fitted on the training range. Windows may look back across a cut but are never "
            "scored across one. Every test window counts once."
        ),
        "answer": {
            "recommended": "GRU 64",
            "winner": None,
            "sentences": [
                "Use GRU 64: 8 % better than the best baseline (3 … 12 %), level with LSTM 64 at three "
                "quarters of its parameters.",
                "RNN 64 cannot see the yearly season: its gradient fades after 6 of 52 weeks. "
                "Try: --init orthogonal",
            ],
            "warnings": [],
        },
        "candidates": [candidate(*cell, seeds=seeds, offset=i) for i, cell in enumerate(CELLS)],
        "baselines": [baseline(*row) for row in BASELINES],
        "examples": [example(40), example(71)],
        "failures": [],
        "repeat": {
            "command": COMMAND,
            "config": {"data": "co2.csv", "target": "co2", "horizon": HORIZON, "seeds": list(range(seeds))},
            "seeds": list(range(seeds)),
            "versions": {"unroll": "0.1.0", "torch": "2.13.0", "python": "3.11.7", "numpy": "2.3.1"},
            "machine": {
                "processor": "x86-64 at 2.9 GHz", "cores": 2, "memory_gb": 23.4, "workers": 2,
                "threads_per_worker": 1, "instruction_sets": ["avx512", "avx2", "portable"],
            },
            "started": "2026-11-20T10:15:00Z",
            "seconds": 141.0,
            "budget_seconds": None,
        },
    }  # fmt: skip


def candidate(
    name: str, cell: str, parameters: int, mase: float, spread: float, epochs: int,
    decay: float, decay_start: float, gate: str | None, *, seeds: int = 3, offset: int = 0,
) -> dict[str, Any]:  # fmt: skip
    """One trained candidate; ``decay`` is how many decades its gradient loses per lag."""
    rng = random.Random(offset)
    factors = [1 + spread * rng.uniform(-0.9, 0.9) for _ in range(seeds)]
    factors = [f * seeds / sum(factors) for f in factors]
    at_start = _gradient(decay_start, 0.9)
    trained = _gradient(decay, 0.35)
    return {
        "name": name, "cell": cell, "hidden": 64, "layers": 1, "lr": 0.003,
        "lr_search": [{"lr": 0.001, "valid_loss": 0.21}, {"lr": 0.003, "valid_loss": 0.19}],
        "parameters": parameters,
        "train_seconds": round(parameters / 640, 2),
        "step_microseconds": round(2 + parameters / 340, 1),
        "peak_memory_mb": 290.0 + parameters / 600,
        "scores": {m: _interval(mase * k, spread) for m, k in METRICS.items()},
        "scaled": {"MSE": 0.5 * mase**2, "MAE": 0.65 * mase},
        "seeds": [
            {"seed": s, "scores": {m: mase * k * f for m, k in METRICS.items()}, "epochs": epochs + s,
             "best_epoch": epochs + s - 4, "train_seconds": parameters / 640, "stopped": "early"}
            for s, f in enumerate(factors)
        ],
        "curves": [_curve(s, epochs + s, mase * f, rng) for s, f in enumerate(factors)],
        "gradient": {
            **trained, "at_start": {k: at_start[k] for k in ("median", "q25", "q75")},
            "horizon": next((k for k, v in zip(trained["lags"], trained["median"]) if v is None or v < -2), None),
            "span": INPUT - 1,
        },
        "keep": None if gate is None else _keep(gate, 0.12 / decay),
    }  # fmt: skip


def baseline(name: str, parameters: int, seconds: float, mase: float, spread: float) -> dict[str, Any]:
    return {
        "name": name,
        "parameters": parameters,
        "train_seconds": seconds,
        "scores": {m: _interval(mase * k, spread) for m, k in METRICS.items()},
        "scaled": {"MSE": 0.5 * mase**2, "MAE": 0.65 * mase},
    }


def example(start: int) -> dict[str, Any]:
    """Forecasts of the weeks from ``start`` on, with one missing value in the history."""
    rng = random.Random(start)
    wiggle = [rng.uniform(-0.35, 0.35) for _ in range(INPUT + HORIZON)]
    level = [_co2(start + i) + w for i, w in enumerate(wiggle)]
    history: list[float | None] = [*level[:INPUT]]
    history[INPUT - 9] = None
    truth = level[INPUT:]
    times = [_week(start + i) for i in range(INPUT + HORIZON)]
    forecasts = {}
    for name, error, drift in [("GRU 64", 0.22, 0.01), ("LSTM 64", 0.2, -0.02), ("RNN 64", 0.3, 0.085),
                               ("ridge AR(104)", 0.25, -0.05), ("seasonal naive", 0.5, -0.13),
                               ("last value", 0.0, 0.0)]:  # fmt: skip
        smooth = [_co2(start + INPUT + h) + rng.uniform(-error, error) / 2 + drift * h for h in range(HORIZON)]
        forecasts[name] = [level[INPUT - 1]] * HORIZON if name == "last value" else smooth
    return {
        "series": "co2", "target": "co2", "history_times": times[:INPUT], "history": history,
        "times": times[INPUT:], "truth": truth, "forecasts": forecasts,
    }  # fmt: skip


def crowded_result() -> dict[str, Any]:
    """Ten candidates of every family, some with names that are far too long, and ten seeds."""
    result = fake_result(seeds=10)
    shapes = [
        ("GRU 64", "gru", "z"), ("GRU (reset before) 64", "gru_reset_before", "z"), ("GRU 128x2", "gru", "z"),
        ("LSTM 64", "lstm", "f"), ("LSTM 64x2", "lstm", "f"), ("RNN 64", "rnn", None),
        ("RNN relu 64", "rnn_relu", None), ("Mamba 64", "mamba", None), ("liquid 64", "ltc", None),
        ("a cell of my own with a name that nobody would want to read in a table", "mine", "f"),
    ]  # fmt: skip
    result["candidates"] = [
        candidate(
            name, cell, 13000 * (i + 1), 0.6 + 0.035 * i, 0.03 + 0.002 * i, 12 + 2 * i,
            0.01 + 0.012 * i, 0.05 + 0.03 * i, gate, seeds=10, offset=i,
        )
        for i, (name, cell, gate) in enumerate(shapes)
    ]  # fmt: skip
    for shown in result["examples"]:
        rng = random.Random(1)
        ridge = shown["forecasts"]["ridge AR(104)"]
        shown["forecasts"] = {"ridge AR(104)": ridge} | {
            c["name"]: [t + rng.uniform(-0.4, 0.4) for t in shown["truth"]] for c in result["candidates"]
        }
    return result


def alone_result() -> dict[str, Any]:
    """One RNN, one seed: no interval, no gate, no baseline, no example, no control."""
    result = fake_result(seeds=1)
    only = result["candidates"][2]
    only["scores"] = {m: {"mean": s["mean"], "low": None, "high": None} for m, s in only["scores"].items()}
    only["step_microseconds"] = only["peak_memory_mb"] = None
    result["candidates"] = [only]
    result["baselines"], result["examples"] = [], []
    result["answer"] = {"recommended": "RNN 64", "winner": "RNN 64", "sentences": [], "warnings": []}
    return result


def failed_result() -> dict[str, Any]:
    """Every trial failed; only the baselines have scores."""
    result = fake_result()
    for entry in result["candidates"]:
        entry.update(scores=None, scaled=None, seeds=[], curves=[], gradient=None, keep=None, lr_search=[],
                     train_seconds=None, step_microseconds=None, peak_memory_mb=None)  # fmt: skip
        result["failures"] += [
            {"candidate": entry["name"], "seed": s, "why": "the loss became NaN in epoch 2"} for s in range(3)
        ]
    result["examples"] = []
    result["answer"] = {
        "recommended": None, "winner": None, "sentences": ["No candidate finished."],
        "warnings": ["All nine trials failed. Lower the learning rate with --lr 0.0003."],
    }  # fmt: skip
    return result


def renamed(result: dict[str, Any], old: str, new: str) -> dict[str, Any]:
    """The same result with one name replaced wherever it stands."""
    return _rename(copy.deepcopy(result), old, new)  # type: ignore[no-any-return]


def _rename(node: Any, old: str, new: str) -> Any:
    if isinstance(node, dict):
        return {(new if k == old else k): _rename(v, old, new) for k, v in node.items()}
    if isinstance(node, list):
        return [_rename(v, old, new) for v in node]
    return new if node == old else node


def _interval(mean: float, spread: float) -> dict[str, float | None]:
    if not spread:
        return {"mean": mean, "low": None, "high": None}
    return {"mean": mean, "low": mean * (1 - 2 * spread), "high": mean * (1 + 2.2 * spread)}


def _curve(seed: int, epochs: int, level: float, rng: random.Random) -> dict[str, Any]:
    best = epochs - 4
    train = [0.08 + 0.9 * math.exp(-0.42 * e) + rng.uniform(0, 0.01) for e in range(epochs)]
    valid = [0.3 * level + 0.8 * math.exp(-0.48 * e) + 0.003 * max(0, e - best) + rng.uniform(0, 0.012)
             for e in range(epochs)]  # fmt: skip
    return {"seed": seed, "epoch": list(range(1, epochs + 1)), "train_loss": train, "valid_loss": valid}


def _gradient(decay: float, width: float) -> dict[str, list[Any]]:
    lags = list(range(INPUT))

    def line(shift: float) -> list[float | None]:
        values = [-decay * k * (1 + 0.12 * math.sin(k / 8.3)) + shift * math.log1p(k) / 3 for k in lags]
        return [None if v < -30 else v for v in values]

    return {"lags": lags, "median": line(0.0), "q25": line(-width), "q75": line(width)}


def _keep(gate: str, tau: float) -> dict[str, Any]:
    return {
        "gate": gate,
        "tau": {"q10": tau * 0.3, "q25": tau * 0.55, "median": tau, "q75": tau * 2.1, "q90": tau * 4.6},
        "longest": tau * 11,
        "at_start": {"median": 1.44},
    }


def _co2(week: int) -> float:
    return 352 + 0.032 * week + 3.1 * math.sin(2 * math.pi * week / 52.18) + 0.7 * math.sin(4 * math.pi * week / 52.18)


def _week(week: int) -> str:
    return (datetime.date(1995, 1, 7) + datetime.timedelta(weeks=week)).isoformat()
