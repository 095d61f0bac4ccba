"""Standardisation fitted on the training range, which it remembers and defends."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from unroll.data.series.calendar import calendar_columns
from unroll.data.series.frequency import show_time
from unroll.data.series.series import Series, SeriesSet
from unroll.data.series.split import Ranges
from unroll.errors import DataError, LeakageError, did_you_mean


@dataclass(frozen=True, eq=False)
class Fit:
    """What was fitted on one series: (channels,) mean and deviation, and the rows [start, end) and times it saw."""

    mean: np.ndarray
    deviation: np.ndarray
    rows: tuple[int, int]
    first_time: Any
    last_time: Any


@dataclass(frozen=True, eq=False)
class Scaler:
    """Per series and channel: (value - mean) / standard deviation of the training rows (ddof 0, NaN ignored).

    The channels are targets, features, what is ``known`` of the future; the last ``plain`` of them stay as they are.
    """

    targets: tuple[str, ...]
    features: tuple[str, ...]
    fits: Mapping[str, Fit]
    known: tuple[str, ...] = ()
    plain: int = 0

    @classmethod
    def fit(cls, series_set: SeriesSet, ranges: Mapping[str, Ranges]) -> Scaler:
        """Fit every series on its training range only."""
        plain = len(calendar_columns(series_set.calendar))
        fits = {series.name: _fit(series, ranges[series.name].train, plain) for series in series_set.series}
        return cls(series_set.targets, series_set.features, fits, series_set.future, plain)

    def fit_history(self, series: Series) -> Scaler:
        """A scaler that also knows ``series``, fitted on all the history given. Raises DataError if it is empty."""
        if not series.rows:
            raise DataError(f"series '{series.name}' has no rows", expected="some history to predict from")
        return replace(self, fits={**self.fits, series.name: _fit(series, (0, series.rows), self.plain)})

    def transform(self, name: str, values: np.ndarray) -> np.ndarray:
        """``values`` (…, channels) in units of the training deviation."""
        fit = self._of(name)
        return (values - fit.mean) / fit.deviation

    def inverse(self, name: str, values: np.ndarray, channels: Sequence[int]) -> np.ndarray:
        """``values`` (…, len(channels)) back in original units; ``channels`` are their indices among all channels."""
        fit, index = self._of(name), np.asarray(channels, dtype=np.int64)
        return np.asarray(values, np.float64) * fit.deviation[index] + fit.mean[index]

    def assert_not_seen(self, name: str, first_target_row: int, time: Any = None) -> None:
        """Raise LeakageError if a row to be scored lies inside or before the end of the rows fitted on.

        With its ``time`` the comparison is by time, so that it also holds for another cut of the same series.
        """
        fit = self._of(name)
        seen = first_target_row < fit.rows[1] if time is None else time <= fit.last_time
        if seen:
            raise LeakageError(
                f"series '{name}' would be scored from row {first_target_row:,} on, but its scaler was fitted on "
                f"rows {fit.rows[0]:,} to {fit.rows[1] - 1:,} (until {show_time(fit.last_time)})",
                expected="scored rows after the fitted ones",
                fix="Fit the scaler on the training range only, and score rows after it",
            )

    def to_dict(self) -> dict[str, Any]:
        """Everything, as JSON values."""
        return {
            "targets": list(self.targets),
            "features": list(self.features),
            "known": list(self.known),
            "plain": self.plain,
            "series": {
                name: {
                    "mean": fit.mean.tolist(),
                    "deviation": fit.deviation.tolist(),
                    "rows": list(fit.rows),
                    "times": [time_to_json(fit.first_time), time_to_json(fit.last_time)],
                }
                for name, fit in self.fits.items()
            },
        }

    @classmethod
    def from_dict(cls, record: Mapping[str, Any]) -> Scaler:
        fits = {
            name: Fit(
                np.asarray(fit["mean"], np.float64),
                np.asarray(fit["deviation"], np.float64),
                (int(fit["rows"][0]), int(fit["rows"][1])),
                time_from_json(fit["times"][0]),
                time_from_json(fit["times"][1]),
            )
            for name, fit in record["series"].items()
        }
        known, plain = tuple(record.get("known", ())), int(record.get("plain", 0))
        return cls(tuple(record["targets"]), tuple(record["features"]), fits, known, plain)

    def _of(self, name: str) -> Fit:
        if name not in self.fits:
            raise DataError(
                f"series '{name}' was not in the training data.{did_you_mean(name, self.fits)}",
                expected=f"one of its {len(self.fits):,} series",
                fix="For a new series, fit its scale on its own history first (Scaler.fit_history)",
            )
        return self.fits[name]


def time_to_json(time: Any) -> str | int:
    return str(time) if isinstance(time, np.datetime64) else int(time)


def time_from_json(time: str | int) -> Any:
    return np.datetime64(time, "us") if isinstance(time, str) else np.int64(time)


def _fit(series: Series, rows: tuple[int, int], plain: int) -> Fit:
    values = series.values[rows[0] : rows[1]]
    if not len(values):
        raise DataError(
            f"series '{series.name}' has no training rows",
            expected="one or more",
            fix="Give a --split with more for training",
        )
    seen = ~np.isnan(values)
    count = np.maximum(seen.sum(axis=0), 1)
    mean = np.where(seen, values, 0.0).sum(axis=0) / count
    deviation = np.sqrt((np.where(seen, values - mean, 0.0) ** 2).sum(axis=0) / count)
    # Rounding can leave a constant channel with a deviation just above 0, which would blow up what comes after.
    low = np.where(seen, values, np.inf).min(axis=0)
    high = np.where(seen, values, -np.inf).max(axis=0)
    deviation = np.where((high <= low) | (deviation == 0), 1.0, deviation)
    if plain:
        mean[-plain:], deviation[-plain:] = 0.0, 1.0
    return Fit(mean, deviation, (int(rows[0]), int(rows[1])), series.times[rows[0]], series.times[rows[1] - 1])
