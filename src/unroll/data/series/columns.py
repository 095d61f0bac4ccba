"""Which columns are the targets, the features, the time and the group."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from unroll.data.numbers import numeric_columns
from unroll.data.series.times import looks_like_dates
from unroll.data.table import Table
from unroll.data.wording import listed, option
from unroll.errors import DataError, did_you_mean

TIME_NAMES = ("date", "time", "datetime", "timestamp", "ds", "month", "week", "day", "year", "step")
ALL = ("all",)
NO_TIME = "none"


@dataclass(frozen=True)
class Columns:
    targets: tuple[str, ...]
    features: tuple[str, ...]
    time: str | None
    group: str | None
    known: tuple[str, ...] = ()
    static: tuple[str, ...] = ()

    @property
    def numbers(self) -> tuple[str, ...]:
        """The columns read as numbers, in the order of the channels."""
        return self.targets + self.features + self.known


def resolve_columns(
    table: Table,
    targets: Sequence[str],
    features: Sequence[str] | None,
    time: str | None,
    group: str | None,
    known: Sequence[str] = (),
    static: Sequence[str] = (),
) -> Columns:
    """Check the given names and find what was left open; a table with one series per row needs none.

    Raises DataError for unknown, repeated or text columns; ``static`` ones may be text.
    """
    wanted, extra = _as_names(targets), _as_names(features or ())
    ahead, fixed = _as_names(known), _as_names(static)
    if table.cells:
        group, time = group or table.frame.columns[0], time or "step"
    group = _known(table, group, "--group") if group is not None else None
    taken = {*wanted, *extra, *ahead, *fixed, group}
    time = _time_column(table, time, taken)
    numeric = [name for name in numeric_columns(table) if name not in (time, group)]
    free = [name for name in numeric if name not in (*ahead, *fixed)]
    if wanted == ALL:
        wanted = tuple(name for name in free if name not in extra)
    elif not wanted:
        wanted = _only_numeric([name for name in free if name not in extra], table)
    if extra == ALL:
        extra = tuple(name for name in free if name not in wanted)
    columns = Columns(wanted, extra, time, group, ahead, fixed)
    _check_roles(table, columns, numeric)
    return columns


def likely_group(table: Table, columns: Columns) -> str | None:
    """A text column that tells the rows of one time apart: the one with the fewest values."""
    if columns.time is None:
        return None
    used = {*columns.numbers, *columns.static, columns.time, *numeric_columns(table)}
    found = []
    for name in table.frame.columns:
        if name in used or table.frame[name].dtype != pl.String or table.frame[name].null_count():
            continue
        if not table.frame.select(columns.time, name).is_duplicated().any():
            found.append((table.frame[name].n_unique(), name))
    return min(found)[1] if found else None


def counting_column(table: Table, columns: Columns) -> str | None:
    """A column that counts the rows, 1, 2, 3, …, and so could be the time."""
    used = {*columns.numbers, *columns.static, columns.time, columns.group}
    for name in numeric_columns(table):
        steps = np.diff(table.frame[name].cast(pl.Float64, strict=False).to_numpy())
        if name not in used and len(steps) and bool((steps == 1).all()):
            return name
    return None


def _as_names(names: Sequence[str]) -> tuple[str, ...]:
    return (names,) if isinstance(names, str) else tuple(names)


def _known(table: Table, name: str, use: str) -> str:
    if name in table.frame.columns:
        return name
    columns = table.frame.columns
    same = next((f" Did you mean '{c}'?" for c in columns if c.lower() == name.lower()), "")
    raise DataError(
        f"no column '{name}' in {table.name}.{same or did_you_mean(name, columns)}",
        expected=f"one of its columns: {listed(columns)}",
        fix=f"Give {use} with one of these",
    )


def _time_column(table: Table, time: str | None, taken: set[str | None]) -> str | None:
    if time is not None:
        return None if time == NO_TIME and time not in table.frame.columns else _known(table, time, "--time")
    free = [name for name in table.frame.columns if name not in taken]
    dated = next((name for name in free if looks_like_dates(table, name)), None)
    return dated or next((name for name in free if name.strip().lower() in TIME_NAMES), None)


def _only_numeric(numeric: Sequence[str], table: Table) -> tuple[str, ...]:
    if len(numeric) == 1:
        return (numeric[0],)
    if not numeric:
        raise DataError(
            f"{table.name} has no column of numbers to forecast; its columns: {listed(table.frame.columns)}",
            expected="one in which half of the values or more are numbers",
            fix="Give another file, or --delimiter if it was cut in the wrong places",
        )
    raise DataError(
        f"no target given, and {table.name} has {len(numeric):,} columns of numbers: {listed(numeric)}",
        expected="the name of the column to forecast",
        fix=f"Give {option('--target', numeric[-1])}, or --target all",
    )


def _check_roles(table: Table, columns: Columns, numeric: Sequence[str]) -> None:
    roles: dict[str, str] = {}
    named = [(columns.time, "--time"), (columns.group, "--group")]
    named += [(name, "--target") for name in columns.targets]
    named += [(name, "--feature") for name in columns.features]
    named += [(name, "--known") for name in columns.known]
    named += [(name, "--static") for name in columns.static]
    for name, use in named:
        if name is None:
            continue
        _known(table, name, use)
        if name in roles:
            raise DataError(
                f"column '{name}' is given twice: {_uses(roles[name], use)}",
                expected="one use for each column",
                fix=f"Take it out of {use}",
            )
        roles[name] = use
        if use in ("--target", "--feature", "--known") and name not in numeric:
            raise _not_numeric(table, name, use, numeric)


def _uses(first: str, second: str) -> str:
    return f"both times as {first}" if first == second else f"as {first} and as {second}"


def _not_numeric(table: Table, name: str, use: str, numeric: Sequence[str]) -> DataError:
    missing = table.missing(name)
    position = int(np.argmin(missing))
    shown = (
        "only missing values" if missing.all() else f"text: '{table.frame[name][position]}' in {table.row(position)}"
    )
    return DataError(
        f"column '{name}' has {shown}",
        expected=f"a column of numbers, one of: {listed(numeric)}" if numeric else "a column of numbers",
        fix=f"Give another {use}",
    )
