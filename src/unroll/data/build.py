"""From a table to series on a regular grid, or to the error that says which cell stands in the way."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from unroll.data.columns import Columns, resolve_columns
from unroll.data.constant import reject_constant
from unroll.data.frequency import Frequency, show_time
from unroll.data.grid import common_frequency, grid_error, on_grid
from unroll.data.rows import Piece, pieces, read_rows
from unroll.data.series import Series, SeriesSet
from unroll.data.table import Table
from unroll.data.wording import skipped
from unroll.errors import ConfigError, DataError


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
) -> SeriesSet:
    """The series of ``table``: targets first, then features, one series per value of ``group``.

    ``targets`` and ``features`` are names of columns of numbers, or ("all",); no target means the only such column.
    Without ``time`` the time column is found, and without one the rows are numbered; "none" numbers them anyway.
    ``missing="carry"`` accepts missing values and gaps: they stay NaN here, are carried forward in inputs and never
    scored. ``skip_bad_series`` leaves out irregular and constant series. ``frequency`` is that of a saved run: the
    table is then a history to predict from, and may be of one row or constant.

    Raises DataError naming row, column and series, with the option that changes it; ConfigError for ``missing``.
    """
    if missing not in ("error", "carry"):
        raise ConfigError(f"--missing {missing}", expected="error or carry", fix="Give --missing carry")
    columns = resolve_columns(table, targets, features, time, group)
    rows = read_rows(table, columns, drop_bad_rows=drop_bad_rows)
    found = list(pieces(table, columns, rows, sort=sort))
    step = frequency or common_frequency(table, found)
    regular, notes = _regular(table, found, step, skip_bad_series)
    series = tuple(on_grid(piece, step) for piece in regular)
    series_set = SeriesSet(
        series, columns.targets, columns.features, columns.time, columns.group,
        step, table.name, table.fingerprint, rows.notes + notes,
    )  # fmt: skip
    if missing == "error":
        _refuse_missing(table, columns, regular, series)
    series_set = series_set.with_notes(*_missing_notes(series_set))
    return series_set if frequency is not None else reject_constant(series_set, skip=skip_bad_series)


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
    column = table.column_at((columns.targets + columns.features)[channel], position)
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
    notes = []
    if series_set.missing:
        notes.append(
            f"{series_set.missing:,} of {series_set.rows * targets:,} values missing: "
            "carried forward as inputs, never scored"
        )
    holes = sum(int(np.isnan(series.values[:, targets:]).sum()) for series in series_set.series)
    if holes:
        total = series_set.rows * len(series_set.features)
        notes.append(f"{holes:,} of {total:,} feature values missing: carried forward")
    return notes
