"""A backtest knows at each origin what was known there, and trains nothing twice in the same network."""

import json
import shutil

import numpy as np
import polars as pl
import pytest
import torch

import unroll
from report.reader import read
from tasks.making import frame, refusal, shops
from unroll.comparison.origins import BacktestOptions, refits
from unroll.errors import ConfigError, DataError, RunError
from unroll.report import backtest_text, render_backtest
from unroll.tasks import DataOptions, Forecaster, ForecastOptions, LastValue, NetworkOptions, RidgeAR, prepare
from unroll.tasks.forecast.task import ForecastTask
from unroll.train import FitSettings, RunFolder

TINY = {"target": "y", "horizon": 3, "input": 8, "hidden": 4, "epochs": 2, "lr": 1e-2, "season": 7}
SPLIT = "rest,30,30"


def backtest(data, folder, **options):
    return unroll.backtest(data, **(TINY | {"split": SPLIT} | options), out=folder)


def weights(folder, number):
    network = Forecaster.load(folder / "refits" / f"{number:02d}").network
    return {name: value.clone() for name, value in network.state_dict().items()}


def same(one, other):
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


@pytest.fixture(scope="module")
def data():
    return frame(200)


@pytest.fixture(scope="module")
def refitted(data, tmp_path_factory):
    return backtest(data, tmp_path_factory.mktemp("bt") / "run", origins=3, step=5, refit=True)


@pytest.mark.parametrize(
    ("origins", "step", "refit", "expected"),
    [
        (3, None, 0, [((0, 1, 2), (12, 8, 4))]),
        (3, None, 1, [((0,), (12,)), ((1,), (8,)), ((2,), (4,))]),
        (5, 2, 2, [((0, 1), (12, 10)), ((2, 3), (8, 6)), ((4,), (4,))]),
        (1, 7, 3, [((0,), (4,))]),
    ],
)
def test_origins_end_with_the_data(origins, step, refit, expected):
    planned = refits(BacktestOptions(origins, step, refit), horizon=4)
    assert [(one.origins, one.behind) for one in planned] == expected
    assert [one.number for one in planned] == list(range(len(planned)))


@pytest.mark.parametrize("number", [1, 2, 3])
def test_each_refit_is_the_training_that_knows_nothing_of_the_others(data, refitted, number):
    """To the bit the weights of one training on the rows before its origin, with those it forecasts as its test."""
    end = 200 - 5 * (3 - number)
    alone = Forecaster(**{k: v for k, v in TINY.items() if k != "target"}, split="rest,30,3").fit(data[:end], "y")
    assert same(weights(refitted.folder, number), alone.network.state_dict())
    scores = alone.task.errors(alone.network).scores()
    for metric, values in refitted.result["candidates"][0]["by_origin"].items():
        assert values[number - 1] == pytest.approx(scores[metric], rel=1e-12), metric


def test_each_refit_begins_from_the_weights_of_its_seed(data, refitted, tmp_path):
    """Two trainings of no step at all differ in nothing: neither continues the other."""
    still = backtest(data, tmp_path / "run", origins=3, step=5, refit=True, lr=1e-30)
    assert same(weights(still.folder, 1), weights(still.folder, 3))
    assert not same(weights(refitted.folder, 1), weights(refitted.folder, 3))


@pytest.mark.parametrize("refit", [0, 1, 2])
def test_what_comes_after_an_origin_changes_nothing_at_or_before_it(data, tmp_path, refit):
    """The rows from the second forecast on are another series: the first training and the first score stay."""
    first = 200 - 3 - 10  # with 3 origins 5 steps apart
    later = pl.int_range(200) >= first + 3
    other = data.with_columns(y=pl.when(later).then(-40 * pl.col("y") + 9).otherwise(pl.col("y")))
    found = [backtest(d, tmp_path / str(k), origins=3, step=5, refit=refit) for k, d in enumerate((data, other))]
    assert same(*(weights(one.folder, 1) for one in found))
    rows = [[*one.result["candidates"], *one.result["baselines"]] for one in found]
    for one, two in zip(*rows, strict=True):
        assert {m: v[0] for m, v in one["by_origin"].items()} == {m: v[0] for m, v in two["by_origin"].items()}
        assert one["by_origin"]["MAE"][2] != two["by_origin"]["MAE"][2]


