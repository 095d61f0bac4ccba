"""Every decoder from data to forecasts: what it learns, what it is called with, how a run of it comes back."""

import numpy as np
import polars as pl
import pytest
import torch

from tasks.making import frame, shops, small, task_of
from unroll.comparison.inside import look_inside, step_microseconds
from unroll.errors import ConfigError
from unroll.inspect import keep_timescale, trace
from unroll.tasks import Forecaster, ForecastOptions, NetworkOptions, Sizes
from unroll.tasks.forecast.network import build_network, segment_length
from unroll.tasks.forecast.options import DECODERS

ROWS = 300


@pytest.mark.parametrize("cell", ["gru", "lstm", "qrnn"])
def test_recursive_decoding_learns_to_count_on(cell):
    data = pl.DataFrame({"x": np.arange(float(ROWS))})
    options = {"hidden": 4, "horizon": 3, "input": 3, "loss": "mse", "lr": 1e-2, "epochs": 30, "decay_after": 2}
    forecaster = Forecaster(cell, decode="recursive", **options).fit(data, "x")
    task = forecaster.task
    truth = task.windows.targets_original("test", np.arange(task.windows.count("test"))).values
    assert truth.min() > task.series_set.series[0].values[: task.ranges["x"].train[1]].max()
    # A forecast one step early or late is a whole 1 off.
    np.testing.assert_allclose(task.forecast(forecaster.network, "test"), truth, rtol=0, atol=0.25)
    np.testing.assert_allclose(forecaster.predict()["x"], [ROWS, ROWS + 1, ROWS + 2], rtol=0, atol=0.25)


@pytest.mark.parametrize("normalise", ["last", "revin"])
@pytest.mark.parametrize("decode", DECODERS)
def test_a_run_comes_back(decode, normalise, tmp_path):
    options = {"decode": decode, "normalise": normalise, "affine": normalise == "revin", "dropout": 0.2}
    forecaster = small(**options).fit(shops(), ("y", "z"), group="shop", out=tmp_path / "run")
    again = Forecaster.load(tmp_path / "run")
    assert repr(again.network) == repr(forecaster.network)
    assert again.predict(shops()).equals(forecaster.predict())
    assert again.evaluate(shops())["network"] == forecaster.evaluate()["network"]


@pytest.mark.parametrize("decode", DECODERS)
def test_a_look_inside_says_what_there_is_to_say(decode):
    task = task_of(frame(), "y", horizon=3, input=14, decode=decode)
    network = task.network(NetworkOptions("gru", 4), 0).eval()
    found = look_inside(task, NetworkOptions("gru", 4), network, 0)
    segmented = decode.startswith("segments")
    assert network.reads == (task.season if segmented else 1)
    assert (found["gradient"] is None) == (step_microseconds(network) is None) == segmented
    if not segmented:
        assert max(found["gradient"]["lags"]) == 13
    keep = keep_timescale(trace(task.probe(network).layer, task.probe(network).x))
    assert found["keep"]["tau"]["median"] == pytest.approx(network.reads * keep.quantile(0.5))


def test_the_gradient_of_recursive_decoding_is_that_of_its_first_step():
    task = task_of(frame(), "y", horizon=3, input=8, decode="recursive")
    network = task.network(NetworkOptions("gru", 4), 0)
    probe = task.probe(network)
    output, _ = probe.layer(probe.x)
    count = task.windows.count("valid")
    batch = task.windows.batch("valid", np.unique(np.linspace(0, count - 1, 32).round().astype(int)))
    with torch.no_grad():
        expected = (network.eval()(batch.x, batch.last)[:, 0] - batch.y[:, 0]).square().sum(1)
    torch.testing.assert_close(probe.loss(output[:, -1]).float(), expected, rtol=1e-3, atol=1e-5)


def test_how_long_a_segment_is():
    sizes = Sizes(channels=1, targets=1, input=30, horizon=10, season=7)
    assert segment_length(ForecastOptions(decode="segments"), sizes) == 7
    assert segment_length(ForecastOptions(decode="segments", segment=9), sizes) == 9
    assert segment_length(ForecastOptions(decode="segments"), sizes._replace(season=None)) == 12
    assert segment_length(ForecastOptions(decode="segments"), sizes._replace(season=365)) == 30
    with pytest.raises(ConfigError, match="no longer than the history"):
        segment_length(ForecastOptions(decode="segments", segment=31), sizes)


@pytest.mark.parametrize("more", [{"channels": 3}, {"future": 1}])
@pytest.mark.parametrize("decode", ["segments", "segments-recurrent"])
def test_what_is_not_forecast_is_refused_by_decoders_that_forecast_all_they_read(decode, more):
    sizes = Sizes(**{"channels": 2, "targets": 2, "input": 30, "horizon": 10} | more)
    with pytest.raises(ConfigError, match="where 1 number of a row"):
        build_network(NetworkOptions(), ForecastOptions(decode=decode), sizes)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"decode": "segment"}, "Did you mean 'segments'"),
        ({"normalise": "revinn"}, "Did you mean 'revin'"),
        ({"segment": 4}, "Give --decode segments"),
        ({"segment": 0, "decode": "segments"}, "above 0"),
        ({"affine": True}, "Give --normalise revin"),
    ],
)
def test_options_that_do_not_fit_are_refused(options, words):
    with pytest.raises(ConfigError) as caught:
        task_of(frame(), "y", **options)
    assert words in str(caught.value)
