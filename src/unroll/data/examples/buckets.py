"""Batches of sequences of like length, within a budget of padded steps."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

POOL = 50
"""Sequences are sorted by length within so many batches, so that which ones meet still changes by epoch."""


def length_batches(
    order: np.ndarray, lengths: np.ndarray, batch_size: int, budget: int, *, pool: int | None = POOL
) -> list[np.ndarray]:
    """Cut ``order`` (indices into ``lengths``) into batches of at most ``batch_size`` sequences and ``budget`` steps.

    A batch costs its size times its longest sequence. One sequence longer than the budget is a batch of its own:
    nothing is left out. The batches come in the order of their first sequence in ``order``, so a random order stays
    one. Without a ``pool`` all are sorted together.
    """
    found: list[tuple[int, np.ndarray]] = []
    width = len(order) if pool is None else pool * batch_size
    for begin in range(0, len(order), max(1, width)):
        places = np.arange(begin, min(begin + width, len(order)))
        places = places[np.argsort(lengths[order[places]], kind="stable")]
        for cut in _cuts(lengths[order[places]], batch_size, budget):
            members = np.sort(places[cut])
            found.append((int(members[0]), order[members]))
    if pool is not None:
        found.sort(key=lambda pair: pair[0])
    return [batch for _, batch in found]


def padded_steps(batches: Sequence[np.ndarray], lengths: np.ndarray) -> int:
    """How many steps ``batches`` hold, padding included."""
    return sum(len(batch) * max(1, int(lengths[batch].max(initial=0))) for batch in batches)


def _cuts(ascending: np.ndarray, batch_size: int, budget: int) -> list[slice]:
    """Slices of an ascending array of lengths."""
    cuts, begin = [], 0
    for k, length in enumerate(ascending):
        if k > begin and (k - begin >= batch_size or (k - begin + 1) * max(1, int(length)) > budget):
            cuts.append(slice(begin, k))
            begin = k
    if begin < len(ascending):
        cuts.append(slice(begin, len(ascending)))
    return cuts
