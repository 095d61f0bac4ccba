"""What a tagger reads: words and their letters, learned from the training sentences alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch

from unroll.data import Ragged, Vocabulary, usual_unit
from unroll.errors import reading_record
from unroll.models.words import UNKNOWN, Spelling, WordBatch
from unroll.tasks.tag.options import LETTERS_JOINED, TagOptions
from unroll.tasks.tag.sets import Tags, tags_from

LONGEST_WORD = 64
"""Letters of a word that are read; a longer one is cut."""


@dataclass(frozen=True, eq=False)
class WordInput:
    """Word k + 1 is ``words[k]``, 0 any other; each of ``letters`` spells them; ``seen`` are all words training had."""

    words: tuple[str, ...]
    seen: frozenset[str]
    letters: tuple[Vocabulary, ...]
    keep_case: bool
    fitted_on: int

    @classmethod
    def fit(cls, sentences: Sequence[Sequence[str]], options: TagOptions) -> WordInput:
        every = [word for sentence in sentences for word in sentence]
        usual = "jamo+character" if usual_unit(every) == "character" and _korean(every) else "character"
        folded = [word if options.keep_case else word.lower() for word in every]
        counts = Counter(folded)
        kept = tuple(word for word, count in counts.most_common() if count >= options.min_count)
        units = (options.letters or usual).split(LETTERS_JOINED)
        letters = tuple(Vocabulary.fit(every, unit, min_count=2) for unit in units)
        return cls(kept, frozenset(counts), letters, options.keep_case, len(sentences))

    def folded(self, word: str) -> str:
        return word if self.keep_case else word.lower()

    def new(self, sentence: Sequence[str]) -> list[bool]:
        """Of each word, whether training has it not."""
        return [self.folded(word) not in self.seen for word in sentence]

    def encode(self, sentences: Sequence[Sequence[str]]) -> EncodedSentences:
        types = {word: k for k, word in enumerate(dict.fromkeys(w for s in sentences for w in s))}
        number = [self._number.get(self.folded(word), UNKNOWN) for word in types]
        own = [np.array([types[word] for word in sentence], dtype=np.int64) for sentence in sentences]
        empty = np.empty(0, np.int64)
        spellings = tuple(
            Ragged.of([letters.encode(word)[:LONGEST_WORD] for word in types], empty) for letters in self.letters
        )
        return EncodedSentences(Ragged.of(own, empty), np.array(number, dtype=np.int64), spellings)

    @cached_property
    def _number(self) -> dict[str, int]:
        return {word: k + 1 for k, word in enumerate(self.words)}

    def told(self) -> str:
        kinds = [f"{len(own.tokens):,} {'characters' if own.unit == 'character' else own.unit}" for own in self.letters]
        return (
            f"{len(self.words):,} words have a vector of their own, learned from {self.fitted_on:,} training "
            f"sentences; all are spelled in {' and in '.join(kinds)}"
        )

    def to_dict(self) -> dict[str, Any]:
        return {
            "words": list(self.words),
            "seen": sorted(self.seen - set(self.words)),
            "letters": [own.to_dict() for own in self.letters],
            "keep_case": self.keep_case,
            "fitted_on": self.fitted_on,
        }


@dataclass(frozen=True, eq=False)
class EncodedSentences:
    """``types`` numbers each word's form; form k has word number ``words[k]`` and is spelled as ``spellings`` say."""

    types: Ragged
    words: np.ndarray
    spellings: tuple[Ragged, ...]

    @property
    def lengths(self) -> np.ndarray:
        return self.types.lengths

    def batch(self, indices: np.ndarray) -> WordBatch:
        """The sentences ``indices``, each different form spelled once."""
        x, lengths = self.types.batch(indices)
        within = np.arange(x.shape[1]) < lengths.numpy()[:, None]
        forms, places = np.unique(x.numpy()[within], return_inverse=True)
        types = np.zeros(x.shape, dtype=np.int64)
        types[within] = places
        words = np.zeros(x.shape, dtype=np.int64)
        words[within] = self.words[forms][places]
        # Sentences without words spell one form, of no letters.
        none = Ragged.of([forms], forms).batch(np.zeros(1, int))
        spelled = tuple(Spelling(*(own.batch(forms) if len(forms) else none)) for own in self.spellings)
        return WordBatch(torch.from_numpy(words), lengths, torch.from_numpy(types), spelled)


def inputs_from(record: Mapping[str, Any]) -> tuple[WordInput, Tags]:
    """What ``to_dict`` wrote. Raises RunError where a part is missing."""
    with reading_record():
        own = record["input"]
        letters = tuple(Vocabulary.from_dict(one) for one in own["letters"])
        seen = frozenset([*own["words"], *own["seen"]])
        words = WordInput(tuple(own["words"]), seen, letters, own["keep_case"], own["fitted_on"])
        return words, tags_from(record["tags"])


def _korean(words: Sequence[str]) -> bool:
    letters = [c for c in "".join(words[:20_000]) if c.isalpha()]
    return sum("\uac00" <= c <= "\ud7a3" for c in letters) > 0.3 * len(letters)
