r"""How the learning rate changes while training goes on.

.. math::
    \eta = \eta_0 \cdot \min(1, (u + 1) / w) \cdot g

u updates are done, the first w warm up (Goyal et al. 2017, section 2.2); g is the rule's, e whole epochs are done, and
s from 0 to 1 says how far training has come since the warm-up, of all the epochs it may have:

=============  ===============================  =======================================================
plateau        d^n                              n times ``decay_after`` epochs brought no better loss
constant       1
cosine         (1 + cos π s) / 2                Loshchilov and Hutter 2017, equation 5, without restarts
linear         1 - s
exponential    d^e
step           d^⌊e / k⌋                        k is ``decay_after``
inverse        1 / (1 + d e)                    NCRF++ (Yang and Zhang 2018)
=============  ===============================  =======================================================

A closed form and not torch's schedulers, most of which multiply what the rate was: it needs no state beside the counts
that a checkpoint holds anyway, so a continued run has the rates of an uninterrupted one to the bit.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

from unroll.errors import ConfigError

if TYPE_CHECKING:
    from unroll.train.settings import FitSettings


class Moment(NamedTuple):
    """Where training stands: ``updates`` and whole ``epochs`` done, the ``share`` of all that may be, from 0 to 1, and
    how often ``decay_after`` epochs brought no better loss."""

    updates: int
    epochs: int
    share: float
    plateaus: int


class Rule(NamedTuple):
    """``g(moment, decay, every)``; ``decay`` is d unless given, None where a rule has none; ``factor`` says that d must
    be below 1. ``moment.share`` counts from the end of the warm-up."""

    g: Callable[[Moment, float, int], float]
    decay: float | None = None
    factor: bool = True


SCHEDULES: dict[str, Rule] = {
    "plateau": Rule(lambda at, d, k: d**at.plateaus, 0.5),
    "constant": Rule(lambda at, d, k: 1.0),
    "cosine": Rule(lambda at, d, k: (1 + math.cos(math.pi * at.share)) / 2),
    "linear": Rule(lambda at, d, k: 1 - at.share),
    "exponential": Rule(lambda at, d, k: d**at.epochs, 0.95),
    "step": Rule(lambda at, d, k: d ** (at.epochs // k), 0.5),
    "inverse": Rule(lambda at, d, k: 1 / (1 + d * at.epochs), 0.05, factor=False),
}


class Schedule:
    """The rates of a training of at most ``planned`` updates.

    Raises:
        ConfigError: it would warm up to its end.
    """

    def __init__(self, settings: FitSettings, planned: int) -> None:
        self._lr, self._every = settings.lr, settings.decay_after
        self._rule = SCHEDULES[settings.schedule]
        self._decay = (self._rule.decay if settings.lr_decay is None else settings.lr_decay) or 0.0
        share = settings.warmup < 1
        self.warmup = math.ceil(settings.warmup * planned) if share else int(settings.warmup)
        if self.warmup and self.warmup >= planned:
            raise ConfigError(
                f"--warmup {settings.warmup:g}: {self.warmup:,} updates",
                expected=f"fewer than the {planned:,} updates of all epochs",
                fix="Give a share of them, as --warmup 0.1, or more --epochs",
            )
        self._warm_share = self.warmup / planned

    def rate(self, at: Moment) -> float:
        """The learning rate of the next update."""
        since = min(1.0, max(0.0, (at.share - self._warm_share) / (1 - self._warm_share)))
        rising = min(1.0, (at.updates + 1) / self.warmup) if self.warmup else 1.0
        return self._lr * rising * self._rule.g(at._replace(share=since), self._decay, self._every)
