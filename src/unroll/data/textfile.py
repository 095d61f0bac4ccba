"""Delimited text as a frame of strings, with every structural fault named by its row."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from typing import NoReturn

import numpy as np
import polars as pl

from unroll.data.wording import counted, listed
from unroll.errors import DataError

_NEWLINE, _QUOTE = ord("\n"), ord('"')
_DELIMITER_NAMES = {";": "';'", "\t": "tab", "|": "'|'", ",": "','"}


@dataclass(frozen=True, eq=False)
class Text:
    """The frame, and the row number (header = 1) of each of its rows where these are not simply 2, 3, 4, …"""

    frame: pl.DataFrame
    lines: np.ndarray | None


@dataclass(frozen=True, eq=False)
class _Records:
    """Where each record of the text starts and ends, its row number and its number of cells."""

    data: bytes
    starts: np.ndarray
    ends: np.ndarray
    lines: np.ndarray
    cells: np.ndarray

    def text(self, index: int) -> bytes:
        return self.data[self.starts[index] : self.ends[index]]

    def take(self, keep: np.ndarray) -> _Records:
        return _Records(self.data, self.starts[keep], self.ends[keep], self.lines[keep], self.cells[keep])


def read_text(data: bytes, name: str, separator: str, *, ragged_right: bool = False) -> Text:
    """Parse ``data``; no value is interpreted. With ``ragged_right`` rows may end before the header does.

    Raises DataError: not UTF-8, empty, no rows, wrong delimiter, repeated column, unequal rows, unpaired quotes.
    """
    data = plain_utf8(data, name)
    if not data.strip():
        raise DataError(f"{name} is empty: only blank lines", expected="a header and rows")
    records = _without_blank_lines(_scan(data, name, separator))
    header = _header(records, name, separator)
    if len(records.starts) < 2:
        raise DataError(
            f"{name} has a header ({listed(header, 8)}) and no rows", expected="one row per time step below it"
        )
    _check_widths(records, name, len(header), separator, ragged_right)
    body = _body(records, len(header), separator)
    frame = _parse(body, header, separator, name)
    if frame.height != len(records.starts) - 1:
        raise DataError(f"{name} has quotes that do not pair up", expected='every " that opens a cell to close it')
    lines = records.lines[1:]
    regular = bool((lines == np.arange(2, 2 + len(lines))).all())
    return Text(frame, None if regular else lines)


def plain_utf8(data: bytes, name: str) -> bytes:
    """UTF-8 without its mark, with one kind of line end and no blank lines at its end. Raises DataError."""
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        raise DataError(f"{name} is UTF-16 text", expected="UTF-8", fix="Save it as UTF-8")
    data = data.removeprefix(b"\xef\xbb\xbf")
    try:
        data.decode("utf-8")
    except UnicodeDecodeError as error:
        row = data.count(b"\n", 0, error.start) + 1
        raise DataError(
            f"{name} is not UTF-8 text: byte 0x{data[error.start]:02x} in row {row:,} (byte {error.start:,})",
            expected="UTF-8",
            fix="Save it as UTF-8",
        ) from None
    if b"\r" in data:
        data = data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    return data.rstrip(b"\n ")


def _scan(data: bytes, name: str, separator: str) -> _Records:
    """One pass over the bytes; a newline or delimiter counts where the number of quotes before it is even."""
    codes = np.frombuffer(data, np.uint8)
    newline = codes == _NEWLINE
    delimiter = codes == ord(separator)
    every_newline = np.flatnonzero(newline)
    if b'"' in data:
        outside = np.cumsum(codes == _QUOTE, dtype=np.uint8) % 2 == 0
        if not outside[-1]:
            _raise_unpaired(data, name)
        newline, delimiter = newline & outside, delimiter & outside
    ends = np.append(np.flatnonzero(newline), len(data))
    starts = np.append(0, ends[:-1] + 1)
    places = np.flatnonzero(delimiter)
    cells = np.searchsorted(places, ends) - np.searchsorted(places, starts) + 1
    return _Records(data, starts, ends, np.searchsorted(every_newline, starts) + 1, cells)


def _raise_unpaired(data: bytes, name: str) -> NoReturn:
    row = next(i for i, line in enumerate(data.split(b"\n"), 1) if line.count(b'"') % 2)
    raise DataError(
        f'{name} has a quote (") in row {row:,} that is never closed',
        expected="quotes in pairs",
        fix='Close it, or write "" for a quote inside a quoted cell',
    )


def _without_blank_lines(records: _Records) -> _Records:
    """Blank lines are not rows, except inside a table of one column, where an empty line is an empty cell."""
    blank = records.starts == records.ends
    first = int(np.argmin(blank))
    if records.cells[first] == 1:
        blank[first:] = False
    return records.take(~blank) if blank.any() else records


def _header(records: _Records, name: str, separator: str) -> list[str]:
    header = [cell.strip() for cell in _cells(records.text(0), separator)]
    if len(header) == 1:
        _check_delimiter(records, name, separator)
    seen: set[str] = set()
    for column in header:
        if column in seen:
            raise DataError(
                f"{name} has more than one column '{column}' in its header (row {records.lines[0]:,})",
                expected="distinct column names",
                fix="Rename one",
            )
        seen.add(column)
    return header


def _check_delimiter(records: _Records, name: str, separator: str) -> None:
    """A single column whose header, or first row, holds another usual delimiter was cut at the wrong place."""
    first = [records.text(index).decode() for index in range(min(2, len(records.starts)))]
    for text in first:
        for other, label in _DELIMITER_NAMES.items():
            # A decimal comma below a one-word header is a number, not a second column.
            if other != separator and other in text and not (other == "," and text is not first[0]):
                raise DataError(
                    f"{name} has a single column when cut at {_DELIMITER_NAMES.get(separator, repr(separator))}: "
                    f"'{_short(text)}'",
                    expected=f"columns; its lines contain {label}",
                    fix=f"Give --delimiter {label}",
                )


def _check_widths(records: _Records, name: str, width: int, separator: str, ragged_right: bool) -> None:
    cells = records.cells[1:]
    wrong = np.flatnonzero((cells > width) if ragged_right else (cells != width))
    if not len(wrong):
        return
    first = int(wrong[0])
    many = f" ({len(wrong):,} such rows)" if len(wrong) > 1 else ""
    hint = f"Quote cells that contain '{separator}'" if cells[first] > width else "Complete the row"
    if width == 1 and separator == ",":
        hint = "Write decimal points, not commas"
    raise DataError(
        f"{name} has {counted(int(cells[first]), 'cell')} in row {records.lines[1 + first]:,} "
        f"and {counted(width, 'cell')} in its header{many}",
        expected="as many cells in every row as in the header",
        fix=hint,
    )


def _body(records: _Records, width: int, separator: str) -> bytes:
    """The data rows as one rectangular text, for the parser."""
    starts, ends = records.starts, records.ends
    short = bool((records.cells[1:] < width).any())
    contiguous = bool((starts[2:] == ends[1:-1] + 1).all())
    if contiguous and not short:
        return records.data[starts[1] : ends[-1]]
    pad = separator.encode()
    rows = (records.text(i) + pad * (width - int(cells)) for i, cells in enumerate(records.cells) if i > 0)
    return b"\n".join(rows)


def _parse(body: bytes, header: list[str], separator: str, name: str) -> pl.DataFrame:
    try:
        return pl.read_csv(
            body + b"\n",
            has_header=False,
            new_columns=header,
            separator=separator,
            infer_schema=False,
        )
    except pl.exceptions.PolarsError as error:
        reason = str(error).splitlines()[0]
        raise DataError(
            f"{name} cannot be read as delimited text: {reason}",
            expected="one record per row, cells with the delimiter or a quote inside them in quotes",
        ) from error


def _cells(record: bytes, separator: str) -> list[str]:
    return next(csv.reader([record.decode()], delimiter=separator), [""])


def _short(text: str) -> str:
    return text if len(text) <= 60 else text[:60] + "…"
