"""Quantiles: the loss against its definition, what minimises it, scores against loops, and runs from end to end."""

import json

import numpy as np
import polars as pl
import pytest
import torch

from tasks.making import shops, small, task_of, wave
from unroll.errors import ConfigError
from unroll.tasks import Forecaster, ForecastOptions, ForecastProblem, LastValue, NetworkOptions, WindowErrors
from unroll.tasks.forecast.quantiles import outer_facts, parse_levels, pinball, quantile_scores, quantile_sums

LEVELS = (0.1, 0.5, 0.8)


def test_pinball_is_its_definition():
    error = torch.tensor([-3.0, -0.5, 0.0, 0.25, 7.0], dtype=torch.float64)
    for q in (0.05, 0.5, 0.9):
        expected = [q * e if e >= 0 else (1 - q) * -e for e in error.tolist()]
        found = pinball(error.unsqueeze(-1), [q]).squeeze(-1)
        torch.testing.assert_close(found, torch.tensor(expected, dtype=torch.float64), rtol=0, atol=1e-15)


def test_pinball_of_a_uniform_variable_is_its_closed_form():
    # For y uniform on 0…1 and a forecast a: E ρ_q(y - a) = q (1 - a)² / 2 + (1 - q) a² / 2.
    y = (torch.arange(200_000, dtype=torch.float64) + 0.5) / 200_000
    for q, a in ((0.1, 0.3), (0.5, 0.5), (0.9, 0.25)):
        expected = q * (1 - a) ** 2 / 2 + (1 - q) * a**2 / 2
        assert pinball((y - a).unsqueeze(-1), [q]).mean().item() == pytest.approx(expected, rel=1e-8)


@pytest.mark.parametrize("q", [0.1, 0.5, 0.77])
def test_what_minimises_pinball_on_a_sample_is_its_quantile(q):
    sample = torch.from_numpy(np.random.default_rng(0).gamma(2.0, size=41))
    candidates = sample.sort().values
    losses = torch.stack([pinball((sample - c).unsqueeze(-1), [q]).mean() for c in candidates])
    expected = np.quantile(sample.numpy(), q, method="inverted_cdf")
    assert candidates[losses.argmin()].item() == expected
    between = torch.linspace(candidates[0].item(), candidates[-1].item(), 997, dtype=torch.float64)
    assert (torch.stack([pinball((sample - c).unsqueeze(-1), [q]).mean() for c in between]) >= losses.min()).all()


def test_sorting_quantiles_that_cross_lowers_their_loss():
    generator = np.random.default_rng(1)
    y, told = generator.normal(size=(50, 1)), generator.normal(size=(50, 3))
    crossed = (np.diff(told, axis=1) < 0).any(axis=1)
    before, after = (pinball(torch.from_numpy(y - t), LEVELS).sum(-1).numpy() for t in (told, np.sort(told, axis=1)))
    assert crossed.any()
    assert not crossed.all()
    assert (after[crossed] < before[crossed]).all()
    np.testing.assert_array_equal(after[~crossed], before[~crossed])


def told(windows=6, horizon=4, targets=2):
    generator = np.random.default_rng(2)
    truth = generator.normal(size=(windows, horizon, targets)) * 3
    truth[1, 2, 0] = truth[4] = np.nan
    return truth, np.sort(generator.normal(size=(*truth.shape, len(LEVELS))), axis=-1)


