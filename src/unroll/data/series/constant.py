"""Series that say nothing: one value, or none, in all the rows looked at."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from unroll.data.series.series import Series, SeriesSet
from unroll.data.series.split import Ranges
from unroll.data.wording import counted, skipped
from unroll.errors import DataError


def reject_constant(series_set: SeriesSet, ranges: Mapping[str, Ranges] | None = None, skip: bool = False) -> SeriesSet:
    """Check every target of every series over its training range (all its rows without ``ranges``).

    Raises DataError at the first constant or unobserved one; with ``skip`` such series are left out and noted.
    Raises DataError if none is left.
    """
    found = {}
    for series in series_set.series:
        bounds = ranges[series.name].train if ranges is not None else (0, series.rows)
        problem = _problem(series, series_set, bounds, training=ranges is not None)
        if problem is not None and not skip:
            raise problem
        if problem is not None:
            found[series.name] = problem
    if not found:
        return series_set
    if len(found) == len(series_set.series):
        raise DataError(
            f"no series is left: all {len(found):,} are constant",
            expected="one that varies",
            fix="Give another --target",
        )
    return series_set.without(set(found)).with_notes(skipped(list(found), "constant"))


def _problem(series: Series, of: SeriesSet, bounds: tuple[int, int], *, training: bool) -> DataError | None:
    values = series.values[bounds[0] : bounds[1], : len(of.targets)]
    rows = counted(len(values), "training row" if training else "row")
    for index, target in enumerate(of.targets):
        seen = values[~np.isnan(values[:, index]), index]
        if len(seen) and seen.min() < seen.max():
            continue
        what = f"series '{series.name}'" if len(of.targets) == 1 else f"target '{target}' of series '{series.name}'"
        every = "its only" if len(values) == 1 else "all"
        state = f"is constant: {seen[0]} in {every} {rows}" if len(seen) else f"has no values in its {rows}"
        return DataError(f"{what} {state}", expected="values that vary", fix=_fix(of, training))
    return None


def _fix(of: SeriesSet, training: bool) -> str:
    if len(of.series) > 1:
        return "Remove it, or give --skip-bad-series to go on without it"
    split = ", or a --split with more training rows" if training else ""
    leave = "Leave it out of --target" if len(of.targets) > 1 else "Give another --target"
    return leave + split
