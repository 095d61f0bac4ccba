"""Small trainings for the tests of unroll.train, some of them in processes of their own that can be killed."""

import json
import multiprocessing
import os
import signal
import time
from contextlib import contextmanager
from functools import cache
from multiprocessing import forkserver
from pathlib import Path
from unittest import mock

import torch
import torch._dynamo  # the first optimizer loads it: loaded here, a forked process need not
from accelerate import Accelerator  # noqa: F401
from torch import nn

from unroll.nn import GRUCell, Recurrent
from unroll.tasks import Forecaster
from unroll.train import FitSettings, fit, read_history, save_weights, seed_everything
from unroll.train import loop as training

SETTINGS = FitSettings(lr=1e-2, epochs=7, patience=7, batch_size=16, decay_after=1)


class Sums:
    """Learn the sum of a short sequence; from batch ``quick`` on each waits ``pause`` seconds for its kill, and batch
    ``last`` kills its own process."""

    def __init__(self, pause=0.0, quick=0, last=None):
        generator = torch.Generator().manual_seed(5)
        self.x = torch.randn(224, 6, 2, generator=generator)
        self.y = self.x.sum(dim=(1, 2))
        self.train_count, self.pause, self.quick, self.last = 160, pause, quick, last
        self.batches = 0

    def loss(self, network, indices):
        self.batches += 1
        if self.batches == self.last:
            os.kill(os.getpid(), signal.SIGKILL)
        if self.batches > self.quick:
            time.sleep(self.pause)
        return (network(self.x[indices]) - self.y[indices]).square().mean()

    def validation_loss(self, network):
        rest = slice(self.train_count, None)
        return float((network(self.x[rest]) - self.y[rest]).square().mean())


class Summing(nn.Module):
    def __init__(self, dropout=0.0, cell=None):
        super().__init__()
        self.encoder = Recurrent(cell or GRUCell(2, 6), 2, dropout=dropout, batch_first=True)
        self.head = nn.Linear(6, 1)

    def forward(self, x):
        return self.head(self.encoder(x)[0][:, -1])[:, 0]


class Scripted:
    """Validation losses as given, one per epoch; remembers the weights each was asked for."""

    def __init__(self, valid, gradient=1.0, bad_after=None):
        self.valid, self.gradient, self.bad_after = valid, gradient, bad_after
        self.train_count, self.weights, self.calls = 64, [], 0

    def loss(self, network, indices):
        self.calls += 1
        bad = self.bad_after is not None and len(self.weights) >= self.bad_after
        return self.gradient * network.weight.sum() * (float("nan") if bad else 1.0)

    def validation_loss(self, network):
        self.weights.append(network.weight.detach().clone())
        return self.valid[len(self.weights) - 1]


@contextmanager
def small_epochs(count=0):
    """Epochs of the training examples alone, however few."""
    least = training.EPOCH_LEAST
    training.EPOCH_LEAST = count
    try:
        yield
    finally:
        training.EPOCH_LEAST = least


def sums_run(folder, dropout=0.0, checkpoint_seconds=60.0, seed=0, options=None, **kill):
    """A whole training in ``folder``: weights, metrics, and what ``fit`` returned, as files."""
    torch.set_num_threads(1)
    training.CHECKPOINT_SECONDS = checkpoint_seconds
    seed_everything(seed)
    network = Summing(dropout)
    with small_epochs():
        settings = FitSettings(**vars(SETTINGS) | {"seed": seed} | (options or {}))
        result = fit(network, Sums(**kill), settings, folder=Path(folder))
    save_weights(Path(folder) / "model.safetensors", network)
    figures = [result.epochs, result.best_epoch, result.best_loss, result.stopped, Sums().validation_loss(network)]
    (Path(folder) / "result.json").write_text(json.dumps(figures))


def forecaster_run(folder, data, **options):
    """``Forecaster.fit`` in ``folder``, and its scores beside it."""
    torch.set_num_threads(1)
    training.CHECKPOINT_SECONDS = 0.0
    forecaster = Forecaster(hidden=4, layers=2, horizon=3, input=8, epochs=4, dropout=0.2)
    forecaster.fit(data, "y", out=folder, **options)
    (Path(folder) / "result.json").write_text(json.dumps(forecaster.evaluate()))


@cache
def _loaded():
    """Processes are forked from one that has loaded this module and computed nothing: they start at once."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])
    path = os.pathsep.join([str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH", "")])
    with mock.patch.dict(os.environ, PYTHONPATH=path):
        forkserver.ensure_running()
    return context


def started(target, *arguments, **options):
    process = _loaded().Process(target=target, args=arguments, kwargs=options)
    process.start()
    return process


def finished(target, *arguments, **options):
    assert ended(target, *arguments, **options) == 0


def ended(target, *arguments, **options):
    process = started(target, *arguments, **options)
    process.join(60)
    return process.exitcode


def killed_after(records, delay, target, folder, *arguments, **options):
    """Start ``target`` and kill it ``delay`` seconds after ``metrics.jsonl`` holds ``records`` lines."""
    process = started(target, folder, *arguments, **options)
    until = time.monotonic() + 60
    while len(lines(folder)) < records and process.is_alive() and time.monotonic() < until:
        time.sleep(0.002)
    time.sleep(delay)
    process.kill()
    process.join()
    return process.exitcode


def lines(folder):
    path = Path(folder) / "metrics.jsonl"
    return path.read_bytes().splitlines() if path.exists() else []


def outcome(folder):
    """All a run leaves that must not depend on how often it was killed."""
    folder = Path(folder)
    records = [{k: v for k, v in r.items() if k != "seconds"} for r in read_history(folder / "metrics.jsonl")]
    return (folder / "model.safetensors").read_bytes(), records, json.loads((folder / "result.json").read_text())
