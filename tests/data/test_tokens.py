"""Tokens and their numbers, against Unicode's own tables."""

import random
import unicodedata
from collections import Counter

import numpy as np
import pytest

from unroll.data import UNITS, Vocabulary, usual_unit
from unroll.data.examples.tokens import jamo, words
from unroll.errors import ConfigError

TEXTS = ["the cat sat", "The dog, the dog!", "고양이가 앉았다", "a", "", "  ", "שָׁלוֹם עולם", "👨‍👩‍👧 ok"] * 3


@pytest.mark.parametrize("seed", range(3))
def test_jamo_are_the_canonical_decomposition_of_hangul(seed):
    """Unicode's normal form D does the same to syllables."""
    rng = random.Random(seed)
    text = "".join(chr(rng.randint(0xAC00, 0xD7A3)) for _ in range(500))
    assert "".join(jamo(text)) == unicodedata.normalize("NFD", text)
    assert jamo("é가") == ["é", "\u1100", "\u1161"]


@pytest.mark.parametrize("unit", [*UNITS, "subword"])
def test_it_does_not_matter_how_hangul_was_typed(unit):
    texts = ["한국어 영화", "좋은 한국어"] * 5
    vocabulary = Vocabulary.fit(texts, unit)
    for text in texts:
        assert np.array_equal(vocabulary.encode(text), vocabulary.encode(unicodedata.normalize("NFD", text)))


@pytest.mark.parametrize("unit", ["character", "syllable"])
def test_characters_lose_nothing(unit):
    for text in TEXTS:
        assert "".join(UNITS[unit](text)) == unicodedata.normalize("NFC", text)


def test_words_hold_every_visible_character_once():
    for text in TEXTS:
        assert "".join(words(text)) == "".join(unicodedata.normalize("NFC", text).split())
    assert words("don't (3.5)!") == ["don", "'", "t", "(", "3", ".", "5", ")", "!"]
    assert words("שָׁלוֹם") == [unicodedata.normalize("NFC", "שָׁלוֹם")]


@pytest.mark.parametrize("min_count", [1, 2, 4])
@pytest.mark.parametrize("size", [3, 1000])
def test_the_vocabulary_is_the_most_frequent_tokens(min_count, size):
    counts = Counter(token for text in TEXTS for token in words(text))
    vocabulary = Vocabulary.fit(TEXTS, "word", min_count=min_count, size=size)
    expected = sum(n >= min_count for n in counts.values())
    assert len(vocabulary.tokens) == min(size, expected)
    left = [n for token, n in counts.items() if token not in vocabulary.tokens]
    assert min(counts[t] for t in vocabulary.tokens) >= max([n for n in left if n >= min_count], default=0)
    for text in TEXTS:
        for token, number in zip(words(text), vocabulary.encode(text)):
            assert number == (vocabulary.tokens.index(token) + 1 if token in vocabulary.tokens else 0)


@pytest.mark.parametrize("unit", [*UNITS, "subword"])
@pytest.mark.parametrize("lower", [False, True])
def test_a_vocabulary_comes_back_from_json(unit, lower):
    import json

    vocabulary = Vocabulary.fit(TEXTS, unit, lower=lower, size=200)
    again = Vocabulary.from_dict(json.loads(json.dumps(vocabulary.to_dict())))
    for text in [*TEXTS, "never seen ☃", "x" * 10_000]:
        numbers = vocabulary.encode(text)
        assert np.array_equal(numbers, again.encode(text))
        assert numbers.dtype == np.int64
        assert numbers.min(initial=0) >= 0
        assert numbers.max(initial=0) < len(vocabulary)


@pytest.mark.parametrize("unit", [*UNITS, "subword"])
def test_fitting_twice_gives_the_same(unit):
    assert Vocabulary.fit(TEXTS, unit).to_dict() == Vocabulary.fit(list(TEXTS), unit).to_dict()


@pytest.mark.parametrize("unit", [*UNITS, "subword"])
def test_what_training_did_not_have_is_unknown(unit):
    vocabulary = Vocabulary.fit(["aa bb aa bb"] * 3, unit)
    numbers = vocabulary.encode("쿜쿜쿜")
    assert (numbers == 0).sum() >= (1 if unit == "word" else 3)
    # A sub-word model has a token for the beginning of a word.
    assert (numbers != 0).sum() <= (unit == "subword")
    assert len(vocabulary.encode("")) == 0


def test_case_is_kept_only_where_it_is_asked_for():
    assert Vocabulary.fit(["The the"] * 2, "word", lower=True).tokens == ("the",)
    assert set(Vocabulary.fit(["The the"] * 2, "word").tokens) == {"The", "the"}


@pytest.mark.parametrize(
    ("texts", "unit"),
    [
        (["영화가 정말 좋았다 good"], "character"),
        (["とても良い"], "character"),
        (["a fine film 좋다"], "word"),
        ([""], "word"),
        (["123 !?"], "word"),
        (["שלום עולם"], "word"),
    ],
)
def test_the_usual_unit_goes_with_the_script(texts, unit):
    assert usual_unit(texts) == unit


def test_an_unknown_unit_is_named():
    with pytest.raises(ConfigError, match="Did you mean 'character'"):
        Vocabulary.fit(["a"], "charakter")
    with pytest.raises(ConfigError, match="--min-count 0"):
        Vocabulary.fit(["a"], "word", min_count=0)
