"""Conformal intervals: they hold what they say where windows are exchangeable, and say what they held where not."""

import json

import numpy as np
import polars as pl
import pytest
from scipy.stats import beta

from tasks.making import days, frame, refusal, shops, small, task_of
from unroll.errors import ConfigError, RunError
from unroll.tasks import Forecaster, LastValue, SeasonalNaive
from unroll.tasks.forecast.conformal import Conformal, fewest, interval_sums, shares_error


def flat(values):
    """(n,) as windows of one step and one target."""
    return np.asarray(values, np.float64).reshape(-1, 1, 1)


def one(n):
    return np.ones((n, 1))


@pytest.mark.parametrize("level", [0.5, 0.8, 0.9, 0.95, 0.99])
def test_the_fewest_windows_are_those_that_have_the_rank(level):
    n = fewest(level)
    assert (n + 1) * level <= n + 1e-9
    assert n * level > n - 1 + 1e-9 or n == 1
    for count, there in ((n, True), (n - 1, False)):
        found = Conformal.fit(flat(np.zeros(count)), flat(np.zeros(count)), flat(np.ones(count)), one(count), level)
        assert (found is not None) == there


@pytest.mark.parametrize(
    ("n", "level", "rank"), [(9, 0.9, 9), (10, 0.9, 10), (19, 0.9, 18), (99, 0.95, 95), (7, 0.5, 4)]
)
def test_it_is_as_wide_as_that_rank_of_the_absolute_errors(n, level, rank):
    rng = np.random.default_rng(n)
    truth, forecast, deviation = rng.normal(size=(3, n, 1, 1))
    deviation = np.abs(deviation) + 0.5
    fitted = Conformal.fit(forecast, forecast, truth, deviation[:, :, 0], level)
    by_hand = sorted(float(v) for v in np.abs(truth - forecast).ravel() / deviation.ravel())[rank - 1]
    assert fitted.widening.item() == by_hand
    assert fitted.windows == n


def test_exchangeable_windows_are_covered_as_the_beta_law_says():
    """Given the n calibration values, coverage is Beta(k, n + 1 - k) distributed (Vovk 2012, proposition 2a)."""
    n, level, trials = 39, 0.9, 4_000
    rng = np.random.default_rng(0)
    k = int(np.ceil((n + 1) * level))
    widths = np.array([
        Conformal.fit(flat(np.zeros(n)), flat(np.zeros(n)), flat(rng.uniform(-1, 1, n)), one(n), level).widening.item()
        for _ in range(trials)
    ])  # fmt: skip
    coverage = widths  # |u| of a uniform variable on (-1, 1) is below w with probability w
    law = beta(k, n + 1 - k)
    error = law.std() / np.sqrt(trials)
    assert law.mean() >= level
    assert abs(coverage.mean() - law.mean()) < 4 * error
    empirical = np.searchsorted(np.sort(coverage), np.linspace(0.7, 1, 61)) / trials
    assert np.abs(empirical - law.cdf(np.linspace(0.7, 1, 61))).max() < 1.95 / np.sqrt(trials)  # Kolmogorov, p = 0.001


def test_a_shift_costs_coverage_as_it_must():
    """Errors twice as large as in calibration: |2u| < w holds half as often as it should. No method can know."""
    rng = np.random.default_rng(1)
    fitted = Conformal.fit(flat(np.zeros(999)), flat(np.zeros(999)), flat(rng.uniform(-1, 1, 999)), one(999), 0.9)
    new = flat(rng.uniform(-2, 2, 20_000))
    low, high = fitted.bounds(np.zeros_like(new), np.zeros_like(new), one(len(new)))
    assert 0.4 < ((low <= new) & (new <= high)).mean() < 0.5