def test_scores_of_quantiles_are_those_of_a_loop():
    truth, found = told()
    sums = quantile_sums(truth, found, LEVELS, point=False)
    rows = [(y, found[i]) for i, y in np.ndenumerate(truth) if np.isfinite(y)]
    charged = [max(q * (y - v), (q - 1) * (y - v)) for y, own in rows for q, v in zip(LEVELS, own)]
    total = {name: column.sum() for name, column in sums.items()} | {"count": float(len(rows))}
    scores = quantile_scores(total)
    assert scores["pinball"] == pytest.approx(sum(charged) / len(charged))
    assert scores["WQL"] == pytest.approx(2 * sum(charged) / len(LEVELS) / sum(abs(y) for y, _ in rows))
    inside = sum(own[0] <= y <= own[-1] for y, own in rows) / len(rows)
    width = sum(own[-1] - own[0] for _, own in rows) / len(rows)
    assert scores["quantile coverage"] == pytest.approx(inside)
    assert outer_facts(total) == {k: pytest.approx(v) for k, v in zip(
        ("nominal", "coverage", "width"), (0.7, inside, width)
    )}  # fmt: skip


def test_one_value_for_all_quantiles_has_no_interval_and_the_wql_of_its_absolute_error():
    truth, found = told()
    point = found[..., 1]
    sums = quantile_sums(truth, np.repeat(point[..., None], 3, -1), (0.1, 0.5, 0.9), point=True)
    total = {name: column.sum() for name, column in sums.items()} | {"count": 39.0}
    expected = np.nansum(np.abs(truth - point)) / np.nansum(np.abs(truth))
    assert quantile_scores(total)["WQL"] == pytest.approx(expected)
    assert np.isnan(quantile_scores(total)["quantile coverage"])
    assert set(outer_facts(total).values()) == {None}


def test_levels_as_people_write_them():
    assert parse_levels(None) == parse_levels("") == ()
    assert parse_levels("0.1, .5,0.9") == parse_levels([0.1, 0.5, 0.9]) == (0.1, 0.5, 0.9)
    for wrong in ("0.1;0.5", "0,0.5", "0.5,1", "0.5,0.1", "0.5,0.5", "nan,0.5", "a"):
        with pytest.raises(ConfigError, match="numbers between 0 and 1"):
            parse_levels(wrong)
    with pytest.raises(ConfigError) as caught:
        parse_levels("0.2,0.8")
    assert "--quantiles 0.2,0.5,0.8" in str(caught.value)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"quantiles": "0.1,0.5", "decode": "recursive"}, "fed its own forecasts"),
        ({"quantiles": "0.1,0.5", "decode": "segments-recurrent"}, "fed its own forecasts"),
        ({"quantiles": "0.1,0.5", "loss": "mae"}, "learned by the pinball loss"),
        ({"metric": "WQL"}, "without --quantiles"),
    ],
)
def test_what_does_not_go_with_quantiles_is_refused(options, words):
    with pytest.raises(ConfigError, match=words):
        ForecastOptions(**options).check()


@pytest.fixture(scope="module", params=["direct", "segments"])
def trained(request):
    rows = 500
    data = pl.DataFrame({"y": wave(rows, period=7.0) + 0.4 * np.random.default_rng(3).normal(size=rows)})
    own = Forecaster("gru", 8, horizon=3, input=14, decode=request.param, quantiles="0.1,0.5,0.8", metric="WQL",
                     epochs=12, lr=1e-2)  # fmt: skip
    return own.fit(data, "y"), data


def test_a_network_learns_quantiles_that_hold_their_share(trained):
    forecaster, _ = trained
    errors = forecaster.task.errors(forecaster.network)
    assert abs(errors.details()["quantiles"]["coverage"] - 0.7) < 0.12
    assert errors.scores()["WQL"] < forecaster.task.errors(LastValue()).scores()["WQL"]
    assert errors.scores()["MAE"] < forecaster.task.errors(LastValue()).scores()["MAE"]
    assert WindowErrors.from_arrays(errors.arrays()).details() == errors.details()


def test_the_loss_is_the_mean_pinball_loss_of_standardised_values(trained):
    task, network = trained[0].task, trained[0].network
    indices = np.arange(5, 40, 3)
    batch = task.windows.batch("train", indices)
    with torch.no_grad():
        error = batch.y.unsqueeze(-1) - network(batch.x, batch.last)
        total, weight = ForecastProblem(task).loss(network, torch.from_numpy(indices))
    q = torch.tensor(LEVELS)
    expected = torch.where(error >= 0, q * error, (q - 1) * error).mean()
    torch.testing.assert_close(total / weight, expected)


