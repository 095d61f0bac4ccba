"""What networks read: of each row of the past, and of each row to be forecast."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from unroll.data.series.ahead import clock
from unroll.data.series.scale import Fit, Scaler
from unroll.data.series.series import STEP_COLUMN, Series, SeriesSet, carried
from unroll.data.series.split import Ranges
from unroll.data.series.statics import Static


@dataclass(frozen=True, eq=False)
class Inputs:
    r"""The numbers of a row: scaled values carried forward; masks; times since observed; static columns.

    Of the ``channels``, the last ``known`` are known of the future. Each of the ``masked`` ones, those with holes in
    the training rows, has a mask m (1 = observed), and with ``since`` also the time since it was observed before this
    row, :math:`\log(1 + \delta_t)` with δ of Che et al. 2018 (GRU-D, eq. 3), in rows, or in mean steps where times are
    irregular. ``step`` is the channel with the logarithm of the step before a row, if there is one.

    Of a row to be forecast, what is known is read: values, their masks, and with irregular times the logarithm of the
    time since the last row of the past, in the units of the steps.
    """

    channels: int
    known: int = 0
    masked: tuple[int, ...] = ()
    since: bool = False
    step: int | None = None
    statics: tuple[Static, ...] = ()

    @classmethod
    def fit(cls, series_set: SeriesSet, ranges: Mapping[str, Ranges]) -> Inputs:
        """What is read of ``series_set``; holes and static values count as they are in the training rows."""
        width, known = len(series_set.channels), len(series_set.future)
        holes = np.zeros(width, bool)
        for series in series_set.series:
            begin, end = ranges[series.name].train
            holes |= np.isnan(series.values[begin:end]).any(axis=0)
        masked = tuple(int(k) for k in np.flatnonzero(holes)) if series_set.mask else ()
        step = series_set.channels.index(STEP_COLUMN, width - known) if series_set.irregular else None
        columns = enumerate(series_set.static)
        statics = tuple(Static.fit(name, [s.static[k] for s in series_set.series]) for k, name in columns)
        return cls(width, known, masked, series_set.since, step, statics)

    @property
    def width(self) -> int:
        """Numbers of a row of the past."""
        return (
            self.channels + len(self.masked) * (2 if self.since else 1) + sum(static.width for static in self.statics)
        )

    @property
    def future(self) -> np.ndarray:
        """Which of these are known of a row to be forecast too."""
        first = self.channels - self.known
        masks = [self.channels + k for k, channel in enumerate(self.masked) if channel >= first]
        return np.array([*range(first, self.channels), *masks], np.int64)

    @property
    def future_width(self) -> int:
        """Numbers of a row to be forecast."""
        return len(self.future) + (self.step is not None)

    def unknown(self, targets: int) -> int:
        """Numbers of a row of the past that are neither the targets, its first, nor known in advance, nor static.

        The time since the row before counts: of a row to be forecast, that since the last row of the past is read.
        """
        known = set(self.future.tolist()) - {self.step}
        static = sum(static.width for static in self.statics)
        return self.width - static - targets - len(known)

    def rows(self, series: Series, scaler: Scaler) -> np.ndarray:
        """(rows, width) float32; what is missing before the first value is 0, the mean of training."""
        seen = ~np.isnan(series.values[:, list(self.masked)])
        parts = [carried(scaler.transform(series.name, series.values)), seen]
        if self.since:
            parts.append(np.log1p(self._since(series, seen, scaler)))
        for static, value in zip(self.statics, series.static, strict=True):
            parts.append(np.tile(static.encoded(value, series.name), (series.rows, 1)))
        return np.nan_to_num(np.concatenate(parts, axis=1), nan=0.0).astype(np.float32)

    def elapsed(self, times: np.ndarray, start: np.ndarray, horizon: int, fits: Sequence[Fit]) -> np.ndarray:
        """(n, horizon, 1) float32: the time from the row before each ``start`` to those that follow, by ``clock``.

        ``fits`` are those of the rows' n series.
        """
        assert self.step is not None
        mean = np.array([fit.mean[self.step] for fit in fits])[:, None]
        deviation = np.array([fit.deviation[self.step] for fit in fits])[:, None]
        passed = times[start[:, None] + np.arange(horizon)] - times[start - 1][:, None]
        return ((np.log(passed) - mean) / deviation)[..., None].astype(np.float32)

    def to_dict(self) -> dict[str, Any]:
        return {
            "channels": self.channels,
            "known": self.known,
            "masked": list(self.masked),
            "since": self.since,
            "step": self.step,
            "statics": [static.to_dict() for static in self.statics],
        }

    @classmethod
    def from_dict(cls, record: Mapping[str, Any]) -> Inputs:
        return cls(
            int(record["channels"]),
            int(record["known"]),
            tuple(int(k) for k in record["masked"]),
            bool(record["since"]),
            None if record["step"] is None else int(record["step"]),
            tuple(Static.from_dict(static) for static in record["statics"]),
        )

    def _since(self, series: Series, seen: np.ndarray, scaler: Scaler) -> np.ndarray:
        """δ: how long before each row the channel was last observed; since the first row where it never was."""
        times = np.arange(series.rows, dtype=float)
        if self.step is not None:
            times = clock(series.times) / np.exp(scaler.fits[series.name].mean[self.step])
        rows = np.arange(series.rows)[:, None]
        until = np.maximum.accumulate(np.where(seen, rows, 0), axis=0)
        before = np.concatenate([np.zeros_like(until[:1]), until[:-1]])
        return times[:, None] - times[before]
