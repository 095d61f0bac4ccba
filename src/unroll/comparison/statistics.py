"""Intervals for scores: a paired bootstrap over blocks of test windows and over seeds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy.special import ndtri, stdtrit

from unroll.tasks import Errors

REPLICATES = 2000
FEWEST_HORIZONS = 3
"""Test windows that span fewer horizons than this, over all series, say too little: no interval is given."""


class Interval(NamedTuple):
    """A figure with its 95 % interval; ``low`` and ``high`` are None where the data cannot give one."""

    mean: float | None
    low: float | None
    high: float | None

    def overlaps(self, other: Interval) -> bool:
        """Whether the two share a value; an unknown interval overlaps everything."""
        if self.low is None or self.high is None or other.low is None or other.high is None:
            return True
        return self.low <= other.high and other.low <= self.high


class Resampler:
    """The same resampled test windows for every forecaster, so that differences are paired.

    Windows that start one step apart share most of their targets, so whole blocks of consecutive windows are
    drawn (Künsch 1989): two horizons long, or a quarter of a series' windows where that is shorter. Seeds are drawn
    with replacement as well. Few blocks vary too little; the interval is widened as Student's t for their number
    is wider than the normal distribution.
    """

    def __init__(self, windows: Errors, horizon: int, *, replicates: int = REPLICATES) -> None:
        self._block = _blocks(windows, horizon)
        self.blocks = int(self._block.max()) + 1 if len(self._block) else 0
        rng = np.random.default_rng(0)
        draws = rng.integers(0, max(1, self.blocks), size=(replicates, self.blocks))
        self._counts = np.stack([np.bincount(d, minlength=self.blocks) for d in draws]).astype(np.float64)
        self._replicates = replicates
        self._known: dict[int, tuple[Errors, dict[str, np.ndarray]]] = {}
        self.enough = _horizons(windows, horizon) >= FEWEST_HORIZONS
        self._widening = _widening(self.blocks)

    def replicates(self, seeds: Sequence[Errors], metric: str, *, stream: int = 0) -> np.ndarray:
        """(replicates,) of the mean over seeds of ``metric``; ``stream`` makes one forecaster's draws of seeds
        independent of another's."""
        per_seed = np.stack([self._one(errors, metric) for errors in seeds])
        rng = np.random.default_rng([1, stream])
        picked = rng.integers(0, len(seeds), size=(len(seeds), self._replicates))
        return np.asarray(np.take_along_axis(per_seed, picked, axis=0).mean(axis=0))

    def interval(self, seeds: Sequence[Errors], metric: str, *, stream: int = 0) -> Interval:
        """The mean over seeds of ``metric`` on all windows, with its percentile interval."""
        values = [errors.scores()[metric] for errors in seeds]
        known = [v for v in values if v is not None]
        if len(known) < len(values) or not known:
            return Interval(None, None, None)
        mean = float(np.mean(known))
        if not self.enough:
            return Interval(mean, None, None)
        found = self._widened(mean, self.replicates(seeds, metric, stream=stream))
        return found if found.low is None else found._replace(low=max(0.0, found.low))

    def gain(
        self,
        seeds: Sequence[Errors],
        other: Sequence[Errors],
        metric: str,
        *,
        streams: tuple[int, int],
        higher: bool = False,
    ) -> Interval:
        """By what share of ``other``'s score ``seeds`` score lower: (other - own) / other, paired.

        Of a metric of which more is better it is own - other: a share of a share would mislead.
        """
        own = self.interval(seeds, metric, stream=streams[0]).mean
        theirs = self.interval(other, metric, stream=streams[1]).mean
        if own is None or theirs is None or (theirs == 0 and not higher):
            return Interval(None, None, None)
        mean = own - theirs if higher else (theirs - own) / theirs
        if not self.enough:
            return Interval(mean, None, None)
        a = self.replicates(seeds, metric, stream=streams[0])
        b = self.replicates(other, metric, stream=streams[1])
        with np.errstate(divide="ignore", invalid="ignore"):
            return self._widened(mean, a - b if higher else (b - a) / b)

    def _widened(self, mean: float, replicates: np.ndarray) -> Interval:
        low, high = np.nanquantile(replicates, [0.025, 0.975])
        wider = self._widening
        return Interval(mean, float(mean - wider * (mean - low)), float(mean + wider * (high - mean)))

    def _one(self, errors: Errors, metric: str) -> np.ndarray:
        if id(errors) not in self._known:
            sums = errors.block_sums(self._block, self.blocks)
            scores = errors.score_arrays({name: self._counts @ column for name, column in sums.items()})
            self._known[id(errors)] = errors, scores
        return self._known[id(errors)][1][metric]


def _horizons(windows: Errors, horizon: int) -> float:
    """How many windows without a common target would fit into the test ranges."""
    counts = np.unique(windows.series, return_counts=True)[1]
    return float(((counts + horizon - 1) / horizon).sum())


def _widening(blocks: int) -> float:
    """How much wider than the bootstrap's own an interval from so few blocks has to be."""
    if blocks < 2:
        return 1.0
    student = float(stdtrit(blocks - 1, 0.975)) / float(ndtri(0.975))
    return student * (blocks / (blocks - 1)) ** 0.5


def _blocks(windows: Errors, horizon: int) -> np.ndarray:
    """The block number of every window: runs of consecutive windows of one series."""
    number = np.zeros(len(windows.series), dtype=np.int64)
    used = 0
    for index in np.unique(windows.series):
        rows = np.flatnonzero(windows.series == index)
        rows = rows[np.argsort(windows.origins[rows], kind="stable")]
        length = max(1, min(2 * horizon, len(rows) // 4))
        count = max(1, len(rows) // length)
        # The last block takes what is left over, so that none is shorter than the rest.
        number[rows] = used + np.minimum(np.arange(len(rows)) // length, count - 1)
        used += count
    return number
