"""Cells as numbers, and the exact cell that is not one."""

from __future__ import annotations

import re

import numpy as np
import polars as pl

from unroll.data.table import Table
from unroll.data.wording import option
from unroll.errors import DataError

LARGEST = 1e30


def read_numbers(table: Table, column: str, *, drop_bad_rows: bool = False) -> tuple[np.ndarray, np.ndarray]:
    """The column as (rows,) float64 with NaN where missing, and a mask of its bad rows.

    Raises DataError at the first text, infinite or absurdly large cell, unless ``drop_bad_rows``.
    """
    missing = table.missing(column)
    values = _as_floats(table, column)
    values[missing] = np.nan
    text = np.isnan(values) & ~missing
    bad = text | (np.abs(np.nan_to_num(values, nan=0.0)) > LARGEST)
    if bad.any() and not drop_bad_rows:
        raise _bad_cell(table, column, int(np.argmax(bad)), bool(text[np.argmax(bad)]))
    return values, bad


def numeric_columns(table: Table) -> list[str]:
    """Columns of numbers: by type, or, for text, where at least half of the cells that are not missing read as one."""
    return [column for column in table.frame.columns if column and _is_numeric(table, column)]


def _is_numeric(table: Table, column: str) -> bool:
    dtype = table.frame[column].dtype
    if dtype != pl.String:
        return dtype.is_numeric() or dtype == pl.Boolean
    present = ~table.missing(column)
    numbers = present & ~np.isnan(_as_floats(table, column))
    return bool(numbers.any()) and 2 * int(numbers.sum()) >= int(present.sum())


def _as_floats(table: Table, column: str) -> np.ndarray:
    """float64, NaN where the cell is no number."""
    cells = table.frame[column]
    if cells.dtype == pl.String:
        cells = cells.str.strip_chars()
    elif not (cells.dtype.is_numeric() or cells.dtype == pl.Boolean):
        return np.full(len(cells), np.nan)
    return np.array(cells.cast(pl.Float64, strict=False).fill_null(np.nan).to_numpy(), np.float64)


def _bad_cell(table: Table, column: str, position: int, is_text: bool) -> DataError:
    cell = str(table.frame[column][position]).strip()
    where = f"column '{table.column_at(column, position)}'"
    as_missing = f"{option('--na', cell)} to read it as missing, or " if table.frame[column].dtype == pl.String else ""
    if is_text:
        return DataError(
            f"{where} has text in {table.row(position)}: '{cell}'",
            expected="a number",
            fix=f"{_comma_advice(cell)}Give {as_missing}--drop-bad-rows",
        )
    return DataError(
        f"{where} has {cell} in {table.row(position)}",
        expected=f"a finite number of size {LARGEST:g} or less",
        fix=f"Correct it, or give {as_missing}--drop-bad-rows",
    )


def _comma_advice(cell: str) -> str:
    if re.fullmatch(r"[+-]?\d{1,3}(,\d{3})+(\.\d+)?", cell):
        return f"Write it without thousands commas: {cell.replace(',', '')}. "
    if re.fullmatch(r"[+-]?\d*,\d+([eE][+-]?\d+)?", cell):
        return f"Write decimals with a point: {cell.replace(',', '.')}. "
    return ""
