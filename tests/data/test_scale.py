"""Standardisation: what numpy says of the training rows, and the refusal to score what was fitted on."""

import json

import numpy as np
import pytest

from data.making import made, message
from unroll.data import Frequency, Scaler, Series, parse_split, ranges_of
from unroll.errors import DataError, LeakageError

SPLIT = parse_split("0.7,0.15,0.15")


@pytest.fixture
def both():
    rng = np.random.default_rng(0)
    a, b = rng.normal(5, 3, (100, 3)), rng.normal(-1, 1e-3, (60, 3))
    a[rng.random((100, 3)) < 0.2] = np.nan
    b[:, 2] = 0.1
    return made(a, b, targets=("x", "y"), features=("z",))


def test_mean_and_deviation_are_numpys_on_the_training_rows(both):
    scaler = Scaler.fit(both, ranges_of(both, SPLIT))
    for series, rows in zip(both.series, (70, 42), strict=True):
        seen = series.values[:rows]
        deviation = np.nanstd(seen, axis=0)
        deviation[np.nanmax(seen, axis=0) == np.nanmin(seen, axis=0)] = 1
        expected = (series.values - np.nanmean(seen, axis=0)) / deviation
        assert np.allclose(scaler.transform(series.name, series.values), expected, atol=1e-9, equal_nan=True)
        assert scaler.fits[series.name].rows == (0, rows)
        assert (scaler.fits[series.name].first_time, scaler.fits[series.name].last_time) == (0, rows - 1)


def test_a_constant_channel_keeps_its_scale(both):
    scaler = Scaler.fit(both, ranges_of(both, SPLIT))
    assert scaler.fits["B"].deviation[2] == 1.0


def test_inverse_undoes_transform(both):
    scaler = Scaler.fit(both, ranges_of(both, SPLIT))
    values = both.series[0].values
    scaled = scaler.transform("A", values)
    assert np.allclose(scaler.inverse("A", scaled[:, [2, 0]], [2, 0]), values[:, [2, 0]], equal_nan=True)


def test_nothing_after_the_training_rows_matters(both):
    split = ranges_of(both, SPLIT)
    before = Scaler.fit(both, split).to_dict()
    for series in both.series:
        series.values[split[series.name].train[1] :] = 1e9
    assert Scaler.fit(both, split).to_dict() == before


def test_scoring_what_was_fitted_on_is_refused(both):
    scaler = Scaler.fit(both, ranges_of(both, SPLIT))
    scaler.assert_not_seen("A", 70)
    scaler.assert_not_seen("A", 5, time=70)
    for row in (0, 69):
        found = message(lambda row=row: scaler.assert_not_seen("A", row), LeakageError)
        assert "series 'A'" in found
        assert "rows 0 to 69" in found
    assert "until 69" in message(lambda: scaler.assert_not_seen("A", 500, time=69), LeakageError)


def test_a_new_series_is_fitted_on_its_own_history(both):
    scaler = Scaler.fit(both, ranges_of(both, SPLIT))
    new = Series("C", np.arange(10), np.arange(30.0).reshape(10, 3))
    found = message(lambda: scaler.transform("C", new.values), DataError)
    assert "series 'C' was not in the training data" in found
    assert "fit_history" in found
    wider = scaler.fit_history(new)
    assert np.allclose(wider.transform("C", new.values).mean(axis=0), 0)
    assert np.allclose(wider.transform("C", new.values).std(axis=0), 1)
    assert "C" not in scaler.fits
    assert "no rows" in message(lambda: scaler.fit_history(Series("D", np.arange(0), np.zeros((0, 3)))))


def test_saved_as_json_and_back(both):
    scaler = Scaler.fit(both, ranges_of(both, SPLIT))
    again = Scaler.from_dict(json.loads(json.dumps(scaler.to_dict())))
    assert again.to_dict() == scaler.to_dict()
    values = both.series[0].values
    assert np.array_equal(again.transform("A", values), scaler.transform("A", values), equal_nan=True)


def test_dated_ranges_survive_json():
    times = np.arange("2024-01-01", "2024-02-10", dtype="M8[D]").astype("M8[us]")
    found = made(range(40), frequency=Frequency("day"))
    dated = Series("A", times, found.series[0].values)
    scaler = Scaler(("t0",), (), {}).fit_history(dated)
    again = Scaler.from_dict(json.loads(json.dumps(scaler.to_dict())))
    assert again.fits["A"].last_time == times[-1]
    assert "until 2024-02-09" in message(lambda: again.assert_not_seen("A", 0, times[3]), LeakageError)
