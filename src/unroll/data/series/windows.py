"""Windows over series, gathered on demand: the inputs before a forecast origin and the targets from it on."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from unroll.data.series.ahead import clock
from unroll.data.series.inputs import Inputs
from unroll.data.series.lengths import check_lengths, short_error, too_short
from unroll.data.series.scale import Scaler
from unroll.data.series.series import Series, SeriesSet
from unroll.data.series.split import PARTS, Ranges
from unroll.errors import ConfigError, DataError


class Batch(NamedTuple):
    """B windows, scaled.

    x: (B, L, channels) float32, missing values carried forward (0 before the first);
    y: (B, h, targets) float32, 0 where missing; mask: (B, h, targets) bool, True where y was observed;
    last: (B, targets) float32, the target at the end of the input, carried forward;
    future: (B, h, n) float32, what is known of the rows to be forecast; n is 0 where nothing is.
    """

    x: Tensor
    y: Tensor
    mask: Tensor
    last: Tensor
    future: Tensor

    def read(self) -> tuple[Tensor, ...]:
        """What a network reads: x, last, and future if anything is in it."""
        return (self.x, self.last, self.future) if self.future.shape[-1] else (self.x, self.last)


class Targets(NamedTuple):
    """What happened, unscaled. values: (B, h, targets) float64 with NaN; times: (B, h); series, origins: (B,)."""

    values: np.ndarray
    times: np.ndarray
    series: np.ndarray
    origins: np.ndarray


class Windows:
    """All windows of a set, stride 1; only rows are stored, once.

    A window lies in a part ("train", "valid", "test") when all its ``horizon`` target rows do; its ``input_length``
    input rows are those just before and may reach back into earlier parts. Windows without any observed target
    are skipped. Only the windows of ``parts`` are made. Raises DataError where a series has no window in one of them,
    saying which options fit.
    """

    def __init__(
        self,
        series_set: SeriesSet,
        ranges: Mapping[str, Ranges],
        scaler: Scaler,
        input_length: int,
        horizon: int,
        *,
        inputs: Inputs | None = None,
        parts: Sequence[str] = PARTS,
    ) -> None:
        check_lengths(horizon, input_length)
        short = too_short(series_set.series, ranges, input_length, horizon, parts)
        if short:
            raise short_error(short, series_set, ranges, input_length, horizon)
        self.series_set, self.scaler = series_set, scaler
        self.input_length, self.horizon = input_length, horizon
        self.inputs = inputs if inputs is not None else Inputs.fit(series_set, ranges)
        self._store_rows()
        self._origins = {part: self._origins_of(part, ranges) for part in parts}

    @property
    def parts(self) -> tuple[str, ...]:
        """The parts that windows were made of."""
        return tuple(self._origins)

    def only(self, part: str, kept: np.ndarray) -> Windows:
        """The same windows, of ``part`` only those where the mask ``kept`` (count,) is true; rows are shared."""
        picked = copy.copy(self)
        series, origins = self._part(part)
        picked._origins = {**self._origins, part: (series[kept], origins[kept])}
        return picked

    def count(self, part: str) -> int:
        """The number of windows in ``part``."""
        return len(self._part(part)[0])

    def origins(self, part: str) -> tuple[np.ndarray, np.ndarray]:
        """Series index and first target row of every window of ``part``: (count,) int64 each."""
        return self._part(part)

    def batch(self, part: str, indices: Any) -> Batch:
        """The windows ``indices`` of ``part`` as tensors. Raises LeakageError if the scaler has seen their targets."""
        series, origins = self._picked(part, indices)
        start = self._base[series] + origins
        inputs = torch.from_numpy(start[:, None] + np.arange(-self.input_length, 0))
        ahead = torch.from_numpy(start[:, None] + np.arange(self.horizon))
        last = self._x[torch.from_numpy(start - 1), : len(self.series_set.targets)]
        future = self._future(series, start, ahead)
        return Batch(self._x[inputs], self._y[ahead], self._mask[ahead], last, future)

    def targets_original(self, part: str, indices: Any) -> Targets:
        """The targets of the windows ``indices`` of ``part`` in original units, with their times."""
        series, origins = self._picked(part, indices)
        ahead = (self._base[series] + origins)[:, None] + np.arange(self.horizon)
        return Targets(self._values[ahead], self._times[ahead], series, origins)

    def _future(self, series: np.ndarray, start: np.ndarray, ahead: Tensor) -> Tensor:
        known = self._x[ahead][..., torch.from_numpy(self.inputs.future)]
        if self.inputs.step is None:
            return known
        fits = [self.scaler.fits[self.series_set.series[index].name] for index in series]
        passed = self.inputs.elapsed(self._clock, start, self.horizon, fits)
        return torch.cat([known, torch.from_numpy(passed)], dim=-1)

    def _store_rows(self) -> None:
        series, targets = self.series_set.series, len(self.series_set.targets)
        scaled = [self.scaler.transform(s.name, s.values)[:, :targets] for s in series]
        self._base = np.cumsum([0, *(s.rows for s in series)])[:-1]
        self._values = np.concatenate([s.values[:, :targets] for s in series])
        self._times = np.concatenate([s.times for s in series])
        self._clock = clock(self._times)
        self._x = torch.from_numpy(np.concatenate([self.inputs.rows(s, self.scaler) for s in series]))
        self._y = torch.from_numpy(np.concatenate([np.nan_to_num(v, nan=0.0).astype(np.float32) for v in scaled]))
        self._mask = torch.from_numpy(~np.isnan(self._values))

    def _origins_of(self, part: str, ranges: Mapping[str, Ranges]) -> tuple[np.ndarray, np.ndarray]:
        found = [self._series_origins(i, ranges[s.name], part) for i, s in enumerate(self.series_set.series)]
        index = np.repeat(np.arange(len(found)), [len(origins) for origins in found])
        return index, np.concatenate(found)

    def _series_origins(self, index: int, ranges: Ranges, part: str) -> np.ndarray:
        start, end = ranges.part(part)
        origins = np.arange(max(start, self.input_length), end - self.horizon + 1)
        series = self.series_set.series[index]
        observed = ~np.isnan(series.values[:, : len(self.series_set.targets)]).all(axis=1)
        before = np.concatenate([[0], np.cumsum(observed)])
        origins = origins[before[origins + self.horizon] > before[origins]]
        if not len(origins):
            raise DataError(
                f"series '{series.name}' has no observed value in its {end - start:,} {part} rows",
                expected="at least one to learn from or to score",
                fix="Give another --split, or --skip-bad-series"
                if len(self.series_set.series) > 1
                else "Give another --split, or --target without that gap",
            )
        return origins

    def _part(self, part: str) -> tuple[np.ndarray, np.ndarray]:
        if part not in self._origins:
            raise ConfigError(f"part '{part}'", expected="train, valid or test")
        return self._origins[part]

    def _picked(self, part: str, indices: Any) -> tuple[np.ndarray, np.ndarray]:
        series, origins = (column[np.asarray(indices, np.int64).reshape(-1)] for column in self._part(part))
        if part != "train":
            self._assert_not_seen(series, origins)
        return series, origins

    def _assert_not_seen(self, series: np.ndarray, origins: np.ndarray) -> None:
        order = np.lexsort((origins, series))
        picked, first = np.unique(series[order], return_index=True)
        for index, origin in zip(picked, origins[order][first]):
            one = self.series_set.series[index]
            self.scaler.assert_not_seen(one.name, int(origin), one.times[origin])


def history_window(series: Series, scaler: Scaler, input_length: int) -> tuple[Tensor, Tensor]:
    """The last ``input_length`` rows of plain channels: x (1, L, channels) and last (1, targets), scaled.

    Raises as ``origin_window``, of which this is the past alone.
    """
    x, last = origin_window(series, scaler, Inputs(series.values.shape[1]), input_length, 0)
    return x, last


def origin_window(
    series: Series, scaler: Scaler, inputs: Inputs, input_length: int, horizon: int
) -> tuple[Tensor, ...]:
    """What a network reads (``Batch.read``) to forecast the last ``horizon`` rows of ``series`` from those before.

    A shorter history is padded at the front with its first value. Raises DataError for an empty history, or a
    series the scaler does not know (``Scaler.fit_history``).
    """
    origin = series.rows - horizon
    if origin < 1:
        raise DataError(
            f"series '{series.name}' has no rows", expected=f"some history, best {input_length:,} rows or more"
        )
    rows = inputs.rows(series, scaler)
    x = rows[max(0, origin - input_length) : origin]
    x = np.concatenate([np.repeat(x[:1], input_length - len(x), axis=0), x])
    window = torch.from_numpy(x)[None]
    last = window[:, -1, : len(scaler.targets)]
    if not inputs.future_width:
        return window, last
    known = rows[origin:, inputs.future][None]
    if inputs.step is not None:
        passed = inputs.elapsed(clock(series.times), np.array([origin]), horizon, [scaler.fits[series.name]])
        known = np.concatenate([known, passed], axis=-1)
    return window, last, torch.from_numpy(known)
