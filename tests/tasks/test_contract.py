"""Every registered task keeps the contract; parametrised over what is registered."""

import dataclasses
import json

import numpy as np
import pytest
import torch

from tasks.classifying import reviews, text_task, wave_task
from tasks.making import frame, task_of, wave
from tasks.tagging import inflected, tag_task
from unroll.errors import ConfigError, RunError
from unroll.tasks import TASKS, NetworkOptions, load_run, options_dict, options_from, prepare, task_kind
from unroll.train import FitSettings, RunFolder, fit

MAKERS = {
    "forecast": lambda: task_of(frame(), "y", horizon=3, input=8),
    "forecast, segments": lambda: task_of(frame(), "y", horizon=3, input=8, decode="segments", normalise="revin"),
    "forecast, a step at a time": lambda: task_of(frame(), "y", horizon=3, input=8, decode="recursive"),
    "forecast, quantiles": lambda: task_of(frame(), "y", horizon=3, input=8, quantiles="0.1,0.5,0.9"),
    "forecast, told the future": lambda: task_of(
        frame(160, price=wave(160, 3), f=wave(160, 4)), "y", known=("price",), features=("f",), horizon=3, input=8
    ),
    "classify": text_task,
    "tag": lambda: tag_task(),
    "tag, morphemes": lambda: tag_task(joined=True),
    "tag, features": lambda: tag_task(inflected(), reading={"field": "xpos"}),
    "tag, spans by a crf": lambda: tag_task(spans=True, decoder="crf", one_way=True),
    "classify, numbers": lambda: wave_task(pooling="max", bidirectional=True),
}
NETWORK = NetworkOptions("gru", 4)


@pytest.fixture(scope="module", params=MAKERS)
def task(request):
    return MAKERS[request.param]()


@pytest.fixture(scope="module")
def network(task):
    made = task.network(NETWORK, 0)
    fit(made, task.problem(), FitSettings(epochs=1, lr=1e-2))
    return made.eval()


def test_every_task_is_tried_here():
    assert {name.partition(",")[0] for name in MAKERS} == set(TASKS)


@pytest.mark.parametrize("kind", TASKS.values(), ids=TASKS)
def test_options_come_back_from_json(kind):
    for group in (kind.data, kind.options):
        held = json.loads(json.dumps(options_dict(group())))
        assert options_from(group, held) == group()
    assert kind.options.task == kind.name
    assert set(kind.reading) <= {field.name for field in dataclasses.fields(kind.data)}
    assert kind.estimator().kind is kind
    assert len(set(kind.names())) == len(kind.names())


def test_an_unknown_task_is_named():
    with pytest.raises(ConfigError, match="Did you mean 'classify'"):
        task_kind("clasify")


def test_a_run_of_an_unknown_task_is_named(tmp_path):
    RunFolder.open_for(tmp_path / "run", {"kind": "training", "task": "juggle"})
    with pytest.raises(RunError, match="task 'juggle'"):
        load_run(tmp_path / "run")


def test_the_same_seed_gives_the_same_network(task):
    a, b, c = (task.network(NETWORK, seed) for seed in (1, 1, 2))
    pairs = list(zip(a.parameters(), b.parameters(), c.parameters(), strict=True))
    assert all(torch.equal(x, y) for x, y, _ in pairs)
    assert not all(torch.equal(x, z) for x, _, z in pairs)
    assert task.parameters(NETWORK) == sum(p.numel() for p in a.parameters())


def test_scores_are_named_as_the_task_says(task, network):
    for predictor in (network, *task.baselines()[0]):
        errors = task.errors(predictor)
        assert list(errors.scores()) == list(task.metrics)
    assert task.metric in task.metrics
    assert task.fallback in task.metrics
    assert set(task.higher) <= set(task.metrics)


def test_errors_add_up_over_any_blocks(task, network):
    errors = task.errors(network)
    n = len(errors.series)
    block = np.random.default_rng(0).integers(0, 5, size=n)
    sums = errors.block_sums(block, 5)
    found = errors.score_arrays({name: column.sum(axis=0) for name, column in sums.items()})
    assert {m: pytest.approx(float(found[m]), nan_ok=True) for m in task.metrics} == {
        m: np.nan if v is None else v for m, v in errors.scores().items()
    }


def test_errors_come_back_from_their_arrays(task, network):
    errors = task.errors(network)
    again = type(errors).from_arrays(errors.arrays())
    assert again.scores() == errors.scores()
    assert np.array_equal(again.origins, errors.origins)
    assert TASKS[task.name].errors is type(errors)


def test_what_goes_into_a_result_is_strict_json(task, network):
    baselines, absent = task.baselines()
    parts = [task.record(), task.described(task.metric, "hidden"), task.data_facts(absent), task.protocol()]
    parts.append(task.shown({"GRU 4": network}, baselines, "GRU 4"))
    for part in parts:
        assert json.loads(json.dumps(part, allow_nan=False)) == part


def test_a_look_inside_leaves_the_network_as_it_was(task, network):
    before = {name: value.clone() for name, value in network.state_dict().items()}
    probe = task.probe(network)
    assert probe.x.dtype == torch.float64
    assert probe.layer is not network.encoder
    if probe.loss is not None:
        ends = torch.randn(len(probe.x), probe.layer.output_size, dtype=torch.float64)
        assert torch.isfinite(probe.loss(ends)).all()
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    assert all(p.dtype == torch.float32 for p in network.parameters())


def test_a_task_can_be_sent_to_a_worker(task, network):
    import pickle

    again = pickle.loads(pickle.dumps(task))
    assert again.errors(network).scores() == task.errors(network).scores()
    assert again.record() == task.record()


def test_prepare_finds_the_task_by_its_options():
    for kind in TASKS.values():
        with pytest.raises(ConfigError):
            prepare(reviews(), kind.data(), dataclasses.replace(kind.options(), metric="no such metric"))
