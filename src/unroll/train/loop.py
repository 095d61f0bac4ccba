"""The training loop: gradient clipping, early stopping, checkpoints, and resuming to the bit."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from unroll.errors import ConfigError
from unroll.train.checkpoint import load_checkpoint, load_weights, save_checkpoint, save_weights
from unroll.train.history import History
from unroll.train.seed import epoch_order

EPOCH_LEAST = 2_000
"""An epoch over fewer examples goes round until it has visited this many, so that a small set is not starved of
steps between two looks at the validation loss."""
DECAY = 0.5
HIGHEST_RATE = 10
CHECKPOINT_SECONDS = 60.0
"""A long epoch is also saved in its middle, this often."""


class Problem(Protocol):
    """What is to be learned: the loop knows nothing else of the task.

    A problem may also have ``cut(order, batch_size)``, which cuts the examples of an epoch into batches (in order
    of length, say), as a function of its arguments alone; else they are cut as they come.
    """

    @property
    def train_count(self) -> int:
        """How many training examples there are."""

    def loss(self, network: nn.Module, indices: Tensor) -> Tensor:
        """Mean loss over the training examples ``indices``."""

    def validation_loss(self, network: nn.Module) -> float:
        """Mean loss over the validation examples."""


@dataclass(frozen=True)
class FitSettings:
    """How to train.

    Attributes:
        epochs: at most this many.
        patience: stop after this many epochs without a better validation loss.
        decay_after: every so many epochs without a better validation loss, the learning rate is halved.
        epoch_size: an epoch visits at most this many examples, drawn anew each time.
        clip_norm: the gradient's global norm is cut to this (Pascanu et al. 2013).
        max_seconds: stop after this much training time, or None.
    """

    lr: float = 3e-3
    epochs: int = 60
    patience: int = 8
    decay_after: int = 3
    batch_size: int = 64
    epoch_size: int = 10_000
    clip_norm: float = 1.0
    weight_decay: float = 0.0
    seed: int = 0
    max_seconds: float | None = None

    def __post_init__(self) -> None:
        """Raises ConfigError naming the option that is wrong."""
        for name in ("epochs", "patience", "decay_after", "batch_size", "epoch_size"):
            if getattr(self, name) < 1:
                option = f"--{name.replace('_', '-')}"
                raise ConfigError(f"{option} {getattr(self, name)}", expected=f"1 or more, as {option} 8")
        if not 0 < self.lr < HIGHEST_RATE:
            raise ConfigError(
                f"--lr {self.lr:g}", expected=f"a learning rate above 0, below {HIGHEST_RATE}", fix="Give --lr 0.003"
            )
        if not 0 <= self.seed < 2**63:
            raise ConfigError(f"--seed {self.seed}", expected="a whole number from 0 to 2^63 - 1")


@dataclass(frozen=True)
class FitResult:
    """How it went. ``stopped`` is "early", "epochs", "budget" or "diverged"; the network holds its best weights."""

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
    """Train ``network`` and leave its best weights in it.

    With ``folder``, writes ``metrics.jsonl`` and ``checkpoints/`` there and continues from them if they
    exist: a run that was killed and started again gives the numbers of one that never was.

    Raises:
        RunError: the folder cannot be written, or its checkpoint cannot be read.
    """
    return _Fit(network, problem, settings, folder, progress).run()


class _Fit:
    def __init__(
        self,
        network: nn.Module,
        problem: Problem,
        settings: FitSettings,
        folder: Path | None,
        progress: Callable[[dict[str, Any]], None] | None,
    ) -> None:
        from accelerate import Accelerator

        self.settings, self.problem, self.progress = settings, problem, progress
        optimizer = torch.optim.AdamW(network.parameters(), lr=settings.lr, weight_decay=settings.weight_decay)
        self.accelerator = Accelerator()
        self.network, self.optimizer = self.accelerator.prepare(network, optimizer)
        self.checkpoints = folder / "checkpoints" if folder else None
        self.history = History(folder / "metrics.jsonl" if folder else None)
        self.position: dict[str, Any] = {
            "epoch": 0,
            "batch": 0,
            "loss_sum": 0.0,
            "loss_count": 0,
            "clipped": 0,
            "norm_sum": 0.0,
            "best_loss": None,
            "best_epoch": 0,
            "seconds": 0.0,
            "done": "",
        }
        self.best: dict[str, Tensor] = {}
        self._started = self._saved = time.perf_counter()

    def run(self) -> FitResult:
        self._resume()
        while not self.position["done"]:
            self._epoch()
        self._restore_best()
        p = self.position
        best = math.inf if p["best_loss"] is None else p["best_loss"]
        return FitResult(p["epoch"], p["best_epoch"], best, p["seconds"], p["done"], self.history.records)

    def _epoch(self) -> None:
        p, s = self.position, self.settings
        order = epoch_order(s.seed, p["epoch"], self.problem.train_count, s.epoch_size, min(s.epoch_size, EPOCH_LEAST))
        cut = getattr(self.problem, "cut", None)
        batches = order.split(s.batch_size) if cut is None else cut(order, s.batch_size)
        self.network.train()
        while p["batch"] < len(batches):
            self._train_batch(batches[p["batch"]])
            p["batch"] += 1
            if self._clock() and p["batch"] < len(batches):
                break
            if time.perf_counter() - self._saved > CHECKPOINT_SECONDS and p["batch"] < len(batches):
                self._save()
        self._end_epoch()

    def _train_batch(self, indices: Tensor) -> None:
        p = self.position
        loss = self.problem.loss(self.network, indices)
        self.optimizer.zero_grad()
        self.accelerator.backward(loss)
        norm = float(self.accelerator.clip_grad_norm_(self.network.parameters(), self.settings.clip_norm))
        if math.isfinite(norm):
            self.optimizer.step()
        p["loss_sum"] += float(loss.detach()) * len(indices)
        p["loss_count"] += len(indices)
        p["norm_sum"] += norm
        p["clipped"] += int(norm > self.settings.clip_norm)

    def _end_epoch(self) -> None:
        p = self.position
        out_of_time = self._clock()
        self.network.eval()
        with torch.no_grad():
            valid = self.problem.validation_loss(self.network)
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
        if waited and waited % self.settings.decay_after == 0:
            for group in self.optimizer.param_groups:
                group["lr"] *= DECAY
        self.history.append(record)
        self._save()
        if self.progress is not None:
            self.progress(record)

    def _verdict(self, finite: bool, out_of_time: bool) -> str:
        """Why training ends after this epoch, or ""."""
        p, s = self.position, self.settings
        reasons = {
            "diverged": not finite,
            "early": p["epoch"] - p["best_epoch"] >= s.patience,
            "epochs": p["epoch"] >= s.epochs,
            "budget": out_of_time,
        }
        return next((reason for reason, holds in reasons.items() if holds), "")

    def _clock(self) -> bool:
        """Add the time since the last look; True once the time allowed is used up."""
        now = time.perf_counter()
        self.position["seconds"] += now - self._started
        self._started = now
        limit = self.settings.max_seconds
        return limit is not None and self.position["seconds"] >= limit

    def _plain(self) -> tuple[nn.Module, torch.optim.Optimizer]:
        return self.accelerator.unwrap_model(self.network), getattr(self.optimizer, "optimizer", self.optimizer)

    def _save(self) -> None:
        if self.checkpoints is not None and self.accelerator.is_main_process:
            save_checkpoint(self.checkpoints / "last.safetensors", *self._plain(), self.position)
        self._saved = time.perf_counter()

    def _keep_best(self) -> None:
        network, _ = self._plain()
        self.best = {name: value.detach().clone() for name, value in network.state_dict().items()}
        if self.checkpoints is not None and self.accelerator.is_main_process:
            save_weights(self.checkpoints / "best.safetensors", network)

    def _restore_best(self) -> None:
        network, _ = self._plain()
        if self.best:
            network.load_state_dict(self.best)
        elif self.checkpoints is not None and self.position["best_loss"] is not None:
            load_weights(self.checkpoints / "best.safetensors", network)
        network.eval()

    def _resume(self) -> None:
        last = self.checkpoints / "last.safetensors" if self.checkpoints else None
        if last is None or not last.exists():
            self.history.rewind(0)
            return
        saved = load_checkpoint(last)
        network, optimizer = self._plain()
        network.load_state_dict(saved.network)
        optimizer.load_state_dict(saved.optimizer)
        torch.set_rng_state(saved.rng)
        self.position.update(saved.position)
        self.history.rewind(self.position["epoch"])
