"""From measured candidates to the figures of ``result.json``."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from unroll import __version__
from unroll.comparison.recommend import Entry, recommend
from unroll.comparison.statistics import Interval, Resampler
from unroll.data import show_time
from unroll.tasks import METRICS, Baseline, ForecastTask, NetworkOptions, WindowErrors

SCHEMA = 1
FALLBACK_METRIC = "MAE"
"""Where the metric asked for is not defined, as MASE is not for a training range without any change."""
EXAMPLES = 3


@dataclass
class Measured:
    """A candidate with all its trials."""

    network: NetworkOptions
    trial: str
    lr: float
    search: list[dict[str, Any]]
    seeds: list[dict[str, Any]]
    errors: list[WindowErrors]
    curves: list[dict[str, Any]]
    inside: dict[str, Any]
    step_microseconds: float


def assemble(
    task: ForecastTask,
    measured: Sequence[Measured],
    failures: list[dict[str, Any]],
    *,
    name: str,
    match: str,
    network_of: Callable[[Measured], Any],
) -> dict[str, Any]:
    """Everything of ``result.json`` but how to repeat it; ``network_of`` gives a candidate's trained network."""
    baselines, absent = task.baselines()
    errors = {m.network.name: m.errors for m in measured} | {b.name: [task.errors(b)] for b in baselines}
    resampler = Resampler(measured[0].errors[0], task.horizon)
    streams = {key: number for number, key in enumerate(errors)}
    intervals = {key: _intervals(resampler, errors[key], streams[key]) for key in errors}
    known = all(interval[task.metric].mean is not None for interval in intervals.values())
    metric = task.metric if known else FALLBACK_METRIC
    entries = [_candidate_entry(m, intervals[m.network.name][metric]) for m in measured]
    entries += [Entry(b.name, intervals[b.name][metric], b.parameters, network=False) for b in baselines]
    gains = _gains(resampler, errors, streams, metric)
    unit = task.series_set.frequency.plural
    answer = recommend(entries, gains, metric=metric, season=task.season, unit=unit)
    return {
        "schema": SCHEMA,
        "kind": "comparison",
        "unroll": __version__,
        "name": name,
        "task": _task(task, metric, match),
        "data": describe_data(task, absent),
        "protocol": protocol(task),
        "answer": answer.to_dict(),
        "candidates": [_candidate(m, intervals[m.network.name]) for m in measured],
        "baselines": [_baseline(b, intervals[b.name], errors[b.name][0]) for b in baselines],
        "examples": _examples(task, measured, baselines, network_of),
        "failures": failures,
    }


def describe_data(task: ForecastTask, absent: Sequence[str] = ()) -> dict[str, Any]:
    """The ``data`` part of a result: what was read and how it was split, rows summed over series."""
    parts = ("train", "valid", "test")
    rows = {part: sum(r.part(part)[1] - r.part(part)[0] for r in task.ranges.values()) for part in parts}
    return {
        "source": task.series_set.name,
        "fingerprint": task.series_set.fingerprint,
        "series": len(task.series_set.series),
        "rows": task.series_set.rows,
        "missing": task.series_set.missing,
        "unit": task.series_set.frequency.plural,
        "split": rows,
        "windows": {part: task.windows.count(part) for part in parts},
        "notes": [*task.notes, *(f"no baseline {a}" for a in absent)],
    }


def protocol(task: ForecastTask) -> str:
    """How the figures came about, in words."""
    season = task.season or 1
    loss = "squared" if task.loss == "mse" else "absolute"
    return (
        "Each series is cut by time into a training, a validation and a test range. Every channel is standardised "
        "with the mean and deviation of its training range alone; that range is recorded, and scoring a window "
        "that starts inside it is an error. A window is "
        f"{task.input} steps of input and the {task.horizon} steps that follow, all of which lie in the range it "
        "counts for; its input may reach back into the range before. Windows start at every step. Networks learn "
        f"the {loss} error of standardised values on training windows, stop early on validation windows, and are "
        "scored once on all test windows, in the data's own units. MASE divides the absolute error by the mean "
        f"change over {season} step{'' if season == 1 else 's'} in the training range. Missing targets are neither "
        "learned nor scored."
    )


