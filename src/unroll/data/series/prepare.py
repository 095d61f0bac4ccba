"""From a series set to windows, in the one order in which nothing sees what it is scored on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from unroll.data.series.constant import reject_constant
from unroll.data.series.lengths import check_lengths, drop_short, fit_lengths, usual_horizon
from unroll.data.series.scale import Scaler
from unroll.data.series.season import detect_season
from unroll.data.series.series import SeriesSet
from unroll.data.series.split import Ranges, Split, ranges_of
from unroll.data.series.windows import Windows
from unroll.errors import ConfigError


@dataclass(frozen=True, eq=False)
class Prepared:
    """What a forecast is trained and scored on; ``season`` is None where none was found."""

    series_set: SeriesSet
    ranges: Mapping[str, Ranges]
    season: int | None
    scaler: Scaler
    windows: Windows


def prepare(
    series_set: SeriesSet,
    split: Split | Mapping[str, Ranges],
    horizon: int | None = None,
    *,
    input: int | None = None,
    season: int | None = None,
    skip_bad_series: bool = False,
) -> Prepared:
    """Split, check, find the season (unless given), fit the scaler, cut the windows; all on training rows only.

    ``split`` may be the ranges themselves, by series. Without a ``horizon`` it is one season where the training rows
    have room for several, else up to 12.

    Raises DataError for a series too short or constant in training (left out with ``skip_bad_series``), ConfigError
    for a season as long as the data.
    """
    check_lengths(1 if horizon is None else horizon, input)
    if skip_bad_series and isinstance(split, Split):
        series_set = drop_short(series_set, split, horizon or 1, input)
    ranges = ranges_of(series_set, split) if isinstance(split, Split) else split
    series_set = reject_constant(series_set, ranges, skip_bad_series)
    _check_season(season, series_set)
    season = None if series_set.irregular else season or detect_season(series_set, ranges)
    horizon = horizon or usual_horizon(series_set, ranges, season)
    length = fit_lengths(series_set, ranges, horizon, season, input)
    scaler = Scaler.fit(series_set, ranges)
    return Prepared(series_set, ranges, season, scaler, Windows(series_set, ranges, scaler, length, horizon))


def _check_season(season: int | None, series_set: SeriesSet) -> None:
    if season is not None and series_set.irregular:
        raise ConfigError(
            f"--season {season} with irregular times",
            expected="no season: no number of rows takes one",
            fix="Leave --season out; --calendar hour,weekday,yearday tells the networks the time",
        )
    longest = max(series.rows for series in series_set.series)
    if season is not None and season >= longest:
        raise ConfigError(
            f"--season {season} with {longest:,} rows",
            expected="a season shorter than the data",
            fix="Give a shorter --season, or none to have it found",
        )
