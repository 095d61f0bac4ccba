"""A backtest: one network, forecast from several origins as it would have been at the time."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from scipy.special import stdtrit

from unroll import __version__
from unroll.comparison.origins import BacktestOptions, Refit, origin_rows, refits, roomy, seen_until
from unroll.comparison.run import Clock, _same_data
from unroll.data import SeriesSet, show_time
from unroll.errors import ConfigError, RunError
from unroll.machine import cores
from unroll.tasks import NetworkOptions, options_dict, source_name, task_kind
from unroll.tasks.forecast.scores import WindowErrors
from unroll.tasks.forecast.task import ForecastTask, prepare_series, read_series
from unroll.train import FitSettings, RunFolder

SCHEMA = 1
Scores = dict[str, float | None]


@dataclass(frozen=True)
class Backtest:
    """A finished backtest: ``result`` is what ``result.json`` holds, ``folder`` where everything lies."""

    result: dict[str, Any]
    folder: Path

    @property
    def report(self) -> Path:
        """The page with everything on it."""
        return self.folder / "report.html"

    @property
    def scores(self) -> Any:
        """A polars frame: forecaster, origin, and every metric there."""
        import polars as pl

        rows = [
            {"forecaster": row["name"], "origin": origin["time"] or origin["origin"]}
            | {metric: values[k] for metric, values in row["by_origin"].items()}
            for row in [*self.result["candidates"], *self.result["baselines"]]
            for k, origin in enumerate(self.result["origins"])
        ]
        return pl.DataFrame(rows, infer_schema_length=None)


def run_backtest(
    source: Any,
    data: Any,
    learned: Any,
    network: NetworkOptions,
    settings: FitSettings,
    options: BacktestOptions,
    folder: Path,
    *,
    overwrite: bool = False,
    on_epoch: Callable[[dict[str, Any]], None] | None = None,
) -> Backtest:
    """Forecast from every origin with a network that has seen nothing after the origin it was trained for.

    Each training is a run folder of its own under ``refits``; started again on the same folder it continues.

    Raises:
        DataError, ConfigError: before anything is trained.
        RunError: ``folder`` holds another run or cannot be written, or training diverged at once.
    """
    clock = Clock()
    network.check()
    learned.check()
    options.check()
    if learned.horizon is None:
        raise ConfigError(
            "a backtest without --horizon", expected="how many steps ahead to forecast", fix="Give --horizon"
        )
    planned = refits(options, learned.horizon)
    series_set = read_series(source, data)
    series_set = roomy(series_set, planned[0], learned.split, learned.horizon, learned.input, skip=data.skip_bad_series)
    first = _task(series_set, planned[0], learned, data.skip_bad_series)
    first.parameters(network)  # one that cannot be built is refused before anything is written
    # What the first training chose holds for all, so that origins are comparable and none looks ahead.
    fixed = replace(learned, input=first.input, season=first.season)
    config = backtest_config(source, data, learned, network, settings, options)
    run = RunFolder.open_for(folder, config, overwrite=overwrite)
    _same_data(run, first)
    if run.has_result():
        return Backtest(run.read_json("result.json"), run.path)
    run.write_json("data.json", {"fingerprint": first.fingerprint, "input": first.input, "season": first.season})
    found = []
    for refit in planned:
        told = None if on_epoch is None else _numbered(on_epoch, refit, len(planned))
        task = _task(series_set, refit, fixed, data.skip_bad_series)
        place = RunFolder(folder / "refits" / f"{refit.number + 1:02d}")
        found.append(_refitted(task, series_set, refit, place, source, (data, fixed, network, settings), told))
    result = _assembled(series_set, first, planned, found, network, options)
    result["name"] = run.path.name
    command, shared = f"unroll backtest --config {run.config_file}", {"workers": 1, "threads_per_worker": cores()}
    result["repeat"] = clock.record(command, config, [settings.seed], machine=shared, budget=None)
    run.write_json("result.json", result)
    return Backtest(result, run.path)


def backtest_config(
    source: Any, data: Any, learned: Any, network: NetworkOptions, settings: FitSettings, options: BacktestOptions
) -> dict[str, Any]:
    """What ``config.yaml`` holds: enough to repeat the run."""
    made = task_kind(learned.task).estimator().from_options(network, learned, settings, data)
    made.source = source_name(source)
    return made.config() | {"kind": "backtest", "backtest": options_dict(options)}


def _task(series_set: SeriesSet, refit: Refit, learned: Any, skip: bool) -> ForecastTask:
    """What a training may see, and of its test windows those that start at an origin."""
    seen, ranges = seen_until(series_set, refit, learned.split, learned.horizon)
    task = prepare_series(seen, learned, skip_bad_series=skip, ranges=ranges)
    kept = np.zeros(task.windows.count("test"), bool)
    for behind in refit.behind:
        kept |= _at(task, *task.windows.origins("test"), origin_rows(series_set, behind))
    return replace(task, windows=task.windows.only("test", kept))


def _at(task: ForecastTask, series: np.ndarray, origins: np.ndarray, rows: Mapping[str, int]) -> np.ndarray:
    """Which windows start at ``rows``, the origin of each series."""
    return np.array([rows[s.name] for s in task.series_set.series])[series] == origins


def _refitted(
    task: ForecastTask,
    series_set: SeriesSet,
    refit: Refit,
    place: RunFolder,
    source: Any,
    how: tuple[Any, Any, NetworkOptions, FitSettings],
    on_epoch: Callable[[dict[str, Any]], None] | None,
) -> dict[str, Any]:
    """Train anew in ``place``, or continue or read what is there; score the network and the baselines."""
    if place.has_result():
        held: dict[str, Any] = place.read_json("result.json")
        return held
    data, learned, network, settings = how
    estimator = task_kind(learned.task).estimator().from_options(network, learned, settings, data)
    estimator.fit_prepared(task, source, place.path, progress=on_epoch)
    assert estimator.result is not None
    if estimator.result.best_epoch == 0:
        raise RunError("training diverged in its first epoch", fix=f"Give a lower --lr than {settings.lr:g}")
    baselines, absent = task.baselines()
    rows = [(network.name, estimator.network, estimator.result.train_seconds, task.parameters(network))]
    rows += [(b.name, b, b.train_seconds, b.parameters) for b in baselines]
    result = {
        "kind": "refit",
        "origins": list(refit.origins),
        "epochs": estimator.result.epochs,
        "best_epoch": estimator.result.best_epoch,
        "absent": absent,
        "forecasters": [
            {
                "name": name,
                "train_seconds": seconds,
                "parameters": size,
                "scores": _by_origin(task, f, series_set, refit),
            }
            for name, f, seconds, size in rows
        ],
    }
    place.write_json("result.json", result)
    return result


def _by_origin(task: ForecastTask, forecaster: Any, series_set: SeriesSet, refit: Refit) -> list[Scores]:
    """The scores at every origin, of windows forecast in one pass."""
    errors = task.errors(forecaster)
    rows = [origin_rows(series_set, behind) for behind in refit.behind]
    return [_part(errors, _at(task, errors.series, errors.origins, at)).scores() for at in rows]


def _part(errors: WindowErrors, kept: np.ndarray) -> WindowErrors:
    return WindowErrors.from_arrays({name: values[kept] for name, values in errors.arrays().items()})


def _numbered(on_epoch: Callable[[dict[str, Any]], None], refit: Refit, of: int) -> Callable[[dict[str, Any]], None]:
    return lambda record: on_epoch(record | {"refit": refit.number + 1, "refits": of})


def _assembled(
    series_set: SeriesSet,
    first: ForecastTask,
    planned: Sequence[Refit],
    found: Sequence[Mapping[str, Any]],
    network: NetworkOptions,
    options: BacktestOptions,
) -> dict[str, Any]:
    names = list(dict.fromkeys(f["name"] for part in found for f in part["forecasters"]))
    rows = [_row(name, planned, found) for name in names]
    metric = first.metric if _known(rows[0], first.metric) else first.fallback
    candidates = [rows[0] | {"cell": network.cell, "hidden": network.hidden, "layers": network.layers}]
    absent = list(dict.fromkeys(why for part in found for why in part["absent"]))
    step = options.step or first.horizon
    return {
        "schema": SCHEMA,
        "kind": "backtest",
        "unroll": __version__,
        "task": first.described(metric, "hidden") | {"origins": options.origins, "step": step, "refit": options.refit},
        "data": first.data_facts(absent) | {"rows": series_set.rows, "split": {}, "windows": {}},
        "origins": [_origin(series_set, refit, k) for refit in planned for k in range(len(refit.origins))],
        "protocol": _protocol(first, options, step),
        "answer": _answer(candidates[0], rows[1:], metric, step >= first.horizon),
        "candidates": candidates,
        "baselines": rows[1:],
    }


def _origin(series_set: SeriesSet, refit: Refit, k: int) -> dict[str, Any]:
    """Number, time of the first step forecast (None where series differ), and which training forecasts from there."""
    times = {show_time(s.times[s.rows - refit.behind[k]]) for s in series_set.series}
    return {"origin": refit.origins[k] + 1, "time": times.pop() if len(times) == 1 else None, "fit": refit.number + 1}


def _row(name: str, planned: Sequence[Refit], found: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """One forecaster over all origins; None at those it could not forecast from."""
    parts = [next((f for f in part["forecasters"] if f["name"] == name), None) for part in found]
    known = [part for part in parts if part is not None]
    metrics = list(known[0]["scores"][0])
    empty: list[Scores] = [{} for _ in range(len(planned[0].origins))]
    every = [
        s for part, refit in zip(parts, planned) for s in (part["scores"] if part else empty[: len(refit.origins)])
    ]
    by_origin = {m: [s.get(m) for s in every] for m in metrics}
    return {
        "name": name,
        "parameters": known[0]["parameters"],
        "train_seconds": sum(part["train_seconds"] for part in known),
        "scores": {m: _summary(values) for m, values in by_origin.items()},
        "by_origin": by_origin,
    }


def _summary(values: Sequence[float | None]) -> dict[str, float | None]:
    """Mean and standard deviation over origins."""
    known = [v for v in values if v is not None]
    deviation = float(np.std(known, ddof=1)) if len(known) > 1 else None
    return {"mean": float(np.mean(known)) if known else None, "deviation": deviation, "low": None, "high": None}


def _known(row: Mapping[str, Any], metric: str) -> bool:
    return all(v is not None for v in row["by_origin"][metric])


def _answer(own: Mapping[str, Any], baselines: Sequence[Mapping[str, Any]], metric: str, apart: bool) -> dict[str, Any]:
    """Who was ahead, at how many origins, and by how much with a 95 % interval over origins that share no target."""
    scored = [b for b in baselines if b["scores"][metric]["mean"] is not None]
    mean = own["scores"][metric]["mean"]
    lead = f"{own['name']}: {metric} {_plus_minus(own['scores'][metric])}"
    if mean is None or not scored:
        return {"recommended": None, "sentences": [f"{lead}, and no baseline to hold it against."], "warnings": []}
    best = min(scored, key=lambda b: b["scores"][metric]["mean"])
    gaps = [b - a for a, b in zip(own["by_origin"][metric], best["by_origin"][metric]) if None not in (a, b)]
    wins, mean_gap = sum(g > 0 for g in gaps), float(np.mean(gaps))
    text = (
        f"{lead}; the best baseline, {best['name']}, {_plus_minus(best['scores'][metric])}. "
        f"{own['name']} is ahead at {wins} of {len(gaps)} origins."
    )
    half = None
    if apart and len(gaps) > 2:
        half = float(stdtrit(len(gaps) - 1, 0.975)) * float(np.std(gaps, ddof=1)) / len(gaps) ** 0.5
    level = half is None or abs(mean_gap) <= half
    word = "better" if mean_gap > 0 else "worse"
    second = (
        "The difference is within what so few origins leave open."
        if level
        else f"It is {word} by {abs(mean_gap):.3g} ± {half:.2g} (95 % interval over origins)."
    )
    chosen = None if level else own["name"] if mean_gap > 0 else best["name"]
    return {
        "recommended": chosen,
        "sentences": [text, second],
        "warnings": [],
        "difference": {"baseline": best["name"], "mean": mean_gap, "half_width": half, "ahead": wins, "of": len(gaps)},
    }


def _plus_minus(score: Mapping[str, float | None]) -> str:
    spread = f" ± {score['deviation']:.2g}" if score["deviation"] is not None else ""
    return f"{score['mean']:.3g}{spread}" if score["mean"] is not None else "unknown"


def _protocol(task: ForecastTask, options: BacktestOptions, step: int) -> str:
    often = "At every origin" if options.refit == 1 else f"Every {options.refit} origins"
    how = f"{often} a new network is trained: new weights from the seed, scaler and baselines fitted anew."
    if not options.refit:
        how = "One network is trained before the first origin and forecasts from all of them."
    return (
        f"{options.origins} origins, {step} steps apart, the last {task.horizon} steps before the end of each series. "
        f"{how} A training sees only rows before the origin it is for, the last of them for early stopping and for "
        "intervals. Baselines are scored at the same origins. ± is the standard deviation over origins. MASE divides "
        "by the mean change over one season in the rows trained on."
    )
