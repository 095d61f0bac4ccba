"""How long inputs may be: a good default, and what to change where windows do not fit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from unroll.data.series.series import Series, SeriesSet
from unroll.data.series.split import PARTS, Ranges, Split
from unroll.data.series.split import ranges as split_rows
from unroll.data.wording import counted, skipped
from unroll.errors import ConfigError, DataError

SHORTEST_INPUT, LONGEST_INPUT, USUAL_INPUT = 2, 512, 16


def fit_lengths(
    series_set: SeriesSet,
    ranges: Mapping[str, Ranges],
    horizon: int,
    season: int | None,
    input: int | None = None,
) -> int:
    """The input length: as given, or two seasons (16 … 512 rows, at least the horizon) where the series allow it.

    It is reduced until the shortest series has max(horizon, 8) training windows, but not below 2.
    Raises ConfigError for a horizon or input below 1.
    """
    check_lengths(horizon, input)
    if input is not None:
        return input
    wanted = min(max(2 * (season or 0), horizon, USUAL_INPUT), LONGEST_INPUT)
    shortest = min(_size(ranges[series.name].train) for series in series_set.series)
    return max(SHORTEST_INPUT, min(wanted, shortest - horizon - max(horizon, 8) + 1))


def usual_horizon(series_set: SeriesSet, ranges: Mapping[str, Ranges], season: int | None) -> int:
    """One season where it fits seven times into the shortest training range, else such a seventh, at most 12."""
    room = max(1, min(_size(ranges[series.name].train) for series in series_set.series) // 7)
    return season if season is not None and season <= room else min(12, room)


def check_lengths(horizon: int, input: int | None) -> None:
    """Raise ConfigError unless both are at least 1."""
    for option, value in (("horizon", horizon), ("input", input)):
        if value is not None and value < 1:
            raise ConfigError(f"--{option} {value}", expected="1 or more", fix=f"Give --{option} 1 or more")


def window_count(ranges: Ranges, input: int, horizon: int, part: str) -> int:
    """Windows of a series in ``part``: all targets inside it, all inputs inside the series."""
    start, end = ranges.part(part)
    return max(0, end - horizon - max(start, input) + 1)


def too_short(
    series: Sequence[Series],
    ranges: Mapping[str, Ranges],
    input: int,
    horizon: int,
    parts: Sequence[str] = PARTS,
) -> list[Series]:
    """The series without a window in some of ``parts``."""
    return [s for s in series if not _fits(ranges[s.name], input, horizon, parts)]


def drop_short(series_set: SeriesSet, split: Split, horizon: int, input: int | None = None) -> SeriesSet:
    """The set without series too short for ``split``, ``horizon`` and ``input`` (any length if None), noted.

    Raises DataError if none is left.
    """
    check_lengths(horizon, input)
    short = {s.name for s in series_set.series if not _splits(s, split, input or SHORTEST_INPUT, horizon)}
    if not short:
        return series_set
    if len(short) == len(series_set.series):
        longest = max(series.rows for series in series_set.series)
        raise DataError(
            f"no series is long enough: the longest has {longest:,} rows",
            expected=f"room for {horizon:,} target rows in each part of --split {split.text}",
            fix=f"Give --horizon {max(1, longest // 8)} or less, or more rows",
        )
    return replace(series_set.without(short), notes=(*series_set.notes, skipped(sorted(short), "too short")))


def short_error(
    short: Sequence[Series], every: SeriesSet, of: Mapping[str, Ranges], input: int, horizon: int
) -> DataError:
    """Names the series too short for the windows, what they need, and the options that really fit."""
    shown = "; ".join(_described(series, of[series.name]) for series in short[:3])
    more = f"; and {len(short) - 3:,} more of {len(every.series):,} series" if len(short) > 3 else ""
    fixes = _fitting_options(every, of, input, horizon)
    if len(every.series) > 1 and len(short) < len(every.series):
        fixes.append("--skip-bad-series to go on without them")
    return DataError(
        shown + more,
        expected=f"{input + horizon:,} or more training rows (input {input:,} + horizon {horizon:,}) "
        f"and {horizon:,} or more in each of valid and test",
        fix=f"Give {', or '.join(fixes)}" if fixes else "Give more rows: a series needs 4 at the very least",
    )


def _fitting_options(every: SeriesSet, of: Mapping[str, Ranges], input: int, horizon: int) -> list[str]:
    """Single options that let every series fit, else the combination of all that does."""
    sizes = [[_size(r) for r in of[series.name]] for series in every.series]
    train, valid, test = (min(column) for column in zip(*sizes, strict=True))
    rows = min(series.rows for series in every.series)
    options = []
    if min(valid, test) >= horizon and train - horizon >= 1:
        options.append(f"--input {train - horizon}")
    if min(train - input, valid, test) >= 1:
        options.append(f"--horizon {min(train - input, valid, test)}")
    if rows - 2 * horizon >= input + horizon:
        options.append(f"--split rest,{horizon},{horizon}")
    if not options and rows >= 3 * horizon + 1:
        options.append(f"--split rest,{horizon},{horizon} with --input {min(input, rows - 3 * horizon)}")
    if not options and rows >= 4:
        small = max(1, rows // 4)
        longest = min(input, rows - 3 * small)
        options.append(f"--horizon {small} with --split rest,{small},{small} and --input {longest}")
    return options


def _described(series: Series, of: Ranges) -> str:
    parts = ", ".join(f"{_size(of.part(part)):,} {part}" for part in PARTS)
    return f"series '{series.name}' has {counted(series.rows, 'row')} ({parts})"


def _fits(of: Ranges, input: int, horizon: int, parts: Sequence[str] = PARTS) -> bool:
    return all(window_count(of, input, horizon, part) for part in parts)


def _splits(series: Series, split: Split, input: int, horizon: int) -> bool:
    try:
        return _fits(split_rows(series.rows, split), input, horizon)
    except DataError:
        return False


def _size(bounds: tuple[int, int]) -> int:
    return bounds[1] - bounds[0]
