"""How to train: the settings of the loop, checked."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from unroll.errors import ConfigError, did_you_mean
from unroll.options import TRAINING, option
from unroll.train.optimizer import OPTIMIZERS, WITH_MOMENTUM
from unroll.train.schedule import SCHEDULES

HIGHEST_RATE = 10
PRECISIONS = ("float32", "bfloat16")
KEPT = ("best", "last")


@dataclass(frozen=True)
class FitSettings:
    """How to train.

    Attributes:
        epochs: at most this many; one of fewer than 2,000 examples goes over them again until it has seen as many.
        patience: stop after this many epochs without a better validation loss.
        decay_after: every so many epochs the learning rate falls: those without a better validation loss under
            ``schedule="plateau"``, all of them under "step".
        epoch_size: an epoch visits at most this many examples, drawn anew each time.
        clip_norm: the gradient's global norm is cut to this (Pascanu et al. 2013).
        max_seconds: stop after this much training time, or None.
        optimizer, momentum, nesterov, weight_decay: see ``optimizer_of``.
        schedule, warmup, lr_decay: see ``unroll.train.schedule``.
        accumulate: this many batches to one update, so that k batches of b train as one of k b does.
        ema: decay of an average of the weights, which is then what is validated and kept; 0 for none.
        keep: "best" keeps the weights of the lowest validation loss; "last" trains all epochs and keeps what they end
            with, for validation parts too small to choose by.
        precision: "bfloat16" computes products of matrices in it; weights, losses and sums stay float32.
    """

    lr: float = 3e-3
    epochs: int = 60
    patience: int = 8
    decay_after: int = option("Epochs between falls of the rate: plateau, step.", 3, metavar="N", under=TRAINING)
    batch_size: int = 64
    epoch_size: int = 10_000
    clip_norm: float = 1.0
    optimizer: str = option(f"One of {', '.join(OPTIMIZERS)}.", "adamw", metavar="NAME", under=TRAINING)
    momentum: float = option("Of sgd and rmsprop.", 0.0, metavar="M", under=TRAINING)
    nesterov: bool = option("Nesterov's momentum, of sgd.", False, under=TRAINING)
    weight_decay: float = option("Pull of all weights to 0; adamw's is decoupled.", 0.0, metavar="W", under=TRAINING)
    schedule: str = option(
        f"How the learning rate falls: {', '.join(SCHEDULES)}.", "plateau", metavar="NAME", under=TRAINING
    )
    lr_decay: float | None = option(
        "How far it falls at a time.",
        metavar="D",
        shown=", ".join(f"{rule.decay:g} for {name}" for name, rule in SCHEDULES.items() if rule.decay is not None),
        under=TRAINING,
    )
    warmup: float = option(
        "Updates over which the rate first rises; below 1 a share of all.", 0.0, metavar="N", under=TRAINING
    )
    accumulate: int = option("Batches to one update.", 1, metavar="N", under=TRAINING)
    ema: float = option("Decay of an average of the weights to use in their place.", 0.0, metavar="D", under=TRAINING)
    keep: str = option(f"Weights of the {' or the '.join(KEPT)} epoch.", "best", metavar="NAME", under=TRAINING)
    precision: str = option(
        f"Of products of matrices: {' or '.join(PRECISIONS)}.", "float32", metavar="NAME", under=TRAINING
    )
    seed: int = 0
    max_seconds: float | None = None

    def __post_init__(self) -> None:
        """Raises ConfigError naming the option that is wrong."""
        for name in ("epochs", "patience", "decay_after", "batch_size", "epoch_size", "accumulate"):
            if getattr(self, name) < 1:
                raise _wrong(self, name, f"1 or more, as {_dashed(name)} 8")
        if not 0 < self.lr < HIGHEST_RATE:
            raise ConfigError(
                f"--lr {self.lr:g}", expected=f"a learning rate above 0, below {HIGHEST_RATE}", fix="Give --lr 0.003"
            )
        if not 0 <= self.seed < 2**63:
            raise _wrong(self, "seed", "a whole number from 0 to 2^63 - 1")
        _check_known(self, "optimizer", tuple(OPTIMIZERS))
        _check_known(self, "schedule", tuple(SCHEDULES))
        _check_known(self, "precision", PRECISIONS)
        _check_known(self, "keep", KEPT)
        self._check_optimizer()
        self._check_schedule()
        if not 0 <= self.ema < 1:
            raise _wrong(self, "ema", "a decay from 0 (no average) to below 1, as --ema 0.999")

    def _check_optimizer(self) -> None:
        if not (math.isfinite(self.weight_decay) and self.weight_decay >= 0):
            raise _wrong(self, "weight_decay", "0 or more, as --weight-decay 0.01")
        if not 0 <= self.momentum < 1:
            raise _wrong(self, "momentum", "from 0 to below 1, as --momentum 0.9")
        if self.momentum and self.optimizer not in WITH_MOMENTUM:
            raise ConfigError(
                f"--momentum {self.momentum:g} with --optimizer {self.optimizer}",
                expected=f"a momentum of {' or '.join(WITH_MOMENTUM)} alone",
                fix="Remove --momentum, or give --optimizer sgd",
            )
        if self.nesterov and (self.optimizer != "sgd" or not self.momentum):
            raise ConfigError(
                f"--nesterov with --optimizer {self.optimizer} and momentum {self.momentum:g}",
                expected="sgd with a momentum above 0",
                fix="Give --optimizer sgd --momentum 0.9, or remove --nesterov",
            )

    def _check_schedule(self) -> None:
        if not (self.warmup >= 0 and (self.warmup < 1 or float(self.warmup).is_integer())):
            raise _wrong(self, "warmup", "a whole number of updates, or a share of all below 1, as --warmup 0.1")
        rule = SCHEDULES[self.schedule]
        if self.lr_decay is None:
            return
        if rule.decay is None:
            raise ConfigError(
                f"--lr-decay {self.lr_decay:g} with --schedule {self.schedule}, which has none",
                expected=f"it with one of {', '.join(n for n, r in SCHEDULES.items() if r.decay is not None)}",
                fix="Remove --lr-decay",
            )
        if not (0 < self.lr_decay < math.inf and (self.lr_decay < 1 or not rule.factor)):
            wanted = "above 0 and below 1" if rule.factor else "above 0"
            raise _wrong(self, "lr_decay", f"{wanted}, as --lr-decay {rule.decay:g}")


def _check_known(settings: FitSettings, name: str, known: Sequence[str]) -> None:
    value = getattr(settings, name)
    if value not in known:
        raise ConfigError(
            f"{_dashed(name)} '{value}'.{did_you_mean(value, known)}", expected=f"one of {', '.join(known)}"
        )


def _wrong(settings: FitSettings, name: str, expected: str) -> ConfigError:
    return ConfigError(f"{_dashed(name)} {getattr(settings, name)}", expected=expected)


def _dashed(name: str) -> str:
    return f"--{name.replace('_', '-')}"
