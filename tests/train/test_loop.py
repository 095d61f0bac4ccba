"""The training loop against a plain one, and against what its settings say by hand."""

import json
import math

import pytest
import torch
from torch import nn
from torch.optim.optimizer import register_optimizer_step_pre_hook

from train.making import SETTINGS, Scripted, Summing, Sums, small_epochs
from unroll.nn import RNNCell
from unroll.train import FitSettings, epoch_order, fit, read_history
from unroll.train import loop as training
from unroll.train.settings import KEPT


@pytest.fixture(autouse=True)
def _small():
    with small_epochs():
        yield


def linear():
    torch.manual_seed(0)
    return nn.Linear(3, 1, bias=False)


def scripted(valid, tmp_path=None, **changes):
    """``fit`` on validation losses given beforehand."""
    gradient, bad_after = changes.pop("gradient", 1.0), changes.pop("bad_after", None)
    network, problem = linear(), Scripted(valid, gradient, bad_after)
    settings = FitSettings(**{"epochs": len(valid), "patience": 99, "decay_after": 99} | changes)
    return fit(network, problem, settings, folder=tmp_path), problem, network


def test_equals_a_plain_loop():
    """Bit for bit: AdamW, gradient clipping, halving, the best weights."""
    torch.manual_seed(3)
    network = Summing(dropout=0.3)
    result = fit(network, Sums(), SETTINGS)
    torch.manual_seed(3)
    plain, problem = Summing(dropout=0.3), Sums()
    optimizer = torch.optim.AdamW(plain.parameters(), lr=SETTINGS.lr, weight_decay=SETTINGS.weight_decay)
    losses, best = [], None
    for epoch in range(SETTINGS.epochs):
        plain.train()
        for batch in epoch_order(SETTINGS.seed, epoch, problem.train_count, SETTINGS.epoch_size).split(16):
            optimizer.zero_grad()
            problem.loss(plain, batch).backward()
            nn.utils.clip_grad_norm_(plain.parameters(), SETTINGS.clip_norm)
            optimizer.step()
        plain.eval()
        with torch.no_grad():
            losses.append(problem.validation_loss(plain))
        if losses[-1] == min(losses):
            best = {name: value.clone() for name, value in plain.state_dict().items()}
        else:
            optimizer.param_groups[0]["lr"] *= 0.5
    assert [r["valid_loss"] for r in result.records] == losses
    assert all(torch.equal(best[name], value) for name, value in network.state_dict().items())


@pytest.mark.parametrize(
    ("valid", "patience", "epochs", "stopped", "best"),
    [
        ([5, 4, 3, 3, 3, 3, 3], 3, 6, "early", 3),
        ([5, 4, 3, 2.9, 3, 3, 3], 3, 7, "early", 4),
        ([1, 2, 2, 2], 1, 2, "early", 1),
        ([5, 4, 3], 3, 3, "epochs", 3),
        ([5, 6, 7], 9, 3, "epochs", 1),
        ([3, 2, 2, 1], 2, 4, "epochs", 4),
    ],
)
def test_ends_by_patience_or_epochs_with_the_best_weights(valid, patience, epochs, stopped, best):
    result, problem, network = scripted(valid, patience=patience)
    assert (result.epochs, result.stopped, result.best_epoch) == (epochs, stopped, best)
    assert result.best_loss == min(valid)
    assert torch.equal(network.weight, problem.weights[best - 1])
    assert not network.training


@pytest.mark.parametrize("ema", [0.0, 0.9])
@pytest.mark.parametrize("valid", [[5, 4, 3, 3, 3], [1, 2, 2, 2], [5, 4, 3]])
def test_the_last_weights_are_those_after_all_epochs(valid, ema):
    result, problem, network = scripted(valid, patience=1, keep="last", ema=ema)
    assert (result.epochs, result.stopped) == (len(valid), "epochs")
    assert (result.best_epoch, result.best_loss) == (valid.index(min(valid)) + 1, min(valid))
    assert torch.equal(network.weight, problem.weights[-1])
    assert not network.training