def test_intervals_are_the_outermost_quantiles_moved(trained):
    task, network = trained[0].task, trained[0].network
    quantiles = task.told(network, "valid")
    truth = task.windows.targets_original("valid", np.arange(len(quantiles))).values
    off = np.sort(np.maximum(quantiles[..., 0] - truth, truth - quantiles[..., -1]), axis=0)
    move = off[int(np.ceil(0.9 * (len(off) + 1))) - 1]
    found = trained[0].predict()
    np.testing.assert_allclose(found["y_low"], found["y_q0.1"] - move[:, 0], rtol=1e-6)
    np.testing.assert_allclose(found["y_high"], found["y_q0.8"] + move[:, 0], rtol=1e-6)
    assert task.errors(network).scores()["coverage"] > 0.75


def test_a_column_for_each_quantile(trained, tmp_path):
    forecaster, data = trained
    found = forecaster.predict()
    assert found.columns == ["step", "y", "y_low", "y_high", "y_q0.1", "y_q0.5", "y_q0.8"]
    assert (found["y_q0.1"] <= found["y"]).all()
    assert (found["y"] <= found["y_q0.8"]).all()
    assert found["y"].to_list() == found["y_q0.5"].to_list()
    forecaster.save(tmp_path / "run")
    again = Forecaster.load(tmp_path / "run")
    assert again.predict(data).equals(found)
    assert again.evaluate(data)["network"] == forecaster.evaluate()["network"]


def test_several_series_and_targets_keep_their_places():
    forecaster = small(quantiles="0.25,0.5", epochs=1, interval=0.0).fit(shops(), ("y", "z"), group="shop")
    found, task = forecaster.predict(), forecaster.task
    assert found.columns == ["shop", "day", *(f"{c}{end}" for c in "yz" for end in ("", "_q0.25", "_q0.5"))]
    count = task.windows.count("test")
    quantiles = task.told(forecaster.network, "test")
    assert quantiles.shape == (count, 3, 2, 2)
    assert (np.diff(quantiles, axis=-1) >= 0).all()
    np.testing.assert_array_equal(task.forecast(forecaster.network, "test"), quantiles[..., 1])
    mean = found.group_by("shop").agg(pl.col("y").mean(), pl.col("z").mean()).sort("shop")
    assert mean["y"][2] > 10 * abs(mean["y"][0])
    assert mean["z"].is_between(-7, -3).all()


def test_a_look_inside_is_of_the_median(trained):
    forecaster, _ = trained
    probe = forecaster.task.probe(forecaster.network)
    assert (probe.loss is None) == (probe.reads > 1) == (forecaster.task.options.decode == "segments")
    if probe.loss is not None:
        output, _ = probe.layer(probe.x)
        task = forecaster.task
        count = task.windows.count("valid")
        indices = np.unique(np.linspace(0, count - 1, 32).round().astype(int))
        batch = task.windows.batch("valid", indices)
        with torch.no_grad():
            median = forecaster.network(batch.x, batch.last)[..., 1]
        expected = (median - batch.y).square().sum((1, 2))
        torch.testing.assert_close(probe.loss(output[:, -1]).float(), expected, rtol=1e-3, atol=1e-4)


def test_the_words_of_a_result_are_json(trained):
    task = trained[0].task
    assert json.loads(json.dumps(task.described("WQL", "hidden")))["quantiles"] == list(LEVELS)
    assert "0.1, 0.5, 0.8" in task.protocol()
    made = task_of(trained[1], "y", horizon=3, input=14, quantiles="0.5")
    network = made.network(NetworkOptions(hidden=3), 0)
    assert made.errors(network).details()["quantiles"]["coverage"] is None
