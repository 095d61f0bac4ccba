"""Intervals: what they cover, and that they are paired."""

import math

import numpy as np
import pytest

from comparison.making import window_errors
from unroll.comparison.statistics import FEWEST_HORIZONS, Interval, Resampler, _blocks
from unroll.tasks import METRICS


def coverage(resampler, draw, truth, metric, repeats):
    rng = np.random.default_rng(7)
    hits = 0
    for _ in range(repeats):
        found = resampler.interval([window_errors(draw(rng))], metric)
        assert found.low <= found.mean <= found.high
        hits += found.low <= truth <= found.high
    return hits / repeats


@pytest.mark.parametrize(("metric", "truth"), [("MAE", math.sqrt(2 / math.pi)), ("RMSE", 1.0)])
def test_of_independent_errors_the_interval_covers_the_truth_95_times_in_100(metric, truth):
    """Within three standard errors of the simulation, and a little for finite samples."""
    resampler = Resampler(window_errors(np.ones(150)), horizon=1, replicates=600)
    found = coverage(resampler, lambda rng: np.abs(rng.normal(size=150)), truth, metric, repeats=2000)
    chance = 3 * math.sqrt(0.95 * 0.05 / 2000)
    assert 0.95 - chance - 0.01 <= found <= 0.95 + chance


def test_blocks_widen_the_interval_where_windows_share_targets():
    """Means over eight steps, drawn at every step: windows alone would be far too sure."""

    def overlapping(rng):
        return np.convolve(np.abs(rng.normal(size=407)), np.full(8, 1 / 8), "valid")

    truth = math.sqrt(2 / math.pi)
    blocked = coverage(
        Resampler(window_errors(np.ones(400)), horizon=8, replicates=400), overlapping, truth, "MAE", 300
    )
    alone = coverage(Resampler(window_errors(np.ones(400)), horizon=1, replicates=400), overlapping, truth, "MAE", 300)
    assert alone < 0.7
    assert blocked > 0.9


@pytest.mark.parametrize(("windows", "horizon", "least"), [(343, 12, 0.9), (400, 24, 0.9), (288, 96, 0.85)])
def test_the_interval_covers_the_truth_also_where_few_blocks_fit(windows, horizon, least):
    """Errors independent between steps; a test range of only a few horizons is widened as Student's t says."""

    def overlapping(rng):
        return np.convolve(np.abs(rng.normal(size=windows + horizon - 1)), np.full(horizon, 1 / horizon), "valid")

    resampler = Resampler(window_errors(np.ones(windows)), horizon=horizon, replicates=400)
    assert coverage(resampler, overlapping, math.sqrt(2 / math.pi), "MAE", 300) > least


