"""From a table to series on a regular grid, or to the error that says which cell stands in the way."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from unroll.data.series.ahead import cut, derive, last_observed
from unroll.data.series.calendar import parse_calendar
from unroll.data.series.columns import Columns, resolve_columns
from unroll.data.series.constant import reject_constant
from unroll.data.series.frequency import Frequency, show_time
from unroll.data.series.grid import common_frequency, grid_error, on_grid
from unroll.data.series.rows import Piece, pieces, read_rows
from unroll.data.series.series import Series, SeriesSet
from unroll.data.series.spans import check_spans
from unroll.data.series.statics import static_values
from unroll.data.table import Table
from unroll.data.wording import counted, listed, skipped
from unroll.errors import ConfigError, DataError

HOLES = ("error", "carry", "mask")
TIMES = ("regular", "irregular")


def to_series(
    table: Table,
    *,
    targets: Sequence[str] = (),
    features: Sequence[str] | None = None,
    time: str | None = None,
    group: str | None = None,
    missing: str = "error",
    sort: bool = False,
    drop_bad_rows: bool = False,
    skip_bad_series: bool = False,
    frequency: Frequency | None = None,
    known: Sequence[str] = (),
    static: Sequence[str] = (),
    calendar: str | None = None,
    times: str = "regular",
    since: bool = False,
) -> SeriesSet:
    """The series of ``table``: targets first, then features, then known columns, one series per value of ``group``.

    ``targets`` and ``features`` are names of columns of numbers, or ("all",); no target means the only such column.
    Without ``time`` the time column is found, and without one the rows are numbered; "none" numbers them anyway.
    ``missing="carry"`` accepts missing values and gaps: they stay NaN here, are carried forward in inputs and never
    scored; "mask" does the same and has the networks told, with ``since`` how long ago a value was observed too.
    ``known`` columns, parts of the ``calendar`` and times that are "irregular" are known of the future: rows at the end
    that have no target are what is to be forecast. ``static`` columns say what does not change within a series.
    ``skip_bad_series`` leaves out irregular and constant series. ``frequency`` is that of a saved run: the
    table is then a history to predict from, and may be of one row or constant.

    Raises DataError naming row, column and series, with the option that changes it; ConfigError for the options.
    """
    parts = parse_calendar(calendar)
    _check_options(missing, times, since)
    columns = resolve_columns(table, targets, features, time, group, known, static)
    rows = read_rows(table, columns, drop_bad_rows=drop_bad_rows)
    whole = {piece.name: piece for piece in pieces(table, columns, rows, sort=sort)}
    found, notes = list(whole.values()), rows.notes
    if times == "irregular":
        step = _no_step(table, columns)
        series = [Series(piece.name, piece.times, piece.values) for piece in found]
    else:
        step = frequency or common_frequency(table, found)
        found, skipped_notes = _regular(table, found, step, skip_bad_series)
        series, notes = [on_grid(piece, step) for piece in found], notes + skipped_notes
    if columns.known or parts or times == "irregular":
        found, series = _cut(table, columns, found, series)
    if columns.static:
        fixed = {s.name: static_values(table, columns, whole[s.name], missing) for s in series}
        series = [replace(s, static=fixed[s.name]) for s in series]
    if missing == "error":
        _refuse_missing(table, columns, found, series)
    series_set = SeriesSet(
        tuple(derive(one, step, parts) for one in series), columns.targets, columns.features, columns.time,
        columns.group, step, table.name, table.fingerprint, notes,
        columns.known, columns.static, parts, missing, since,
    )  # fmt: skip
    series_set = series_set.with_notes(*_missing_notes(series_set))
    return series_set if frequency is not None else reject_constant(series_set, skip=skip_bad_series)


def _check_options(missing: str, times: str, since: bool) -> None:
    if missing not in HOLES:
        raise ConfigError(f"--missing {missing}", expected="error, carry or mask", fix="Give --missing carry")
    if times not in TIMES:
        raise ConfigError(f"--times {times}", expected=" or ".join(TIMES))
    if since and missing != "mask":
        raise ConfigError(
            f"--since with --missing {missing}",
            expected="missing values that the networks are told of",
            fix="Give --missing mask",
        )


def _no_step(table: Table, columns: Columns) -> Frequency:
    if columns.time is not None:
        return Frequency("irregular")
    raise DataError(
        f"--times irregular, and {table.name} has no time column",
        expected="a column that says when each row was",
        fix="Give --time COLUMN, or leave --times out",
    )


def _cut(
    table: Table, columns: Columns, found: Sequence[Piece], series: Sequence[Series]
) -> tuple[list[Piece], list[Series]]:
    """Pieces and series until the last row with a target; what is known of later rows goes with the series."""
    heads, cuts = [], []
    for piece, one in zip(found, series):
        end = last_observed(one.values, len(columns.targets))
        if not end:
            raise DataError(
                f"series '{one.name}' has no value of {listed(columns.targets, quote=chr(39))}",
                expected="a history before the rows to forecast",
                fix="Remove it, or give the rows of its past",
            )
        at = np.searchsorted(piece.times, one.times[end:])
        rows = [
            table.row(int(piece.positions[k])) if piece.times[k] == time else "" for k, time in zip(at, one.times[end:])
        ]
        kept = piece.times <= one.times[end - 1]
        heads.append(Piece(piece.name, piece.positions[kept], piece.times[kept], piece.values[kept]))
        cuts.append(cut(one, end, len(columns.known), rows))
    return heads, cuts


def _regular(table: Table, found: Sequence[Piece], step: Frequency, skip: bool) -> tuple[list[Piece], tuple[str, ...]]:
    errors = {piece.name: grid_error(table, found, piece, step) for piece in found}
    bad = {name for name, error in errors.items() if error is not None}
    first = next((error for error in errors.values() if error is not None), None)
    if first is None:
        return list(found), ()
    if not skip or len(bad) == len(found):
        raise first
    return [piece for piece in found if piece.name not in bad], (skipped(sorted(bad), "irregular times"),)


def _refuse_missing(table: Table, columns: Columns, found: Sequence[Piece], series: Sequence[Series]) -> None:
    for one in series:
        check_spans(one, columns)
    reasons = [reason for reason in (_missing_cells(table, columns, found), _gaps(table, found, series)) if reason]
    if reasons:
        raise DataError(
            "; ".join(reasons),
            expected="a value at every time",
            fix="Give --missing carry: inputs repeat the last seen value, and missing values are never scored",
        )


def _missing_cells(table: Table, columns: Columns, found: Sequence[Piece]) -> str:
    holes = sum(int(np.isnan(piece.values).sum()) for piece in found)
    if not holes:
        return ""
    piece = next(piece for piece in found if np.isnan(piece.values).any())
    k, channel = (int(i) for i in np.argwhere(np.isnan(piece.values))[0])
    position = int(piece.positions[k])
    column = table.column_at(columns.numbers[channel], position)
    total = sum(piece.values.size for piece in found)
    when = f" ({show_time(piece.times[k])})" if columns.time is not None else ""
    whose = f" of series '{piece.name}'" if columns.group is not None else ""
    first = f"the first in column '{column}' in {table.row(position)}{when}{whose}"
    return f"{holes:,} of {total:,} values are missing, {first}"


def _gaps(table: Table, found: Sequence[Piece], series: Sequence[Series]) -> str:
    absent = sum(s.rows - len(piece.times) for s, piece in zip(series, found))
    if not absent:
        return ""
    whole, piece = next((s, piece) for s, piece in zip(series, found) if s.rows > len(piece.times))
    k = int(np.argmax(whole.times[: len(piece.times)] != piece.times))
    total = sum(s.rows for s in series)
    return (
        f"{absent:,} of {total:,} times are missing, the first {show_time(whole.times[k])} of series '{piece.name}', "
        f"between {table.row(int(piece.positions[k - 1]))} and {table.row(int(piece.positions[k]))}"
    )


def _missing_notes(series_set: SeriesSet) -> list[str]:
    targets = len(series_set.targets)
    told = "carried forward as inputs" + (", which the networks are told" if series_set.mask else "")
    notes = []
    if series_set.missing:
        notes.append(f"{series_set.missing:,} of {series_set.rows * targets:,} values missing: {told}, never scored")
    others = len(series_set.features) + len(series_set.known)
    holes = sum(int(np.isnan(series.values[:, targets:]).sum()) for series in series_set.series)
    if holes:
        what = "feature" if not series_set.known else "feature and known"
        notes.append(f"{holes:,} of {series_set.rows * others:,} {what} values missing: {told.partition(' as ')[0]}")
    later = max((len(one.ahead.times) for one in series_set.series if one.ahead is not None), default=0)
    if later:
        notes.append(f"up to {counted(later, 'row')} after the last target: what is to be forecast")
    return notes
