"""From measured candidates to the figures of ``result.json``."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from unroll import __version__
from unroll.comparison.recommend import Entry, recommend
from unroll.comparison.statistics import Interval, Resampler
from unroll.tasks import Baseline, Errors, NetworkOptions, Task

SCHEMA = 1


@dataclass
class Measured:
    """A candidate with all its trials."""

    network: NetworkOptions
    trial: str
    lr: float
    search: list[dict[str, Any]]
    seeds: list[dict[str, Any]]
    errors: Sequence[Errors]
    curves: list[dict[str, Any]]
    inside: dict[str, Any]
    step_microseconds: float | None


def assemble(
    task: Task,
    measured: Sequence[Measured],
    failures: list[dict[str, Any]],
    *,
    folder: Path,
    match: str,
    network_of: Callable[[Measured], Any],
) -> dict[str, Any]:
    """Everything of ``result.json`` but how to repeat it; ``network_of`` gives a candidate's trained network.

    What new data will need of the baselines is written to ``folder``.
    """
    baselines, absent = task.baselines()
    task.keep(baselines, folder)
    errors = {m.network.name: m.errors for m in measured} | {b.name: [task.errors(b)] for b in baselines}
    resampler = Resampler(measured[0].errors[0], task.span)
    streams = {key: number for number, key in enumerate(errors)}
    intervals = {key: _intervals(resampler, task, errors[key], streams[key]) for key in errors}
    known = all(intervals[m.network.name][task.metric].mean is not None for m in measured)
    # Not every metric is always defined: MASE is not for a training range without any change. A baseline without it,
    # as one that gives no probabilities has no likelihood, is out of the running.
    metric = task.metric if known else task.fallback
    higher = metric in task.higher
    entries = [_candidate_entry(m, intervals[m.network.name][metric], higher) for m in measured]
    entries += [Entry(b.name, intervals[b.name][metric], b.parameters, network=False, higher=higher) for b in baselines]
    gains = _gains(resampler, errors, streams, metric, higher)
    season, unit = task.reach()
    answer = recommend(entries, gains, metric=metric, season=season, unit=unit)
    return {
        "schema": SCHEMA,
        "kind": "comparison",
        "unroll": __version__,
        "name": folder.name,
        "task": task.described(metric, match),
        "data": task.data_facts(absent),
        "protocol": task.protocol(),
        "answer": answer.to_dict(),
        "candidates": [_candidate(m, intervals[m.network.name]) for m in measured],
        "baselines": [_baseline(b, intervals[b.name], errors[b.name][0]) for b in baselines],
        **task.shown({m.network.name: network_of(m) for m in measured}, baselines, _best(entries)),
        "failures": failures,
    }


def _intervals(resampler: Resampler, task: Task, seeds: Sequence[Errors], stream: int) -> dict[str, Interval]:
    found = {metric: resampler.interval(seeds, metric, stream=stream) for metric in task.metrics}
    # Where more is better it is a share, of which there is no more than 1.
    return {m: i._replace(high=min(1.0, i.high)) if m in task.higher and i.high else i for m, i in found.items()}


def _best(entries: Sequence[Entry]) -> str:
    """The network with the best score, or the first where none has one."""
    networks = [e for e in entries if e.network]
    scored = [e for e in networks if e.score.mean is not None]
    return min(scored, key=lambda e: e.rank).name if scored else networks[0].name


def _gains(
    resampler: Resampler,
    errors: Mapping[str, Sequence[Errors]],
    streams: Mapping[str, int],
    metric: str,
    higher: bool,
) -> dict[tuple[str, str], Interval]:
    return {
        (a, b): resampler.gain(errors[a], errors[b], metric, streams=(streams[a], streams[b]), higher=higher)
        for a in errors
        for b in errors
        if a != b
    }


def _candidate_entry(m: Measured, score: Interval, higher: bool) -> Entry:
    gradient = m.inside["gradient"] or {}
    return Entry(
        m.network.name,
        score,
        m.seeds[0]["parameters"],
        network=True,
        horizon=gradient.get("horizon"),
        span=gradient.get("span"),
        higher=higher,
    )


def _candidate(m: Measured, intervals: Mapping[str, Interval]) -> dict[str, Any]:
    details = m.errors[0].details()
    kept = ("seed", "scores", *details, "epochs", "best_epoch", "train_seconds", "stopped", "peak_memory_mb")
    means = {group: {k: _mean([s[group][k] for s in m.seeds]) for k in figures} for group, figures in details.items()}
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
        **means,
        "seeds": [{k: s[k] for k in kept} for s in m.seeds],
        "curves": m.curves,
        **m.inside,
    }


def _baseline(baseline: Baseline, intervals: Mapping[str, Interval], errors: Errors) -> dict[str, Any]:
    return {
        "name": baseline.name,
        "parameters": baseline.parameters,
        "train_seconds": baseline.train_seconds,
        "scores": _scores(intervals),
        **errors.details(),
    }


def _scores(intervals: Mapping[str, Interval]) -> dict[str, dict[str, float | None]]:
    return {metric: interval._asdict() for metric, interval in intervals.items()}


def _mean(values: Sequence[float | None]) -> float | None:
    known = [v for v in values if v is not None]
    return float(np.mean(known)) if known else None
