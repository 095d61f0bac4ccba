"""Columns that say one thing of a whole series: numbers, or categories."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import polars as pl

from unroll.data.series.columns import Columns
from unroll.data.series.rows import Piece
from unroll.data.table import Table
from unroll.data.wording import listed
from unroll.errors import DataError


def static_values(table: Table, columns: Columns, piece: Piece, missing: str) -> tuple[str | None, ...]:
    """What the static columns say of ``piece``, as text; None where no row says it.

    Raises:
        DataError: a column changes within the series, or (unless ``missing`` is carry or mask) has a hole in it.
    """
    return tuple(_one_value(table, column, columns, piece, missing) for column in columns.static)


def _one_value(table: Table, column: str, columns: Columns, piece: Piece, missing: str) -> str | None:
    cells = table.frame[column].cast(pl.String, strict=False).str.strip_chars().gather(pl.Series(piece.positions))
    holes = table.missing(column)[piece.positions]
    whose = f"series '{piece.name}'" if columns.group is not None else table.name
    if holes.any() and missing == "error":
        raise DataError(
            f"static column '{column}' has no value in {table.row(int(piece.positions[np.argmax(holes)]))} of {whose}",
            expected="one value for the whole series, in each of its rows",
            fix="Fill it in, or give --missing carry: the value of its other rows counts",
        )
    if holes.all():
        return None
    first = int(np.argmin(holes))
    other = np.flatnonzero(~holes & (cells != cells[first]).fill_null(False).to_numpy())
    if len(other):
        at = int(other[0])
        raise DataError(
            f"static column '{column}' changes within {whose}: '{cells[first]}' in "
            f"{table.row(int(piece.positions[first]))}, '{cells[at]}' in {table.row(int(piece.positions[at]))}",
            expected="one value for the whole series",
            fix=f"Give --known {column} if it is known of the future too, else --feature {column}",
        )
    return str(cells[first])


@dataclass(frozen=True)
class Static:
    """How one static column is read: as a number, standardised over the training series, or as a category, one-hot.

    A category that training has not met, or none at all, is read as the ``shares`` that the categories have among the
    training series: a place of its own would lead to weights that nothing has taught.
    """

    name: str
    categories: tuple[str, ...] | None
    shares: tuple[float, ...] = ()
    mean: float = 0.0
    deviation: float = 1.0

    @classmethod
    def fit(cls, name: str, values: Sequence[str | None]) -> Static:
        """From what each training series has: a number where at least half of the values are."""
        present = [value for value in values if value is not None]
        numbers = [number for number in map(_number, present) if number is not None]
        if not numbers or 2 * len(numbers) < len(present):
            counts = Counter(present)
            categories = tuple(sorted(counts))
            return cls(name, categories, tuple(counts[category] / len(present) for category in categories))
        spread = float(np.std(numbers)) if min(numbers) < max(numbers) else 1.0
        return cls(name, None, (), float(np.mean(numbers)), spread or 1.0)

    @property
    def width(self) -> int:
        return 1 if self.categories is None else len(self.categories)

    def encoded(self, value: str | None, series: str) -> np.ndarray:
        """(width,) float64. Raises DataError where a number is expected and there is none."""
        if self.categories is not None:
            known = value in self.categories
            return np.array([float(c == value) for c in self.categories] if known else self.shares)
        number = None if value is None else _number(value)
        if number is None:
            shown = "no value" if value is None else f"'{value}'"
            raise DataError(
                f"static column '{self.name}' has {shown} for series '{series}'",
                expected="a number, as for the other series",
                fix="Correct it, or leave the column out of --static",
            )
        return np.array([(number - self.mean) / self.deviation])

    def to_dict(self) -> dict[str, Any]:
        return {k: list(v) if isinstance(v, tuple) else v for k, v in asdict(self).items()}

    @classmethod
    def from_dict(cls, record: Mapping[str, Any]) -> Static:
        categories = record["categories"]
        return cls(
            record["name"],
            None if categories is None else tuple(categories),
            tuple(record["shares"]),
            float(record["mean"]),
            float(record["deviation"]),
        )


def told(statics: Sequence[Static]) -> str:
    """How each is read, in words: ``"'size' as a number, 'town' as one of 12 categories"``."""
    ways = [
        f"'{s.name}' as " + ("a number" if s.categories is None else f"one of {len(s.categories):,} categories")
        for s in statics
    ]
    return listed(ways)


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if np.isfinite(value) else None
