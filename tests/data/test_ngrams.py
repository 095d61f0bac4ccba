"""Runs of tokens against a dictionary of tuples."""

from collections import Counter

import numpy as np
import pytest

from unroll.data.examples.ngrams import LONGEST, NGrams
from unroll.errors import ConfigError, RunError


def texts(seed=0, count=60, tokens=7):
    rng = np.random.default_rng(seed)
    return [rng.integers(0, tokens, rng.integers(0, 9)) for _ in range(count)]


def runs_of(text, length):
    """The ``length`` tokens that end at each step, None before the first."""
    padded = [None] * (length - 1) + text.tolist()
    return [tuple(padded[k : k + length]) for k in range(len(text))]


@pytest.mark.parametrize("longest", range(1, LONGEST + 1))
@pytest.mark.parametrize("min_count", [1, 3])
def test_two_runs_have_one_number_where_they_are_equal_and_known(longest, min_count):
    train, other = texts(), texts(seed=1, tokens=8)
    grams = NGrams.fit(train, 8, longest, min_count=min_count, size=10_000)
    counts = [Counter(run for t in train for run in runs_of(t, n)) for n in range(1, longest + 1)]
    named = {}
    for text in (*train, *other):
        numbers = grams.encode(text).reshape(len(text), longest)
        assert (numbers[:, 0] == text).all()
        for n in range(2, longest + 1):
            for run, number in zip(runs_of(text, n), numbers[:, n - 1].tolist()):
                key = run if counts[n - 1][run] >= min_count else n
                assert named.setdefault((n, key), number) == number
    numbers = list(named.values())
    assert len(set(numbers)) == len(numbers)
    assert all(8 <= number < grams.count for number in numbers)


def test_no_more_than_the_most_frequent_are_kept():
    train = texts(count=200)
    grams = NGrams.fit(train, 7, 2, min_count=1, size=5)
    counts = Counter(run for t in train for run in runs_of(t, 2))
    least = sorted(counts.values())[-5]
    unknown = 7
    for text in train:
        for run, number in zip(runs_of(text, 2), grams.encode(text)[:, 1]):
            if counts[run] > least:
                assert number > unknown
            if counts[run] < least:
                assert number == unknown
    assert grams.count == 7 + 5 + 1


def test_what_is_written_is_read_again():
    grams = NGrams.fit(texts(), 7, 3, min_count=2, size=20)
    again = NGrams.from_dict(grams.to_dict())
    for text in texts(seed=2):
        assert np.array_equal(again.encode(text), grams.encode(text))
    with pytest.raises(RunError, match=r"data\.json is incomplete"):
        NGrams.from_dict({"tokens": 3})


def test_the_longest_runs_of_a_large_vocabulary_are_told_apart():
    """30,001 tokens to the power of 4 is still a 64-bit number."""
    edge = np.array([30_000, 30_000, 30_000, 29_999])
    grams = NGrams.fit([edge, edge[::-1]], 30_001, 4, min_count=1, size=100)
    assert len(np.unique(grams.encode(edge)[:, 3])) == 4
    assert grams.encode(edge)[3, 3] != grams.encode(edge[::-1])[3, 3]


@pytest.mark.parametrize("longest", [0, 5])
def test_runs_of_other_lengths_are_refused(longest):
    with pytest.raises(ConfigError, match=f"--ngrams {longest}"):
        NGrams.fit([], 3, longest, min_count=1, size=5)
