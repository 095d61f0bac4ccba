"""Intervals of a forecast task: fitted on its validation windows, or read from a run's folder."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from torch import nn

from unroll.errors import RunError
from unroll.tasks.forecast.baselines import Baseline, LastValue, SeasonalNaive
from unroll.tasks.forecast.conformal import Conformal, fewest, shares_error
from unroll.tasks.forecast.problem import VALIDATION_WINDOWS
from unroll.tasks.forecast.scores import WindowErrors

if TYPE_CHECKING:
    from unroll.tasks.forecast.task import ForecastTask

NETWORK = "network"


def possible(task: ForecastTask) -> bool:
    """Whether forecasts of ``task`` have intervals."""
    return bool(task.interval) and (bool(task.fitted_intervals) or task.calibrating >= fewest(task.interval))


def why_not(task: ForecastTask) -> list[str]:
    """Why there are none, where they were asked for."""
    if not task.interval or possible(task):
        return []
    there, level = task.calibrating, task.interval
    best = f", --interval {np.floor(100 * there / (there + 1)) / 100:g}" if there > 1 else ""
    return [
        f"no intervals: {there:,} validation windows are too few for {100 * level:g} %, which takes {fewest(level):,}; "
        f"give a --split with more for validation{best} or --interval 0"
    ]


def fitted(task: ForecastTask, forecaster: nn.Module | Baseline) -> Conformal | None:
    """The intervals of ``forecaster``; None where there are none."""
    if not possible(task):
        return None
    if task.fitted_intervals:
        return task.fitted_intervals.get(NETWORK if isinstance(forecaster, nn.Module) else forecaster.name)
    indices = _calibrating(task)
    truth = task.windows.targets_original("valid", indices)
    bounds = outermost(task.told(forecaster, "valid", indices))
    return Conformal.fit(*bounds, truth.values, task.deviation("valid", indices), task.interval)


def around(
    task: ForecastTask, forecaster: nn.Module | Baseline, indices: np.ndarray
) -> tuple[np.ndarray, np.ndarray] | None:
    """The bounds (windows, horizon, targets) around the forecasts of test windows; None where there are none."""
    own = fitted(task, forecaster)
    if own is None:
        return None
    return own.bounds(*outermost(task.told(forecaster, "test", indices)), task.deviation("test", indices))


def outermost(told: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A forecaster's own bounds (windows, horizon, targets): its outermost quantiles, or its one number twice."""
    return (told, told) if told.ndim == 3 else (told[..., 0], told[..., -1])


def naive(task: ForecastTask) -> list[Baseline]:
    """The baselines that need no fitting, and so can be scored on new data too."""
    return [*([SeasonalNaive(task.season)] if task.season else []), LastValue()]


def record(task: ForecastTask, network: nn.Module) -> dict[str, Any] | None:
    """The intervals of ``network`` and of the naive baselines, as JSON values."""
    found = {NETWORK: fitted(task, network)} | {b.name: fitted(task, b) for b in naive(task)}
    return {"intervals": {n: c.to_dict() for n, c in found.items() if c is not None}} if found[NETWORK] else None


def restored(calibration: Mapping[str, Any] | None) -> dict[str, Conformal]:
    """What ``record`` gave, read back. Raises RunError where it is damaged."""
    try:
        return {name: Conformal.from_dict(c) for name, c in ((calibration or {}).get("intervals") or {}).items()}
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise RunError(
            f"calibration.json cannot be used: {type(error).__name__} {error}",
            expected="the file as the training wrote it",
            fix="Restore the file, or train again",
        ) from error


def told(task: ForecastTask, errors: Mapping[str, WindowErrors]) -> list[str]:
    """How often the intervals held, in words: with the standard error that overlapping windows leave."""
    lines = []
    for name, one in errors.items():
        share = one.scores().get("coverage")
        if share is None:
            continue
        spread = shares_error(one.sums["covered"], one.count, one.series, task.span)
        doubt = f" ± {100 * spread:.2g}" if np.isfinite(spread) else ""
        lines.append(f"{100 * share:.3g}{doubt} % ({name})")
    return (
        [f"{100 * task.interval:g} % intervals held {', '.join(lines)} of what happened; ± is one standard error"]
        if (lines)
        else []
    )


def _calibrating(task: ForecastTask) -> np.ndarray:
    """The validation windows, evenly spaced where they are very many."""
    count = task.windows.count("valid")
    return np.arange(0, count, max(1, -(-count // VALIDATION_WINDOWS)))


def least(task: ForecastTask) -> int:
    """How many validation windows have a value at the step and target that has the fewest."""
    if "valid" not in task.windows.parts:
        return 0
    seen = ~np.isnan(task.windows.targets_original("valid", _calibrating(task)).values)
    return int(seen.sum(axis=0).min()) if seen.size else 0