@pytest.mark.parametrize("claimed", [0.5, 0.9, 0.999])
def test_quantiles_that_hold_too_little_are_widened_and_those_that_hold_too_much_narrowed(claimed):
    """Conformalised quantile regression on Gaussian noise whose own quantiles are of the level ``claimed``."""
    from scipy.stats import norm

    rng = np.random.default_rng(2)
    z = norm.ppf(0.5 + claimed / 2)
    centre, deviation = rng.normal(size=(4_000, 1, 1)), rng.uniform(0.5, 2.0, (4_000, 1))
    truth = centre + deviation[:, :, None] * rng.normal(size=(4_000, 1, 1))
    low, high = centre - z * deviation[:, :, None], centre + z * deviation[:, :, None]
    half = slice(0, 2_000), slice(2_000, 4_000)
    fitted = Conformal.fit(*(part[half[0]] for part in (low, high, truth, deviation)), 0.9)
    assert np.sign(fitted.widening.item()) == np.sign(0.9 - claimed) or claimed == 0.9
    lower, upper = fitted.bounds(low[half[1]], high[half[1]], deviation[half[1]])
    assert abs(((lower <= truth[half[1]]) & (truth[half[1]] <= upper)).mean() - 0.9) < 0.03


def test_bounds_never_cross():
    narrowed = Conformal(0.9, np.array([[-3.0]]), 9)
    low, high = narrowed.bounds(flat([0.0, 0.0]), flat([1.0, 10.0]), one(2))
    assert low.ravel().tolist() == [0.5, 3.0]
    assert high.ravel().tolist() == [0.5, 7.0]


def test_missing_values_are_not_ranked_and_a_step_of_too_few_gives_none():
    rng = np.random.default_rng(3)
    truth = rng.normal(size=(30, 2, 2))
    truth[rng.random(truth.shape) < 0.3] = np.nan
    zero = np.zeros_like(truth)
    fitted = Conformal.fit(zero, zero, truth, np.ones((30, 2)), 0.5)
    for step in range(2):
        for target in range(2):
            known = truth[:, step, target][~np.isnan(truth[:, step, target])]
            alone = Conformal.fit(*(flat(v) for v in (np.zeros(len(known)),) * 2), flat(known), one(len(known)), 0.5)
            assert fitted.widening[step, target] == alone.widening.item()
    truth[5:, 1, 0] = np.nan
    assert Conformal.fit(zero, zero, truth, np.ones((30, 2)), 0.9) is None


def test_interval_scores_are_those_of_a_slow_loop():
    rng = np.random.default_rng(4)
    truth, centre = rng.normal(size=(2, 12, 3, 2))
    truth[rng.random(truth.shape) < 0.2] = np.nan
    half = rng.uniform(0.1, 1, truth.shape)
    scale = rng.uniform(0.5, 2, (12, 2))
    sums = interval_sums(truth, centre - half, centre + half, mase_scale=scale, level=0.8)
    for w in range(12):
        covered = width = score = 0.0
        for step, target in np.ndindex(3, 2):
            y, low, high = (
                truth[w, step, target],
                *(centre[w, step, target] + s * half[w, step, target] for s in (-1, 1)),
            )
            if np.isnan(y):
                continue
            covered += low <= y <= high
            width += high - low
            miss = low - y if y < low else y - high if y > high else 0.0
            score += (high - low + 2 / 0.2 * miss) / scale[w, target]
        told = [sums[name][w] for name in ("covered", "width", "interval_score")]
        np.testing.assert_allclose(told, [covered, width, score], rtol=1e-12)


def test_the_standard_error_of_a_share_is_that_of_independent_blocks():
    """Every block of 2 · span windows the same value within: the share is a mean of so many independent values."""
    rng = np.random.default_rng(5)
    blocks, span = 400, 3
    inside = np.repeat(rng.random(blocks) < 0.8, 2 * span).astype(float)
    found = shares_error(inside, np.ones_like(inside), np.zeros(len(inside), int), span)
    per_block = inside[:: 2 * span]
    assert found == pytest.approx(per_block.std(ddof=1) / np.sqrt(blocks))
    assert np.isnan(shares_error(inside[:4], np.ones(4), np.zeros(4, int), span))


