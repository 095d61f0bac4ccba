"""Ragged batches and how they are cut: everything once, within the budget, padding 0."""

import numpy as np
import pytest
import torch

from unroll.data import Ragged, length_batches, padded_steps

RNG = np.random.default_rng(0)


@pytest.mark.parametrize("lengths", [[3, 0, 5, 1], [0], [0, 0], [7]])
@pytest.mark.parametrize("width", [None, 2])
def test_a_batch_holds_each_sequence_and_nothing_else(lengths, width):
    shape = () if width is None else (width,)
    sequences = [RNG.normal(size=(n, *shape)).astype(np.float32) for n in lengths]
    ragged = Ragged.of(sequences, np.empty((0, *shape), np.float32))
    assert len(ragged) == len(lengths)
    indices = np.array([len(lengths) - 1, *range(len(lengths))])
    x, sizes = ragged.batch(indices)
    assert sizes.tolist() == [lengths[k] for k in indices]
    assert x.shape == (len(indices), max(1, max(lengths)), *shape)
    for row, k in enumerate(indices):
        assert np.array_equal(x[row, : lengths[k]].numpy(), sequences[k])
        assert not x[row, lengths[k] :].any()
        assert np.array_equal(ragged.sequence(k), sequences[k])


@pytest.mark.parametrize("pool", [None, 1, 3, 50])
@pytest.mark.parametrize(("batch_size", "budget"), [(1, 10), (8, 100), (64, 50), (5, 10**9)])
def test_batches_hold_everything_once_within_the_budget(pool, batch_size, budget):
    lengths = RNG.integers(0, 60, size=301)
    lengths[17] = 200_000
    order = RNG.permutation(np.repeat(np.arange(301), 2))[:450]
    batches = length_batches(order, lengths, batch_size, budget, pool=pool)
    assert sorted(np.concatenate(batches)) == sorted(order)
    for batch in batches:
        assert len(batch) <= batch_size
        assert len(batch) == 1 or len(batch) * lengths[batch].max() <= budget


def test_like_lengths_meet():
    """Far less padding than in batches as they come, which the budget alone would not change."""
    lengths = RNG.integers(1, 200, size=5000)
    order = RNG.permutation(5000)
    bucketed = length_batches(order, lengths, 32, 10**9)
    plain = [order[k : k + 32] for k in range(0, 5000, 32)]
    real = lengths.sum()
    assert padded_steps(bucketed, lengths) - real < 0.2 * (padded_steps(plain, lengths) - real)


def test_a_random_order_of_batches_stays_random():
    """Short ones are not all first."""
    lengths = RNG.integers(1, 200, size=6400)
    batches = length_batches(RNG.permutation(6400), lengths, 32, 10**9)
    means = np.array([lengths[b].mean() for b in batches])
    first, second = means[: len(means) // 2].mean(), means[len(means) // 2 :].mean()
    assert abs(first - second) < 25


def test_batches_depend_on_their_arguments_alone():
    lengths, order = RNG.integers(0, 60, size=200), RNG.permutation(200)
    a, b = (length_batches(order, lengths, 16, 300) for _ in range(2))
    assert all(np.array_equal(x, y) for x, y in zip(a, b, strict=True))


def test_no_examples_make_no_batches():
    assert length_batches(np.array([], dtype=int), np.array([], dtype=int), 4, 10) == []
    x, lengths = Ragged.of([], np.empty(0, np.int64)).batch(np.array([], dtype=int))
    assert x.shape == (0, 1)
    assert x.dtype == torch.int64
    assert len(lengths) == 0
