"""The training loop: gradient clipping, early stopping, checkpoints, and resuming to the bit."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from unroll.errors import RunError
from unroll.train.average import Average
from unroll.train.checkpoint import load_checkpoint, load_weights, save_checkpoint, save_weights
from unroll.train.history import History
from unroll.train.optimizer import optimizer_of
from unroll.train.problem import Problem
from unroll.train.processes import Processes
from unroll.train.schedule import Moment, Schedule
from unroll.train.seed import epoch_order
from unroll.train.settings import FitSettings
from unroll.train.update import Gradient

EPOCH_LEAST = 2_000
"""An epoch over fewer examples goes round until it has visited this many, so that a small set is not starved of
steps between two looks at the validation loss."""
CHECKPOINT_SECONDS = 60.0
"""A long epoch is also saved in its middle, this often."""


@dataclass(frozen=True)
class FitResult:
    """How it went. ``stopped`` is "early", "epochs", "budget" or "diverged".

    The network holds its best weights, or its last ones where those are to be kept and are numbers; ``best_epoch`` is
    that of the lowest validation loss in either case.
    """

    epochs: int
    best_epoch: int
    best_loss: float
    train_seconds: float
    stopped: str
    records: list[dict[str, Any]]


def fit(
    network: nn.Module,
    problem: Problem,
    settings: FitSettings,
    *,
    folder: Path | None = None,
    progress: Callable[[dict[str, Any]], None] | None = None,
) -> FitResult:
    """Train ``network`` and leave its best weights in it, or its last ones where the settings keep these.

    With ``folder``, writes ``metrics.jsonl`` and ``checkpoints/`` there and continues from them if they
    exist: a run that was killed and started again gives the numbers of one that never was.

    Of several processes, all call it with the same arguments and end with the same weights; see ``train.processes``.

    Raises:
        RunError: the folder cannot be written, its checkpoint cannot be read, or another process has failed.
        ConfigError: the warm-up is as long as the training.
    """
    processes = Processes()
    with processes.together():
        return _Fit(network, problem, settings, folder, progress, processes).run()


class _Fit:
    """One training: its ``position`` holds all that a checkpoint must."""

    def __init__(
        self,
        network: nn.Module,
        problem: Problem,
        settings: FitSettings,
        folder: Path | None,
        progress: Callable[[dict[str, Any]], None] | None,
        processes: Processes,
    ) -> None:
        self.settings, self.problem, self.progress, self.processes = settings, problem, progress, processes
        self.network = network.to(processes.device)
        processes.same_weights(self.network)
        self.optimizer = optimizer_of(self.network.parameters(), settings)
        self.average = Average(self.network, settings.ema) if settings.ema else None
        self.schedule = Schedule(settings, settings.epochs * len(self._batches(0)))
        self.gradient = Gradient(problem, self.network, processes, settings.precision, settings.seed)
        self.checkpoints = folder / "checkpoints" if folder else None
        self.history = History(folder / "metrics.jsonl" if folder else None, keeps=processes.is_main)
        self.position: dict[str, Any] = {
            "epoch": 0,
            "batch": 0,
            "updates": 0,
            "loss_sum": 0.0,
            "loss_count": 0,
            "clipped": 0,
            "norm_sum": 0.0,
            "best_loss": None,
            "best_epoch": 0,
            "plateaus": 0,
            "seconds": 0.0,
            "done": "",
        }
        self.best: dict[str, Tensor] = {}
        self._started = self._saved = time.perf_counter()

    def run(self) -> FitResult:
        self._resume()
        while not self.position["done"]:
            self._epoch()
        p = self.position
        if self.settings.keep == "best" or p["done"] == "diverged":
            self._restore_best()
        else:
            self.network.load_state_dict(self.result.state_dict())
        self.network.eval()
        best = math.inf if p["best_loss"] is None else p["best_loss"]
        return FitResult(p["epoch"], p["best_epoch"], best, p["seconds"], p["done"], self.history.records)

    @property
    def result(self) -> nn.Module:
        """What is validated and kept."""
        return self.network if self.average is None else self.average.network

    def _batches(self, epoch: int) -> list[list[Tensor]]:
        """Those of each update of an epoch. A checkpoint stands between two updates, never inside one."""
        s = self.settings
        order = epoch_order(s.seed, epoch, self.problem.train_count, s.epoch_size, min(s.epoch_size, EPOCH_LEAST))
        cut = getattr(self.problem, "cut", None)
        batches: Sequence[Tensor] = order.split(s.batch_size) if cut is None else cut(order, s.batch_size)
        return [list(batches[k : k + s.accumulate]) for k in range(0, len(batches), s.accumulate)]

    def _epoch(self) -> None:
        p, updates = self.position, self._batches(self.position["epoch"])
        self.network.train()
        while p["batch"] < len(updates):
            self._update(updates[p["batch"]], p["batch"] / len(updates))
            p["batch"] += 1
            if self._out_of_time() and p["batch"] < len(updates):
                break
            if time.perf_counter() - self._saved > CHECKPOINT_SECONDS and p["batch"] < len(updates):
                self._save()
        self._end_epoch()

    def _update(self, batches: Sequence[Tensor], share: float) -> None:
        p, examples = self.position, sum(len(batch) for batch in batches)
        at = Moment(p["updates"], p["epoch"], (p["epoch"] + share) / self.settings.epochs, p["plateaus"])
        for group in self.optimizer.param_groups:
            group["lr"] = self.schedule.rate(at)
        loss = self.gradient(batches, p["updates"])
        norm = float(nn.utils.clip_grad_norm_(self.network.parameters(), self.settings.clip_norm))
        if math.isfinite(norm):
            self.optimizer.step()
            if self.average is not None:
                self.average.update(self.network)
        p["updates"] += 1
        p["loss_sum"] += loss * examples
        p["loss_count"] += examples
        p["norm_sum"] += norm
        p["clipped"] += int(norm > self.settings.clip_norm)

    def _end_epoch(self) -> None:
        p = self.position
        out_of_time = self._out_of_time()
        self.result.eval()
        with torch.no_grad():
            valid = self.processes.from_main(lambda: self.problem.validation_loss(self.result))
        p["epoch"] += 1
        record = {
            "epoch": p["epoch"],
            "train_loss": p["loss_sum"] / max(1, p["loss_count"]),
            "valid_loss": valid,
            "gradient_norm": p["norm_sum"] / max(1, p["batch"]),
            "clipped_share": p["clipped"] / max(1, p["batch"]),
        }
        if math.isfinite(valid) and (p["best_loss"] is None or valid < p["best_loss"]):
            p["best_loss"], p["best_epoch"] = valid, p["epoch"]
            self._keep_best()
        p.update(batch=0, loss_sum=0.0, loss_count=0, clipped=0, norm_sum=0.0)
        p["done"] = self._verdict(all(math.isfinite(v) for v in record.values()), out_of_time)
        self._clock()
        record = {k: v if math.isfinite(v) else None for k, v in record.items()}
        record |= {"lr": self.optimizer.param_groups[0]["lr"], "seconds": p["seconds"]}
        waited = p["epoch"] - p["best_epoch"]
        p["plateaus"] += int(waited > 0 and waited % self.settings.decay_after == 0)
        self.history.append(record)
        self._save()
        if self.progress is not None and self.processes.is_main:
            self.progress(record)

    def _verdict(self, finite: bool, out_of_time: bool) -> str:
        """Why training ends after this epoch, or ""."""
        p, s = self.position, self.settings
        reasons = {
            "diverged": not finite,
            "early": s.keep == "best" and p["epoch"] - p["best_epoch"] >= s.patience,
            "epochs": p["epoch"] >= s.epochs,
            "budget": out_of_time,
        }
        return next((reason for reason, holds in reasons.items() if holds), "")

    def _clock(self) -> None:
        """Add the time since the last look."""
        now = time.perf_counter()
        self.position["seconds"] += now - self._started
        self._started = now

    def _out_of_time(self) -> bool:
        """Whether the time allowed is used up; all processes agree."""
        self._clock()
        limit = self.settings.max_seconds
        return limit is not None and self.processes.any(self.position["seconds"] >= limit)

    def _save(self) -> None:
        if self.checkpoints is not None and self.processes.is_main:
            path = self.checkpoints / "last.safetensors"
            save_checkpoint(path, self.network, self.optimizer, self.position, self.average)
        self._saved = time.perf_counter()

    def _keep_best(self) -> None:
        self.best = {name: value.detach().clone() for name, value in self.result.state_dict().items()}
        if self.checkpoints is not None and self.processes.is_main:
            save_weights(self.checkpoints / "best.safetensors", self.result)

    def _restore_best(self) -> None:
        if self.best:
            self.network.load_state_dict(self.best)
        elif self.checkpoints is not None and self.position["best_loss"] is not None:
            load_weights(self.checkpoints / "best.safetensors", self.network)

    def _resume(self) -> None:
        last = self.checkpoints / "last.safetensors" if self.checkpoints else None
        found = last is not None and last.exists()
        if self.processes.any(found) != found:
            raise RunError(
                f"{last} is not there for every process",
                expected="a run folder that all of them can read",
                fix="Give an --out that all machines share",
            )
        if last is None or not found:
            self.history.rewind(0)
            return
        saved = load_checkpoint(last)
        self.network.load_state_dict(saved.network)
        self.optimizer.load_state_dict(saved.optimizer)
        if self.average is not None:
            self.average.load_state_dict(saved.average)
        torch.set_rng_state(saved.rng)
        self.position.update(saved.position)
        self.history.rewind(self.position["epoch"])
