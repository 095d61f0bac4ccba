"""``Forecaster``: what it learned, it keeps to the bit; what it needs to predict is history alone."""

import datetime as dt
import json

import numpy as np
import polars as pl
import pytest
import torch

from tasks.making import days, frame, refusal, shops, small, wave
from unroll.errors import ConfigError, DataError, LeakageError, RunError
from unroll.tasks import Forecaster, LastValue


@pytest.fixture(scope="module")
def fitted():
    return small().fit(frame(), "y")


@pytest.fixture(scope="module")
def several():
    return small().fit(shops(), ["y", "z"], features="f", group="shop")


def test_saved_and_loaded_is_the_same_to_the_bit(several, tmp_path):
    data = shops()
    again = Forecaster.load(several.save(tmp_path / "run"))
    state = several.network.state_dict()
    assert all(torch.equal(state[name], value) for name, value in again.network.state_dict().items())
    assert again.predict(data).equals(several.predict())
    assert again.evaluate(data) == several.evaluate()
    assert again.config() == several.config()
    assert again.record == several.record
    assert Forecaster.load(again.save(tmp_path / "copy")).predict(data).equals(several.predict())
    for name in ("config.yaml", "data.json", "model.safetensors"):
        assert (tmp_path / "run" / name).read_bytes() == (tmp_path / "copy" / name).read_bytes()


def test_a_file_need_not_be_given_again(tmp_path):
    path = tmp_path / "rows.csv"
    frame().write_csv(path)
    first = small().fit(str(path), "y", out=tmp_path / "run")
    again = Forecaster.load(tmp_path / "run")
    assert again.predict().equals(first.predict())
    assert again.evaluate() == first.evaluate()


def test_a_dataframe_must_be_given_again(fitted, tmp_path):
    again = Forecaster.load(fitted.save(tmp_path / "run"))
    for call in (again.predict, again.evaluate):
        assert "dataframe that is not at hand" in refusal(call, DataError)


def test_saving_over_another_run_is_refused(fitted, several, tmp_path):
    fitted.save(tmp_path / "run")
    fitted.save(tmp_path / "run")
    assert "holds another run" in refusal(lambda: several.save(tmp_path / "run"), RunError)
    several.save(tmp_path / "run", overwrite=True)
    assert Forecaster.load(tmp_path / "run").record == several.record


def test_untrained_says_so():
    for call in (Forecaster().predict, Forecaster().evaluate, lambda: Forecaster().save("never")):
        assert "not trained" in refusal(call, RunError)


