"""One regular grid for all series: their common step, and their gaps as rows of missing values."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from unroll.data.series.frequency import Frequency, grid_steps, grid_times, most_common_step, show_time
from unroll.data.series.rows import Piece
from unroll.data.series.series import Series
from unroll.data.table import Table
from unroll.errors import DataError

_EMPTIEST = 10


def common_frequency(table: Table, pieces: Sequence[Piece]) -> Frequency:
    """The step most series have. Raises DataError where no series has two rows."""
    enough = [p for p in pieces if len(p.times) > 2] or [p for p in pieces if len(p.times) > 1]
    if not enough:
        raise DataError(
            f"{table.name} has 1 row" + (" in every series" if len(pieces) > 1 else ""),
            expected="two or more, to know the step between them",
        )
    steps = [most_common_step(piece.times) for piece in enough]
    (unit, count), _ = Counter((step.unit, step.count) for step in steps).most_common(1)[0]
    anchors = {step.anchor for step in steps if (step.unit, step.count) == (unit, count)}
    return Frequency(unit, count, anchors.pop() if len(anchors) == 1 else None)


def grid_error(table: Table, pieces: Sequence[Piece], piece: Piece, frequency: Frequency) -> DataError | None:
    """Why ``piece`` does not lie on a grid of ``frequency``, or None."""
    own = most_common_step(piece.times) if len(piece.times) > 2 else frequency
    if (own.unit, own.count) != (frequency.unit, frequency.count) and grid_steps(piece.times, own)[1] is None:
        return _disagreement(pieces, piece, own, frequency)
    steps, wrong = grid_steps(piece.times, frequency)
    if wrong is not None:
        return DataError(
            f"series '{piece.name}' has no regular step: {table.row(int(piece.positions[wrong]))} "
            f"({show_time(piece.times[wrong])}) is off the {frequency.plural} that begin at "
            f"{show_time(piece.times[0])}",
            expected="times at one regular step (gaps are allowed)",
            fix="Give --times irregular to have the time between rows read, or --time none to number them 0, 1, 2, …, "
            "or resample it to a regular step first",
        )
    if steps[-1] + 1 > _EMPTIEST * len(steps) + 100:
        widest = int(np.argmax(np.diff(steps)))
        return DataError(
            f"series '{piece.name}' has {len(steps):,} rows over {steps[-1] + 1:,} {frequency.plural}: "
            f"{table.row(int(piece.positions[widest + 1]))} ({show_time(piece.times[widest + 1])}) comes "
            f"{steps[widest + 1] - steps[widest]:,} {frequency.plural} after {show_time(piece.times[widest])}",
            expected="more rows than gaps",
            fix="Correct that time, or give --times irregular, or --time none to number the rows",
        )
    return None


def on_grid(piece: Piece, frequency: Frequency) -> Series:
    """The series with every gap in its times as rows of NaN."""
    steps, _ = grid_steps(piece.times, frequency)
    rows = int(steps[-1]) + 1
    if rows == len(steps):
        return Series(piece.name, piece.times, piece.values)
    values = np.full((rows, piece.values.shape[1]), np.nan)
    values[steps] = piece.values
    days = replace(frequency, anchor=frequency.anchor or _anchor(piece.times, frequency))
    return Series(piece.name, grid_times(piece.times[0], rows, days), values)


def _anchor(times: np.ndarray, frequency: Frequency) -> int | None:
    return most_common_step(times).anchor if frequency.unit in ("month", "quarter", "year") else None


def _disagreement(pieces: Sequence[Piece], piece: Piece, own: Frequency, frequency: Frequency) -> DataError:
    other = next(
        p.name
        for p in pieces
        if len(p.times) > 2 and replace(most_common_step(p.times), anchor=None) == replace(frequency, anchor=None)
    )
    return DataError(
        f"series '{piece.name}' is in {own.plural} and series '{other}' in {frequency.plural}",
        expected="one step for all series",
        fix=f"Resample one of them, or give --skip-bad-series to go on without '{piece.name}'",
    )
