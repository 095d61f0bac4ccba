"""Cells as times: dates, months, years or integer steps, and the exact cell that is none of them."""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np
import polars as pl

from unroll.data.table import Table
from unroll.errors import DataError

_CLOCK = r"(?:[T ](?<H>\d{1,2}):(?<M>\d{2})(?::(?<S>\d{2})(?:[.,](?<F>\d{1,9}))?)?(?: ?(?<Z>Z|UTC|[+-]\d{2}:?\d{2}))?)?"
_ISO = r"^(?<y>\d{4})[-/](?<m>\d{1,2})(?:[-/](?<d>\d{1,2})" + _CLOCK + r")?$"
_QUARTER = r"^(?<y>\d{4})[- ]?[Qq](?<q>[1-4])$"
_DAY_FIRST = r"^(?<d>\d{1,2})[/-](?<m>\d{1,2})[/-](?<y>\d{4})" + _CLOCK + "$"
_MONTH_FIRST = r"^(?<m>\d{1,2})[/-](?<d>\d{1,2})[/-](?<y>\d{4})" + _CLOCK + "$"
_DOTTED = r"^(?<d>\d{1,2})\.(?<m>\d{1,2})\.(?<y>\d{4})" + _CLOCK + "$"
_INTEGER = r"^[+-]?\d{1,18}$"
_YEAR_NAMES = ("date", "ds", "yr")
_EXPECTED = "a date or time such as 2024-01-31, 2024-01-31 13:00, 20240131, 2024-01 or 2024, or an integer step"
_NO_ZONE = np.iinfo(np.int64).min


@dataclass(frozen=True, eq=False)
class _Parsed:
    """Times of every row, which of them are good, and the UTC offsets in minutes they were written with."""

    values: np.ndarray
    good: np.ndarray
    offsets: np.ndarray | None = None


def read_times(table: Table, column: str, *, drop_bad_rows: bool = False) -> tuple[np.ndarray, np.ndarray]:
    """The column as (rows,) datetime64[us] in UTC, or int64, and a mask of its bad rows.

    Raises DataError at the first missing or unreadable time (unless ``drop_bad_rows``), where days and months
    cannot be told apart, and where time zones differ.
    """
    missing = table.missing(column)
    parsed = _parse(table, column, missing)
    bad = missing | ~parsed.good
    if bad.any() and (not drop_bad_rows or bad.all()):
        raise _bad_time(table, column, int(np.argmax(bad)), bool(missing[np.argmax(bad)]))
    if parsed.offsets is not None:
        _check_zones(table, column, parsed.offsets, ~bad)
    return parsed.values, bad


def looks_like_dates(table: Table, column: str) -> bool:
    """True for a column of dates by type, or whose every text (plain integers aside) reads as a date."""
    cells = table.frame[column]
    if cells.dtype in (pl.Date, pl.Datetime):
        return True
    if cells.dtype != pl.String:
        return False
    missing = table.missing(column)
    if missing.all() or not _reads_as_date(str(cells[int(np.argmin(missing))]).strip()):
        return False
    try:
        parsed = _parse(table, column, missing)
    except DataError:
        return True
    return parsed.values.dtype.kind == "M" and bool((parsed.good | missing).all())


def _reads_as_date(text: str) -> bool:
    patterns = (_ISO, _QUARTER, _DAY_FIRST, _MONTH_FIRST, _DOTTED)
    return any(re.match(pattern.replace("(?<", "(?P<"), text) for pattern in patterns)


def _parse(table: Table, column: str, missing: np.ndarray) -> _Parsed:
    cells = table.frame[column]
    if cells.dtype in (pl.Date, pl.Datetime):
        return _native(cells)
    if cells.dtype.is_numeric():
        return _from_numbers(cells, column)
    text = cells.cast(pl.String, strict=False).str.strip_chars()
    integers = text.str.contains(_INTEGER).fill_null(False).to_numpy()
    if 2 * int((integers & ~missing).sum()) > int((~missing).sum()):
        return _from_integers(text.cast(pl.Int64, strict=False).fill_null(0).to_numpy(), integers, column)
    return _from_text(text, table, column, missing)


def _native(cells: pl.Series) -> _Parsed:
    if isinstance(cells.dtype, pl.Datetime) and cells.dtype.time_zone is not None:
        local = cells.dt.replace_time_zone(None)
        # Days of a zone with summer time last 23 to 25 hours: days stay days, everything finer goes to UTC.
        daily = local.dt.time().drop_nulls().n_unique() == 1
        cells = local if daily else cells.dt.convert_time_zone("UTC").dt.replace_time_zone(None)
    times = cells.cast(pl.Datetime("us")).to_numpy().astype("datetime64[us]")
    return _Parsed(times, cells.is_not_null().to_numpy())


def _from_numbers(cells: pl.Series, column: str) -> _Parsed:
    if cells.dtype.is_integer():
        return _from_integers(cells.cast(pl.Int64).fill_null(0).to_numpy(), cells.is_not_null().to_numpy(), column)
    values = cells.cast(pl.Float64, strict=False).fill_null(np.nan).to_numpy()
    whole = np.isfinite(values) & (np.abs(values) < 2**53) & (values == np.floor(values))
    return _from_integers(np.where(whole, values, 0).astype(np.int64), whole, column)