@pytest.mark.parametrize("ema", [0.0, 0.9])
def test_the_last_weights_of_a_training_that_was_interrupted(tmp_path, ema):
    valid = [3.0, 1.0, 2.0, 2.5, 2.5]
    with pytest.raises(IndexError):
        scripted(valid[:3], tmp_path, epochs=5, ema=ema, keep="last")
    network, problem = linear(), Scripted(valid)
    problem.weights = [None] * 3
    settings = FitSettings(epochs=5, patience=1, ema=ema, keep="last")
    assert fit(network, problem, settings, folder=tmp_path).stopped == "epochs"
    _, script, expected = scripted(valid, ema=ema, keep="last")
    assert torch.equal(network.weight, expected.weight)
    again = linear()
    fit(again, problem, settings, folder=tmp_path)
    assert torch.equal(again.weight, script.weights[4])


def test_best_weights_from_before_an_interruption_are_kept(tmp_path):
    valid = [3.0, 1.0, 2.0, 2.5, 2.5]
    with pytest.raises(IndexError):
        scripted(valid[:3], tmp_path, epochs=5)
    network, problem = linear(), Scripted(valid)
    problem.weights = [None] * 3
    result = fit(network, problem, FitSettings(epochs=5), folder=tmp_path)
    whole, script, expected = scripted(valid)
    assert (result.best_epoch, result.best_loss) == (whole.best_epoch, whole.best_loss) == (2, 1.0)
    assert torch.equal(network.weight, script.weights[1])
    assert torch.equal(network.weight, expected.weight)
    assert [r["valid_loss"] for r in result.records] == valid


@pytest.mark.parametrize("decay_after", [1, 2, 3])
def test_the_rate_is_halved_after_every_so_many_epochs_without_a_better_loss(decay_after):
    valid = [9, 9, 9, 8, 8, 8, 8, 8, 7, 7, 7, 7, 7, 7]
    result, _, _ = scripted(valid, decay_after=decay_after, lr=0.1)
    rate, best, waited, expected = 0.1, math.inf, 0, []
    for loss in valid:
        expected.append(rate)
        best, waited = min(best, loss), 0 if loss < best else waited + 1
        rate *= 0.5 if waited and waited % decay_after == 0 else 1.0
    assert [r["lr"] for r in result.records] == expected


def test_out_of_time_ends_after_a_batch_with_a_whole_record(tmp_path):
    result, problem, network = scripted([3.0, 2.0], tmp_path, max_seconds=0.0, batch_size=8)
    assert (result.stopped, result.epochs, problem.calls) == ("budget", 1, 1)
    record = read_history(tmp_path / "metrics.jsonl")[0]
    assert record["valid_loss"] == 3.0
    assert math.isfinite(record["train_loss"])
    assert torch.equal(network.weight, problem.weights[0])


def test_time_ends_training_between_epochs():
    settings = FitSettings(epochs=1000, patience=1000, batch_size=16, max_seconds=0.3)
    result = fit(Summing(), Sums(), settings)
    assert result.stopped == "budget"
    assert result.train_seconds >= 0.3
    assert 1 <= result.epochs == len(result.records) < 1000


def test_a_rate_far_too_high_is_said_to_diverge(tmp_path):
    torch.manual_seed(0)
    network = Summing(cell=RNNCell(2, 6, nonlinearity="relu"))
    result = fit(network, Sums(), FitSettings(lr=9.9, epochs=9, batch_size=16), folder=tmp_path)
    assert result.stopped == "diverged"
    assert result.best_epoch <= result.epochs == len(result.records)
    assert all(torch.isfinite(p).all() for p in network.parameters()) or result.best_epoch == 0
    assert_strict_json(tmp_path / "metrics.jsonl")


