"""A split: every example once, classes in their shares, equal examples together."""

from collections import Counter

import numpy as np
import pytest

from unroll.data import stratified

SHARES = (0.8, 0.1, 0.1)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("sizes", [{"a": 1000, "b": 100}, {"a": 7, "b": 5, "c": 1}, {"a": 1}, {"a": 2, "b": 2}])
def test_every_example_is_in_one_part_and_classes_keep_their_shares(seed, sizes):
    labels = [label for label, n in sizes.items() for _ in range(n)]
    labels = [labels[k] for k in np.random.default_rng(seed).permutation(len(labels))]
    parts = stratified(labels, range(len(labels)), SHARES, seed)
    assert sorted(np.concatenate(list(parts.values()))) == list(range(len(labels)))
    for name, share in zip(("train", "valid", "test"), SHARES):
        counts = Counter(labels[k] for k in parts[name])
        assert all(abs(counts[label] - share * n) <= 1 for label, n in sizes.items())


def test_every_class_is_trained_on():
    labels = ["a"] * 50 + ["b", "c", "c"]
    for seed in range(30):
        parts = stratified(labels, range(len(labels)), (0.4, 0.3, 0.3), seed)
        assert {labels[k] for k in parts["train"]} == {"a", "b", "c"}


@pytest.mark.parametrize("seed", range(4))
def test_equal_examples_are_on_one_side(seed):
    """Also where their labels differ."""
    rng = np.random.default_rng(seed)
    keys = rng.integers(0, 60, size=300).tolist()
    labels = rng.integers(0, 3, size=300).tolist()
    parts = stratified(labels, keys, SHARES, seed)
    held = [{keys[k] for k in part} for part in parts.values()]
    assert not held[0] & held[1]
    assert not held[0] & held[2]
    assert not held[1] & held[2]


def test_the_seed_decides():
    labels = ["a", "b"] * 100
    a, b, c = (stratified(labels, range(200), SHARES, seed) for seed in (3, 3, 4))
    assert all(np.array_equal(a[p], b[p]) for p in a)
    assert not np.array_equal(a["test"], c["test"])


def test_a_share_of_nothing_gets_nothing():
    parts = stratified(["a", "b"] * 40, range(80), (0.9, 0.1, 0.0), 0)
    assert len(parts["test"]) == 0
    assert len(parts["valid"]) > 0
