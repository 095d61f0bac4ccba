"""Recursive decoding with what is known in advance: read at every step fed back, and nothing else is."""

import numpy as np
import polars as pl
import pytest

from tasks.making import small
from tasks.test_covariates import priced, shops
from unroll.errors import ConfigError
from unroll.nn import CELLS
from unroll.tasks import Forecaster, NetworkOptions

READ = {"known": ["price", "holiday"], "static": ["size", "town"], "group": "shop", "calendar": "weekday"}


def one_shop(rows=150):
    data, truth = priced(rows)
    return data.drop("f", "shop", "size", "town"), truth


def recursive(**options):
    return small(decode="recursive", **options)


def test_saved_and_loaded_is_the_same_to_the_bit(tmp_path):
    data = shops()
    forecaster = recursive().fit(data, "y", **READ)
    again = Forecaster.load(forecaster.save(tmp_path / "run"))
    assert again.predict(data).equals(forecaster.predict())
    assert again.evaluate(data) == forecaster.evaluate()


@pytest.mark.parametrize("cell", CELLS)
def test_each_day_known_changes_that_day_and_those_after_it(cell):
    data, _ = one_shop()
    forecaster = recursive(cell=cell).fit(data, "y", known=["price", "holiday"])
    found = forecaster.predict(data)["y"].to_numpy()
    for day in range(4):
        row = pl.int_range(pl.len()) == 150 + day
        other = data.with_columns(pl.when(row).then(pl.col("price") + 2).otherwise("price").alias("price"))
        changed = forecaster.predict(other)["y"].to_numpy() != found
        assert changed.tolist() == [k >= day for k in range(3)]


def test_holes_of_what_is_known_are_told():
    data, _ = one_shop()
    row = pl.int_range(pl.len())
    holes = data.with_columns(pl.when(row % 9 == 4).then(None).otherwise("price").alias("price"))
    forecaster = recursive().fit(holes, "y", known="price", missing="mask")
    assert forecaster.network.encoder.input_size == 3
    assert np.isfinite(forecaster.predict()["y"].to_numpy()).all()


def test_it_learns_what_the_known_columns_do():
    data, truth = one_shop(400)
    options = {"hidden": 16, "horizon": 5, "input": 10, "epochs": 15, "lr": 1e-2, "decode": "recursive"}
    knowing = Forecaster(**options).fit(data, "y", known=["price", "holiday"])
    blind = Forecaster(**options).fit(data.select("day", "y"), "y", missing="carry")
    assert knowing.evaluate()["network"]["MAE"] < blind.evaluate()["network"]["MAE"] / 3
    assert np.abs(knowing.predict()["y"].to_numpy() - truth).mean() < 0.6


def test_a_look_inside_knows_the_first_step():
    forecaster = recursive().fit(shops(), "y", **READ)
    task = forecaster.task
    probe = task.probe(task.network(NetworkOptions("gru", 4), 0))
    output, _ = probe.layer(probe.x)
    assert probe.loss(output[:, -1]).isfinite().all()


@pytest.mark.parametrize(
    ("told", "numbers"),
    [({"features": "price", "missing": "carry"}, 1), ({"known": "price", "times": "irregular"}, 1),
     ({"known": "price", "missing": "mask"}, 1), ({"known": "price", "missing": "mask", "since": True}, 2)],
)  # fmt: skip
def test_what_is_not_there_when_the_next_step_is_forecast_is_refused(told, numbers):
    data, _ = one_shop()
    if told.get("missing") == "mask":
        data = data.with_columns(pl.when(pl.int_range(pl.len()) % 9 == 4).then(None).otherwise("y").alias("y"))
    with pytest.raises(ConfigError, match=f"where {numbers} numbers? of a row .* known in advance"):
        recursive().fit(data, "y", **told)
