"""Nothing that is fitted looks past the training range."""

import json

import numpy as np
import polars as pl
import pytest
import torch

from tasks.making import shops, small, task_of
from unroll.tasks import ForecastProblem, NetworkOptions

SPLIT = "80,20,20"


def changed(data, first, last=None):
    """``data`` with other values in rows [first, last) of every series."""
    row = pl.int_range(pl.len()).over("shop")
    inside = (row >= first) & (row < (last or 10**9))
    return data.with_columns(pl.when(inside).then(pl.col(c) * -7 + row).otherwise(pl.col(c)) for c in ("y", "z", "f"))


def task(data, **options):
    return task_of(data, "y", "z", features=("f",), group="shop", **({"split": SPLIT} | options))


def fitted(found):
    """All that preparation learned from the data."""
    record = found.record()
    kept = ("scaler", "season", "season_source", "input", "horizon", "mase_scale", "columns", "frequency")
    return json.dumps({name: record[name] for name in kept})


@pytest.mark.parametrize("options", [{}, {"horizon": 4, "input": 9}, {"split": "0.5,0.25,0.25"}])
def test_values_after_the_training_range_change_nothing_that_is_fitted(options):
    data = shops((120, 120, 120))
    end = 60 if "0.5" in options.get("split", "") else 80
    before, after = task(data, **options), task(changed(data, end), **options)
    assert before.season == 7 or "horizon" in options
    assert fitted(after) == fitted(before)
    assert fitted(task(changed(data, end - 1), **options)) != fitted(before)


def test_rows_after_the_training_range_change_nothing_that_is_fitted():
    assert fitted(task(shops((120, 120, 120)))) == fitted(task(shops((120, 160, 140))))


def test_training_batches_stay_as_they_were():
    data = shops((120, 120, 120))
    before, after = task(data), task(changed(data, 80))
    assert before.windows.count("train") == after.windows.count("train")
    every = np.arange(before.windows.count("train"))
    for a, b in zip(before.windows.batch("train", every), after.windows.batch("train", every)):
        assert torch.equal(a, b)
    network = before.network(NetworkOptions(hidden=4), 0)
    losses = [ForecastProblem(t).loss(network, torch.from_numpy(every)) for t in (before, after)]
    assert torch.equal(losses[0][0], losses[1][0])


def test_the_test_range_changes_no_weight():
    data = shops((120, 120, 120))
    options = {"group": "shop", "features": "f"}
    first, second = (small(split=SPLIT).fit(d, ["y", "z"], **options) for d in (data, changed(data, 100)))
    state = second.network.state_dict()
    assert all(torch.equal(value, state[name]) for name, value in first.network.state_dict().items())
    assert first.evaluate() != second.evaluate()


@pytest.mark.parametrize("origin", [80, 99, 100, 119])
def test_a_forecast_looks_at_no_row_from_its_origin_on(origin):
    data = shops((120, 120, 120))
    before, after = (task(d, horizon=1, input=6) for d in (data, changed(data, origin)))
    network = before.network(NetworkOptions(hidden=4), 0).eval()
    part = "valid" if origin < 100 else "test"
    picked = np.flatnonzero(before.windows.origins(part)[1] == origin)
    assert len(picked) == 3
    for forecaster in (network, *before.baselines()[0][1:]):
        assert np.array_equal(before.forecast(forecaster, part, picked), after.forecast(forecaster, part, picked))
