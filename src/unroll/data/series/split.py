"""Chronological train, validation and test ranges."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from unroll.data.series.series import SeriesSet
from unroll.data.wording import counted
from unroll.errors import ConfigError, DataError

PARTS = ("train", "valid", "test")
DEFAULT_SPLIT = "0.7,0.15,0.15"
_EXPECTED = "three fractions (0.7,0.15,0.15), three row counts (8640,2880,2880) or rest,48,48"
_FIX = f"Give --split {DEFAULT_SPLIT}"


@dataclass(frozen=True)
class Split:
    """Three shares of the rows of every series: fractions (float), counts (int), or one None for the rest."""

    parts: tuple[float | int | None, float | int | None, float | int | None]

    @property
    def text(self) -> str:
        """What ``parse_split`` reads back."""
        return ",".join("rest" if part is None else f"{part}" for part in self.parts)


@dataclass(frozen=True)
class Ranges:
    """Row ranges [start, end) of one series, each beginning where the one before ends."""

    train: tuple[int, int]
    valid: tuple[int, int]
    test: tuple[int, int]

    def part(self, name: str) -> tuple[int, int]:
        """The range of "train", "valid" or "test"; ConfigError for any other name."""
        if name not in PARTS:
            raise ConfigError(f"part '{name}'", expected="train, valid or test")
        start, end = getattr(self, name)
        return start, end

    def __iter__(self) -> Iterator[tuple[int, int]]:
        return iter((self.train, self.valid, self.test))


def parse_split(text: str) -> Split:
    """Read "0.7,0.15,0.15", "8640,2880,2880" or "rest,48,48". Raises ConfigError."""
    words = [word.strip() for word in str(text).split(",")]
    if len(words) != 3:
        raise ConfigError(f"--split {text} has {len(words)} part(s)", expected=_EXPECTED, fix=_FIX)
    first, second, third = (_share(word, text) for word in words)
    split = Split((first, second, third))
    _check(split, text)
    return split


def ranges(rows: int, split: Split, name: str = "") -> Ranges:
    """The ranges of a series of ``rows`` rows; counts may leave rows unused at its end.

    Raises DataError where counts ask for more rows than there are (``name`` names the series in the message).
    """
    if any(isinstance(part, float) for part in split.parts):
        shares = [float(part or 0.0) for part in split.parts]
        # A sum like 0.7 + 0.15 lies a rounding error below the true value, which must not cost a row.
        a, b, c = (min(rows, math.floor(rows * sum(shares[:k]) + 1e-6)) for k in (1, 2, 3))
        return Ranges((0, a), (a, b), (b, c))
    needed = sum(int(part or 0) for part in split.parts)
    least = needed + (None in split.parts)
    if rows < least:
        raise DataError(
            f"{f'series {name!r}' if name else 'the series'} has {counted(rows, 'row')}",
            expected=f"{least:,} or more for --split {split.text}",
            fix=_fitting(rows),
        )
    a, b, c = (rows - needed if part is None else int(part) for part in split.parts)
    return Ranges((0, a), (a, a + b), (a + b, a + b + c))


def ranges_of(series_set: SeriesSet, split: Split) -> dict[str, Ranges]:
    """The ranges of every series by its name. Raises DataError naming the first with an empty part."""
    try:
        found = {series.name: ranges(series.rows, split, series.name) for series in series_set.series}
        for name, bounds in found.items():
            _check_parts(name, bounds, split)
        return found
    except DataError as error:
        if len(series_set.series) == 1:
            raise
        fix = f"{error.fix}, or --skip-bad-series to go on without series that are too short"
        raise DataError(error.received, expected=error.expected, fix=fix) from None


def _check_parts(name: str, bounds: Ranges, split: Split) -> None:
    sizes = [end - start for start, end in bounds]
    if min(sizes):
        return
    rows = bounds.test[1]
    parts = ", ".join(f"{size:,} {part}" for size, part in zip(sizes, PARTS, strict=True))
    raise DataError(
        f"series '{name}' has {counted(rows, 'row')} ({parts})",
        expected=f"rows in each part of --split {split.text}",
        fix=_fitting(rows),
    )


def _fitting(rows: int) -> str:
    """What to change so that each part of ``rows`` rows has some, and training two."""
    held = max(1, rows // 4)
    return f"Give --split rest,{held},{held}" if rows > 3 else "Give more rows: a series needs 4 at the very least"


def _share(word: str, text: str) -> float | int | None:
    if word.lower() == "rest":
        return None
    try:
        return int(word)
    except ValueError:
        pass
    try:
        value = float(word)
    except ValueError:
        raise ConfigError(f"--split {text} contains '{word}'", expected=_EXPECTED, fix=_FIX) from None
    if not math.isfinite(value) or value >= 1:
        raise ConfigError(f"--split {text} contains {word}", expected="fractions below 1", fix=_FIX)
    return value


def _check(split: Split, text: str) -> None:
    parts = split.parts
    given = [part for part in parts if part is not None]
    if any(part <= 0 for part in given):
        raise ConfigError(f"--split {text} has an empty part", expected="three parts above 0", fix=_FIX)
    if len({type(part) for part in given}) > 1:
        raise ConfigError(f"--split {text} mixes fractions and row counts", expected=_EXPECTED, fix=_FIX)
    if len(given) < 2:
        raise ConfigError(f"--split {text} says rest more than once", expected=_EXPECTED, fix=_FIX)
    total = sum(given)
    if isinstance(given[0], float):
        if len(given) < 3:
            raise ConfigError(f"--split {text}: rest goes with row counts", expected=_EXPECTED, fix=_FIX)
        if total > 1 + 1e-9:
            raise ConfigError(f"--split {text} sums to {total:g}", expected="fractions that sum to at most 1", fix=_FIX)
