"""Dynamic time warping against its recursion, written plainly."""

import numpy as np
import pytest

from unroll.tasks.classify import dtw
from unroll.tasks.classify.dtw import dtw_distances

RNG = np.random.default_rng(0)


def plain(a, b):
    table = np.full((len(a) + 1, len(b) + 1), np.inf)
    table[0, 0] = 0
    for i in range(1, len(a) + 1):
        for j in range(1, len(b) + 1):
            cost = ((a[i - 1] - b[j - 1]) ** 2).sum()
            table[i, j] = cost + min(table[i - 1, j], table[i, j - 1], table[i - 1, j - 1])
    return table[-1, -1]


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("cells", [1, 50, 10**6])
def test_distances_are_those_of_the_recursion(monkeypatch, channels, cells):
    """Whatever the lengths, and however many pairs are worked on at once."""
    monkeypatch.setattr(dtw, "CELLS", cells)
    a = [RNG.normal(size=(n, channels)) for n in (1, 5, 12, 3)]
    b = [RNG.normal(size=(n, channels)) for n in (7, 1, 2, 9, 15)]
    expected = [[plain(x, y) for y in b] for x in a]
    np.testing.assert_allclose(dtw_distances(a, b), expected, rtol=1e-12)


def test_warping_does_not_count():
    """A sequence and itself at half the speed are no distance apart; Euclid would say otherwise."""
    a = RNG.normal(size=(8, 2))
    assert dtw_distances([a], [np.repeat(a, 2, axis=0)])[0, 0] == 0


def test_a_sequence_of_no_steps_is_far_from_all():
    found = dtw_distances([np.zeros((0, 1)), np.ones((2, 1))], [np.ones((3, 1)), np.zeros((0, 1))])
    assert np.array_equal(found, [[np.inf, np.inf], [0, np.inf]])
    assert dtw_distances([np.zeros((0, 1))], [np.zeros((0, 1))])[0, 0] == np.inf