@pytest.mark.parametrize("damage", ["model.safetensors", "data.json", "config.yaml"])
def test_a_damaged_run_is_refused(fitted, tmp_path, damage):
    run = fitted.save(tmp_path / "run")
    content = (run / damage).read_bytes()
    (run / damage).write_bytes(content[: len(content) // 3])
    with pytest.raises((RunError, ConfigError)):
        Forecaster.load(run)


def test_a_data_record_without_a_part_is_refused(fitted, tmp_path):
    run = fitted.save(tmp_path / "run")
    record = json.loads((run / "data.json").read_text())
    del record["scaler"]
    (run / "data.json").write_text(json.dumps(record))
    assert "incomplete" in refusal(lambda: Forecaster.load(run), RunError)


def test_training_twice_gives_the_same_numbers(fitted):
    other = small().fit(frame(), "y")
    assert other.predict().equals(fitted.predict())
    assert not small(seed=1).fit(frame(), "y").predict().equals(fitted.predict())


def test_pandas_and_polars_and_a_file_give_the_same(fitted, tmp_path):
    frame().write_csv(tmp_path / "rows.csv")
    pandas = frame().to_pandas()
    for data in (pandas, str(tmp_path / "rows.csv"), tmp_path / "rows.csv"):
        other = small().fit(data, "y")
        assert other.predict().equals(fitted.predict())
        assert other.evaluate() == fitted.evaluate()
        assert fitted.predict(data).equals(fitted.predict())


def test_prediction_depends_on_the_last_inputs_alone(fitted):
    """Eight rows of history, whatever came before them."""
    data = frame()
    assert fitted.predict(data[-8:]).equals(fitted.predict())
    changed = data.with_columns(y=pl.when(pl.int_range(pl.len()) < 152).then(-99.0).otherwise(pl.col("y")))
    assert fitted.predict(changed).equals(fitted.predict())
    assert not fitted.predict(data[:-1]).equals(fitted.predict())


@pytest.mark.parametrize("rows", [1, 2, 7])
def test_a_history_shorter_than_the_input_is_as_if_it_had_begun_so(fitted, rows):
    """As though the first value had held before it."""
    data = frame()[-rows:]
    times = days(8 - rows, start=data["day"][0] - dt.timedelta(days=8 - rows))
    before = pl.DataFrame({"day": times, "y": [data["y"][0]] * (8 - rows)})
    assert fitted.predict(data).equals(fitted.predict(pl.concat([before, data])))
    assert fitted.predict(data)["day"].to_list() == fitted.predict()["day"].to_list()


def test_no_history_is_refused(fitted):
    assert "no rows" in refusal(lambda: fitted.predict(frame()[:0]), DataError)


def test_each_series_is_predicted_by_itself(several):
    whole = several.predict()
    assert whole["shop"].to_list() == [name for name in "ABC" for _ in range(3)]
    assert whole.columns == ["shop", "day", "y", "y_low", "y_high", "z", "z_low", "z_high"]
    for name in "ABC":
        alone = several.predict(shops().filter(shop=name))
        assert alone.equals(whole.filter(shop=name))


@pytest.mark.parametrize("rows", [1, 5, 60])
def test_a_series_never_met_is_scaled_by_its_own_history(several, rows):
    """Ten times the values, ten times the forecast."""
    base = shops().filter(shop="A")[-rows:].with_columns(shop=pl.lit("new"))
    larger = base.with_columns(pl.col("y") * 10, pl.col("z") * 10)
    first, second = several.predict(base), several.predict(larger)
    assert first["shop"].to_list() == ["new"] * 3
    spread = rows > 1
    if spread:
        np.testing.assert_allclose(second["y"], 10 * first["y"], rtol=1e-5)
    assert np.isfinite(second["y"].to_numpy()).all()


def test_a_constant_history_is_predicted_from(fitted):
    found = fitted.predict(frame()[-9:].with_columns(y=pl.lit(2.5)))
    assert np.isfinite(found["y"].to_numpy()).all()


def test_rows_out_of_order_are_sorted_if_asked(fitted):
    data = frame()
    shuffled = data.sample(fraction=1.0, shuffle=True, seed=3)
    assert "--sort" in refusal(lambda: fitted.predict(shuffled), DataError)
    sorting = small().fit(shuffled, "y", sort=True)
    assert sorting.predict().equals(fitted.predict())
    part = data[:100].sample(fraction=1.0, shuffle=True, seed=4)
    assert sorting.predict(part).equals(fitted.predict(data[:100]))


def test_a_missing_column_is_named(several):
    assert "'f'" in refusal(lambda: several.predict(shops().drop("f")), DataError)


@pytest.mark.parametrize(
    ("times", "following"),
    [
        (days(60, 7, dt.date(2023, 1, 2)), [dt.date(2024, 2, 26), dt.date(2024, 3, 4), dt.date(2024, 3, 11)]),
        (
            [dt.date(2019 + k // 12, k % 12 + 1, 1) for k in range(60)],
            [dt.date(2024, 1, 1), dt.date(2024, 2, 1), dt.date(2024, 3, 1)],
        ),
        (
            [dt.date(2019 + (k + 1) // 12, (k + 1) % 12 + 1, 1) - dt.timedelta(days=1) for k in range(60)],
            [dt.date(2024, 1, 31), dt.date(2024, 2, 29), dt.date(2024, 3, 31)],
        ),
        (
            [dt.datetime(2024, 2, 27) + dt.timedelta(hours=k) for k in range(60)],
            [dt.datetime(2024, 2, 29, 12), dt.datetime(2024, 2, 29, 13), dt.datetime(2024, 2, 29, 14)],
        ),
        (list(range(5, 305, 5)), [305, 310, 315]),
    ],
    ids=["weeks", "months", "month ends", "hours", "integers"],
)
def test_times_continue_the_calendar(tmp_path, times, following):
    data = pl.DataFrame({"time": times, "y": wave(60)})
    forecaster = small(epochs=1, horizon=3, input=4).fit(data, "y", time="time")
    assert forecaster.predict()["time"].to_list() == following
    again = Forecaster.load(forecaster.save(tmp_path / "run"))
    assert again.predict(data).equals(forecaster.predict())
    assert again.predict(data[-1:])["time"].to_list() == following
    assert again.predict(data[:-1])["time"].to_list() == [times[-1], *following[:-1]]


def test_without_times_rows_are_numbered():
    forecaster = small(epochs=1).fit(pl.DataFrame({"y": wave(90)}), "y")
    assert forecaster.predict()["step"].to_list() == [90, 91, 92]


def test_holes_are_carried_forward_in_what_is_predicted_from(fitted):
    carrying = small().fit(frame(), "y", missing="carry")
    data = frame()
    holes = data.with_columns(y=pl.when(pl.int_range(pl.len()).is_in([154, 155])).then(None).otherwise(pl.col("y")))
    filled = holes.with_columns(pl.col("y").forward_fill())
    assert carrying.predict(holes).equals(carrying.predict(filled))
    assert "--missing carry" in refusal(lambda: fitted.predict(holes), DataError)


def test_evaluating_newer_data_scores_what_lies_after_training_and_validation(fitted):
    longer = frame(220)
    found = fitted.evaluate(longer)
    seen = fitted.task.ranges["y"].valid[1]
    assert found["windows"] == 220 - seen - 3 + 1
    y, errors = longer["y"].to_list(), []
    for origin in range(seen, 220 - 2):
        errors += [abs(y[origin + k] - y[origin - 1]) for k in range(3)]
    assert found["baselines"]["last value"]["MAE"] == pytest.approx(sum(errors) / len(errors), rel=1e-6)


def test_evaluating_newer_rows_alone_scores_those_with_enough_before_them(fitted):
    newer = frame(220)[170:]
    assert fitted.evaluate(newer)["windows"] == 50 - 8 - 3 + 1


def test_the_same_data_is_scored_on_its_test_range(fitted, tmp_path):
    again = Forecaster.load(fitted.save(tmp_path / "run"))
    assert again.evaluate(frame()) == fitted.evaluate()
    assert again.evaluate(frame())["windows"] == fitted.task.windows.count("test")


@pytest.mark.parametrize(("first", "last"), [(0, 60), (0, 130), (0, 138), (100, 130), (130, 140)])
def test_data_that_training_has_seen_is_not_scored(fitted, first, last):
    assert fitted.task.ranges["y"].valid[1] == 136
    text = refusal(lambda: fitted.evaluate(frame()[first:last]), DataError)
    after = max(0, last - 136)
    assert f"has {after} of {last - first} rows after what training has seen" in text
    assert "expected 3 or more to score, with 8 rows before" in text


def test_the_training_range_cannot_be_scored(fitted):
    assert "its scaler was fitted on" in refusal(lambda: fitted.task.errors(LastValue(), "train"), LeakageError)
    assert fitted.task.errors(LastValue(), "valid").count.sum() > 0


def test_a_series_never_met_is_scored_on_its_second_half(several):
    data = shops().filter(shop="C").with_columns(shop=pl.lit("new"))
    found = several.evaluate(data)
    assert found["windows"] == 80 - 3 + 1
    assert found["network"]["MASE"] is None
    assert found["network"]["MAE"] > 0


def test_unknown_reading_options_are_named():
    assert "'sorted'" in refusal(lambda: small().fit(frame(), "y", sorted=True), ConfigError)


def test_dropout_is_off_where_nothing_is_learned(tmp_path):
    forecaster = small(layers=2, dropout=0.5).fit(frame(), "y")
    assert forecaster.predict().equals(forecaster.predict())
    again = Forecaster.load(forecaster.save(tmp_path / "run"))
    assert again.network.encoder.dropout == 0.5
    assert again.predict(frame()).equals(forecaster.predict())
