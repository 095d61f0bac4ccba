"""Every registered cell learns x[t+1] = x[t] + 1, beyond the values it was trained on."""

import numpy as np
import polars as pl
import pytest

from unroll.nn import CELLS
from unroll.tasks import Forecaster

ROWS = 300


@pytest.mark.parametrize("cell", CELLS)
def test_counts_on(cell):
    data = pl.DataFrame({"x": np.arange(float(ROWS))})
    forecaster = Forecaster(cell, hidden=4, horizon=1, input=3, loss="mse", epochs=20, patience=4).fit(data, "x")
    task = forecaster.task
    truth = task.windows.targets_original("test", np.arange(task.windows.count("test"))).values
    assert truth.min() > task.series_set.series[0].values[: task.ranges["x"].train[1]].max()
    np.testing.assert_allclose(task.forecast(forecaster.network, "test"), truth, rtol=0, atol=1e-2)
    assert forecaster.predict()["x"][0] == pytest.approx(ROWS, abs=1e-2)
