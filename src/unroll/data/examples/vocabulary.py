"""Tokens as numbers, learned from the training texts alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from unroll.data.examples.subword import SubwordModel
from unroll.data.examples.tokens import SUBWORD, UNITS, check_unit
from unroll.errors import ConfigError, RunError

UNKNOWN = 0
"""The number of every token that training did not have, or had too rarely. Padding has none: it is never read."""


@dataclass(frozen=True, eq=False)
class Vocabulary:
    """Token k + 1 is ``tokens[k]``; 0 is unknown. ``fitted_on`` says how many training texts it was learned from.

    Attributes:
        unit: what a token is; ``subword`` holds the model that cuts them, where it is a sub-word.
        lower: whether case is ignored.
    """

    unit: str
    lower: bool
    tokens: tuple[str, ...]
    fitted_on: int
    subword: SubwordModel | None = field(default=None)

    @classmethod
    def fit(
        cls, texts: Sequence[str], unit: str, *, lower: bool = False, min_count: int = 2, size: int = 30_000
    ) -> Vocabulary:
        """The ``size`` most frequent tokens that come at least ``min_count`` times, ties in order of first sight.

        Raises:
            ConfigError: there is no such unit, or a limit is below 1.
        """
        check_unit(unit)
        for option, value in (("min-count", min_count), ("vocabulary", size)):
            if value < 1:
                raise ConfigError(f"--{option} {value}", expected="a whole number above 0")
        if unit == SUBWORD:
            model = SubwordModel.fit([t.lower() if lower else t for t in texts], size, min_count)
            return cls(unit, lower, (), len(texts), model)
        cut = _cutter(unit, lower)
        counts: Counter[str] = Counter()
        for text in texts:
            counts.update(cut(text))
        kept = [token for token, count in counts.most_common() if count >= min_count]
        return cls(unit, lower, tuple(kept[:size]), len(texts))

    def __len__(self) -> int:
        """How many numbers there are, unknown among them."""
        return len(self.subword) if self.subword is not None else len(self.tokens) + 1

    def encode(self, text: str) -> np.ndarray:
        """(tokens,) int64."""
        if self.subword is not None:
            return self.subword.encode(text.lower() if self.lower else text)
        number = self._number
        return np.array([number.get(token, UNKNOWN) for token in self._cut(text)], dtype=np.int64)

    def to_dict(self) -> dict[str, Any]:
        return {
            "unit": self.unit,
            "lower": self.lower,
            "tokens": list(self.tokens),
            "fitted_on": self.fitted_on,
            "subword": self.subword.text if self.subword is not None else None,
        }

    @classmethod
    def from_dict(cls, record: Mapping[str, Any]) -> Vocabulary:
        """Raises RunError where a part is missing."""
        try:
            subword = SubwordModel(record["subword"]) if record["subword"] is not None else None
            return cls(record["unit"], bool(record["lower"]), tuple(record["tokens"]), record["fitted_on"], subword)
        except (KeyError, TypeError) as error:
            raise RunError(f"data.json has no whole vocabulary: {error}", fix="Train again, or restore it") from error

    @cached_property
    def _number(self) -> dict[str, int]:
        return {token: k + 1 for k, token in enumerate(self.tokens)}

    @property
    def _cut(self) -> Callable[[str], list[str]]:
        return _cutter(self.unit, self.lower)


def _cutter(unit: str, lower: bool) -> Callable[[str], list[str]]:
    cut = UNITS[unit]
    return (lambda text: cut(text.lower())) if lower else cut
