"""Rows of text: cells that hold documents, whatever their length, quotes and script."""

from __future__ import annotations

import csv
import hashlib
import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from unroll.data.frames import frame_fingerprint, to_polars
from unroll.data.table import file_bytes, read_parquet, separator_of, unzipped
from unroll.data.textfile import plain_utf8
from unroll.data.wording import counted, listed
from unroll.errors import DataError, did_you_mean

SUFFIXES = (".csv", ".tsv", ".txt", ".jsonl", ".ndjson", ".parquet")
_OTHERS = {"\t": "tab", ",": "','", ";": "';'", "|": "'|'"}
LONGEST_CELL = 2**31 - 1


@dataclass(frozen=True, eq=False)
class TextRows:
    """Columns of text, each cell a string or None; ``lines`` are the row numbers as the file's reader counts them."""

    name: str
    fingerprint: str
    columns: dict[str, list[str | None]]
    lines: Sequence[int]

    def __len__(self) -> int:
        return len(self.lines)

    def column(self, name: str, option: str) -> list[str | None]:
        """The cells of a column. Raises DataError where there is none of this name."""
        if name not in self.columns:
            raise DataError(
                f"{self.name} has no column '{name}'.{did_you_mean(name, self.columns)}",
                expected=f"one of {listed(list(self.columns))}",
                fix=f"Give {option} COLUMN",
            )
        return self.columns[name]


def read_text_rows(source: Any, *, delimiter: str | None = None, no_quotes: bool = False) -> TextRows:
    """Read a .csv, .tsv, .txt or .jsonl file (also .gz), a .parquet file, or any dataframe or dict of columns.

    A quote opens a quoted cell only where the cell begins with it, and is doubled inside one (RFC 4180); with
    ``no_quotes`` it is a character like any other. In a .jsonl file every line is one object.

    Raises:
        DataError: not readable, not UTF-8 (the byte and row are named), no rows, rows of unequal width, a quote that
            never closes, a line that is no JSON object.
    """
    if not isinstance(source, (str, Path)):
        frame = to_polars(source)
        return _checked(TextRows("dataframe", frame_fingerprint(frame), _cells(frame), range(frame.height)))
    path = Path(source)
    data = file_bytes(path)
    fingerprint, suffixes = hashlib.sha256(data).hexdigest(), [s.lower() for s in path.suffixes]
    if suffixes[-1:] == [".gz"]:
        data, suffixes = unzipped(data, path.name), suffixes[:-1]
    suffix = suffixes[-1] if suffixes else ""
    if suffix not in SUFFIXES:
        raise DataError(
            f"{path.name} ends in '{suffix}'" if suffix else f"{path.name} has no file ending",
            expected=f"a file that ends in {', '.join(SUFFIXES)}, all but the last also with .gz",
            fix="Save it as .tsv",
        )
    if suffix == ".parquet":
        frame = read_parquet(data, path.name)
        return _checked(TextRows(path.name, fingerprint, _cells(frame), range(frame.height)))
    text = plain_utf8(data, path.name).decode()
    if suffix in (".jsonl", ".ndjson"):
        return _checked(TextRows(path.name, fingerprint, *_json_lines(text, path.name)))
    separator = separator_of(delimiter) or ("\t" if suffix == ".tsv" else ",")
    return _checked(TextRows(path.name, fingerprint, *_delimited(text, path.name, separator, no_quotes)))


def _checked(rows: TextRows) -> TextRows:
    if not rows.columns or not len(rows):
        raise DataError(f"{rows.name} has no rows", expected="one example per row below a header")
    return rows


def _cells(frame: Any) -> dict[str, list[str | None]]:
    return {name: [None if v is None else str(v) for v in frame[name].to_list()] for name in frame.columns}


def _delimited(text: str, name: str, separator: str, no_quotes: bool) -> tuple[dict[str, list[str | None]], list[int]]:
    records = _records(text, name, separator, no_quotes)
    header = [cell.strip() for cell in records[0][1]] if records else []
    _check_header(header, text, name, separator)
    columns: list[list[str | None]] = [[] for _ in header]
    lines = []
    for line, record in records[1:]:
        if not record and len(header) > 1:
            continue
        record = record or [""]
        if len(record) != len(header):
            raise _unequal(name, line, len(record), len(header), separator)
        for column, cell in zip(columns, record):
            column.append(cell)
        lines.append(line)
    return dict(zip(header, columns)), lines


def _records(text: str, name: str, separator: str, no_quotes: bool) -> list[tuple[int, list[str]]]:
    """Each record with the number of its first line."""
    quoting: Any = csv.QUOTE_NONE if no_quotes else csv.QUOTE_MINIMAL
    # Lines end at \n alone: a form feed or U+2028 inside a document is a character of it.
    reader = csv.reader(io.StringIO(text, newline="\n"), delimiter=separator, quoting=quoting, strict=True)
    records, line = [], 1
    limit = csv.field_size_limit(LONGEST_CELL)  # of the whole process, and too short for a long document
    try:
        for record in reader:
            records.append((line, record))
            line = reader.line_num + 1
    except csv.Error as error:
        what = "is never closed" if "unexpected end" in str(error) else "closes before the cell ends"
        raise DataError(
            f'{name} has a quote (") in row {line:,} that {what}',
            expected='a cell that begins with a quote to end with one, and "" for a quote inside it',
            fix="Give --no-quotes where quotes are characters like any other",
        ) from error
    finally:
        csv.field_size_limit(limit)
    return records


def _check_header(header: list[str], text: str, name: str, separator: str) -> None:
    first = text.partition("\n")[0]
    for other, label in _OTHERS.items():
        if len(header) == 1 and other != separator and other in first:
            raise DataError(
                f"{name} has a single column when cut at {_OTHERS.get(separator, repr(separator))}: '{first[:60]}'",
                expected=f"columns; its header contains {label}",
                fix=f"Give --delimiter {label}",
            )
    for k, column in enumerate(header):
        if column in header[:k]:
            raise DataError(
                f"{name} has more than one column '{column}' in its header",
                expected="distinct column names",
                fix="Rename one",
            )


def _unequal(name: str, line: int, cells: int, width: int, separator: str) -> DataError:
    label = _OTHERS.get(separator, repr(separator))
    return DataError(
        f"{name} has {counted(cells, 'cell')} in row {line:,} and {counted(width, 'cell')} in its header",
        expected="as many cells in every row as in the header",
        fix=f"Put a cell that contains {label} or begins with a quote in quotes, or give --no-quotes"
        if cells > width
        else "Complete the row",
    )


def _json_lines(text: str, name: str) -> tuple[dict[str, list[str | None]], list[int]]:
    objects: list[dict[str, Any]] = []
    lines = []
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        try:
            found = json.loads(line)
        except ValueError as error:
            raise DataError(
                f"{name} is not JSON in row {number:,}: {error}", expected="one JSON object per line"
            ) from error
        if not isinstance(found, dict):
            raise DataError(
                f"{name} has a JSON {type(found).__name__} in row {number:,}", expected="one JSON object per line"
            )
        objects.append(found)
        lines.append(number)
    columns = dict.fromkeys(key for found in objects for key in found)
    return {key: [_text_of(found.get(key)) for found in objects] for key in columns}, lines


def _text_of(value: Any) -> str | None:
    """JSON's own writing of what is no text; half of a surrogate pair, which no file could hold, as U+FFFD."""
    if value is None:
        return None
    if isinstance(value, str):
        return value if value.isascii() else value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return json.dumps(value, ensure_ascii=False)
