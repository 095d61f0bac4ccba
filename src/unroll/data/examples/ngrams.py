"""Runs of tokens as numbers, learned from the training texts alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from unroll.errors import ConfigError, reading_record

LONGEST = 4
"""Runs of more tokens are too many to number, and too rare to learn."""


@dataclass(frozen=True, eq=False)
class NGrams:
    """The runs of 2 … n tokens that end at a step, each with a number of its own, after those of the tokens.

    A run that training had too rarely has the number of the unknown runs of its length. Before a text's first token
    there is one more that no text has.

    Attributes:
        tokens: how many numbers tokens have; ``runs[k]`` are the codes of the known runs of k + 2 tokens, ascending.
    """

    tokens: int
    runs: tuple[np.ndarray, ...]

    @classmethod
    def fit(cls, texts: Sequence[np.ndarray], tokens: int, longest: int, *, min_count: int, size: int) -> NGrams:
        """The ``size`` most frequent runs of each length that come at least ``min_count`` times in ``texts``, each the
        numbers of its tokens.

        Raises:
            ConfigError: ``longest`` is not from 1 to 4.
        """
        if not 1 <= longest <= LONGEST:
            raise ConfigError(f"--ngrams {longest}", expected=f"1 (tokens alone) to {LONGEST}")
        kept = []
        for length in range(2, longest + 1):
            every = [_codes(text, tokens, length) for text in texts]
            codes, counts = np.unique(np.concatenate([np.empty(0, np.int64), *every]), return_counts=True)
            often = np.flatnonzero(counts >= min_count)
            often = often[np.argsort(-counts[often], kind="stable")[:size]]
            kept.append(np.sort(codes[often]))
        return cls(tokens, tuple(kept))

    @property
    def longest(self) -> int:
        return len(self.runs) + 1

    @property
    def count(self) -> int:
        """How many numbers there are, those of the tokens among them."""
        return self.tokens + sum(len(known) + 1 for known in self.runs)

    def encode(self, text: np.ndarray) -> np.ndarray:
        """(T,) numbers of tokens as (T, longest), or as they are where there are no runs."""
        if not self.runs:
            return text
        columns, unknown = [text], self.tokens
        for length, known in enumerate(self.runs, 2):
            codes = _codes(text, self.tokens, length)
            places = np.searchsorted(known, codes)
            found = np.append(known, -1)[places] == codes
            columns.append(np.where(found, unknown + 1 + places, unknown))
            unknown += len(known) + 1
        return np.stack(columns, axis=1)

    def to_dict(self) -> dict[str, Any]:
        return {"tokens": self.tokens, "runs": [known.tolist() for known in self.runs]}

    @classmethod
    def from_dict(cls, record: Mapping[str, Any]) -> NGrams:
        """Raises RunError where a part is missing."""
        with reading_record():
            return cls(record["tokens"], tuple(np.array(known, np.int64) for known in record["runs"]))


def _codes(text: np.ndarray, tokens: int, length: int) -> np.ndarray:
    """One number for the ``length`` tokens that end at each step: they are its digits to the base ``tokens`` + 1."""
    padded = np.concatenate([np.full(length - 1, tokens, np.int64), text.astype(np.int64)])
    codes = np.zeros(len(text), np.int64)
    for k in range(length):
        codes = codes * (tokens + 1) + padded[k : k + len(text)]
    return codes
