"""Dynamic time warping: the distance of two sequences that may run at different speeds."""

from __future__ import annotations

import numpy as np

CELLS = 65_536
"""Numbers of a diagonal of the pairs that advance together: few enough to stay in a core's cache."""


def dtw_distances(a: list[np.ndarray], b: list[np.ndarray]) -> np.ndarray:
    r"""(len(a), len(b)) squared distances between sequences (T, channels), without a window.

    .. math:: D_{ij} = \|a_i - b_j\|^2 + \min(D_{i-1,j}, D_{i,j-1}, D_{i-1,j-1})

    D_{nm} of Sakoe & Chiba 1978 with symmetric steps; a sequence of no steps is infinitely far from any other.
    Pairs advance together along the anti-diagonals.
    """
    longest = max((len(s) for s in a), default=0)
    found = np.full((len(a), len(b)), np.inf)
    if not longest or not any(map(len, b)):
        return found
    pairs = max(1, CELLS // longest)
    columns = min(len(b), max(1, round(pairs**0.5)))
    rows = max(1, pairs // columns)
    for i in range(0, len(a), rows):
        for j in range(0, len(b), columns):
            found[i : i + rows, j : j + columns] = _tile(a[i : i + rows], b[j : j + columns])
    return found


def _padded(sequences: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """(channels, sequences, T) with zeros behind, and the lengths."""
    lengths = np.array([len(s) for s in sequences])
    whole = np.zeros((sequences[0].shape[1], len(sequences), max(1, lengths.max())))
    for k, sequence in enumerate(sequences):
        whole[:, k, : len(sequence)] = sequence.T
    return whole, lengths


def _tile(a: list[np.ndarray], b: list[np.ndarray]) -> np.ndarray:
    """Distances of all pairs. Diagonal d holds D[i, d - i] at place i + 1, which padding behind never changes."""
    (x, lengths_x), (y, lengths_y) = _padded(a), _padded(b)
    n, m = x.shape[2], y.shape[2]
    y = np.ascontiguousarray(y[..., ::-1])  # so that b_{d - i} stands at place m - 1 - d + i and a diagonal is a slice
    found = np.full((len(a), len(b)), np.inf)
    there = (lengths_x > 0)[:, None] & (lengths_y > 0)
    ends = np.where(there, lengths_x[:, None] + lengths_y - 2, -1)
    ending = set(ends.flat)
    now, before, before_that = (np.full((*found.shape, n + 1), np.inf) for _ in range(3))
    cost, spare = (np.empty((*found.shape, n)) for _ in range(2))
    for d in range(n + m - 1):
        low, high = max(0, d - m + 1), min(n, d + 1)
        least, own = spare[..., : high - low], cost[..., : high - low]
        shift = m - 1 - d
        np.subtract(x[0, :, None, low:high], y[0, :, low + shift : high + shift], out=own)
        np.multiply(own, own, out=own)
        for one, other in zip(x[1:], y[1:]):
            np.subtract(one[:, None, low:high], other[:, low + shift : high + shift], out=least)
            np.add(own, np.multiply(least, least, out=least), out=own)
        if d:
            np.minimum(before[..., low:high], before[..., low + 1 : high + 1], out=least)
            np.minimum(least, before_that[..., low:high], out=least)
            np.add(own, least, out=own)
        now[..., low + 1 : high + 1] = own
        now[..., low] = np.inf
        now[..., high + 1 : high + 2] = np.inf
        if d in ending:
            i, j = np.nonzero(ends == d)
            found[i, j] = now[i, j, lengths_x[i]]
        now, before, before_that = before_that, now, before
    return found
