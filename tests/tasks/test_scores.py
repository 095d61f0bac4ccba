"""Scores against torchmetrics and against loops."""

import numpy as np
import pytest
import torch
from torchmetrics.functional import mean_absolute_error, mean_squared_error, symmetric_mean_absolute_percentage_error

from tasks.making import shops, task_of
from unroll.tasks import LastValue, WindowErrors, scores_of
from unroll.tasks.forecast.scores import seasonal_scale, window_errors


def drawn(missing=0.0, windows=40, horizon=5, targets=3):
    rng = np.random.default_rng(1)
    truth = rng.normal(3, 10, (windows, horizon, targets))
    forecast = truth + rng.normal(0, 2, truth.shape)
    truth[rng.random(truth.shape) < missing] = np.nan
    scale = rng.uniform(0.5, 3, (windows, targets))
    deviation = rng.uniform(0.5, 3, (windows, targets))
    return truth, forecast, scale, deviation


def errors_of(truth, forecast, scale, deviation):
    origins = np.arange(len(truth))
    return window_errors(
        truth, forecast, mase_scale=scale, deviation=deviation, series=np.zeros_like(origins), origins=origins
    )


@pytest.mark.parametrize("missing", [0.0, 0.3])
def test_mae_mse_and_smape_are_those_of_torchmetrics(missing):
    truth, forecast, scale, deviation = drawn(missing)
    errors = errors_of(truth, forecast, scale, deviation)
    seen = ~np.isnan(truth)
    y, f = torch.from_numpy(truth[seen]), torch.from_numpy(forecast[seen])
    scores = errors.scores()
    assert scores["MAE"] == pytest.approx(float(mean_absolute_error(f, y)), rel=1e-12)
    assert scores["RMSE"] ** 2 == pytest.approx(float(mean_squared_error(f, y)), rel=1e-12)
    assert scores["sMAPE"] == pytest.approx(100 * float(symmetric_mean_absolute_percentage_error(f, y)), rel=1e-9)
    unit = np.broadcast_to(deviation[:, None], truth.shape)
    y, f = torch.from_numpy((truth / unit)[seen]), torch.from_numpy((forecast / unit)[seen])
    assert errors.scaled()["MSE"] == pytest.approx(float(mean_squared_error(f, y)), rel=1e-12)
    assert errors.scaled()["MAE"] == pytest.approx(float(mean_absolute_error(f, y)), rel=1e-12)


@pytest.mark.parametrize("missing", [0.0, 0.3])
def test_mase_is_the_mean_of_scaled_errors(missing):
    truth, forecast, scale, deviation = drawn(missing)
    scale[3] = 0.0
    scale[4, 1] = np.nan
    total = []
    for w, k, c in np.ndindex(truth.shape):
        if scale[w, c] > 0 and not np.isnan(truth[w, k, c]):
            total.append(abs(truth[w, k, c] - forecast[w, k, c]) / scale[w, c])
    errors = errors_of(truth, forecast, scale, deviation)
    assert errors.scores()["MASE"] == pytest.approx(sum(total) / len(total), rel=1e-12)
    assert errors.scaled_count.sum() == len(total)


@pytest.mark.parametrize("season", [1, 2, 7])
def test_the_scale_is_the_mean_seasonal_change(season):
    values = np.random.default_rng(2).normal(size=(40, 3))
    values[5:9, 1] = np.nan
    values[:, 2] = 4.0
    found = seasonal_scale(values, season)
    for c in range(3):
        steps = [abs(values[t, c] - values[t - season, c]) for t in range(season, 40)]
        seen = [s for s in steps if not np.isnan(s)]
        assert found[c] == pytest.approx(sum(seen) / len(seen), rel=1e-12)


def test_a_series_no_longer_than_a_season_has_no_scale():
    assert np.isnan(seasonal_scale(np.arange(7.0)[:, None], 7)).all()
    assert np.isnan(seasonal_scale(np.full((9, 1), np.nan), 2)).all()


def test_nothing_observed_is_no_score():
    truth, forecast, scale, deviation = drawn()
    errors = errors_of(np.full_like(truth, np.nan), forecast, scale, deviation)
    assert set(errors.scores().values()) == set(errors.scaled().values()) == {None}


def test_no_scale_is_no_mase_but_the_other_scores():
    truth, forecast, scale, deviation = drawn()
    scores = errors_of(truth, forecast, np.full_like(scale, np.nan), deviation).scores()
    assert scores["MASE"] is None
    assert scores["MAE"] > 0


def test_forecasts_out_of_all_bounds_are_no_score():
    truth, forecast, scale, deviation = drawn()
    forecast[0, 0, 0] = np.inf
    with np.errstate(invalid="ignore"):
        errors = errors_of(truth, forecast, scale, deviation)
    assert set(errors.scores().values()) == set(errors.scaled().values()) == {None}


def test_zero_for_zero_is_no_percentage_error():
    zero = np.zeros((2, 1, 1))
    errors = errors_of(zero, zero, np.ones((2, 1)), np.ones((2, 1)))
    assert set(errors.scores().values()) == {0.0}


def test_scores_of_all_windows_come_from_the_sums_of_each():
    truth, forecast, scale, deviation = drawn(0.2)
    whole = errors_of(truth, forecast, scale, deviation)
    halves = [errors_of(*(a[part] for a in (truth, forecast, scale, deviation))) for part in (slice(15), slice(15, 40))]
    sums = {name: sum(h.columns()[name].sum() for h in halves) for name in whole.columns()}
    assert scores_of(sums) == pytest.approx(whole.scores(), rel=1e-12)


def test_a_task_scores_every_series_and_target_by_its_own_scale():
    """Last value on three series of two targets, by loops over the rows."""
    data = shops()
    task = task_of(data, "y", "z", group="shop", horizon=4, input=6, season=7)
    found = task.errors(LastValue())
    assert isinstance(found, WindowErrors)
    mase, absolute = [], []
    for name in "ABC":
        rows = data.filter(shop=name)
        _, (_, a), (b, end) = task.ranges[name].train, task.ranges[name].valid, task.ranges[name].test
        assert a == b
        for target in ("y", "z"):
            y = rows[target].to_list()
            train = task.ranges[name].train[1]
            steps = [abs(y[t] - y[t - 7]) for t in range(7, train)]
            for origin in range(b, end - 3):
                e = [abs(y[origin + k] - y[origin - 1]) for k in range(4)]
                absolute += e
                mase += [v / (sum(steps) / len(steps)) for v in e]
    assert found.count.sum() == len(absolute)
    assert found.scores()["MAE"] == pytest.approx(sum(absolute) / len(absolute), rel=1e-6)
    assert found.scores()["MASE"] == pytest.approx(sum(mase) / len(mase), rel=1e-6)


@pytest.mark.parametrize("size", [1e-9, 1.0, 1e12])
def test_a_series_that_repeats_itself_has_no_scale(size):
    """What the sine of each season's step is off by is no yardstick."""
    wave = size * np.sin(2 * np.pi * np.arange(20_000) / 24)[:, None]
    assert seasonal_scale(wave, 24) == 0.0
    assert seasonal_scale(np.hstack([wave, wave]), 23).min() > 0.1 * size
    noisy = wave + 1e-6 * size * np.random.default_rng(0).normal(size=wave.shape)
    assert seasonal_scale(noisy, 24) == pytest.approx(1e-6 * size * 2 / np.sqrt(np.pi), rel=0.02)
