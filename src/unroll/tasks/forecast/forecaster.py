"""``Forecaster``: one network, from data to forecasts, in Python."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from unroll.data import (
    Ranges,
    Recorded,
    Scaler,
    Series,
    SeriesSet,
    Windows,
    extended,
    origin_window,
    restore,
    show_time,
)
from unroll.errors import DataError
from unroll.models import ForecastNetwork
from unroll.tasks.estimator import Estimator
from unroll.tasks.forecast import intervals
from unroll.tasks.forecast.conformal import Conformal
from unroll.tasks.forecast.network import Sizes, build_network
from unroll.tasks.forecast.quantiles import MEDIAN
from unroll.tasks.forecast.task import (
    KIND,
    DataOptions,
    ForecastTask,
    prepare,
    read_series,
)
from unroll.tasks.options import check_known, names

ENDINGS = ("", "_low", "_high")
"""Of the columns of a forecast, the first of which is the target's own."""


class Forecaster(Estimator):
    """Trains one recurrent network to forecast, and forecasts with it.

    Args:
        cell, hidden, layers, dropout: the network; ``cell`` is a registered name or ``package.module:Class``.
        horizon, input, season: steps ahead, steps of history, steps per season; chosen from the training data
            if not given.
        split: three fractions, three row counts, or ``"rest,48,48"``.
        loss: ``"mae"`` or ``"mse"``, on standardised values.
        lr, epochs, patience, batch_size, seed: training.
        options: the others of ``unroll train --help``.

    Example::

        >>> forecaster = unroll.Forecaster(cell="gru", horizon=12).fit(frame, target="units")
        >>> forecaster.predict()              # the 12 steps after the end of ``frame``
        >>> forecaster.predict(newer)         # the 12 steps after the end of ``newer``: history is all it needs
        >>> forecaster.save("runs/units"); unroll.Forecaster.load("runs/units")
    """

    kind = KIND
    network: ForecastNetwork | None
    task: ForecastTask | None

    def fit(
        self,
        data: Any,
        target: str | Sequence[str] = (),
        *,
        features: str | Sequence[str] = (),
        time: str | None = None,
        group: str | None = None,
        missing: str = "error",
        known: str | Sequence[str] = (),
        static: str | Sequence[str] = (),
        calendar: str | None = None,
        times: str = "regular",
        since: bool = False,
        out: str | Path | None = None,
        overwrite: bool = False,
        **reading: Any,
    ) -> Forecaster:
        """Train on ``data``: a path, the name of a data set, or any dataframe.

        With ``out``, everything is written there as it goes; a run that was killed continues when called again.
        ``known`` columns are read of the steps to be forecast too, ``static`` ones are constant within a series;
        ``calendar``, ``times`` and ``since`` as in ``unroll train --help``. ``reading`` are further options of how the
        data is read (``na``, ``delimiter``, ``layout``, ``sort``, ``drop_bad_rows``, ``skip_bad_series``).

        Raises:
            DataError, ConfigError, RunError: what to change is in the message.
        """
        self.data_options = DataOptions(
            targets=names(target),
            features=names(features),
            time=time,
            group=group,
            missing=missing,
            known=names(known),
            static=names(static),
            calendar=calendar,
            times=times,
            since=since,
            **_reading(reading),
        )
        task = prepare(data, self.data_options, self.task_options)
        return self.fit_prepared(task, data, out, overwrite=overwrite)

    def predict(self, data: Any = None, **reading: Any) -> Any:
        """Forecast the steps that follow the end of ``data``, or of the training data if none is given.

        ``reading`` changes how ``data`` is read from how the training data was (``missing="carry"``, ``sort=True``,
        ``na``, ``delimiter``, ``drop_bad_rows``, ``skip_bad_series``). Where columns are known of the future, or times
        are irregular, the last rows of ``data`` are the steps to forecast: with these columns, without targets.

        Returns:
            a polars frame: the series' group column if there is one, the time column (``step`` if there is none),
            and per target a column of its name and, where the run has intervals, ``NAME_low`` and ``NAME_high``; of
            quantiles the first is the median, and each has a column beside it, as ``NAME_q0.1``.

        Raises:
            DataError: ``data`` lacks a column, has no rows, or does not reach far enough into the future.
            RunError: nothing is trained or loaded yet.
        """
        import polars as pl

        network, recorded = self._trained(), restore(self.record)
        series_set = self._series(data, recorded, reading)
        fitted = intervals.restored(self.calibration).get(intervals.NETWORK)
        whole = [extended(series, series_set, recorded.horizon) for series in series_set.series]
        frames = [self._future(series, network, recorded, fitted) for series in whole]
        time, group = series_set.time_column or "step", series_set.group_column
        columns: dict[str, Any] = {}
        if group is not None:
            columns[group] = [name for name, times, _ in frames for _ in times]
        columns[time] = _as_dates(np.concatenate([times for _, times, _ in frames]))
        values = np.concatenate([forecast for _, _, forecast in frames])
        told = [f"_q{level:g}" for level in self.task_options.levels]
        endings = [*(ENDINGS if fitted is not None else ENDINGS[:1]), *told]
        for k, target in enumerate(recorded.targets):
            columns |= {f"{target}{ending}": column for ending, column in zip(endings, values[:, k].T, strict=True)}
        return pl.DataFrame(columns)

    def evaluate(self, data: Any = None, **reading: Any) -> dict[str, Any]:
        """Scores beside the naive baselines: of the test range, or of ``data`` after what training has seen.

        ``reading`` as in ``predict``.

        Returns:
            ``{"windows": n, "network": {...}, "baselines": {name: {...}}}``, each with MASE, MAE, RMSE, sMAPE in
            the data's units and "scaled" MSE and MAE on standardised values; where the run has intervals also their
            coverage, mean width and MSIS, and under "notes" how often they held, with its standard error; of
            quantiles WQL, pinball loss and coverage, and "quantiles": nominal and measured coverage and mean width of
            the interval between the outermost.

        Raises:
            DataError: no window of ``data`` lies wholly after the training and validation ranges.
        """
        network = self._trained()
        task = self.task if data is None and self.task is not None else self._scoring_task(data, reading)
        errors = {intervals.NETWORK: task.errors(network)} | {b.name: task.errors(b) for b in intervals.naive(task)}
        scores = {name: {**one.scores(), **one.details()} for name, one in errors.items()}
        notes = intervals.told(task, errors)
        return {
            "windows": task.windows.count("test"),
            "network": scores.pop(intervals.NETWORK),
            "baselines": scores,
            **({"notes": notes} if notes else {}),
        }

    def _rebuilt(self) -> ForecastNetwork:
        recorded = restore(self.record)
        r = recorded
        sizes = Sizes.of(r.inputs, len(r.targets), r.input_length, r.horizon, r.season)
        return build_network(self.network_options, self.task_options, sizes)

    def _series(self, data: Any, recorded: Recorded, reading: dict[str, Any]) -> SeriesSet:
        if data is None and self.task is not None:
            return self.task.series_set
        source = self.source if data is None else data
        if isinstance(source, str) and source == "dataframe":
            raise DataError("this run was trained on a dataframe that is not at hand", fix="Give the data to use")
        columns = replace(
            self.data_options,
            targets=recorded.targets,
            features=recorded.features,
            known=recorded.known,
            static=recorded.static,
            time=recorded.time_column or "none",
            group=recorded.group_column,
            **_reading(reading),
        )
        return read_series(source, columns, frequency=recorded.frequency)

    def _future(
        self, series: Series, network: ForecastNetwork, recorded: Recorded, fitted: Conformal | None
    ) -> tuple[str, np.ndarray, np.ndarray]:
        """Name, times, and values (horizon, targets, n) of the last ``horizon`` rows of ``series``, which have no
        targets: the forecast, the bounds of its interval if it has one, its quantiles if it has any."""
        horizon = recorded.horizon
        scaler = _knowing(recorded.scaler, series, horizon)
        window = origin_window(series, scaler, recorded.inputs, recorded.input_length, horizon)
        device = next(network.parameters()).device
        with torch.no_grad():
            scaled = network(*(part.to(device) for part in window))[0].double().cpu().numpy()
        levels = self.task_options.levels
        quantiles = list(np.moveaxis(np.sort(scaled, axis=-1), -1, 0)) if levels else []
        point = quantiles[levels.index(MEDIAN)] if levels else scaled
        told = [point]
        if fitted is not None:
            own = (quantiles[0], quantiles[-1]) if levels else (point, point)
            told += [bound[0] for bound in fitted.bounds(own[0][None], own[1][None], np.ones((1, point.shape[1])))]
        told += quantiles
        values = np.stack([scaler.inverse(series.name, v, range(len(recorded.targets))) for v in told], axis=-1)
        return series.name, series.times[-horizon:], values

    def _scoring_task(self, data: Any, reading: dict[str, Any]) -> ForecastTask:
        """``data`` as a task that has a test part only."""
        recorded = restore(self.record)
        series_set = self._series(data, recorded, reading)
        held = {record["name"]: record for record in self.record["series"]}
        same = series_set.fingerprint == recorded.fingerprint
        ranges = {s.name: _test_range(s, held.get(s.name), same, recorded.input_length) for s in series_set.series}
        for series in series_set.series:
            _check_rows_left(series, ranges[series.name], recorded)
        scaler = _with_new(recorded.scaler, series_set, ranges)
        length, horizon = recorded.input_length, recorded.horizon
        windows = Windows(series_set, ranges, scaler, length, horizon, inputs=recorded.inputs, parts=("test",))
        scales = {
            name: np.array([np.nan if v is None else v for v in scale])
            for name, scale in self.record["mase_scale"].items()
        }
        season, asked, fitted = recorded.season, self.task_options, intervals.restored(self.calibration)
        return ForecastTask(
            series_set,
            ranges,
            scaler,
            windows,
            season,
            "given",
            asked.metric,
            asked.learned_loss,
            scales,
            asked,
            asked.interval if fitted else 0.0,
            fitted,
        )


