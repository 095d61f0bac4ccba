"""How far taggings were off: per sentence, so that scores, intervals and differences come from the same sums."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from unroll.data.examples.features import are_features, parse_features
from unroll.tasks.tag.spans import are_spans, spans_of

NOTHING, SPANS, FEATURES = "nothing", "spans", "features"
"""What tags may be beside themselves."""
METRICS = ("accuracy", "OOV accuracy", "sentence accuracy", "span F1", "feature F1")
_COUNTS = (
    "words", "hits", "new", "new_hits", "whole",
    "spans_found", "spans_said", "spans_true", "features_found", "features_said", "features_true",
)  # fmt: skip


@dataclass(frozen=True, eq=False)
class TagErrors:
    """Counts of each sentence, (sentences,) float64.

    Attributes:
        words, hits: how many there are, and how many have the right tag.
        new, new_hits: the same of words that training has not.
        whole: 1 where every word is right.
        spans_found, spans_said, spans_true: spans that are right, that were said, that there are; all 0 where tags
            mark none.
        features_found, features_said, features_true: the same of attributes with their values.
    """

    words: np.ndarray
    hits: np.ndarray
    new: np.ndarray
    new_hits: np.ndarray
    whole: np.ndarray
    spans_found: np.ndarray
    spans_said: np.ndarray
    spans_true: np.ndarray
    features_found: np.ndarray
    features_said: np.ndarray
    features_true: np.ndarray

    @property
    def series(self) -> np.ndarray:
        return np.zeros(len(self.words), dtype=np.int64)

    @property
    def origins(self) -> np.ndarray:
        return np.random.default_rng(0).permutation(len(self.words))

    def arrays(self) -> dict[str, np.ndarray]:
        """What ``from_arrays`` reads back."""
        return {name: getattr(self, name) for name in _COUNTS}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray]) -> TagErrors:
        return cls(**dict(arrays))

    def block_sums(self, block: np.ndarray, blocks: int) -> dict[str, np.ndarray]:
        sums = {name: np.bincount(block, weights=column, minlength=blocks) for name, column in self.arrays().items()}
        return sums | {"count": np.bincount(block, minlength=blocks).astype(np.float64)}

    def score_arrays(self, total: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """accuracy = hits / words, of all and of those training has not; sentence accuracy; span F1 = 2 found /
        (said + true), a span being right where its ends and its kind are (Tjong Kim Sang & De Meulder 2003); feature
        F1 the same of attributes with their values, over all words (McCarthy et al. 2019, W19-4226, section 4)."""
        with np.errstate(divide="ignore", invalid="ignore"):
            return {
                "accuracy": total["hits"] / total["words"],
                "OOV accuracy": total["new_hits"] / total["new"],
                "sentence accuracy": total["whole"] / total["count"],
                "span F1": 2 * total["spans_found"] / (total["spans_said"] + total["spans_true"]),
                "feature F1": 2 * total["features_found"] / (total["features_said"] + total["features_true"]),
            }

    def scores(self) -> dict[str, float | None]:
        everything = self.block_sums(np.zeros(len(self.words), dtype=np.int64), 1)
        arrays = self.score_arrays({name: total[0] for name, total in everything.items()})
        return {name: float(value) if np.isfinite(value) else None for name, value in arrays.items()}

    def details(self) -> dict[str, dict[str, float | None]]:
        return {}


def tag_errors(
    truth: Sequence[Sequence[str]], said: Sequence[Sequence[str]], new: Sequence[Sequence[bool]], marks: str = NOTHING
) -> TagErrors:
    """Errors of the tags ``said`` against ``truth``; ``new`` is True of words that training has not.

    ``marks`` is what tags are beside themselves: spans, features or nothing.
    """
    rows = [_counts(*sentence, PARTS_OF[marks]) for sentence in zip(truth, said, new, strict=True)]
    return TagErrors(*np.array(rows, np.float64).reshape(-1, len(_COUNTS)).T)


def _counts(truth: Sequence[str], said: Sequence[str], new: Sequence[bool], parts_of: _Parts) -> list[float]:
    right = [a == b for a, b in zip(truth, said, strict=True)]
    spans, features = ([parts(tags) for tags in (truth, said)] for parts in parts_of)
    return [
        len(truth), sum(right), sum(new), sum(r for r, n in zip(right, new) if n), all(right),
        *_found(*spans), *_found(*features),
    ]  # fmt: skip


def _found(truth: set[Any], said: set[Any]) -> tuple[int, int, int]:
    return len(truth & said), len(said), len(truth)


def feature_pairs(tags: Sequence[str]) -> set[tuple[int, str, str]]:
    """(word, attribute, value) of every feature of the words."""
    return {(k, *pair) for k, tag in enumerate(tags) for pair in parse_features(tag).items()}


def _none(tags: Sequence[str]) -> set[Any]:
    return set()


_Parts = tuple[Callable[[Sequence[str]], set[Any]], Callable[[Sequence[str]], set[Any]]]
PARTS_OF: dict[str, _Parts] = {
    NOTHING: (_none, _none),
    SPANS: (spans_of, _none),
    FEATURES: (_none, feature_pairs),
}


def marks_of(tags: Sequence[str]) -> str:
    """What the tags of the training part mark."""
    return SPANS if are_spans(tags) else FEATURES if are_features(tags) else NOTHING
