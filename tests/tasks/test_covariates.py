"""Forecasts with what is known of the future: read, kept, told to the baselines; nothing else of the future is."""

import json

import numpy as np
import polars as pl
import pytest
import torch

import unroll
from tasks.making import days, small, task_of, wave
from unroll.errors import ConfigError, DataError
from unroll.nn import CELLS
from unroll.tasks import Forecaster, NetworkOptions, RidgeAR

SPLIT = "100,25,25"
KNOWN = {"known": ["price", "holiday"], "features": "f"}


def priced(rows=150, later=5, shop="A", seed=0):
    """y follows the price of its own day and doubles its season on holidays; five days of the future are known."""
    whole = rows + later
    rng = np.random.default_rng(seed)
    price, holiday = rng.normal(size=whole), (rng.random(whole) < 0.2).astype(float)
    y = 2 * price + (1 + holiday) * np.sin(2 * np.pi * np.arange(whole) / 7) + 3 * holiday
    y = y + 0.05 * rng.normal(size=whole)
    return pl.DataFrame({
        "shop": [shop] * whole,
        "day": days(whole),
        "y": [*y[:rows], *[None] * later],
        "f": [*wave(rows, seed + 9), *[None] * later],
        "price": price,
        "holiday": holiday,
        "size": [{"A": 1.0, "B": 2.0, "C": 4.0}[shop]] * whole,
        "town": [{"A": "Oslo", "B": "Pusan", "C": "Oslo"}[shop]] * whole,
    }), y[rows:]  # fmt: skip


def shops():
    return pl.concat([priced(n, shop=name, seed=k)[0] for k, (name, n) in enumerate(zip("ABC", (150, 160, 170)))])


OPTIONS = {
    "known": KNOWN,
    "static": {"static": ["size", "town"], "group": "shop", "missing": "carry"},
    "all": KNOWN | {"static": ["size", "town"], "group": "shop", "calendar": "weekday"},
    "masked": KNOWN | {"group": "shop", "missing": "mask", "since": True},
    "irregular": KNOWN | {"group": "shop", "times": "irregular", "missing": "mask"},
}


def data_for(name):
    data = shops() if "group" in OPTIONS[name] else priced()[0].drop("shop", "size", "town")
    if name == "static":
        data = data.filter(pl.col("y").is_not_null())
    if OPTIONS[name].get("missing") == "mask":
        hole = pl.int_range(pl.len()) % 9 == 4
        data = data.with_columns(pl.when(hole).then(None).otherwise(pl.col(c)).alias(c) for c in ("y", "f", "price"))
    if OPTIONS[name].get("times") == "irregular":
        data = data.filter(pl.int_range(pl.len()) % 5 != 2)
    return data


@pytest.fixture(scope="module", params=OPTIONS)
def fitted(request):
    return small().fit(data_for(request.param), "y", **OPTIONS[request.param]), data_for(request.param)


def test_saved_and_loaded_is_the_same_to_the_bit(fitted, tmp_path):
    forecaster, data = fitted
    again = Forecaster.load(forecaster.save(tmp_path / "run"))
    assert again.predict(data).equals(forecaster.predict())
    assert again.evaluate(data) == forecaster.evaluate()
    assert again.config() == forecaster.config()
    assert again.record == forecaster.record
    assert np.isfinite(forecaster.predict()["y"].to_numpy()).all()


def test_a_run_that_was_stopped_goes_on(fitted, tmp_path):
    forecaster, data = fitted

    def stop(record):
        raise KeyboardInterrupt

    torn, whole = small(epochs=3), small(epochs=3)
    for one in (torn, whole):
        one.data_options = forecaster.data_options
    with pytest.raises(KeyboardInterrupt):
        torn.fit_prepared(forecaster.task, data, tmp_path / "run", progress=stop)
    gone_on = torn.fit_prepared(forecaster.task, data, tmp_path / "run")
    assert gone_on.predict().equals(whole.fit_prepared(forecaster.task, data).predict())


