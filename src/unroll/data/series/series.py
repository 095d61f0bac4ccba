"""What the rest of unroll sees of a data set: series of rows in order of time."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import NamedTuple

import numpy as np

from unroll.data.series.calendar import calendar_columns
from unroll.data.series.frequency import Frequency

STEP_COLUMN = "log step"
"""The channel of irregular times: the logarithm of the time since the row before."""


class Ahead(NamedTuple):
    """Rows after the last target. times: (n,); known: (n, known) float64; rows: where each is in the file, if it is."""

    times: np.ndarray
    known: np.ndarray
    rows: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Series:
    """One series. ``times``: (rows,) datetime64[us] or int64; ``values``: (rows, channels) float64, NaN = missing.

    ``static`` holds what does not change within it, as text (None where missing); ``ahead`` what is known of later
    rows.
    """

    name: str
    times: np.ndarray
    values: np.ndarray
    static: tuple[str | None, ...] = ()
    ahead: Ahead | None = None

    @property
    def rows(self) -> int:
        return len(self.values)


@dataclass(frozen=True, eq=False)
class SeriesSet:
    """Series of one frequency with the same channels: targets, features, then what is known of the future too.

    ``known`` are columns of the data, ``calendar`` parts of the time; ``static`` columns are not channels. ``holes``
    says what becomes of missing values (error, carry, mask): with "mask" the networks are told which were observed, and
    with ``since`` how long ago.
    """

    series: tuple[Series, ...]
    targets: tuple[str, ...]
    features: tuple[str, ...]
    time_column: str | None
    group_column: str | None
    frequency: Frequency
    name: str
    fingerprint: str
    notes: tuple[str, ...] = field(default=())
    known: tuple[str, ...] = ()
    static: tuple[str, ...] = ()
    calendar: tuple[str, ...] = ()
    holes: str = "error"
    since: bool = False

    @property
    def mask(self) -> bool:
        return self.holes == "mask"

    @property
    def irregular(self) -> bool:
        return self.frequency.unit == "irregular"

    @property
    def future(self) -> tuple[str, ...]:
        """The channels that are known of the rows to be forecast: last of all channels, the calendar at their end."""
        return self.known + ((STEP_COLUMN,) if self.irregular else ()) + calendar_columns(self.calendar)

    @property
    def channels(self) -> tuple[str, ...]:
        return self.targets + self.features + self.future

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