def test_without_refit_one_training_forecasts_from_every_origin_in_one_pass(data, tmp_path, monkeypatch):
    passes = []
    kept = ForecastTask._chunk

    def counted(self, forecaster, part, indices):
        if part == "test" and isinstance(forecaster, torch.nn.Module):
            passes.append(len(indices))
        return kept(self, forecaster, part, indices)

    monkeypatch.setattr(ForecastTask, "_chunk", counted)
    found = backtest(data, tmp_path / "run", origins=6, step=4)
    assert passes == [6]
    assert sorted(p.name for p in (found.folder / "refits").iterdir()) == ["01"]
    task = prepare(data, DataOptions(("y",)), ForecastOptions(horizon=3, input=8, season=7, split="rest,30,23"))
    network = Forecaster.load(found.folder / "refits" / "01").network
    errors = task.errors(network)
    by_hand = [errors.sums["absolute"][errors.origins == 200 - 3 - 4 * (5 - k)].item() / 3 for k in range(6)]
    np.testing.assert_allclose(found.result["candidates"][0]["by_origin"]["MAE"], by_hand, rtol=1e-12)


def test_baselines_stand_at_the_same_origins_fitted_on_the_same_rows(data, refitted):
    for number in (1, 2, 3):
        end = 200 - 5 * (3 - number)
        task = prepare(
            data[:end], DataOptions(("y",)), ForecastOptions(horizon=3, input=8, season=7, split="rest,30,3")
        )
        for baseline in (LastValue(), RidgeAR(task.windows)):
            (row,) = [r for r in refitted.result["baselines"] if r["name"] == baseline.name]
            assert row["by_origin"]["MASE"][number - 1] == pytest.approx(task.errors(baseline).scores()["MASE"])


def test_means_and_deviations_are_those_over_origins(refitted):
    for row in [*refitted.result["candidates"], *refitted.result["baselines"]]:
        for metric, values in row["by_origin"].items():
            assert row["scores"][metric]["mean"] == pytest.approx(np.mean(values))
            assert row["scores"][metric]["deviation"] == pytest.approx(np.std(values, ddof=1))
    table = refitted.scores
    assert table.height == 3 * (1 + len(refitted.result["baselines"]))
    assert table["origin"].n_unique() == 3


def test_series_of_different_lengths_end_each_with_its_own_last_origin(tmp_path):
    data = shops()
    found = backtest(data, tmp_path / "run", target="y", group="shop", origins=2, step=4, split="rest,12,12")
    task = Forecaster.load(tmp_path / "run" / "refits" / "01")
    assert [s["train"]["rows"][1] for s in task.record["series"]] == [n - 3 - 4 - 12 for n in (120, 140, 160)]
    assert [o["time"] for o in found.result["origins"]] == [None, None]
    assert found.scores["origin"].to_list()[:2] == [1, 2]


def test_a_backtest_that_was_cut_off_goes_on(data, refitted, tmp_path):
    shutil.copytree(refitted.folder, tmp_path / "run")
    (tmp_path / "run" / "result.json").unlink()
    (tmp_path / "run" / "refits" / "02" / "result.json").unlink()
    shutil.rmtree(tmp_path / "run" / "refits" / "03")
    untouched = tmp_path / "run" / "refits" / "01" / "model.safetensors"
    before = untouched.stat().st_mtime_ns
    trained = []
    again = unroll.backtest(
        data, **TINY, split=SPLIT, origins=3, step=5, refit=True, out=tmp_path / "run",
        on_epoch=lambda record: trained.append(record["refit"]),
    )  # fmt: skip
    assert set(trained) == {3}
    assert untouched.stat().st_mtime_ns == before
    for part in ("candidates", "baselines"):
        for one, other in zip(again.result[part], refitted.result[part], strict=True):
            assert one["by_origin"] == other["by_origin"]
    (tmp_path / "run" / "result.json").unlink()
    other = data.with_columns(y=pl.col("y") + 1)
    assert "other data" in refusal(lambda: backtest(other, tmp_path / "run", origins=3, step=5, refit=True), RunError)
    assert "another run" in refusal(lambda: backtest(data, tmp_path / "run", origins=4, step=5, refit=True), RunError)


