"""What is known of the future: the rows after the last target, and as many of them as a forecast needs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from unroll.data.series.calendar import calendar_values
from unroll.data.series.frequency import Frequency, show_time
from unroll.data.series.series import Ahead, Series, SeriesSet
from unroll.data.series.spans import Span, drawn
from unroll.data.wording import counted, listed
from unroll.errors import ConfigError, DataError


def last_observed(values: np.ndarray, targets: int) -> int:
    """How many rows there are up to the last one with a target."""
    seen = np.flatnonzero(~np.isnan(values[:, :targets]).all(axis=1))
    return int(seen[-1]) + 1 if len(seen) else 0


def cut(series: Series, end: int, known: int, rows: Sequence[str]) -> Series:
    """``series`` until row ``end``, later rows as ``ahead``: of them only the last ``known`` columns are read."""
    ahead = Ahead(series.times[end:], series.values[end:, series.values.shape[1] - known :], tuple(rows))
    return replace(series, times=series.times[:end], values=series.values[:end], ahead=ahead)


def derive(series: Series, frequency: Frequency, calendar: Sequence[str]) -> Series:
    """``series`` with the channels that follow from its times, in its rows and in those ahead."""
    irregular = frequency.unit == "irregular"
    if calendar and series.times.dtype.kind != "M":
        raise ConfigError(
            f"--calendar {','.join(calendar)} with rows that have numbers for times",
            expected="dates or times of day",
            fix="Give --time with a column of dates, or leave --calendar out",
        )
    if not (irregular or calendar):
        return series
    here = _derived(series.times, irregular, calendar)
    ahead = series.ahead
    if ahead is not None:
        later = _derived(np.concatenate([series.times[-1:], ahead.times]), irregular, calendar)[series.rows > 0 :]
        ahead = ahead._replace(known=np.concatenate([ahead.known, later], axis=1))
    return replace(series, values=np.concatenate([series.values, here], axis=1), ahead=ahead)


def clock(times: np.ndarray) -> np.ndarray:
    """``times`` as float64: seconds, or steps."""
    return times.astype("datetime64[us]").astype(np.int64) / 1e6 if times.dtype.kind == "M" else times.astype(float)


def extended(series: Series, of: SeriesSet, horizon: int) -> Series:
    """``series`` and the ``horizon`` rows that follow it, in which only what is known of the future has values.

    Raises:
        DataError: a known column, or an irregular time, does not reach that far, with a drawing of what is there; or
            has a hole where the data was not to have any.
    """
    read = bool(of.known) or of.irregular
    times, known = _read_ahead(series, of, horizon) if read else _made_ahead(series, of, horizon)
    values = np.full((horizon, series.values.shape[1]), np.nan)
    if known.shape[1]:
        values[:, -known.shape[1] :] = known
    return replace(
        series,
        times=np.concatenate([series.times, times]),
        values=np.concatenate([series.values, values]),
        ahead=None,
    )


def _derived(times: np.ndarray, irregular: bool, calendar: Sequence[str]) -> np.ndarray:
    """The step of the first row, which nobody knows, is taken to be that of the second."""
    found = calendar_values(times, calendar)
    if not irregular:
        return found
    steps = np.log(np.diff(clock(times)))
    first = steps[:1] if len(steps) else np.zeros(min(1, len(times)))
    return np.concatenate([np.concatenate([first, steps])[:, None], found], axis=1)


def _made_ahead(series: Series, of: SeriesSet, horizon: int) -> tuple[np.ndarray, np.ndarray]:
    times = of.frequency.after(series.times[-1], horizon)
    return times, calendar_values(times, of.calendar)


def _read_ahead(series: Series, of: SeriesSet, horizon: int) -> tuple[np.ndarray, np.ndarray]:
    ahead = series.ahead or Ahead(series.times[:0], series.values[:0, len(of.targets) + len(of.features) :], ())
    given = ahead.known[:horizon]
    reach = {name: last_observed(given[:, k : k + 1], 1) for k, name in enumerate(of.known)}
    if of.irregular:
        reach = {of.time_column or "time": len(given)} | reach
    short = {name: rows for name, rows in reach.items() if rows < horizon}
    if short:
        raise _too_short(series, of, horizon, reach, short)
    holes = np.argwhere(np.isnan(given))
    if len(holes) and of.holes == "error":
        row, column = (int(k) for k in holes[0])
        when = show_time(ahead.times[row])
        where = f"in {ahead.rows[row]} ({when})" if ahead.rows[row] else f"at {when}, which has no row"
        raise DataError(
            f"column '{of.known[column]}' of series '{series.name}' has no value {where}, "
            f"one of the {counted(horizon, 'row')} to forecast",
            expected="a value of every known column at every time that is forecast",
            fix="Fill it in, or give --missing carry: it repeats the last known value",
        )
    return ahead.times[:horizon], given


def _too_short(series: Series, of: SeriesSet, horizon: int, reach: dict[str, int], short: dict[str, int]) -> DataError:
    now = series.rows
    spans = [Span("target", name, 0, now, now) for name in of.targets]
    spans += [Span("feature", name, 0, now, now) for name in of.features]
    spans += [Span("known", name, 0, now + rows, now + horizon) for name, rows in reach.items()]
    alike: dict[int, list[str]] = {}
    for name, rows in short.items():
        alike.setdefault(rows, []).append(name)
    ends = "; ".join(f"{counted(rows, 'row')} of {listed(names, 3, quote=chr(39))}" for rows, names in alike.items())
    ahead = series.ahead.times if series.ahead is not None else series.times[:0]
    times = np.concatenate([series.times, ahead[:horizon]])
    if not of.irregular and len(times) < now + horizon:
        times = np.concatenate([times, of.frequency.after(times[-1], now + horizon - len(times))])
    return DataError(
        f"series '{series.name}' is to be forecast {counted(horizon, 'row')} ahead, which takes what is known of them; "
        f"there {'is' if ends.startswith('1 ') else 'are'} {ends}\n{drawn(spans, times, now)}",
        expected=f"{counted(horizon, 'row')} after the last target, with {listed(list(reach), quote=chr(39))} filled "
        "in and the targets left empty",
        fix="Add these rows to the data",
    )