# ---- on tasks


def test_the_intervals_of_a_task_are_those_of_its_validation_errors():
    task = task_of(shops(), "y", "z", group="shop", horizon=3, input=8, interval=0.8)
    errors = task.errors(LastValue())
    n = task.windows.count("valid")
    indices = np.arange(n)
    truth = task.windows.targets_original("valid", indices)
    off = np.abs(truth.values - task.forecast(LastValue(), "valid")) / task.deviation("valid", indices)[:, None]
    radius = np.sort(off, axis=0)[int(np.ceil((n + 1) * 0.8)) - 1]
    tested = np.arange(task.windows.count("test"))
    new = task.windows.targets_original("test", tested)
    move = radius * task.deviation("test", tested)[:, None]
    forecast = task.forecast(LastValue(), "test")
    inside = (forecast - move <= new.values) & (new.values <= forecast + move)
    assert errors.scores()["coverage"] == pytest.approx(inside.mean())
    assert errors.scores()["interval width"] == pytest.approx((2 * move + 0 * new.values).mean())


def test_the_examples_of_a_result_have_the_intervals_of_the_best_network_alone():
    from unroll.tasks import NetworkOptions

    task = task_of(shops(), "y", "z", group="shop", horizon=3, input=8, interval=0.8)
    networks = {name: task.network(NetworkOptions("gru", 4), seed) for seed, name in enumerate(("one", "two"))}
    for example in task.shown(networks, [LastValue()], "two")["examples"]:
        band = example["interval"]
        assert (band["of"], band["level"]) == ("two", 0.8)
        middle = (np.array(band["low"]) + np.array(band["high"])) / 2
        np.testing.assert_allclose(middle, example["forecasts"]["two"], rtol=1e-9)
    without = task_of(shops(), "y", "z", group="shop", horizon=3, input=8, interval=0.0)
    assert not any("interval" in example for example in without.shown(networks, [LastValue()], "two")["examples"])


def test_nothing_after_the_validation_range_widens_an_interval():
    data = frame(160)
    late = data.with_columns(y=pl.when(pl.int_range(160) >= 140).then(pl.col("y") * 50).otherwise(pl.col("y")))
    found = [small().fit(d, "y").calibration for d in (data, late)]
    assert found[0] == found[1]


def test_every_forecast_has_its_bounds_and_they_are_kept(tmp_path):
    fitted = small(interval=0.8).fit(shops(), ["y", "z"], group="shop", out=tmp_path / "run")
    shown = fitted.predict()
    assert shown.columns == ["shop", "day", "y", "y_low", "y_high", "z", "z_low", "z_high"]
    widening = Conformal.from_dict(fitted.calibration["intervals"]["network"]).widening
    scaler = fitted.task.scaler
    for (name,), rows in shown.group_by("shop"):
        for k, target in enumerate(("y", "z")):
            expected = widening[:, k] * scaler.fits[name].deviation[k]
            np.testing.assert_allclose(rows[f"{target}_high"] - rows[target], expected, rtol=1e-9)
            np.testing.assert_allclose(rows[target] - rows[f"{target}_low"], expected, rtol=1e-9)
    again = Forecaster.load(tmp_path / "run")
    assert again.predict(shops()).equals(shown)
    assert again.evaluate(shops()) == fitted.evaluate()
    copied = Forecaster.load(again.save(tmp_path / "copy"))
    assert copied.predict(shops()).equals(shown)


def test_without_intervals_there_are_none():
    fitted = small(interval=0).fit(frame(), "y")
    assert fitted.predict().columns == ["day", "y"]
    scores = fitted.evaluate()
    assert "coverage" not in scores["network"]
    assert "notes" not in scores
    assert "coverage" not in fitted.task.metrics


