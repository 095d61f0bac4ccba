"""How far taggings were off: per sentence, so that scores, intervals and differences come from the same sums."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

METRICS = ("accuracy", "OOV accuracy", "sentence accuracy", "span F1")
_COUNTS = ("words", "hits", "new", "new_hits", "whole", "found", "said", "true")


@dataclass(frozen=True, eq=False)
class TagErrors:
    """Counts of each sentence, (sentences,) float64.

    Attributes:
        words, hits: how many there are, and how many have the right tag.
        new, new_hits: the same of words that training has not.
        whole: 1 where every word is right.
        found, said, true: spans that are right, that were said, that there are; all 0 where tags are no spans.
    """

    words: np.ndarray
    hits: np.ndarray
    new: np.ndarray
    new_hits: np.ndarray
    whole: np.ndarray
    found: np.ndarray
    said: np.ndarray
    true: np.ndarray

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
        (said + true), a span being right where its ends and its kind are (Tjong Kim Sang & De Meulder 2003)."""
        with np.errstate(divide="ignore", invalid="ignore"):
            return {
                "accuracy": total["hits"] / total["words"],
                "OOV accuracy": total["new_hits"] / total["new"],
                "sentence accuracy": total["whole"] / total["count"],
                "span F1": 2 * total["found"] / (total["said"] + total["true"]),
            }

    def scores(self) -> dict[str, float | None]:
        everything = self.block_sums(np.zeros(len(self.words), dtype=np.int64), 1)
        arrays = self.score_arrays({name: total[0] for name, total in everything.items()})
        return {name: float(value) if np.isfinite(value) else None for name, value in arrays.items()}

    def details(self) -> dict[str, dict[str, float | None]]:
        return {}


def tag_errors(
    truth: Sequence[Sequence[str]], said: Sequence[Sequence[str]], new: Sequence[Sequence[bool]]
) -> TagErrors:
    """Errors of the tags ``said`` against ``truth``; ``new`` is True of words that training has not."""
    rows = [_counts(*sentence) for sentence in zip(truth, said, new, strict=True)]
    return TagErrors(*np.array(rows, np.float64).reshape(-1, len(_COUNTS)).T)


def _counts(truth: Sequence[str], said: Sequence[str], new: Sequence[bool]) -> list[float]:
    right = [a == b for a, b in zip(truth, said, strict=True)]
    spans = spans_of(truth), spans_of(said)
    return [
        len(truth), sum(right), sum(new), sum(r for r, n in zip(right, new) if n), all(right),
        len(spans[0] & spans[1]), len(spans[1]), len(spans[0]),
    ]  # fmt: skip


def spans_of(tags: Sequence[str]) -> set[tuple[int, int, str]]:
    """(first, last, kind) of the spans that B-, I- and O tags mark, as conlleval counts them: an I- that does not go on
    with a span of its kind begins one."""
    spans, begun, kind = set(), 0, ""
    for k, tag in enumerate([*tags, "O"]):
        head, _, own = tag.partition("-")
        goes_on = head == "I" and own == kind and kind != ""
        if kind and not goes_on:
            spans.add((begun, k - 1, kind))
            kind = ""
        if not goes_on and head in ("B", "I") and own:
            begun, kind = k, own
    return spans


def are_spans(tags: Sequence[str]) -> bool:
    """Whether tags are O, B-… and I-…, at least one of the last two."""
    return any(t[:2] in ("B-", "I-") for t in tags) and all(t == "O" or t[:2] in ("B-", "I-") for t in tags)
