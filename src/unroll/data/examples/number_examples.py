"""Sequences of numbers to classify: long tables, .ts files, arrays."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from unroll.data.examples.examples import Examples
from unroll.data.examples.tsfile import read_ts
from unroll.data.numbers import numeric_columns, read_numbers
from unroll.data.table import Table, file_bytes, read_table, unzipped
from unroll.data.textfile import plain_utf8
from unroll.data.wording import listed
from unroll.errors import ConfigError, DataError, did_you_mean

MISSING = ("error", "carry")


def read_ts_examples(path: Path) -> Examples:
    """The cases of a .ts file, also packed by gzip. Raises DataError naming its row."""
    data = file_bytes(path)
    if path.suffix.lower() == ".gz":
        data = unzipped(data, path.name)
    found = read_ts(plain_utf8(data, path.name).decode(), path.name)
    return Examples(
        name=path.name,
        fingerprint=hashlib.sha256(data).hexdigest(),
        texts=(),
        sequences=tuple(found.sequences),
        labels=tuple(found.labels),
        where=[f"row {line:,} of {path.name}" for line in found.lines],
        channels=_numbered(found.sequences[0].shape[1]),
    )


def array_examples(sequences: Any, labels: Any = None) -> Examples:
    """Examples from (n, T) or (n, T, channels), or from a list of (T,) or (T, channels), and their labels.

    Raises:
        DataError: another shape, no numbers, unequal channels, or as many labels as there are not sequences.
    """
    try:
        each = tuple(_two_dimensional(np.asarray(s, dtype=np.float64)) for s in sequences)
    except (TypeError, ValueError) as error:
        raise DataError(
            f"arrays that are no sequences of numbers: {error}", expected="(n, T), (n, T, channels), or a list of such"
        ) from error
    if not each:
        raise DataError("no sequences", expected="one or more")
    widths = sorted({s.shape[1] for s in each})
    if len(widths) > 1:
        raise DataError(f"sequences of {listed([str(w) for w in widths])} channels", expected="as many in each")
    given = [None] * len(each) if labels is None else [str(label) for label in labels]
    if len(given) != len(each):
        raise DataError(f"{len(given):,} labels for {len(each):,} sequences", expected="one label per sequence")
    digest = hashlib.sha256(repr([len(s) for s in each]).encode())
    for s in each:
        digest.update(np.ascontiguousarray(s).tobytes())
    return Examples(
        name="arrays",
        fingerprint=digest.hexdigest(),
        texts=(),
        sequences=each,
        labels=tuple(given),
        where=[f"sequence {k:,}" for k in range(len(each))],
        channels=_numbered(widths[0]),
    )


def read_long_table(
    source: Any,
    sequence: str,
    label: str | None,
    *,
    values: Sequence[str] = (),
    time: str | None = None,
    delimiter: str | None = None,
    na: Sequence[str] = (),
) -> Examples:
    """One sequence per value of the column ``sequence``, its rows in the order of ``time`` or of the file.

    Raises:
        DataError: a column is missing, a cell is no number, a sequence has two labels or one time twice.
    """
    table = read_table(source, delimiter=delimiter, na=na)
    for column, option in ((sequence, "--sequence"), (label, "--label"), (time, "--time")):
        if column is not None:
            _check_column(table, column, option)
    taken = {sequence, label, time}
    chosen = list(values) or [c for c in numeric_columns(table) if c not in taken]
    for column in chosen:
        _check_column(table, column, "--value")
    if not chosen:
        raise DataError(f"{table.name} has no column of numbers", expected="one or more", fix="Give --value COLUMN")
    _check_whole(table, sequence)
    matrix = np.stack([read_numbers(table, column)[0] for column in chosen], axis=1)
    ids, group = _groups(table.frame[sequence])
    order = _order(table, time, group)
    bounds = np.searchsorted(group[order], np.arange(len(ids) + 1))
    rows = [order[a:b] for a, b in itertools.pairwise(bounds)]
    return Examples(
        name=table.name,
        fingerprint=table.fingerprint,
        texts=(),
        sequences=tuple(matrix[own] for own in rows),
        labels=tuple(_label(table, label, own, name) for own, name in zip(rows, ids)),
        where=[f"sequence '{name}' of {table.name}" for name in ids],
        channels=tuple(chosen),
        ids=tuple(ids),
    )


def carried(examples: Examples, missing: str) -> tuple[np.ndarray, ...]:
    """The sequences without NaN: the last value again, or NaN before the first (the reader's mean stands in).

    Raises:
        DataError: a value is missing and ``missing`` is "error".
        ConfigError: ``missing`` is neither "error" nor "carry".
    """
    if missing not in MISSING:
        raise ConfigError(f"--missing {missing}", expected="error or carry")
    found = []
    for k, sequence in enumerate(examples.sequences):
        absent = np.isnan(sequence)
        if absent.any():
            if missing == "error":
                step, channel = (int(i) for i in np.argwhere(absent)[0])
                raise DataError(
                    f"{examples.where[k]} lacks a value of '{examples.channels[channel]}' at its step {step + 1:,}",
                    expected="a number at every step",
                    fix="Give --missing carry to repeat the last value",
                )
            last = np.maximum.accumulate(np.where(absent, -1, np.arange(len(sequence))[:, None]), axis=0)
            filled = np.take_along_axis(sequence, np.maximum(last, 0), axis=0)
            sequence = np.where(last < 0, np.nan, filled)
        if np.isinf(sequence).any():
            raise DataError(f"{examples.where[k]} has an infinite value", expected="finite numbers")
        found.append(sequence)
    return tuple(found)


def _numbered(count: int) -> tuple[str, ...]:
    return tuple(f"channel {k + 1}" for k in range(count))


def _two_dimensional(sequence: np.ndarray) -> np.ndarray:
    if sequence.ndim not in (1, 2):
        raise ValueError(f"one has {sequence.ndim} dimensions")
    return sequence if sequence.ndim == 2 else sequence[:, None]


def _check_column(table: Table, column: str, option: str) -> None:
    if column not in table.frame.columns:
        raise DataError(
            f"{table.name} has no column '{column}'.{did_you_mean(column, table.frame.columns)}",
            expected=f"one of {listed(table.frame.columns)}",
            fix=f"Give {option} COLUMN",
        )


def _check_whole(table: Table, column: str) -> None:
    missing = table.missing(column)
    if missing.any():
        raise DataError(
            f"{table.name} has no '{column}' in {table.row(int(np.argmax(missing)))}",
            expected="in every row, which sequence it belongs to",
        )


def _groups(column: pl.Series) -> tuple[list[str], np.ndarray]:
    """Names in order of first sight, and each row's number among them."""
    text = column.cast(pl.String).to_list()
    number: dict[str, int] = {}
    group = np.array([number.setdefault(name, len(number)) for name in text], dtype=np.int64)
    return list(number), group


def _order(table: Table, time: str | None, group: np.ndarray) -> np.ndarray:
    if time is None:
        return np.argsort(group, kind="stable")
    _check_whole(table, time)
    column = table.frame[time]
    numbers = column.cast(pl.Float64, strict=False) if column.dtype == pl.String else column
    key = (column if numbers.null_count() else numbers).rank("dense").to_numpy()
    order = np.lexsort((key, group))
    twice = (np.diff(group[order]) == 0) & (np.diff(key[order]) == 0)
    if twice.any():
        position = int(order[int(np.argmax(twice)) + 1])
        raise DataError(
            f"{table.name} has '{time}' {column[position]} twice in one sequence, again in {table.row(position)}",
            expected="every time once per sequence",
        )
    return order


def _label(table: Table, label: str | None, rows: np.ndarray, name: str) -> str | None:
    if label is None:
        return None
    cells = table.frame[label].gather(pl.Series(rows)).cast(pl.String).to_list()
    found = list(dict.fromkeys(c.strip() for c in cells if c is not None and c.strip()))
    if len(found) > 1:
        second = next(k for k, c in zip(rows, cells) if c is not None and c.strip() == found[1])
        raise DataError(
            f"sequence '{name}' has the labels '{found[0]}' and '{found[1]}', the second in {table.row(int(second))}",
            expected="one label per sequence",
        )
    return found[0] if found else None