@pytest.mark.parametrize("horizon", [1, 3, 12, 100])
@pytest.mark.parametrize("rows", [(50,), (20, 33, 47), (1, 2, 90), (1,) * 30])
def test_blocks_are_runs_of_one_series(rows, horizon):
    rng = np.random.default_rng(0)
    series = np.repeat(np.arange(len(rows)), rows)
    origins = np.concatenate([100 + np.arange(n) for n in rows])
    order = rng.permutation(len(series))
    windows = window_errors(np.ones(len(series)), series[order], origins[order])
    block = _blocks(windows, horizon)
    for number in range(block.max() + 1):
        members = block == number
        assert members.any()
        assert len(set(windows.series[members])) == 1
        inside = np.sort(windows.origins[members])
        assert np.array_equal(inside, np.arange(inside[0], inside[-1] + 1))
    for index, n in enumerate(rows):
        own = np.unique(block[windows.series == index])
        sizes = [int((block == number).sum()) for number in own]
        length = max(1, min(2 * horizon, n // 4))
        assert min(sizes) >= length
        assert max(sizes) < 2 * length


def test_a_quarter_of_the_windows_is_the_longest_block():
    assert Resampler(window_errors(np.ones(80)), horizon=500).blocks == 4


@pytest.mark.parametrize("windows", [1, 2])
def test_too_few_horizons_give_no_interval(windows):
    assert windows < FEWEST_HORIZONS
    errors = window_errors(np.arange(1.0, windows + 1))
    resampler = Resampler(errors, horizon=4)
    found = resampler.interval([errors], "MAE")
    assert found == Interval(errors.scores()["MAE"], None, None)
    assert resampler.gain([errors], [window_errors(np.full(windows, 9.0))], "MAE", streams=(0, 1))[1:] == (None, None)


def test_intervals_repeat_to_the_bit():
    errors = [window_errors(np.random.default_rng(k).random(60)) for k in range(3)]
    first, second = (Resampler(errors[0], 4).interval(errors, "MASE", stream=2) for _ in range(2))
    assert first == second


@pytest.mark.parametrize("metric", METRICS)
def test_the_mean_is_the_mean_over_seeds(metric):
    errors = [window_errors(np.random.default_rng(k).random(60)) for k in range(3)]
    found = Resampler(errors[0], 4).interval(errors, metric)
    assert found.mean == pytest.approx(sum(e.scores()[metric] for e in errors) / 3, rel=1e-12)
    assert found.low < found.mean < found.high


def test_errors_of_one_value_have_no_spread():
    errors = window_errors(np.full(60, 0.5))
    found = Resampler(errors, 4).interval([errors], "MAE")
    assert found == pytest.approx((0.5, 0.5, 0.5), rel=1e-12)


def test_seeds_that_differ_widen_the_interval():
    one = window_errors(np.full(60, 1.0))
    others = [window_errors(np.full(60, level)) for level in (0.5, 1.0, 1.5)]
    found = Resampler(one, 4).interval(others, "MAE")
    assert 0 <= found.low <= 0.5
    assert found.high >= 1.5


@pytest.mark.parametrize("metric", METRICS)
def test_nothing_is_gained_on_oneself(metric):
    seeds = [window_errors(np.random.default_rng(k).random(60)) for k in range(3)]
    assert Resampler(seeds[0], 4).gain(seeds, seeds, metric, streams=(1, 1)) == (0.0, 0.0, 0.0)


@pytest.mark.parametrize("share", [0.5, -0.25])
def test_a_gain_on_every_window_alike_is_certain(share):
    """However much the windows differ among themselves: the difference is paired."""
    theirs = np.random.default_rng(0).random(60) ** 3
    own = window_errors((1 - share) * theirs)
    found = Resampler(own, 4).gain([own], [window_errors(theirs)], "MAE", streams=(0, 1))
    assert found == pytest.approx((share, share, share), rel=1e-9)


def test_a_gain_by_chance_alone_is_not_certain():
    rng = np.random.default_rng(3)
    a, b = (window_errors(np.abs(rng.normal(size=200))) for _ in range(2))
    found = Resampler(a, 1).gain([a], [b], "MAE", streams=(0, 1))
    assert found.low < 0 < found.high


def test_nothing_can_be_gained_on_a_perfect_forecast():
    a, b = window_errors(np.ones(60)), window_errors(np.zeros(60))
    assert Resampler(a, 4).gain([a], [b], "MAE", streams=(0, 1)) == (None, None, None)


def test_a_score_that_a_seed_lacks_is_no_score():
    whole, holed = window_errors(np.ones(60)), window_errors(np.full(60, np.nan))
    assert Resampler(whole, 4).interval([whole, holed], "MAE") == (None, None, None)


@pytest.mark.parametrize(
    ("a", "b", "overlap"),
    [
        ((1, 0.9, 1.1), (2, 1.8, 2.2), False),
        ((1, 0.9, 1.9), (2, 1.8, 2.2), True),
        ((1, 0.9, 1.8), (2, 1.8, 2.2), True),
        ((1, 0.5, 3.0), (2, 1.8, 2.2), True),
        ((1, None, None), (2, 1.8, 2.2), True),
    ],
)
def test_overlap(a, b, overlap):
    assert Interval(*a).overlaps(Interval(*b)) is overlap
    assert Interval(*b).overlaps(Interval(*a)) is overlap


def test_a_gain_where_more_is_better_is_the_difference_of_the_scores():
    """Paired over the same drawn examples: equal classifiers differ by nothing at all, others by what they differ."""
    from unroll.tasks.classify.errors import class_errors

    rng = np.random.default_rng(0)
    truth = rng.integers(0, 3, size=900)
    p = np.eye(3)[truth]
    worse = p.copy()
    worse[rng.permutation(900)[:90]] = 1 / 3 + np.array([0.2, -0.1, -0.1])
    a, b = class_errors(truth, p), class_errors(truth, worse)
    resampler = Resampler(a, 1, replicates=400)
    same = resampler.gain([a], [a], "accuracy", streams=(0, 0), higher=True)
    assert (same.mean, same.low, same.high) == (0, 0, 0)
    found = resampler.gain([a], [b], "accuracy", streams=(0, 1), higher=True)
    assert found.mean == pytest.approx(1 - b.scores()["accuracy"])
    assert 0 < found.low < found.mean < found.high < 0.12
    assert resampler.gain([b], [a], "accuracy", streams=(1, 0), higher=True).mean == -found.mean