def _examples(
    task: ForecastTask,
    measured: Sequence[Measured],
    baselines: Sequence[Baseline],
    network_of: Callable[[Measured], Any],
) -> list[dict[str, Any]]:
    """Forecasts from a few test windows: the last of up to three series, or three of one series."""
    series, _ = task.windows.origins("test")
    names = np.unique(series)
    if len(names) >= EXAMPLES:
        picked = [int(np.flatnonzero(series == index)[-1]) for index in names[:EXAMPLES]]
    else:
        count = task.windows.count("test")
        picked = sorted({0, count // 2, count - 1})
    indices = np.array(picked)
    networks = {m.network.name: task.forecast(network_of(m), "test", indices) for m in measured}
    naive = {b.name: task.forecast(b, "test", indices) for b in baselines}
    truth = task.windows.targets_original("test", indices)
    return [
        _example(task, int(truth.series[k]), int(truth.origins[k]), k, truth.values, truth.times, networks | naive)
        for k in range(len(indices))
    ]


def _example(
    task: ForecastTask,
    series: int,
    origin: int,
    k: int,
    values: np.ndarray,
    times: np.ndarray,
    forecasts: Mapping[str, np.ndarray],
) -> dict[str, Any]:
    one = task.series_set.series[series]
    begin = max(0, origin - min(task.input, max(3 * task.horizon, 24)))
    return {
        "series": one.name,
        "target": task.targets[0],
        "history_times": [show_time(t) for t in one.times[begin:origin]],
        "history": _known(one.values[begin:origin, 0]),
        "times": [show_time(t) for t in times[k]],
        "truth": _known(values[k, :, 0]),
        "forecasts": {name: _known(f[k, :, 0]) for name, f in forecasts.items()},
    }


def _intervals(resampler: Resampler, seeds: Sequence[WindowErrors], stream: int) -> dict[str, Interval]:
    return {metric: resampler.interval(seeds, metric, stream=stream) for metric in METRICS}


def _gains(
    resampler: Resampler, errors: Mapping[str, Sequence[WindowErrors]], streams: Mapping[str, int], metric: str
) -> dict[tuple[str, str], Interval]:
    return {
        (a, b): resampler.gain(errors[a], errors[b], metric, streams=(streams[a], streams[b]))
        for a in errors
        for b in errors
        if a != b
    }


def _candidate_entry(m: Measured, score: Interval) -> Entry:
    gradient = m.inside["gradient"]
    return Entry(
        m.network.name,
        score,
        m.seeds[0]["parameters"],
        network=True,
        horizon=gradient["horizon"],
        span=gradient["span"],
    )


def _candidate(m: Measured, intervals: Mapping[str, Interval]) -> dict[str, Any]:
    kept = ("seed", "scores", "scaled", "epochs", "best_epoch", "train_seconds", "stopped", "peak_memory_mb")
    scaled = {k: _mean([s["scaled"][k] for s in m.seeds]) for k in ("MSE", "MAE")}
    return {
        "name": m.network.name,
        "cell": m.network.cell,
        "hidden": m.network.hidden,
        "layers": m.network.layers,
        "trial": m.trial,
        "lr": m.lr,
        "lr_search": m.search,
        "parameters": m.seeds[0]["parameters"],
        "train_seconds": _mean([s["train_seconds"] for s in m.seeds]),
        "step_microseconds": m.step_microseconds,
        "peak_memory_mb": max((s["peak_memory_mb"] for s in m.seeds if s["peak_memory_mb"]), default=None),
        "scores": _scores(intervals),
        "scaled": scaled,
        "seeds": [{k: s[k] for k in kept} for s in m.seeds],
        "curves": m.curves,
        **m.inside,
    }


def _baseline(baseline: Baseline, intervals: Mapping[str, Interval], errors: WindowErrors) -> dict[str, Any]:
    return {
        "name": baseline.name,
        "parameters": baseline.parameters,
        "train_seconds": baseline.train_seconds,
        "scores": _scores(intervals),
        "scaled": errors.scaled(),
    }


def _task(task: ForecastTask, metric: str, match: str) -> dict[str, Any]:
    return {
        "name": "forecast",
        "targets": list(task.targets),
        "features": list(task.series_set.features),
        "horizon": task.horizon,
        "input": task.input,
        "season": task.season,
        "season_source": task.season_source,
        "metric": metric,
        "match": match,
        "loss": task.loss,
    }


def _scores(intervals: Mapping[str, Interval]) -> dict[str, dict[str, float | None]]:
    return {metric: interval._asdict() for metric, interval in intervals.items()}


def _mean(values: Sequence[float | None]) -> float | None:
    known = [v for v in values if v is not None]
    return float(np.mean(known)) if known else None


def _known(values: np.ndarray) -> list[float | None]:
    return [float(v) if np.isfinite(v) else None for v in values]
