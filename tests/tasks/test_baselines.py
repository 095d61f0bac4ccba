"""Baselines against loops and closed forms."""

import numpy as np
import pytest

from tasks.making import days, frame, shops, task_of, wave
from unroll.tasks import LastValue, RidgeAR, SeasonalNaive
from unroll.tasks.forecast.baselines import ALPHAS

CLOSE = {"rtol": 1e-6, "atol": 1e-6}
"""Inputs are float32 in units of the deviation."""


def rows_of(task, part):
    """(series, rows of all targets, first target row) of every window, in order."""
    for series, origin in zip(*task.windows.origins(part)):
        one = task.series_set.series[series]
        yield one.values[:, : len(task.targets)], int(origin)


def carried_back(values, t):
    while np.isnan(values[t]):
        t -= 1
    return values[t]


@pytest.fixture(scope="module", params=["one", "several", "holes"])
def task(request):
    if request.param == "several":
        return task_of(shops(), "y", "z", features=("f",), group="shop", horizon=9, input=6, season=7)
    values = wave(160)
    if request.param == "holes":
        values[[20, 21, 22, 90, 130, 131, 139, 150]] = np.nan
    return task_of(frame().with_columns(y=values), "y", horizon=9, input=6, season=7, missing="carry")


@pytest.mark.parametrize("part", ["valid", "test"])
def test_last_value_repeats_it(task, part):
    expected = [
        [[carried_back(y[:, c], origin - 1) for c in range(y.shape[1])]] * 9 for y, origin in rows_of(task, part)
    ]
    np.testing.assert_allclose(task.forecast(LastValue(), part), expected, **CLOSE)


@pytest.mark.parametrize("season", [1, 3, 7, 12])
@pytest.mark.parametrize("part", ["valid", "test"])
def test_seasonal_naive_repeats_the_last_season(task, part, season):
    expected = []
    for y, origin in rows_of(task, part):
        one = []
        for k in range(9):
            source = origin + k
            while source >= origin:
                source -= season
            one.append([carried_back(y[:, c], source) for c in range(y.shape[1])])
        expected.append(one)
    np.testing.assert_allclose(task.forecast(SeasonalNaive(season), part), expected, **CLOSE)


def test_seasonal_naive_repeats_the_last_value_where_no_season_lies_before():
    task = task_of(frame(40), "y", horizon=2, input=2, season=30, split="20,10,10")
    found = task.forecast(SeasonalNaive(30), "valid")
    early = [k for k, (_, origin) in enumerate(rows_of(task, "valid")) if origin < 29]
    assert len(early) == 9
    last = task.forecast(LastValue(), "valid")
    np.testing.assert_allclose(found[early], last[early], **CLOSE)


def pairs(task, part):
    """Each target's own past and future relative to its last value, in units of the training deviation."""
    X, Y = [], []
    for series, origin in zip(*task.windows.origins(part)):
        one = task.series_set.series[series]
        begin, end = task.ranges[one.name].train
        for c in range(len(task.targets)):
            y = one.values[:, c] / np.nanstd(one.values[begin:end, c])
            future = y[origin : origin + task.horizon]
            if np.isnan(future).any():
                continue
            past = np.array([carried_back(y, t) for t in range(origin - task.input, origin)])
            X.append(past - past[-1])
            Y.append(future - past[-1])
    return np.array(X), np.array(Y)


def closed_form(X, Y, alpha):
    """(XᵀX + αI)⁻¹ XᵀY around the means: the intercept is not shrunk."""
    x, y = X.mean(axis=0), Y.mean(axis=0)
    A = np.linalg.solve((X - x).T @ (X - x) + alpha * np.eye(X.shape[1]), (X - x).T @ (Y - y))
    return A, y - x @ A


def test_ridge_is_the_closed_form_at_the_alpha_best_on_validation(task):
    ridge = RidgeAR(task.windows)
    X, Y = pairs(task, "train")
    valid_X, valid_Y = pairs(task, "valid")
    fits = {alpha: closed_form(X, Y, alpha) for alpha in ALPHAS}
    wrong = {alpha: ((valid_X @ A + b - valid_Y) ** 2).mean() for alpha, (A, b) in fits.items()}
    assert ridge.model.alpha == min(wrong, key=wrong.__getitem__)
    A, b = fits[ridge.model.alpha]
    np.testing.assert_allclose(ridge.model.coef_.T, A, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(ridge.model.intercept_, b, rtol=1e-4, atol=1e-5)
    assert ridge.parameters == A.size + b.size


def test_ridge_forecasts_from_the_last_value(task):
    ridge = RidgeAR(task.windows)
    A, b = closed_form(*pairs(task, "train"), ridge.model.alpha)
    expected = []
    for series, origin in zip(*task.windows.origins("test")):
        one = task.series_set.series[series]
        begin, end = task.ranges[one.name].train
        columns = []
        for c in range(len(task.targets)):
            y, unit = one.values[:, c], np.nanstd(one.values[begin:end, c])
            past = np.array([carried_back(y, t) for t in range(origin - task.input, origin)])
            columns.append(past[-1] + unit * ((past - past[-1]) / unit @ A + b))
        expected.append(np.stack(columns, axis=1))
    np.testing.assert_allclose(task.forecast(ridge, "test"), expected, rtol=1e-3, atol=1e-4)


def test_ridge_needs_windows_without_holes():
    values = wave(120)
    values[::4] = np.nan
    task = task_of(frame(120).with_columns(y=values), "y", horizon=5, input=6, missing="carry")
    with pytest.raises(ValueError, match="no training window is free of missing targets"):
        RidgeAR(task.windows)
    names = [b.name for b in task.baselines()[0]]
    assert "last value" in names
    assert not any(name.startswith("ridge") for name in names)
    assert "no training window" in " ".join(task.baselines()[1])


def test_without_a_season_its_baseline_is_absent_and_said():
    noise = np.random.default_rng(0).normal(size=120).cumsum()
    task = task_of(frame(120).with_columns(y=noise), "y", horizon=2, input=6)
    assert task.season is None
    found, absent = task.baselines()
    assert [b.name for b in found] == ["ridge AR(6)", "last value"]
    assert absent == ["seasonal naive: no season given, and none found in the training data"]


def test_one_step_ahead_of_one_row():
    task = task_of({"day": days(30), "y": wave(30)}, "y", horizon=1, input=2)
    for baseline in task.baselines()[0]:
        assert task.forecast(baseline, "test").shape == (task.windows.count("test"), 1, 1)
