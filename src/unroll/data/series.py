"""What the rest of unroll sees of a data set: series on a regular grid of times."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

from unroll.data.frequency import Frequency


@dataclass(frozen=True, eq=False)
class Series:
    """One series. ``times``: (rows,) datetime64[us] or int64; ``values``: (rows, channels) float64, NaN = missing."""

    name: str
    times: np.ndarray
    values: np.ndarray

    @property
    def rows(self) -> int:
        return len(self.values)


@dataclass(frozen=True, eq=False)
class SeriesSet:
    """Series of one frequency with the same channels: the targets first, then the features."""

    series: tuple[Series, ...]
    targets: tuple[str, ...]
    features: tuple[str, ...]
    time_column: str | None
    group_column: str | None
    frequency: Frequency
    name: str
    fingerprint: str
    notes: tuple[str, ...] = field(default=())

    @property
    def channels(self) -> tuple[str, ...]:
        return self.targets + self.features

    @property
    def rows(self) -> int:
        return sum(series.rows for series in self.series)

    @property
    def missing(self) -> int:
        """Missing values in the target channels."""
        return sum(int(np.isnan(series.values[:, : len(self.targets)]).sum()) for series in self.series)

    def with_notes(self, *notes: str) -> SeriesSet:
        return replace(self, notes=self.notes + notes)

    def without(self, names: set[str]) -> SeriesSet:
        """The set without the named series."""
        return replace(self, series=tuple(series for series in self.series if series.name not in names))


def carried(values: np.ndarray) -> np.ndarray:
    """``values`` (rows, channels) with each NaN replaced by the last value seen before it; leading NaN stay."""
    seen = ~np.isnan(values)
    last = np.maximum.accumulate(np.where(seen, np.arange(len(values))[:, None], 0), axis=0)
    return np.take_along_axis(values, last, axis=0)
