"""One table from a file or a dataframe, keeping what is needed to name a bad cell by file, row and column."""

from __future__ import annotations

import gzip
import hashlib
import io
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from unroll.data.frames import frame_fingerprint, to_polars
from unroll.data.textfile import read_text
from unroll.errors import ConfigError, DataError, did_you_mean

TEXT_SUFFIXES = (".csv", ".tsv", ".txt")
MISSING_WORDS = ("", "nan", "na", "null")
_DELIMITERS = {"tab": "\t", "\\t": "\t", "comma": ",", "semicolon": ";", "pipe": "|"}


@dataclass(frozen=True, eq=False)
class Table:
    """Columns of one source, as read: text files as strings, dataframes with their own types.

    ``first_row`` is the number of the first data row: 2 for text files (the header is row 1), 0 for dataframes.
    ``lines`` holds the row number of every row where counting from ``first_row`` is not enough (blank lines, one
    series per row); ``cells`` the original column names of the values of a table with one series per row.
    """

    frame: pl.DataFrame
    name: str
    first_row: int
    fingerprint: str
    na: tuple[str, ...] = ()
    lines: np.ndarray | None = None
    cells: tuple[str, ...] = ()

    def row_number(self, position: int) -> int:
        """The row as its reader counts it, for the frame's row ``position``."""
        return self.first_row + position if self.lines is None else int(self.lines[position])

    def row(self, position: int) -> str:
        """``"row 1,204"``."""
        return f"row {self.row_number(position):,}"

    def column_at(self, column: str, position: int) -> str:
        """The column's name in the file, also where every row of the file is one series."""
        if self.cells and column == "value":
            return self.cells[int(self.frame["step"][position])]
        return column

    def missing(self, column: str) -> np.ndarray:
        """True where the cell is null, empty or one of the words for a missing value."""
        values = self.frame[column]
        absent = values.is_null()
        if values.dtype.is_float():
            absent |= values.is_nan().fill_null(True)
        if values.dtype == pl.String:
            text = values.str.strip_chars()
            absent |= (text.str.to_lowercase().is_in(MISSING_WORDS) | text.is_in(list(self.na))).fill_null(True)
        return absent.to_numpy()


def read_table(
    source: Any,
    *,
    delimiter: str | None = None,
    na: Sequence[str] = (),
    layout: str = "long",
) -> Table:
    """Read a .csv, .tsv, .txt (also .gz) or .parquet file, or take any dataframe or a dict of columns.

    ``na`` adds words that mean a missing value. With ``layout="rows"`` every row is one series: its id, then its
    values in time order, ragged on the right; it becomes a long table with the id, ``step`` and ``value``.
    Raises DataError where the source cannot be read as a table, ConfigError for an impossible delimiter or layout.
    """
    if layout not in ("long", "rows"):
        raise ConfigError(f"layout '{layout}'", expected="long or rows", fix="Give --layout long")
    separator = separator_of(delimiter)
    if isinstance(source, (str, Path)):
        table = _read_file(Path(source), separator, ragged_right=layout == "rows")
    else:
        frame = to_polars(source)
        table = Table(frame, "dataframe", 0, frame_fingerprint(frame))
    table = replace(table, na=tuple(str(word).strip() for word in na))
    if not table.frame.width:
        raise DataError(f"{table.name} has no columns", expected="one column or more")
    if not table.frame.height:
        raise DataError(f"{table.name} has no rows below its header", expected="one row per time step")
    return _one_series_per_row(table) if layout == "rows" else table


def separator_of(delimiter: str | None) -> str | None:
    """The character that --delimiter means. Raises ConfigError."""
    if delimiter is None:
        return None
    separator = _DELIMITERS.get(delimiter.lower(), delimiter)
    if len(separator.encode()) != 1 or separator in '"\n\r':
        raise ConfigError(
            f"--delimiter {delimiter!r}",
            expected="one character, or the word tab",
            fix="Give --delimiter ';' or --delimiter tab",
        )
    return separator


