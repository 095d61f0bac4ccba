"""Times that follow no step: read as an input, known of the future, and worth something."""

import datetime as dt

import numpy as np
import polars as pl
import pytest

from tasks.making import small, task_of
from unroll.errors import ConfigError, DataError
from unroll.tasks import DataOptions, Forecaster, ForecastOptions, LastValue, prepare

NOON = dt.datetime(2024, 2, 25, 12)


def relaxing(rows=600, later=4, seed=0):
    """A pulse at every row decays to half within an hour: the value before the next says how long ago the last was."""
    rng = np.random.default_rng(seed)
    minutes = np.exp(rng.uniform(np.log(5), np.log(240), rows + later)).astype(int) + 1
    y = np.empty(rows + later)
    level = 1.0
    for k, gap in enumerate(minutes):
        y[k] = level * 0.5 ** (gap / 60)
        level = y[k] + 1
    times = [NOON + dt.timedelta(minutes=int(m)) for m in np.cumsum(minutes)]
    return pl.DataFrame({"at": times, "y": [*y[:rows], *[None] * later]}), y[rows:]


@pytest.fixture(scope="module")
def fitted():
    data, _ = relaxing(200)
    return small().fit(data, "y", times="irregular"), data


@pytest.mark.parametrize("horizon", [1, 4])
def test_who_reads_the_times_does_better(horizon):
    data, truth = relaxing()
    options = {"hidden": 16, "horizon": horizon, "input": 8, "epochs": 20, "lr": 1e-2}
    reading = Forecaster(**options).fit(data, "y", times="irregular")
    blind = Forecaster(**options).fit(data[:600], "y", time="none")
    assert reading.evaluate()["network"]["MAE"] < 0.5 * blind.evaluate()["network"]["MAE"]
    wrong = np.abs(reading.predict()["y"].to_numpy() - truth[:horizon]).mean()
    assert wrong < 0.5 * np.abs(truth[:horizon] - data["y"][599]).mean()


def test_the_times_to_forecast_are_those_of_the_data(fitted):
    forecaster, data = fitted
    assert forecaster.predict()["at"].to_list() == data["at"].to_list()[200:203]
    at = pl.col("at")
    late = data.with_columns(pl.when(pl.int_range(pl.len()) >= 201).then(at + dt.timedelta(days=2)).otherwise(at))
    found, other = forecaster.predict()["y"].to_list(), forecaster.predict(late)["y"].to_list()
    assert found[0] == other[0]
    assert found[1:] != other[1:]


def test_new_data_must_say_when(fitted):
    forecaster, data = fitted
    with pytest.raises(DataError) as caught:
        forecaster.predict(data[:202])
    assert "there are 2 rows of 'at'" in str(caught.value)
    assert "░" in str(caught.value)


def test_no_row_is_a_season(fitted):
    task = fitted[0].task
    baselines, absent = task.baselines()
    assert "seasonal naive: where times are irregular, no number of rows is a season" in absent
    assert [b.name for b in baselines] == ["ridge ARX(8)", "last value"]
    assert task.season is None
    assert task.data_facts()["unit"] == "rows"
    with pytest.raises(ConfigError, match="--season 24 with irregular times"):
        prepare(fitted[1], DataOptions(("y",), times="irregular"), ForecastOptions(season=24))


def test_irregular_times_are_not_needed_to_be_so():
    """Rows by the day, read as irregular: the same windows and truth."""
    days = [dt.date(2024, 1, 1) + dt.timedelta(days=k) for k in range(120)]
    data = pl.DataFrame({"day": days, "y": np.sin(np.arange(120.0))})
    regular = task_of(data, "y", horizon=3, input=8)
    options = ForecastOptions(horizon=3, input=8)
    other = prepare(data, DataOptions(("y",), times="irregular"), options)
    assert other.errors(LastValue()).scores()["MAE"] == regular.errors(LastValue()).scores()["MAE"]
    assert np.isfinite(other.windows.batch("test", [0]).future.numpy()).all()


def test_integer_times_are_times():
    data = pl.DataFrame({"second": np.cumsum(np.arange(120) % 7 + 1), "y": np.sin(np.arange(120.0))})
    found = small().fit(data[:117].vstack(data[117:].with_columns(y=pl.lit(None, pl.Float64))), "y", time="second",
                        times="irregular")  # fmt: skip
    assert found.predict()["second"].to_list() == data["second"].to_list()[117:]


def test_two_rows_of_one_time_are_refused():
    data, _ = relaxing(50)
    with pytest.raises(DataError, match="have the same time"):
        small().fit(pl.concat([data[:20], data[19:]]), "y", times="irregular")


def test_told_to_read_irregular_times(tmp_path):
    """What the error for irregular times advises is an option that works."""
    data, _ = relaxing(200)
    with pytest.raises(DataError, match="--times irregular"):
        small().fit(data, "y")
