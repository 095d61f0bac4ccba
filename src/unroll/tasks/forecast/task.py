"""Forecasting: numeric series in, the next ``horizon`` steps of the targets out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import torch
from torch import nn

from unroll.data import (
    Frequency,
    Ranges,
    Scaler,
    Series,
    SeriesSet,
    Windows,
    data_record,
    parse_split,
    read_table,
    to_series,
)
from unroll.data import prepare as data_prepare
from unroll.models import ForecastNetwork
from unroll.tasks.contract import Probe, Task, TaskKind
from unroll.tasks.forecast import intervals, result
from unroll.tasks.forecast.baselines import Baseline, LastValue, RidgeAR, SeasonalNaive
from unroll.tasks.forecast.conformal import Conformal, interval_sums
from unroll.tasks.forecast.network import Sizes, build_network
from unroll.tasks.forecast.options import DataOptions, ForecastOptions
from unroll.tasks.forecast.problem import ForecastProblem
from unroll.tasks.forecast.quantiles import MEDIAN, QUANTILE_METRICS, quantile_sums
from unroll.tasks.forecast.scores import METRICS, OF_INTERVALS, WindowErrors, seasonal_scale, window_errors
from unroll.tasks.network import NetworkOptions
from unroll.tasks.options import located

if TYPE_CHECKING:
    from unroll.tasks.estimator import Estimator

CHUNK = 512
"""Windows per forward pass when nothing is learned."""


@dataclass(frozen=True, eq=False)
class ForecastTask(Task):
    """Data ready to learn from: split, scaled and windowed. Build it with ``prepare``."""

    name: ClassVar[str] = "forecast"
    higher: ClassVar[Sequence[str]] = ("coverage",)
    fallback: ClassVar[str] = "MAE"

    series_set: SeriesSet
    ranges: Mapping[str, Ranges]
    scaler: Scaler
    windows: Windows
    season: int | None
    season_source: str
    metric: str
    loss: str
    mase_scales: Mapping[str, np.ndarray]
    options: ForecastOptions
    interval: float = 0.0
    fitted_intervals: Mapping[str, Conformal] = field(default_factory=dict)

    @property
    def metrics(self) -> Sequence[str]:
        quantiles = QUANTILE_METRICS if self.options.levels else ()
        return (*METRICS, *quantiles, *(OF_INTERVALS if intervals.possible(self) else ()))

    @cached_property
    def calibrating(self) -> int:
        """How many validation windows intervals can be fitted on."""
        return intervals.least(self)

    @property
    def source(self) -> str:
        return self.series_set.name

    @property
    def fingerprint(self) -> str:
        return self.series_set.fingerprint

    @property
    def notes(self) -> tuple[str, ...]:
        return self.series_set.notes

    @property
    def span(self) -> int:
        return self.horizon

    @property
    def horizon(self) -> int:
        return self.windows.horizon

    @property
    def input(self) -> int:
        return self.windows.input_length

    @property
    def targets(self) -> tuple[str, ...]:
        return self.series_set.targets

    def build(self, options: NetworkOptions) -> ForecastNetwork:
        sizes = Sizes.of(self.windows.inputs, len(self.targets), self.input, self.horizon, self.season)
        return build_network(options, self.options, sizes)

    def problem(self) -> ForecastProblem:
        return ForecastProblem(self)

    def baselines(self) -> tuple[list[Baseline], list[str]]:
        found: list[Baseline] = []
        absent = []
        try:
            found.append(RidgeAR(self.windows))
        except ValueError as error:
            absent.append(f"ridge AR: {error}")
        if self.season is not None:
            found.append(SeasonalNaive(self.season))
        elif self.series_set.irregular:
            absent.append("seasonal naive: where times are irregular, no number of rows is a season")
        else:
            absent.append("seasonal naive: no season given, and none found in the training data")
        return [*found, LastValue()], absent

    def forecast(self, forecaster: nn.Module | Baseline, part: str, indices: np.ndarray | None = None) -> np.ndarray:
        """Forecasts (windows, horizon, targets) in original units for windows of ``part``; of quantiles the median."""
        told = self.told(forecaster, part, indices)
        return told if told.ndim == 3 else told[..., self.options.levels.index(MEDIAN)]

    def told(self, forecaster: nn.Module | Baseline, part: str, indices: np.ndarray | None = None) -> np.ndarray:
        """All that is forecast: as ``forecast``, or (windows, horizon, targets, quantiles) of a network that has them.

        Quantiles that cross are sorted, which lowers their loss (Chernozhukov et al. 2010).
        """
        indices = np.arange(self.windows.count(part)) if indices is None else indices
        pieces = [
            self._chunk(forecaster, part, indices[begin : begin + CHUNK]) for begin in range(0, len(indices), CHUNK)
        ]
        mean, deviation = (fit[:, None, :] for fit in self._scale_of(part, indices))
        scaled = np.concatenate(pieces)
        if scaled.ndim == 3:
            return scaled * deviation + mean
        return np.sort(scaled, axis=-1) * deviation[..., None] + mean[..., None]

    def errors(self, forecaster: nn.Module | Baseline, part: str = "test") -> WindowErrors:
        """Score every window of ``part``. Raises LeakageError if anything was fitted on what is scored."""
        indices = np.arange(self.windows.count(part))
        truth = self.windows.targets_original(part, indices)
        for index in np.unique(truth.series):
            series, first = self.series_set.series[index], int(truth.origins[truth.series == index].min())
            self.scaler.assert_not_seen(series.name, first, series.times[first])
        deviation = self.deviation(part, indices)
        unknown = np.full(len(self.targets), np.nan)
        scales = np.stack([self.mase_scales.get(s.name, unknown) for s in self.series_set.series])
        told, levels, scale = self.told(forecaster, part), self.options.levels, scales[truth.series]
        alone = told.ndim == 3
        forecast = told if alone else told[..., levels.index(MEDIAN)]
        errors = window_errors(
            truth.values, forecast, mase_scale=scale, deviation=deviation, series=truth.series, origins=truth.origins
        )
        if levels:
            every = np.repeat(told[..., None], len(levels), axis=-1) if alone else told
            errors = errors.with_sums(quantile_sums(truth.values, every, levels, point=alone))
        fitted = intervals.fitted(self, forecaster) if part == "test" else None
        if fitted is None:
            return errors
        bounds = fitted.bounds(*intervals.outermost(told), deviation)
        return errors.with_sums(interval_sums(truth.values, *bounds, mase_scale=scale, level=fitted.level))

    def calibration(self, network: nn.Module) -> dict[str, Any] | None:
        return intervals.record(self, network)

    def deviation(self, part: str, indices: np.ndarray) -> np.ndarray:
        """The training deviation (windows, targets) of each window's series."""
        return self._scale_of(part, indices)[1]

    def record(self) -> dict[str, Any]:
        return data_record(self.series_set, self.ranges, self.scaler, self.windows, self.season) | {
            "season_source": self.season_source,
            "mase_scale": {
                name: [float(v) if np.isfinite(v) else None for v in scale] for name, scale in self.mase_scales.items()
            },
        }

    def described(self, metric: str, match: str) -> dict[str, Any]:
        return result.described(self, metric, match)

    def data_facts(self, absent: Sequence[str] = ()) -> dict[str, Any]:
        return result.data_facts(self, absent)

    def protocol(self) -> str:
        return result.protocol(self)

    def shown(self, networks: Mapping[str, nn.Module], baselines: Sequence[Baseline], best: str) -> dict[str, Any]:
        return {"examples": result.examples(self, networks, baselines, best)}

    def probe(self, network: nn.Module) -> Probe:
        return result.probe(self, network)

    def reach(self) -> tuple[int | None, str]:
        return self.season, self.series_set.frequency.plural

    def _chunk(self, forecaster: nn.Module | Baseline, part: str, indices: np.ndarray) -> np.ndarray:
        if not isinstance(forecaster, nn.Module):
            return forecaster.forecast(self.windows, part, indices)
        batch = self.windows.batch(part, indices)
        device = next(forecaster.parameters()).device
        with torch.no_grad():
            scaled = forecaster(*(t.to(device) for t in batch.read()))
        return np.asarray(scaled.double().cpu().numpy())

    def _scale_of(self, part: str, indices: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Mean and deviation (windows, targets) of each window's series."""
        series = self.windows.origins(part)[0][indices]
        fits = [self.scaler.fits[s.name] for s in self.series_set.series]
        width = len(self.targets)
        mean = np.stack([fit.mean[:width] for fit in fits])
        deviation = np.stack([fit.deviation[:width] for fit in fits])
        return mean[series], deviation[series]


def prepare(source: Any, data: DataOptions, forecast: ForecastOptions) -> ForecastTask:
    """Read, check, split, scale and window ``source``: a path, or any dataframe.

    Raises:
        DataError: the data cannot be used; the message names file, row, column or series.
        ConfigError: an option is wrong.
    """
    forecast.check()
    return prepare_series(read_series(source, data), forecast, skip_bad_series=data.skip_bad_series)


def read_series(source: Any, data: DataOptions, *, frequency: Frequency | None = None) -> SeriesSet:
    """The series of ``source``; with the ``frequency`` of a saved run it is a history to predict from.

    Raises:
        DataError: the data cannot be used; the message names file, row, column or series.
    """
    table = read_table(located(source), delimiter=data.delimiter, na=data.na, layout=data.layout)
    return to_series(
        table,
        targets=data.targets,
        features=data.features,
        time=data.time,
        group=data.group,
        missing=data.missing,
        sort=data.sort,
        drop_bad_rows=data.drop_bad_rows,
        skip_bad_series=data.skip_bad_series,
        frequency=frequency,
        known=data.known,
        static=data.static,
        calendar=data.calendar,
        times=data.times,
        since=data.since,
    )


def prepare_series(
    series_set: SeriesSet,
    options: ForecastOptions,
    *,
    skip_bad_series: bool = False,
    ranges: Mapping[str, Ranges] | None = None,
) -> ForecastTask:
    """``prepare`` for series that are read already; with ``ranges``, by series, in place of ``options.split``."""
    options.check()
    ready = data_prepare(
        series_set,
        parse_split(options.split) if ranges is None else ranges,
        options.horizon,
        input=options.input,
        season=options.season,
        skip_bad_series=skip_bad_series,
    )
    source = "given" if options.season is not None else "detected" if ready.season else "none"
    width = len(series_set.targets)
    scales = {s.name: _mase_scale(s, ready.ranges[s.name], width, ready.season) for s in ready.series_set.series}
    return ForecastTask(
        ready.series_set,
        ready.ranges,
        ready.scaler,
        ready.windows,
        ready.season,
        source,
        options.metric,
        options.learned_loss,
        scales,
        options,
        options.interval,
    )


def _mase_scale(series: Series, ranges: Ranges, targets: int, season: int | None) -> np.ndarray:
    begin, end = ranges.train
    return seasonal_scale(series.values[begin:end, :targets], season or 1)


def _forecaster() -> type[Estimator]:
    from unroll.tasks.forecast.forecaster import Forecaster

    return Forecaster


KIND = TaskKind(
    "forecast",
    DataOptions,
    ForecastOptions,
    WindowErrors,
    prepare,
    _forecaster,
    reading=("delimiter", "layout", "na", "missing", "sort", "drop_bad_rows", "skip_bad_series"),
)