def _read_file(path: Path, separator: str | None, *, ragged_right: bool) -> Table:
    data = file_bytes(path)
    fingerprint = hashlib.sha256(data).hexdigest()
    suffixes = [suffix.lower() for suffix in path.suffixes]
    if suffixes[-1:] == [".gz"]:
        data, suffixes = unzipped(data, path.name), suffixes[:-1]
    suffix = suffixes[-1] if suffixes else ""
    if suffix == ".parquet":
        return Table(read_parquet(data, path.name), path.name, 0, fingerprint)
    if suffix not in TEXT_SUFFIXES:
        raise DataError(
            f"{path.name} ends in '{suffix}'" if suffix else f"{path.name} has no file ending",
            expected="a .csv, .tsv, .txt or .parquet file, or one of the first three with .gz",
            fix="Save it as .csv" if suffix in (".xlsx", ".xls", ".ods") else "Rename or convert it",
        )
    default = "\t" if suffix == ".tsv" else ","
    text = read_text(data, path.name, separator or default, ragged_right=ragged_right)
    return Table(text.frame, path.name, 2, fingerprint, lines=text.lines)


def file_bytes(path: Path) -> bytes:
    """The content of a file that is there and not empty. Raises DataError."""
    if path.is_dir():
        raise DataError(f"{path} is a folder", expected="a file", fix="Give the path of one file in it")
    if not path.exists():
        near = [p.name for p in path.parent.iterdir()] if path.parent.is_dir() else []
        where = "" if path.parent.is_dir() else f": the folder {path.parent} does not exist"
        raise DataError(
            f"no file {path}{where}.{did_you_mean(path.name, near)}", expected="the path of an existing file"
        )
    try:
        data = path.read_bytes()
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}", expected="a readable file") from error
    if not data:
        raise DataError(f"{path.name} is empty: 0 bytes", expected="a header and rows")
    return data


def unzipped(data: bytes, name: str) -> bytes:
    """What gzip packed. Raises DataError."""
    try:
        return gzip.decompress(data)
    except (OSError, EOFError, ValueError) as error:
        raise DataError(f"{name} is not a whole gzip file: {error}", expected="a file packed by gzip") from error


def read_parquet(data: bytes, name: str) -> pl.DataFrame:
    """The frame of a parquet file. Raises DataError."""
    try:
        return pl.read_parquet(io.BytesIO(data))
    except Exception as error:
        reason = str(error).splitlines()[0]
        raise DataError(
            f"{name} is not a parquet file: {reason}",
            expected="a file written as parquet",
            fix="If it is text, rename it to .csv",
        ) from error


def _one_series_per_row(table: Table) -> Table:
    """The long table (id, step, value): trailing empty cells end a series, empty cells inside it stay missing."""
    frame = table.frame
    if frame.width < 2:
        raise DataError(f"{table.name} has one column", expected="an id and then values in every row (--layout rows)")
    identity, cells = frame.columns[0], frame.columns[1:]
    column_major = _stacked(frame, cells)
    missing = replace(table, frame=column_major.to_frame()).missing("value")
    present = ~missing.reshape(len(cells), frame.height)
    lengths = np.where(present.any(axis=0), len(cells) - np.argmax(present[::-1], axis=0), 0)
    if not lengths.all():
        position = int(np.argmin(lengths))
        raise DataError(
            f"{table.row(position)} of {table.name} has no values", expected="an id and then values in every row"
        )
    rows = np.repeat(np.arange(frame.height), lengths)
    steps = np.arange(len(rows)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    long = pl.DataFrame(
        [
            frame[identity].gather(pl.Series(rows)),
            pl.Series("step", steps),
            column_major.gather(pl.Series(steps * frame.height + rows)),
        ]
    )
    numbers = np.array([table.row_number(position) for position in range(frame.height)])
    return replace(table, frame=long, lines=numbers[rows], cells=tuple(cells))


def _stacked(frame: pl.DataFrame, cells: Sequence[str]) -> pl.Series:
    """All cells, column after column, as one column "value"."""
    texts = any(frame[column].dtype == pl.String for column in cells)
    kind = pl.String if texts else pl.Float64
    return pl.concat([frame[column].cast(kind, strict=False).alias("value") for column in cells])
