"""What a result says of a forecast: its data, how it was scored, examples."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from torch import Tensor, nn

from unroll.data import show_time
from unroll.data.series.statics import told as statics_told
from unroll.data.wording import listed
from unroll.tasks.contract import Probe
from unroll.tasks.forecast import intervals
from unroll.tasks.forecast.baselines import Baseline
from unroll.tasks.forecast.quantiles import MEDIAN
from unroll.tasks.network import in_double

if TYPE_CHECKING:
    from unroll.tasks.forecast.task import ForecastTask

EXAMPLES = 3
PROBED = 32
"""How many validation windows are looked inside with."""


def described(task: ForecastTask, metric: str, match: str) -> dict[str, Any]:
    return {
        "name": "forecast",
        "targets": list(task.targets),
        "features": list(task.series_set.features),
        "known": list(task.series_set.known),
        "static": list(task.series_set.static),
        "calendar": list(task.series_set.calendar),
        "times": "irregular" if task.series_set.irregular else "regular",
        "horizon": task.horizon,
        "input": task.input,
        "season": task.season,
        "season_source": task.season_source,
        "metric": metric,
        "match": match,
        "loss": task.loss,
        "decode": task.options.decode,
        "normalise": task.options.normalise,
        "quantiles": list(task.options.levels),
        "interval": task.interval if intervals.possible(task) else None,
    }


def data_facts(task: ForecastTask, absent: Sequence[str] = ()) -> dict[str, Any]:
    """What was read and how it was split, rows summed over series."""
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
        "notes": [*task.notes, *(f"no baseline {a}" for a in absent), *intervals.why_not(task)],
    }


def protocol(task: ForecastTask) -> str:
    """How the figures came about, in words."""
    season = task.season or 1
    loss = {"mse": "squared error", "mae": "absolute error", "pinball": "pinball loss"}[task.loss]
    return (
        "Each series is cut by time into a training, a validation and a test range. Every channel is standardised "
        "with the mean and deviation of its training range alone; that range is recorded, and scoring a window "
        "that starts inside it is an error. A window is "
        f"{task.input} steps of input and the {task.horizon} steps that follow, all of which lie in the range it "
        "counts for; its input may reach back into the range before. Windows start at every step. Networks learn "
        f"the {loss} of standardised values on training windows, stop early on validation windows, and are "
        "scored once on all test windows, in the data's own units. MASE divides the absolute error by the mean "
        f"change over {season} step{'' if season == 1 else 's'} in the training range. Missing targets are neither "
        f"learned nor scored.{_of_inputs(task)}{_of_quantiles(task.options.levels)}{_intervals(task)}"
    )


def _of_quantiles(levels: Sequence[float]) -> str:
    if not levels:
        return ""
    told = ", ".join(f"{level:g}" for level in levels)
    return (
        f" The quantiles {told} are forecast; where they cross they are sorted. Point scores are the median's. A "
        "baseline's one value stands for each of its quantiles, of which it has no coverage."
    )


def _intervals(task: ForecastTask) -> str:
    if not intervals.possible(task):
        return ""
    return (
        f" {100 * task.interval:g} % intervals are conformal: as wide, at each step, as the errors of the validation "
        "windows over the series' deviation ask for. Early stopping has looked at the same windows, which makes them a "
        "little narrow; how much of the truth they hold is measured on the test windows."
    )


def _of_inputs(task: ForecastTask) -> str:
    """What networks and ridge read beside targets and features."""
    of, inputs = task.series_set, task.windows.inputs
    told = []
    if of.future:
        told.append(f"Of the steps to be forecast these are known and read: {listed(of.future)}.")
    if inputs.masked:
        names = listed([of.channels[k] for k in inputs.masked])
        since = " and how long before it was observed" if inputs.since else ""
        told.append(f"Missing inputs repeat the last value; networks read whether it was observed{since}: {names}.")
    if inputs.statics:
        told.append(f"What does not change in a series is read at every step: {statics_told(inputs.statics)}.")
    return "".join(f" {sentence}" for sentence in told)


def probe(task: ForecastTask, network: nn.Module) -> Probe:
    """Validation windows, evenly spaced, in float64."""
    count = task.windows.count("valid")
    indices = np.unique(np.linspace(0, count - 1, min(PROBED, count)).round().astype(int))
    batch = task.windows.batch("valid", indices)
    x, last, *future = (part.double() for part in batch.read())
    y, mask = batch.y.double(), batch.mask.double()
    double: Any = in_double(network)
    level = double.level(x, last)
    read = double.read(x, level)

    def loss(summary: Tensor) -> Tensor:
        told = double.from_summary(summary, read, level, future[0] if future else None)
        point = told if double.quantiles is None else told[..., task.options.levels.index(MEDIAN)]
        steps = point.shape[1]
        return ((point - y[:, :steps]) * mask[:, :steps]).square().sum(dim=(1, 2))

    return Probe(double.encoder, read.detach(), None, loss if double.summarises else None, double.reads)


def examples(
    task: ForecastTask, networks: Mapping[str, nn.Module], baselines: Sequence[Baseline], best: str
) -> list[dict[str, Any]]:
    """Forecasts from a few test windows: the last of up to three series, or three of one series.

    Those of the network ``best`` have their intervals.
    """
    series, _ = task.windows.origins("test")
    names = np.unique(series)
    if len(names) >= EXAMPLES:
        picked = [int(np.flatnonzero(series == index)[-1]) for index in names[:EXAMPLES]]
    else:
        count = task.windows.count("test")
        picked = sorted({0, count // 2, count - 1})
    indices = np.array(picked)
    trained = {name: task.forecast(network, "test", indices) for name, network in networks.items()}
    naive = {b.name: task.forecast(b, "test", indices) for b in baselines}
    truth = task.windows.targets_original("test", indices)
    found = [
        _example(task, int(truth.series[k]), int(truth.origins[k]), k, truth.values, truth.times, trained | naive)
        for k in range(len(indices))
    ]
    bounds = intervals.around(task, networks[best], indices) if best in networks else None
    for k, example in enumerate(found if bounds is not None else []):
        low, high = (_known(bound[k, :, 0]) for bound in bounds or ())
        example["interval"] = {"of": best, "level": task.interval, "low": low, "high": high}
    return found


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


def _known(values: np.ndarray) -> list[float | None]:
    return [float(v) if np.isfinite(v) else None for v in values]
