"""One seed for everything random in a run."""

from __future__ import annotations

import torch


def seed_everything(seed: int) -> None:
    """Seed torch's generators: initial weights and dropout. Batch order has its own, see ``epoch_order``."""
    torch.manual_seed(seed)


def epoch_order(seed: int, epoch: int, count: int, at_most: int) -> torch.Tensor:
    """Which training examples epoch ``epoch`` visits, in order: ``at_most`` of ``count``, drawn anew each epoch.

    A function of its arguments alone, so that a resumed epoch visits what the interrupted one would have.
    """
    generator = torch.Generator().manual_seed((seed * 1_000_003 + epoch) % 2**63)
    return torch.randperm(count, generator=generator)[:at_most]