def test_the_page_and_the_text_say_what_the_result_says(refitted):
    page = read(render_backtest(refitted.result))
    drawn = page.figures["origins-figure"]
    assert len(drawn.drawings) == 2
    assert drawn.head[:2] == ["from", "training"]
    assert [row[1] for row in drawn.rows] == ["1", "2", "3"]
    assert len(set(page.ids)) == len(page.ids)
    assert refitted.report.read_text(encoding="utf-8") == render_backtest(refitted.result)
    for width, unicode in ((100, True), (60, False)):
        text = backtest_text(refitted.result, width=width, unicode=unicode, report_path="r.html")
        wide = [line for line in text.splitlines() if len(line) > width]
        assert all("again" in line or "config.yaml" in line for line in wide)  # a path is not broken
        assert unicode or text.isascii()
        assert "GRU 4" in text
        assert "last value" in text


def test_coverage_is_shown_beside_what_was_asked_for(data, tmp_path):
    found = backtest(data, tmp_path / "run", origins=4, interval=0.8)
    assert found.result["task"]["interval"] == 0.8
    values = found.result["candidates"][0]["by_origin"]["coverage"]
    assert all(0 <= v <= 1 for v in values)
    assert "/ 80 %" in backtest_text(found.result)


@pytest.mark.parametrize(
    ("options", "kind", "told"),
    [
        ({"horizon": None}, ConfigError, "--horizon"),
        ({"origins": 0}, ConfigError, "--origins 0"),
        ({"step": 0}, ConfigError, "--step 0"),
        ({"refit": -1}, ConfigError, "--refit -1"),
        ({"origins": 60}, DataError, "before the first origin"),
        ({"task": "classify"}, ConfigError, "classify"),
        ({"colour": "red"}, ConfigError, "colour"),
        ({"split": "rest,2,3"}, DataError, "to validate"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_written(data, tmp_path, options, kind, told):
    assert told in refusal(lambda: backtest(data, tmp_path / "run", **options), kind)
    assert not (tmp_path / "run").exists()


def test_series_too_short_for_the_first_origin_are_left_out_when_told_to(tmp_path):
    data = shops((60, 140, 160))
    asked = {"target": "y", "group": "shop", "origins": 5, "step": 6, "split": "rest,30,30"}
    assert "'A'" in refusal(lambda: backtest(data, tmp_path / "run", **asked), DataError)
    found = backtest(data, tmp_path / "run", **asked, skip_bad_series=True)
    assert any("'A'" in note for note in found.result["data"]["notes"])


def test_a_refit_is_a_run_that_can_be_used(data, refitted):
    folder = refitted.folder / "refits" / "02"
    made = Forecaster.load(folder)
    assert made.predict(data).height == 3
    assert RunFolder(folder).read_config()["network"]["hidden"] == NetworkOptions(hidden=4).hidden
    assert json.loads((folder / "data.json").read_text())["series"][0]["valid"]["rows"][1] == 200 - 3 - 5
    assert made.settings.seed == FitSettings().seed


def test_what_is_known_of_the_future_is_read_at_every_origin(data, tmp_path):
    price = np.random.default_rng(3).normal(size=200)
    priced = data.with_columns(price=price, hint=price[::-1].copy())
    asked = {"origins": 2, "step": 5, "refit": True, "known": "price", "features": "hint"}
    found = backtest(priced, tmp_path / "run", **asked)
    alone = Forecaster(**{k: v for k, v in TINY.items() if k != "target"}, split="rest,30,3")
    alone.fit(priced[:195], "y", features="hint", known="price")
    assert same(weights(found.folder, 1), alone.network.state_dict())
    scores = alone.task.errors(alone.network).scores()
    assert found.result["candidates"][0]["by_origin"]["MASE"][0] == pytest.approx(scores["MASE"], rel=1e-12)
    later = pl.int_range(200) >= 192
    dearer = priced.with_columns(price=pl.when(later).then(pl.col("price") + 2).otherwise(pl.col("price")))
    other = backtest(dearer, tmp_path / "dearer", **asked)
    assert same(weights(found.folder, 1), weights(other.folder, 1))
    by_origin = [one.result["candidates"][0]["by_origin"]["MAE"] for one in (found, other)]
    assert by_origin[0][0] != by_origin[1][0]
