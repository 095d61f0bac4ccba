"""One seed for everything random in a run."""

from __future__ import annotations

import numpy as np
import torch


def seed_everything(seed: int) -> None:
    """Seed torch's generators: initial weights and dropout. Batch order has its own, see ``epoch_order``."""
    torch.manual_seed(seed)


def epoch_order(seed: int, epoch: int, count: int, at_most: int, at_least: int = 0) -> torch.Tensor:
    """Which of ``count`` training examples epoch ``epoch`` visits, in order, drawn anew each epoch.

    All of them once, but no more than ``at_most``; fewer than ``at_least`` go round until it is reached.

    A function of its arguments alone, so that a resumed epoch visits what the interrupted one would have.
    """
    generator = torch.Generator().manual_seed((seed * 1_000_003 + epoch) % 2**63)
    rounds = max(1, -(-at_least // max(1, count)))
    order = torch.cat([torch.randperm(count, generator=generator) for _ in range(rounds)])
    return order[: max(at_least, min(count, at_most))]


def noise_seed(*numbers: int) -> int:
    """A seed that is a function of ``numbers`` alone; near ones give unrelated seeds."""
    return int(np.random.SeedSequence(numbers).generate_state(1, np.uint64)[0] >> 1)