def test_every_row_of_a_result_is_strict_json(fitted):
    task = fitted[0].task
    baselines, absent = task.baselines()
    parts = [task.record(), task.described("MASE", "hidden"), task.data_facts(absent), task.protocol()]
    parts.append(task.shown({"GRU 4": fitted[0].network}, baselines, "GRU 4"))
    for part in parts:
        assert json.loads(json.dumps(part, allow_nan=False)) == part


def test_a_look_inside(fitted):
    task, network = fitted[0].task, fitted[0].network
    probe = task.probe(network)
    ends = torch.randn(len(probe.x), probe.layer.output_size, dtype=torch.float64)
    assert torch.isfinite(probe.loss(ends)).all()
    assert probe.x.shape[-1] == task.windows.inputs.width


def test_the_probe_has_the_loss_of_the_network(fitted):
    task, network = fitted[0].task, fitted[0].network
    probe = task.probe(network)
    count = task.windows.count("valid")
    batch = task.windows.batch("valid", np.unique(np.linspace(0, count - 1, min(32, count)).round().astype(int)))
    with torch.no_grad():
        output, _ = probe.layer(probe.x)
        e = (network(*batch.read()) - batch.y) * batch.mask
        torch.testing.assert_close(probe.loss(output[:, -1]).float(), e.square().sum((1, 2)), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("cell", CELLS)
def test_of_the_future_only_what_is_known_changes_a_forecast(cell):
    """Every registered cell, trained or not: other targets and features of the future, the same forecast."""
    data, _ = priced()
    data = data.drop("shop", "size", "town")
    make = lambda d: task_of(d, "y", features=("f",), known=KNOWN["known"], horizon=3, input=6, split=SPLIT)  # noqa: E731
    task = make(data)
    network = task.network(NetworkOptions(cell, 4), 0).eval()
    origin = 130
    at = np.flatnonzero(task.windows.origins("test")[1] == origin)
    forecast = task.forecast(network, "test", at)
    later = pl.int_range(pl.len()) >= origin
    for column in ("y", "f", "price", "holiday"):
        other = make(data.with_columns(pl.when(later).then(pl.col(column) * -3 + 1).otherwise(column).alias(column)))
        same = np.array_equal(other.forecast(network, "test", at), forecast)
        assert same == (column in ("y", "f")), column


def test_the_future_of_new_data_is_what_is_read():
    data, _ = priced()
    data = data.drop("shop", "size", "town")
    forecaster = small().fit(data, "y", **KNOWN)
    row = pl.int_range(pl.len())
    found = forecaster.predict(data)
    assert found["day"].to_list() == data["day"].to_list()[150:153]
    for rows, changes in ((row == 150, True), (row == 152, True), (row == 153, False)):
        other = data.with_columns(pl.when(rows).then(pl.col("price") + 2).otherwise("price").alias("price"))
        assert forecaster.predict(other).equals(found) != changes
    feature = data.with_columns(pl.when(row >= 150).then(99.0).otherwise("f").alias("f"))
    assert forecaster.predict(feature).equals(found)
    assert forecaster.predict(data[-20:])["y"].to_list() == pytest.approx(found["y"].to_list(), rel=1e-5)


def test_it_learns_what_the_known_columns_do():
    """The price of each day decides: within a third of the error of one who does not know it."""
    data, truth = priced(400)
    data = data.drop("shop", "size", "town")
    options = {"hidden": 16, "horizon": 5, "input": 10, "epochs": 15, "lr": 1e-2}
    knowing = Forecaster(**options).fit(data, "y", **KNOWN)
    blind = Forecaster(**options).fit(data, "y", features=["f", "price", "holiday"], missing="carry")
    assert knowing.evaluate()["network"]["MAE"] < blind.evaluate()["network"]["MAE"] / 3
    assert np.abs(knowing.predict()["y"].to_numpy() - truth).mean() < 0.5


def test_ridge_is_told_the_same():
    data, _ = priced(400)
    data = data.drop("shop", "size", "town")
    told, blind = (task_of(data[:400], "y", known=known, horizon=5, input=10) for known in (KNOWN["known"], ()))
    found, other = (next(b for b in t.baselines()[0] if isinstance(b, RidgeAR)) for t in (told, blind))
    assert (found.name, other.name) == ("ridge ARX(10)", "ridge AR(10)")
    assert told.errors(found).scores()["MAE"] < 0.6 * blind.errors(other).scores()["MAE"]
    assert found.parameters == (10 + 5 * 2 + 2) * 5 + 5


def test_ridge_finds_a_linear_rule_exactly():
    """y = 2 price - 3 holiday + 1, for two targets of which one is the other's negative."""
    data, _ = priced()
    data = data.with_columns(y=2 * pl.col("price") - 3 * pl.col("holiday") + 1)[:150].with_columns(z=-pl.col("y"))
    task = task_of(data.drop("shop", "size", "town"), "y", "z", known=KNOWN["known"], horizon=4, input=5, split=SPLIT)
    ridge = RidgeAR(task.windows)
    truth = task.windows.targets_original("test", np.arange(task.windows.count("test"))).values
    np.testing.assert_allclose(task.forecast(ridge, "test"), truth, atol=0.02)


def test_new_data_without_a_known_column_is_refused():
    data, _ = priced()
    forecaster = small().fit(data, "y", **KNOWN)
    with pytest.raises(DataError, match="no column 'price'"):
        forecaster.predict(data.drop("price"))
    with pytest.raises(DataError, match="there are 2 rows of 'price', 'holiday'"):
        forecaster.predict(data[:152])


def test_a_town_never_met_is_forecast_and_one_without_a_size_is_not():
    data = shops()
    forecaster = small().fit(data, "y", **OPTIONS["all"])
    new = data.filter(shop="A").with_columns(shop=pl.lit("new"), town=pl.lit("Bergen"))
    assert np.isfinite(forecaster.predict(new)["y"].to_numpy()).all()
    with pytest.raises(DataError, match="'size' has 'large' for series 'new'"):
        forecaster.predict(new.with_columns(size=pl.lit("large")))


def test_a_static_column_changes_the_forecast():
    data = shops()
    forecaster = small().fit(data, "y", **OPTIONS["all"])
    own = data.filter(shop="A")
    found = forecaster.predict(own)
    for other in ({"town": pl.lit("Pusan")}, {"size": pl.lit(3.0)}):
        assert not forecaster.predict(own.with_columns(**other)).equals(found)


def test_what_is_missing_is_neither_learned_nor_scored():
    """Whatever stands in the batch where no target was seen, the loss is the same."""
    task = task_of(data_for("masked"), "y", group="shop", known=KNOWN["known"], missing="mask", horizon=3, input=6)
    network = task.network(NetworkOptions("gru", 4), 0)
    problem = task.problem()
    every = torch.arange(problem.train_count)
    before = problem.loss(network, every)
    holes = ~task.windows._mask
    assert holes.any()
    task.windows._y[holes] = 1e6
    assert all(torch.equal(a, b) for a, b in zip(before, problem.loss(network, every), strict=True))


def test_a_calendar_is_kept_and_continued(tmp_path):
    data = priced()[0][:150].select("day", "y")
    forecaster = small().fit(data, "y", calendar="weekday,month")
    again = Forecaster.load(forecaster.save(tmp_path / "run"))
    assert again.predict(data).equals(forecaster.predict())
    assert again.network.known.in_features == 4


@pytest.mark.parametrize("options", [{"since": True}, {"calendar": "moon"}, {"times": "sometimes"}])
def test_bad_options_are_refused(options):
    with pytest.raises(ConfigError):
        small().fit(priced()[0], "y", **options)


def test_a_backtest_reads_known_rows_and_is_fitted_before_its_origin(tmp_path):
    """The targets of the last three rows are other ones: no training of a backtest of three origins has seen them."""
    data = shops()
    options = {"target": "y", "horizon": 3, "input": 6, "hidden": 4, "epochs": 1} | OPTIONS["all"]
    row = pl.int_range(pl.len()).over("shop")
    later = data.with_columns(
        pl.when((row >= pl.len().over("shop") - 5 - 3) & pl.col("y").is_not_null())
        .then(pl.col("y") * -3)
        .otherwise("y")
        .alias("y")
    )
    folders = []
    for name, one in (("a", data), ("b", later)):
        found = unroll.backtest(one, origins=3, refit=True, out=tmp_path / name, **options)
        assert "ridge ARX(6)" in found.scores["forecaster"].unique().to_list()
        folders.append(sorted((tmp_path / name).rglob("model.safetensors")))
    same = [a.read_bytes() == b.read_bytes() for a, b in zip(*folders, strict=True)]
    assert same == [True, True, True]


def test_that_a_value_is_missing_may_be_what_matters():
    """y is high on the day after f was not observed, whatever f is: only who reads the mask can know."""
    rng = np.random.default_rng(0)
    hole = rng.random(500) < 0.4
    y = np.concatenate([[0.0], hole[:-1].astype(float)]) + 0.05 * rng.normal(size=500)
    data = pl.DataFrame({"y": y, "f": np.where(hole, np.nan, rng.normal(size=500))})
    options = {"hidden": 8, "horizon": 1, "input": 4, "epochs": 15, "lr": 2e-2}
    told, untold = (
        Forecaster(**options).fit(data, "y", features="f", missing=missing).evaluate()["network"]["MAE"]
        for missing in ("mask", "carry")
    )
    assert told < 0.3 * untold


def test_how_long_ago_a_value_was_observed_may_be_what_matters():
    """On marked days y tells how long ago f was last observed, which is further back than the network looks."""
    rng = np.random.default_rng(0)
    ago, y = 0, []
    hole = rng.random(800) < 0.9
    for missing in hole:
        y.append(np.log1p(ago) + 0.05 * rng.normal())
        ago = ago + 1 if missing else 0
    marked = (np.arange(800) % 3 == 2).astype(float)
    data = pl.DataFrame({"y": marked * y, "f": np.where(hole, np.nan, 1.0), "marked": marked})
    options = {"hidden": 8, "horizon": 1, "input": 2, "epochs": 30, "lr": 2e-2}
    reading = {"features": "f", "known": "marked", "missing": "mask"}
    since, mask = (
        Forecaster(**options).fit(data, "y", **reading, since=since).evaluate()["network"]["MAE"]
        for since in (True, False)
    )
    assert since < 0.4 * mask


@pytest.mark.parametrize("decode", ["segments", "segments-recurrent"])
@pytest.mark.parametrize("told", [{"known": "price"}, {"calendar": "weekday"}, {"times": "irregular"}])
def test_decoders_that_read_targets_alone_say_so(decode, told):
    data = priced()[0].select("day", "y", "price")
    with pytest.raises(ConfigError, match="Give --decode direct"):
        small(decode=decode).fit(data, "y", **told)


@pytest.mark.parametrize("options", [{"quantiles": "0.1,0.5,0.9"}, {"normalise": "revin"}, {"normalise": "none"}])
def test_quantiles_and_normalisations_go_with_a_known_future(options, tmp_path):
    data = shops()
    forecaster = small(**options).fit(data, "y", **OPTIONS["all"])
    found = forecaster.predict(data)
    assert Forecaster.load(forecaster.save(tmp_path / "run")).predict(data).equals(found)
    dearer = forecaster.predict(data.with_columns(pl.col("price") + 1))
    for column in found.columns[2:]:
        assert not dearer[column].equals(found[column])