def _reading(given: dict[str, Any]) -> dict[str, Any]:
    """Options of how data is read, checked by name."""
    check_known(given, KIND.reading)
    return given | ({"na": names(given["na"])} if "na" in given else {})


def _as_dates(times: np.ndarray) -> np.ndarray:
    """Whole days as dates without a time of day."""
    if times.dtype.kind == "M" and bool((times == times.astype("datetime64[D]")).all()):
        return times.astype("datetime64[D]")
    return times


def _knowing(scaler: Scaler, series: Series, horizon: int) -> Scaler:
    """``scaler``, fitted on a series it has not met from that series' own history, without its last rows."""
    if series.name in scaler.fits:
        return scaler
    end = series.rows - horizon
    return scaler.fit_history(replace(series, times=series.times[:end], values=series.values[:end]))


def _with_new(scaler: Scaler, series_set: SeriesSet, ranges: dict[str, Ranges]) -> Scaler:
    """``scaler`` with the series it has not met, fitted on the rows before those that are scored."""
    new = series_set.without(set(scaler.fits))
    return replace(scaler, fits={**scaler.fits, **Scaler.fit(new, ranges).fits})


def _test_range(series: Series, held: dict[str, Any] | None, same: bool, input_length: int) -> Ranges:
    """Rows that may be scored: the run's test range of the same data, else all that training has not seen.

    A series that training has not met is scaled by its first half and scored on its second.
    """
    if held is None:
        half = max(1, min(series.rows, max(input_length, series.rows // 2)))
        return Ranges((0, half), (half, half), (half, series.rows))
    if same:
        begin, end = held["test"]["rows"]
    else:
        last = held["valid"]["times"][1]
        seen = np.datetime64(last) if isinstance(last, str) else last
        begin, end = int(np.searchsorted(series.times, seen, side="right")), series.rows
    return Ranges((0, 0), (0, begin), (begin, end))


def _check_rows_left(series: Series, ranges: Ranges, recorded: Recorded) -> None:
    begin, end = ranges.test
    if end - max(begin, recorded.input_length) >= recorded.horizon:
        return
    seen = f", which goes until {show_time(series.times[begin - 1])}" if begin else ""
    raise DataError(
        f"series '{series.name}' has {end - begin:,} of {series.rows:,} rows after what training has seen{seen}",
        expected=f"{recorded.horizon:,} or more to score, with {recorded.input_length:,} rows before the first of them",
        fix="Give data that goes on for longer",
    )
