"""Trainings shared by several processes over gloo, and the same ones by a single process."""

import json
import os
import socket
import time
from pathlib import Path

import torch
from torch import nn

from tasks.classifying import text_task
from tasks.making import frame, task_of
from tasks.tagging import tag_task
from train.making import Summing, Sums, small_epochs, started
from unroll.errors import UnrollError
from unroll.tasks import NetworkOptions
from unroll.train import FitSettings, fit
from unroll.train import loop as training


class Weighted(Sums):
    """Examples weigh from 0 to 3, so that the mean of the parts' means is not the mean."""

    def __init__(self):
        super().__init__()
        self.x, self.y = self.x.double(), self.y.double()
        self.weight = torch.arange(len(self.x)) % 4

    def loss(self, network, indices):
        weight = self.weight[indices]
        return (weight * (network(self.x[indices]) - self.y[indices]).square()).sum(), weight.sum()


class Plain(Weighted):
    def loss(self, network, indices):
        return Sums.loss(self, network, indices)


class Partly(nn.Module):
    """A weight that no loss reads has no gradient in any process, and AdamW leaves it as it is."""

    def __init__(self):
        super().__init__()
        self.inner, self.unread = Summing(), nn.Parameter(torch.ones(3))

    def forward(self, x):
        return self.inner(x)


TASKS = {
    "forecast": lambda: task_of(frame(), "y", horizon=3, input=8),
    "classify": lambda: text_task(class_weight="balanced"),
    "tag": tag_task,
    "tag, morphemes": lambda: tag_task(joined=True),
    "tag, crf": lambda: tag_task(spans=True, decoder="crf"),
}
CASES = {
    "even": (Plain, {}),
    "weighted": (Weighted, {}),
    "ragged": (Weighted, {"batch_size": 7}),
    "smaller than the processes": (Weighted, {"batch_size": 1, "epoch_size": 10}),
    "accumulated": (Weighted, {"batch_size": 3, "accumulate": 4}),
    "one to a batch, accumulated": (Plain, {"batch_size": 1, "accumulate": 5, "epoch_size": 20}),
    "averaged": (Weighted, {"ema": 0.9, "optimizer": "sgd", "momentum": 0.9, "schedule": "cosine", "warmup": 4}),
    "out of time": (Weighted, {"max_seconds": 0.0}),
    "stopped early": (Plain, {"lr": 0.3, "epochs": 30, "patience": 2}),
}


def network_of(kind):
    torch.manual_seed(3)
    return (Partly if kind is Weighted else Summing)().double()


def fitted(network, problem, options, folder=None):
    common = {"lr": 1e-2, "epochs": 3, "batch_size": 16, "epoch_size": 60, "decay_after": 1, "weight_decay": 0.1}
    settings = FitSettings(**common | options)
    heard = []
    with small_epochs():
        result = fit(network, problem, settings, folder=folder, progress=heard.append)
    records = [{k: v for k, v in r.items() if k != "seconds"} for r in result.records]
    weights = {name: p.detach().clone() for name, p in network.named_parameters()}
    return records, result.stopped, weights, len(heard)


def every_case():
    """Records, reason of the end, weights, and how often progress was told, of every case by name."""
    found = {name: fitted(network_of(kind), kind(), options) for name, (kind, options) in CASES.items()}
    for name, make in TASKS.items():
        task = make()
        network = as_double(task.network(NetworkOptions("gru", 4), 0))
        problem = task.problem()
        if hasattr(problem, "_weight"):
            problem._weight = problem._weight.double()
        found[name] = fitted(network, problem, {"batch_size": 5, "epoch_size": 40, "epochs": 2})
    return found


def as_double(network):
    """In float64, of what a task gives in float32 too."""
    if not hasattr(network, "reader"):
        network.register_forward_pre_hook(
            lambda module, inputs: tuple(x.double() if x.is_floating_point() else x for x in inputs)
        )
    return network.double()


def variables(index, count, port):
    return {
        "RANK": str(index), "LOCAL_RANK": str(index), "WORLD_SIZE": str(count), "LOCAL_WORLD_SIZE": str(count),
        "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "OMP_NUM_THREADS": "1",
    }  # fmt: skip


def launch_variables(count):
    """What a launcher tells each of ``count`` processes."""
    port = free_port()
    return [variables(index, count, port) for index in range(count)]


def join(index, count, port):
    """Make this process one of ``count``, as torchrun does."""
    torch.set_num_threads(1)
    os.environ |= variables(index, count, port)


def all_cases(index, count, port, folder):
    join(index, count, port)
    torch.save(every_case(), Path(folder) / f"{index}.pt")


RESUMED = {"batch_size": 16, "epoch_size": 160, "accumulate": 3, "ema": 0.9}


def resumed_run(index, count, port, folder, last=None):
    """A training with dropout, whose process ``last`` batches kill."""
    join(index, count, port)
    training.CHECKPOINT_SECONDS = 0.0
    torch.manual_seed(index)  # the first one's weights are given to all
    network = Summing(dropout=0.3)
    records, *_ = fitted(network, Sums(last=last), RESUMED, Path(folder))
    torch.save((records, network.state_dict()), Path(folder) / f"{index}.pt")


class Failing(Sums):
    """One of the processes fails, in its loss or where the first validates, and lives on."""

    def __init__(self, where):
        super().__init__()
        self.where = where

    def loss(self, network, indices):
        if self.where == int(os.environ["RANK"]) and self.batches == 7:
            raise ValueError("no more")
        return super().loss(network, indices)

    def validation_loss(self, network):
        if self.where == "validation":
            raise ValueError("nothing to validate on")
        return super().validation_loss(network)


def failing_run(index, count, port, folder, where):
    """Writes what it ends with, and stays."""
    join(index, count, port)
    begun = time.monotonic()
    try:
        fitted(Summing(), Failing(where), {"batch_size": 16})
        found = "nothing"
    except (UnrollError, ValueError) as error:
        found = f"{type(error).__name__}: {error}"
    (Path(folder) / f"{index}.json").write_text(json.dumps([found, time.monotonic() - begun]))
    time.sleep(60)


def together(target, count, *arguments):
    """``target`` in ``count`` processes, started."""
    port = free_port()
    return [started(target, index, count, port, *arguments) for index in range(count)]


def ended(processes, seconds=300):
    until = time.monotonic() + seconds
    for process in processes:
        process.join(max(0.0, until - time.monotonic()))
    codes = [process.exitcode for process in processes]
    for process in processes:
        process.kill()
    return codes


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
