"""Whatever the optimizer, schedule, average and accumulation: interrupted and continued gives the same, to the bit."""

import signal

import pytest
import torch

from train.making import Summing, Sums, ended, finished, outcome, small_epochs, sums_run
from unroll.train import OPTIMIZERS, SCHEDULES, FitSettings, fit
from unroll.train import loop as training
from unroll.train.checkpoint import load_checkpoint

MOMENTUM = {"sgd": {"momentum": 0.9, "nesterov": True}, "rmsprop": {"momentum": 0.5}}


class StoppedError(Exception):
    pass


class Interrupted(Sums):
    """Ends training inside the batch after ``whole`` ones."""

    def __init__(self, whole):
        super().__init__()
        self.whole = whole

    def loss(self, network, indices):
        found = super().loss(network, indices)
        if self.batches > self.whole:
            raise StoppedError
        return found


def settings_of(optimizer, schedule, ema, accumulate):
    return FitSettings(
        lr=1e-2, epochs=4, patience=9, batch_size=16, decay_after=1, optimizer=optimizer, schedule=schedule, ema=ema,
        accumulate=accumulate, warmup=3, weight_decay=0.1, **MOMENTUM.get(optimizer, {}),
    )  # fmt: skip


def trained(folder, settings, problem):
    torch.manual_seed(1)
    network = Summing(dropout=0.3)
    with small_epochs():
        result = fit(network, problem, settings, folder=folder)
    records = [{k: v for k, v in r.items() if k != "seconds"} for r in result.records]
    return records, (result.best_epoch, result.best_loss), [p.detach().clone() for p in network.parameters()]


@pytest.mark.parametrize("accumulate", [1, 3])
@pytest.mark.parametrize("ema", [0.0, 0.8])
@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_interrupted_and_continued(tmp_path, monkeypatch, optimizer, schedule, ema, accumulate):
    """Of an epoch's 10 batches 4 updates are made where 3 are taken together: 17 is inside one."""
    settings = settings_of(optimizer, schedule, ema, accumulate)
    expected = trained(tmp_path / "whole", settings, Sums())
    monkeypatch.setattr(training, "CHECKPOINT_SECONDS", 0.0)
    for whole, done in ((2, {1: 2, 3: 0}), (17, {1: 19, 3: 6})):
        with pytest.raises(StoppedError):
            trained(tmp_path / "cut", settings, Interrupted(whole))
        path = tmp_path / "cut" / "checkpoints" / "last.safetensors"
        assert (load_checkpoint(path).position["updates"] if path.exists() else 0) == done[accumulate]
    records, best, weights = trained(tmp_path / "cut", settings, Sums())
    assert (records, best) == expected[:2]
    assert all(torch.equal(a, b) for a, b in zip(weights, expected[2], strict=True))


@pytest.mark.parametrize(
    "options",
    [
        {"optimizer": "sgd", "momentum": 0.9, "schedule": "cosine", "ema": 0.9, "accumulate": 3, "warmup": 0.2},
        {"optimizer": "rmsprop", "schedule": "inverse", "accumulate": 4},
        {"schedule": "linear", "ema": 0.99, "precision": "bfloat16"},
    ],
    ids=["sgd", "rmsprop", "bfloat16"],
)
def test_killed_and_continued(tmp_path, options):
    finished(sums_run, tmp_path / "whole", 0.3, options=options)
    for last in (5, 14, 9):
        killed = ended(sums_run, tmp_path / "cut", 0.3, checkpoint_seconds=0.0, last=last, options=options)
        assert killed == -signal.SIGKILL
    finished(sums_run, tmp_path / "cut", 0.3, options=options)
    assert outcome(tmp_path / "cut") == outcome(tmp_path / "whole")