def test_diverging_at_once_leaves_no_best_epoch(tmp_path):
    result, _, _ = scripted([math.nan], tmp_path, bad_after=0)
    assert (result.stopped, result.epochs, result.best_epoch, result.best_loss) == ("diverged", 1, 0, math.inf)
    assert_strict_json(tmp_path / "metrics.jsonl")


@pytest.mark.parametrize("keep", KEPT)
@pytest.mark.parametrize("bad_after", [1, 2])
def test_diverging_later_gives_the_best_weights_until_then(tmp_path, bad_after, keep):
    valid = [3.0, 2.0, math.nan, math.nan][-2 - bad_after :]
    result, problem, network = scripted(valid, tmp_path, bad_after=bad_after, keep=keep)
    assert (result.stopped, result.epochs, result.best_epoch) == ("diverged", bad_after + 1, bad_after)
    assert torch.equal(network.weight, problem.weights[bad_after - 1])
    assert torch.isfinite(network.weight).all()
    assert_strict_json(tmp_path / "metrics.jsonl")
    assert result.records[-1]["train_loss"] is result.records[-1]["valid_loss"] is None


def assert_strict_json(path):
    def refuse(word):
        raise AssertionError(f"{path} holds {word}")

    assert [json.loads(line, parse_constant=refuse) for line in path.read_text().splitlines()]


@pytest.mark.parametrize(("gradient", "clip"), [(100.0, 1.0), (3.0, 0.5), (0.1, 1.0)])
def test_the_gradient_is_cut_and_its_norm_before_that_recorded(gradient, clip):
    norms = []

    def watch(optimizer, *_):
        values = [p.grad for group in optimizer.param_groups for p in group["params"]]
        norms.append(float(torch.cat([v.flatten() for v in values]).norm()))

    hook = register_optimizer_step_pre_hook(watch)
    try:
        result, _, _ = scripted([1.0], gradient=gradient, clip_norm=clip, batch_size=16)
    finally:
        hook.remove()
    before = gradient * math.sqrt(3)
    assert len(norms) == 4
    assert max(norms) <= clip
    assert norms == pytest.approx([min(before, clip)] * 4, rel=1e-5)
    assert result.records[0]["gradient_norm"] == pytest.approx(before, rel=1e-6)
    assert result.records[0]["clipped_share"] == (before > clip)


def test_progress_hears_every_record():
    heard = []
    result = fit(linear(), Scripted([2.0, 1.0]), FitSettings(epochs=2), progress=heard.append)
    assert heard == result.records
    assert [r["epoch"] for r in heard] == [1, 2]


def test_an_epoch_visits_every_example_once_in_an_order_of_its_own():
    orders = [epoch_order(seed, epoch, 50, 50) for seed in range(3) for epoch in range(3)]
    assert all(sorted(order.tolist()) == list(range(50)) for order in orders)
    assert len({tuple(order.tolist()) for order in orders}) == 9
    assert torch.equal(epoch_order(1, 2, 50, 50), epoch_order(1, 2, 50, 50))


@pytest.mark.parametrize(("count", "most", "least", "expected"), [(50, 20, 0, 20), (50, 99, 120, 120), (7, 99, 0, 7)])
def test_an_epoch_is_no_longer_and_no_shorter_than_asked(count, most, least, expected):
    order = epoch_order(0, 0, count, most, least)
    assert len(order) == expected
    visits = torch.bincount(order, minlength=count)
    assert visits.max() - visits.min() <= 1


def test_order_needs_no_generator_of_torch():
    torch.manual_seed(0)
    state = torch.get_rng_state()
    epoch_order(0, 0, 50, 50)
    assert torch.equal(state, torch.get_rng_state())


def test_small_sets_go_round(monkeypatch):
    monkeypatch.setattr(training, "EPOCH_LEAST", 128)
    result, problem, _ = scripted([1.0], batch_size=16)
    assert problem.calls == 8
    assert result.epochs == 1
