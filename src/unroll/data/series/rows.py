"""The used cells of a table as arrays, cut into one piece per series and put in order of time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import polars as pl

from unroll.data.numbers import read_numbers
from unroll.data.series.columns import Columns, counting_column, likely_group
from unroll.data.series.frequency import show_time
from unroll.data.series.times import read_times
from unroll.data.table import Table
from unroll.data.wording import counted, option
from unroll.errors import DataError


@dataclass(frozen=True, eq=False)
class Piece:
    """One series as it stands in the table: the table rows it comes from, its times and its values."""

    name: str
    positions: np.ndarray
    times: np.ndarray
    values: np.ndarray


@dataclass(frozen=True, eq=False)
class Rows:
    """All good rows of a table. times: (rows,); values: (rows, channels); positions: their rows in the table."""

    positions: np.ndarray
    times: np.ndarray
    values: np.ndarray
    notes: tuple[str, ...]


def read_rows(table: Table, columns: Columns, *, drop_bad_rows: bool) -> Rows:
    """Parse the used columns. Raises DataError at the first bad cell, unless ``drop_bad_rows`` (noted)."""
    bad = np.zeros(table.frame.height, bool)
    if columns.group is not None:
        bad |= _ungrouped(table, columns.group, drop_bad_rows)
    if columns.time is None:
        times = _numbered(table, columns.group)
    else:
        times, wrong = read_times(table, columns.time, drop_bad_rows=drop_bad_rows)
        bad |= wrong
    values = []
    for column in columns.numbers:
        numbers, wrong = read_numbers(table, column, drop_bad_rows=drop_bad_rows)
        values.append(numbers)
        bad |= wrong
    keep = np.flatnonzero(~bad)
    if not len(keep):
        raise DataError(f"no good row is left of {bad.sum():,} in {table.name}", expected="rows of times and numbers")
    notes: tuple[str, ...] = ()
    if bad.any():
        first = table.row(int(np.argmax(bad)))
        notes = (f"{counted(int(bad.sum()), 'bad row')} dropped, the first: {first}",)
    return Rows(keep, times[keep], np.stack(values, axis=1)[keep], notes)


def pieces(table: Table, columns: Columns, rows: Rows, *, sort: bool) -> Iterator[Piece]:
    """One piece per series, in order of first appearance, its times increasing.

    Raises DataError for two rows of one time, and, unless ``sort``, for rows that are not in order of time.
    """
    for name, members in _groups(table, columns, rows):
        times = rows.times[members]
        order = np.argsort(times, kind="stable")
        piece = Piece(name, rows.positions[members], times, rows.values[members])
        _check_order(table, columns, piece, order, sort)
        yield Piece(name, piece.positions[order], times[order], piece.values[order])


def _groups(table: Table, columns: Columns, rows: Rows) -> Iterator[tuple[str, np.ndarray]]:
    if columns.group is None:
        yield columns.targets[0] if len(columns.targets) == 1 else "all", np.arange(len(rows.positions))
        return
    groups = table.frame[columns.group].gather(pl.Series(rows.positions))
    members = (
        pl.DataFrame({"group": groups, "row": np.arange(len(groups))})
        .group_by("group", maintain_order=True)
        .agg(pl.col("row"))
    )
    for name, index in zip(members["group"], members["row"]):
        yield str(name), index.to_numpy()


def _numbered(table: Table, group: str | None) -> np.ndarray:
    """0, 1, 2, … within each series."""
    if group is None:
        return np.arange(table.frame.height, dtype=np.int64)
    within = pl.int_range(pl.len(), dtype=pl.Int64).over(group)
    return table.frame.select(within.alias("step"))["step"].to_numpy()


def _ungrouped(table: Table, group: str, drop_bad_rows: bool) -> np.ndarray:
    missing = table.missing(group)
    if missing.any() and not drop_bad_rows:
        raise DataError(
            f"column '{group}' has no value in {table.row(int(np.argmax(missing)))}",
            expected="the name of its series in every row (--group)",
            fix="Fill it in, or give --drop-bad-rows",
        )
    return missing


def _check_order(table: Table, columns: Columns, piece: Piece, order: np.ndarray, sort: bool) -> None:
    repeated = np.flatnonzero(piece.times[order][1:] == piece.times[order][:-1])
    if len(repeated):
        first, second = (int(piece.positions[order[repeated[0] + k]]) for k in (0, 1))
        raise _repeated_time(table, columns, piece, first, second, piece.times[order[repeated[0]]])
    backwards = np.flatnonzero(piece.times[1:] < piece.times[:-1])
    if len(backwards) and not sort:
        k = int(backwards[0])
        raise DataError(
            f"{table.row(int(piece.positions[k + 1]))}{_of(columns, piece)} is earlier "
            f"({show_time(piece.times[k + 1])}) than {table.row(int(piece.positions[k]))} before it "
            f"({show_time(piece.times[k])})",
            expected="rows in order of time",
            fix="Give --sort",
        )


def _repeated_time(
    table: Table, columns: Columns, piece: Piece, first: int, second: int, time: np.generic
) -> DataError:
    fix = "Remove one of them"
    if columns.group is None:
        group, other = likely_group(table, columns), counting_column(table, columns)
        if group is not None:
            fix = f"Give {option('--group', group)} if each of its values is a series of its own"
        else:
            instead = option("--time", other or "none")
            fix = f"Remove one, or give {instead} to number the rows instead"
    return DataError(
        f"{table.row(first)} and {table.row(second)}{_of(columns, piece)} have the same time in column "
        f"'{columns.time}': {show_time(time)}",
        expected="one row for each time",
        fix=fix,
    )


def _of(columns: Columns, piece: Piece) -> str:
    return f" of series '{piece.name}'" if columns.group is not None else ""
