"""The season length of a set of series, from its training rows alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from unroll.data.series.series import Series, SeriesSet
from unroll.data.series.split import Ranges

_SAMPLE = 50
_SHORTEST_LAG = 2
# Standard errors above 0 for a lag named beforehand, and the least autocorrelation worth calling a season.
_LIKELY, _WEAKEST = 3.0, 0.1
# Of season lengths whose autocorrelations differ by less, the shorter is taken.
_LEVEL = 0.05


def detect_season(series_set: SeriesSet, ranges: Mapping[str, Ranges]) -> int | None:
    """The lag, in rows, at which the first differences of the targets repeat themselves, or None.

    The autocorrelation is taken per series and target over the training range and pooled by its median. Season
    lengths that the frequency suggests go first; otherwise the highest significant peak counts.
    """
    curves = [
        curve
        for series in _sampled(series_set.series)
        for curve in _autocorrelations(series, ranges[series.name].train, len(series_set.targets))
    ]
    if not curves:
        return None
    longest = int(np.median([len(curve) for curve in curves]))
    kept = [curve[:longest] for curve in curves if len(curve) >= longest]
    pooled = np.median(np.stack(kept), axis=0)
    return _season(pooled, 3 * longest, series_set.frequency.seasons)


def _sampled(series: Sequence[Series]) -> list[Series]:
    index = np.unique(np.linspace(0, len(series) - 1, min(_SAMPLE, len(series))).astype(int))
    return [series[i] for i in index]


def _autocorrelations(series: Series, rows: tuple[int, int], targets: int) -> list[np.ndarray]:
    """Per target, the autocorrelation of the differenced training values at lags 0 … n/3."""
    curves = []
    for column in series.values[rows[0] : rows[1], :targets].T:
        change = np.diff(column)
        observed = np.flatnonzero(~np.isnan(change))
        if len(observed) <= 3 * (_SHORTEST_LAG + 1):
            continue
        change = change[observed[0] :]
        change = change - np.nanmean(change)
        largest = np.nanmax(np.abs(change))
        if largest > 0:
            change = change / largest  # products of the smallest numbers would be 0
            curves.append(_autocorrelation(change)[: len(change) // 3 + 1])
    return curves


def _autocorrelation(values: np.ndarray) -> np.ndarray:
    """At each lag the mean product of the pairs observed: with the usual shrinkage the peaks would move."""
    observed = ~np.isnan(values)
    products = _products(np.where(observed, values, 0.0))
    pairs = _products(observed.astype(np.float64)).round()
    means = np.where(pairs > 0, products / np.maximum(pairs, 1), 0.0)
    return np.asarray(means / means[0])


def _products(values: np.ndarray) -> np.ndarray:
    """The sum of values[t] * values[t + lag], at every lag."""
    size = 1 << (2 * len(values) - 1).bit_length()
    spectrum = np.fft.rfft(values, size)
    return np.asarray(np.fft.irfft(spectrum * np.conj(spectrum), size)[: len(values)])


def _season(curve: np.ndarray, rows: int, likely: Sequence[int]) -> int | None:
    usual = [lag for lag in likely if _is_hill(curve, lag) and curve[lag] > _LIKELY / np.sqrt(rows)]
    if usual:
        highest = max(curve[lag] for lag in usual)
        return next(lag for lag in usual if curve[lag] >= highest - _LEVEL)
    peaks = [lag for lag in range(_SHORTEST_LAG, len(curve) - 1) if _is_peak(curve, lag)]
    best = max(peaks, key=lambda lag: float(curve[lag]), default=0)
    if not best or curve[best] <= max(_WEAKEST, _chance(curve, rows - best)):
        return None
    return next(lag for lag in peaks if _is_period(curve, lag, best))


def _is_hill(curve: np.ndarray, lag: int) -> bool:
    """High at ``lag`` and lower a tenth of it to either side, so that a noisy peak need not be exact."""
    width = max(1, lag // 10)
    if lag + width >= len(curve):
        return False
    around = curve[lag - width : lag + width + 1]
    return bool(curve[lag] >= 0.8 * around.max() and curve[lag] > max(around[0], around[-1]))


def _is_peak(curve: np.ndarray, lag: int) -> bool:
    return bool(curve[lag - 1] < curve[lag] >= curve[lag + 1])


def _chance(curve: np.ndarray, rows: int) -> float:
    """What the highest of all lags of a series without a season stays below, 99 times in 100.

    Differencing noise makes neighbouring values dependent, which widens each lag's spread (Bartlett).
    """
    spread = np.sqrt((1 + 2 * curve[1] ** 2) / rows)
    return float(np.sqrt(2 * np.log(len(curve)) + 5) * spread)


def _is_period(curve: np.ndarray, lag: int, best: int) -> bool:
    """True if ``best`` is a multiple of ``lag`` and the curve is high at every multiple up to it."""
    times = round(best / lag)
    multiples = [round(best * k / times) for k in range(1, times + 1)]
    height = curve[best]
    return multiples[0] == lag and bool(curve[lag] >= 0.8 * height and curve[multiples].min() >= 0.5 * height)