def _from_integers(values: np.ndarray, good: np.ndarray, column: str) -> _Parsed:
    """Years where the name says so, compact dates (YYYYMMDD) where every value is one, else plain steps."""
    seen = values[good]
    if len(seen) and ((seen >= 1000_01_01) & (seen <= 2999_12_31)).all():
        year, month, day = values // 10_000, values // 100 % 100, values % 100
        times, valid = _dates(year, month, day)
        if valid[good].all():
            return _Parsed(times, good)
    named = column.lower() in _YEAR_NAMES or "year" in column.lower()
    if named and len(seen) and ((seen >= 1000) & (seen <= 2999)).all():
        times, valid = _dates(values, np.ones_like(values), np.ones_like(values))
        return _Parsed(times, good & valid)
    return _Parsed(values, good)


def _from_text(text: pl.Series, table: Table, column: str, missing: np.ndarray) -> _Parsed:
    """The reading that most cells agree with; day-first and month-first must not both fit."""
    best = max((_read(text, pattern) for pattern in (_ISO, _QUARTER, _DOTTED)), key=lambda p: int(p.good.sum()))
    if (best.good | missing).all():
        return best
    day_first, month_first = _read(text, _DAY_FIRST), _read(text, _MONTH_FIRST)
    days, months = int(day_first.good.sum()), int(month_first.good.sum())
    if days == months > int(best.good.sum()):
        if (day_first.values == month_first.values)[day_first.good].all():
            return day_first
        differs = day_first.good & (day_first.values != month_first.values)
        position = int(np.argmax(differs))
        raise DataError(
            f"column '{column}' has dates that can be read day first or month first: "
            f"'{text[position]}' in {table.row(position)}",
            expected="dates of which the order is certain",
            fix="Write them as ISO dates, 2024-01-31",
        )
    return max((best, day_first, month_first), key=lambda p: int(p.good.sum()))


def _read(text: pl.Series, pattern: str) -> _Parsed:
    parts = text.str.extract_groups(pattern).struct.unnest()

    def number(name: str, default: int) -> np.ndarray:
        if name not in parts.columns:
            return np.full(len(text), default, np.int64)
        return parts[name].cast(pl.Int64).fill_null(default).to_numpy()

    quarter = number("q", 0)
    month = np.where(quarter > 0, 3 * quarter - 2, number("m", 1)) if "q" in parts.columns else number("m", 0)
    times, good = _dates(number("y", 0), month, number("d", 1))
    hour, minute, second = number("H", 0), number("M", 0), number("S", 0)
    good = good & parts["y"].is_not_null().to_numpy() & (hour < 24) & (minute < 60) & (second < 60)
    if "H" not in parts.columns:
        return _Parsed(times, good)
    fraction = parts["F"].fill_null("0").str.pad_end(9, "0").cast(pl.Int64).to_numpy() // 1000
    offsets = _offsets(parts["Z"])
    shift = np.where(offsets == _NO_ZONE, 0, offsets)
    of_day = ((hour * 60 + minute - shift) * 60 + second) * 1_000_000 + fraction
    return _Parsed(times + of_day.astype("timedelta64[us]"), good, offsets)


def _offsets(zones: pl.Series) -> np.ndarray:
    """Minutes east of UTC; the smallest integer where no zone is written."""
    zone = zones.str.replace("Z|UTC", "+00:00").str.replace(":", "")
    sign = pl.Series(np.where(zone.str.starts_with("-").fill_null(False).to_numpy(), -1, 1))
    minutes = zone.str.slice(1, 2).cast(pl.Int64) * 60 + zone.str.slice(3, 2).cast(pl.Int64)
    return (minutes * sign).fill_null(_NO_ZONE).to_numpy()


def _dates(year: np.ndarray, month: np.ndarray, day: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """datetime64[us] of calendar dates, and which of them exist."""
    good = (year >= 1) & (month >= 1) & (month <= 12) & (day >= 1)
    months = (np.where(good, (year - 1970) * 12 + month - 1, 0)).astype("datetime64[M]")
    starts = months.astype("datetime64[D]")
    lengths = ((months + 1).astype("datetime64[D]") - starts).astype(np.int64)
    good &= day <= lengths
    days = starts + np.where(good, day - 1, 0).astype("timedelta64[D]")
    return days.astype("datetime64[us]"), good


def _check_zones(table: Table, column: str, offsets: np.ndarray, used: np.ndarray) -> None:
    positions = np.flatnonzero(used)
    other = positions[offsets[positions] != offsets[positions[0]]]
    if not len(other):
        return
    first, second = int(positions[0]), int(other[0])
    cells = table.frame[column]
    raise DataError(
        f"column '{column}' mixes time zones: '{cells[first]}' in {table.row(first)} "
        f"and '{cells[second]}' in {table.row(second)}",
        expected="one offset for all times, or none",
        fix="Write all times in UTC",
    )


def _bad_time(table: Table, column: str, position: int, missing: bool) -> DataError:
    what = "no time" if missing else "a time that cannot be read"
    shown = "" if missing else f": '{table.frame[column][position]}'"
    return DataError(
        f"column '{column}' has {what} in {table.row(position)}{shown}",
        expected=_EXPECTED,
        fix="Correct it, or give --drop-bad-rows, or --time none to number the rows instead",
    )
