"""Dynamic time warping: the distance of two sequences that may run at different speeds."""

from __future__ import annotations

import numpy as np

CELLS = 4_000_000
"""Cells of the largest array worked on at once."""


def dtw_distances(a: list[np.ndarray], b: list[np.ndarray]) -> np.ndarray:
    r"""(len(a), len(b)) squared distances between sequences (T, channels), without a window.

    .. math:: D_{ij} = \|a_i - b_j\|^2 + \min(D_{i-1,j}, D_{i,j-1}, D_{i-1,j-1})

    D_{nm} of Sakoe & Chiba 1978 with symmetric steps; a sequence of no steps is infinitely far from any other.
    All pairs advance together along the anti-diagonals.
    """
    n, m = (max((len(s) for s in side), default=0) for side in (a, b))
    found = np.full((len(a), len(b)), np.inf)
    if not n or not m:
        return found
    rows = max(1, CELLS // max(1, len(b) * n))
    padded_b, lengths_b = _padded(b, m)
    for begin in range(0, len(a), rows):
        padded_a, lengths_a = _padded(a[begin : begin + rows], n)
        found[begin : begin + rows] = _all_pairs(padded_a, lengths_a, padded_b, lengths_b)
    return found


def _padded(sequences: list[np.ndarray], steps: int) -> tuple[np.ndarray, np.ndarray]:
    whole = np.zeros((len(sequences), steps, sequences[0].shape[1]))
    for k, sequence in enumerate(sequences):
        whole[k, : len(sequence)] = sequence
    return whole, np.array([len(s) for s in sequences])


def _all_pairs(a: np.ndarray, lengths_a: np.ndarray, b: np.ndarray, lengths_b: np.ndarray) -> np.ndarray:
    """Diagonal d holds D[i, d - i] at place i of its last axis; what lies in the padding is never read."""
    n, m = a.shape[1], b.shape[1]
    shape = (len(a), len(b))
    found = np.full(shape, np.inf)
    ends = lengths_a[:, None] + lengths_b[None, :] - 2
    before = np.full((*shape, n + 1), np.inf)
    before_that = before.copy()
    for d in range(n + m - 1):
        low, high = max(0, d - m + 1), min(n, d + 1)
        i = np.arange(low, high)
        cost = ((a[:, None, i] - b[None, :, d - i]) ** 2).sum(axis=-1)
        # Place k + 1 holds i = k, so that i - 1 of the first row is infinite.
        least = np.minimum(np.minimum(before[..., i], before[..., i + 1]), before_that[..., i])
        now = np.full((*shape, n + 1), np.inf)
        now[..., i + 1] = cost + (0.0 if d == 0 else least)
        ending = (ends == d) & (lengths_a > 0)[:, None] & (lengths_b > 0)[None, :]
        if ending.any():
            x, y = np.nonzero(ending)
            found[x, y] = now[x, y, lengths_a[x]]
        before_that, before = before, now
    return found
