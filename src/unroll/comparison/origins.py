"""Where a backtest stands: its origins, what is trained for which, and the rows each training may see."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

from unroll.data import Ranges, Series, SeriesSet, parse_split
from unroll.data.series.lengths import SHORTEST_INPUT
from unroll.data.wording import skipped
from unroll.errors import ConfigError, DataError


@dataclass(frozen=True)
class BacktestOptions:
    """``origins`` forecasts, each ``step`` rows after the one before, the last ending with the data.

    ``refit`` trains a new network at every so many origins; 0 trains one before the first.
    """

    origins: int = 5
    step: int | None = None
    refit: int = 0

    def check(self) -> None:
        """Raises ConfigError for a number that makes no sense."""
        for name, value, least in (("origins", self.origins, 1), ("step", self.step, 1), ("refit", self.refit, 0)):
            if value is not None and (not isinstance(value, int) or value < least):
                raise ConfigError(f"--{name} {value}", expected=f"a whole number from {least} up")


@dataclass(frozen=True)
class Refit:
    """One training: the numbers of the origins it forecasts from, and how many rows of every series' end lie behind
    each; the first is where training has to stop."""

    number: int
    origins: tuple[int, ...]
    behind: tuple[int, ...]


def refits(options: BacktestOptions, horizon: int) -> list[Refit]:
    """The trainings, oldest first."""
    step = options.step or horizon
    behind = [horizon + (options.origins - 1 - k) * step for k in range(options.origins)]
    size = options.refit or options.origins
    starts = range(0, options.origins, size)
    return [
        Refit(number, tuple(range(at, min(at + size, len(behind)))), tuple(behind[at : at + size]))
        for number, at in enumerate(starts)
    ]


def roomy(series_set: SeriesSet, first: Refit, split: str, horizon: int, input: int | None, *, skip: bool) -> SeriesSet:
    """``series_set`` without the series that are too short for the first training.

    Raises:
        DataError: there is one and ``skip`` is false, or none is left.
    """
    short = [s for s in series_set.series if not _fits(s, first, split, horizon, input or SHORTEST_INPUT)]
    if not short:
        return series_set
    if skip and len(short) < len(series_set.series):
        left = series_set.without({s.name for s in short})
        return left.with_notes(skipped(sorted(s.name for s in short), "too short for the first origin"))
    one, origin = short[0], max(0, short[0].rows - first.behind[0])
    raise DataError(
        f"series '{one.name}' has {one.rows:,} rows, {origin:,} of them before the first origin",
        expected=f"there {(input or SHORTEST_INPUT) + horizon:,} or more to train on and {horizon:,} to validate",
        fix="Give fewer --origins, a smaller --step, --horizon or --input, or another --split"
        + (", or --skip-bad-series" if len(series_set.series) > 1 else ""),
    )


def seen_until(series_set: SeriesSet, refit: Refit, split: str, horizon: int) -> tuple[SeriesSet, dict[str, Ranges]]:
    """What a training may see and what it is scored on: nothing after its last forecast is even there.

    Rows before its first origin are for training and validation, in the proportion of ``split``; the rest is test.
    """
    cut = []
    ranges = {}
    for series in series_set.series:
        end = series.rows - refit.behind[-1] + horizon
        cut.append(replace(series, times=series.times[:end], values=series.values[:end], ahead=None))
        origin = series.rows - refit.behind[0]
        learned = origin - _validated(split, origin)
        ranges[series.name] = Ranges((0, learned), (learned, origin), (origin, end))
    return replace(series_set, series=tuple(cut)), ranges


def _fits(series: Series, first: Refit, split: str, horizon: int, input: int) -> bool:
    origin = series.rows - first.behind[0]
    validated = _validated(split, origin)
    return origin > 0 and validated >= horizon and origin - validated >= input + horizon


def _validated(split: str, origin: int) -> int:
    """How many of the ``origin`` rows before an origin are for validation."""
    train, valid, _ = parse_split(split).parts
    if isinstance(valid, float):
        share = valid / (valid + float(train or 0.0))
        return math.floor(origin * share + 1e-6)
    return int(valid or 0)


def origin_rows(series_set: SeriesSet, behind: int) -> Mapping[str, int]:
    """The first forecast row of each series, by its name, with ``behind`` rows from there to the end."""
    return {series.name: series.rows - behind for series in series_set.series}