def test_too_few_windows_are_told_and_give_no_interval():
    task = task_of(frame(60), "y", horizon=3, input=8)
    assert task.windows.count("valid") == 7
    assert "coverage" not in task.errors(LastValue()).scores()
    (note,) = [n for n in task.data_facts()["notes"] if "no intervals" in n]
    assert "7 validation windows" in note
    assert "--interval 0.87" in note
    fixed = task_of(frame(60), "y", horizon=3, input=8, interval=0.87)
    assert fixed.errors(LastValue()).scores()["coverage"] is not None


def test_baselines_have_theirs_and_evaluation_says_how_often_each_held():
    fitted = small(season=7).fit(frame(300), "y")
    scores = fitted.evaluate()
    assert all(0 <= row["coverage"] <= 1 for row in (scores["network"], *scores["baselines"].values()))
    (note,) = scores["notes"]
    assert note.startswith("90 % intervals held")
    assert all(name in note for name in ("network", "seasonal naive", "last value"))
    own = fitted.task.errors(SeasonalNaive(7)).scores()["coverage"]
    assert scores["baselines"]["seasonal naive"]["coverage"] == own


@pytest.mark.parametrize("level", [-0.1, 1.0, 90])
def test_an_impossible_share_is_refused(level):
    assert "--interval" in refusal(lambda: small(interval=level), ConfigError)


def test_a_damaged_calibration_is_said_to_be(tmp_path):
    path = small().fit(frame(), "y", out=tmp_path / "run") and tmp_path / "run" / "calibration.json"
    held = json.loads(path.read_text())
    del held["intervals"]["network"]["widening"]
    path.write_text(json.dumps(held))
    again = Forecaster.load(tmp_path / "run")
    assert "calibration.json" in refusal(lambda: again.predict(frame()), RunError)


def test_an_interval_around_a_steady_series_holds_about_what_it_says():
    rng = np.random.default_rng(6)
    data = pl.DataFrame({"day": days(2_000), "y": rng.normal(size=2_000)})
    task = task_of(data, "y", horizon=2, input=4, split="0.2,0.4,0.4")
    assert abs(task.errors(LastValue()).scores()["coverage"] - 0.9) < 0.04


def test_the_outermost_quantiles_of_a_network_are_moved_by_its_validation_windows(tmp_path):
    """Conformalised quantile regression, by hand, on the test windows and in what is predicted."""
    made = small(quantiles="0.2,0.5,0.7", interval=0.8, epochs=3).fit(shops(), ["y", "z"], group="shop")
    task, network = made.task, made.network
    valid, test = (np.arange(task.windows.count(part)) for part in ("valid", "test"))
    truth, own = task.windows.targets_original("valid", valid).values, task.told(network, "valid")
    off = np.maximum(own[..., 0] - truth, truth - own[..., 2]) / task.deviation("valid", valid)[:, None]
    widening = np.sort(off, axis=0)[int(np.ceil((len(valid) + 1) * 0.8)) - 1]
    move = widening * task.deviation("test", test)[:, None]
    new, told = task.windows.targets_original("test", test).values, task.told(network, "test")
    inside = (told[..., 0] - move <= new) & (new <= told[..., 2] + move)
    assert task.errors(network).scores()["coverage"] == pytest.approx(inside.mean())
    shown = made.predict()
    for (name,), rows in shown.group_by("shop"):
        for k, target in enumerate(("y", "z")):
            own_move = widening[:, k] * task.scaler.fits[name].deviation[k]
            np.testing.assert_allclose(rows[f"{target}_high"] - rows[f"{target}_q0.7"], own_move, rtol=1e-6, atol=1e-9)
            np.testing.assert_allclose(rows[f"{target}_q0.2"] - rows[f"{target}_low"], own_move, rtol=1e-6, atol=1e-9)
    again = Forecaster.load(made.save(tmp_path / "run"))
    assert again.predict(shops()).equals(shown)
