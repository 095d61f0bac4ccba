"""How far classifications were off: per example, so that scores, intervals and differences come from the same sums."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

METRICS = ("accuracy", "macro F1", "NLL", "Brier", "ECE")
HIGHER = ("accuracy", "macro F1")
BINS = 15
_TINY = 1e-12
"""Probabilities below this are taken as this where a logarithm is needed."""


@dataclass(frozen=True, eq=False)
class ClassErrors:
    """What each example was, what it was taken for, and how surely; all arrays (examples,).

    Attributes:
        truth, predicted: numbers of classes, 0 … ``classes`` - 1.
        nll: -log p(truth); NaN where the predictor gives no probabilities.
        brier: Σ_k (p_k - 1{k = truth})².
        confidence: the predicted class's probability.
        series, origins: each example stands alone, in an order that has nothing to do with the file's.
    """

    truth: np.ndarray
    predicted: np.ndarray
    nll: np.ndarray
    brier: np.ndarray
    confidence: np.ndarray
    classes: int

    @property
    def series(self) -> np.ndarray:
        return np.zeros(len(self.truth), dtype=np.int64)

    @property
    def origins(self) -> np.ndarray:
        return np.random.default_rng(0).permutation(len(self.truth))

    def arrays(self) -> dict[str, np.ndarray]:
        """What ``from_arrays`` reads back."""
        return {
            "truth": self.truth,
            "predicted": self.predicted,
            "nll": self.nll,
            "brier": self.brier,
            "confidence": self.confidence,
            "classes": np.array([self.classes]),
        }

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray]) -> ClassErrors:
        given = dict(arrays)
        return cls(classes=int(given.pop("classes")[0]), **given)

    def block_sums(self, block: np.ndarray, blocks: int) -> dict[str, np.ndarray]:
        """Per block: counts, log-likelihoods, and for every class and bin of confidence what F1 and ECE are made of."""
        right = self.truth == self.predicted
        k, bins = self.classes, np.minimum((self.confidence * BINS).astype(np.int64), BINS - 1)

        def per(group: np.ndarray, size: int, weights: np.ndarray) -> np.ndarray:
            return np.bincount(block * size + group, weights=weights, minlength=blocks * size).reshape(blocks, size)

        ones = np.ones(len(self.truth))
        return {
            "count": np.bincount(block, minlength=blocks).astype(np.float64),
            "nll": np.bincount(block, weights=self.nll, minlength=blocks),
            "brier": np.bincount(block, weights=self.brier, minlength=blocks),
            "hit": per(self.truth, k, right.astype(np.float64)),
            "true": per(self.truth, k, ones),
            "taken": per(self.predicted, k, ones),
            "bin_sure": per(bins, BINS, self.confidence),
            "bin_right": per(bins, BINS, right.astype(np.float64)),
        }

    def score_arrays(self, total: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        r"""Every metric from ``block_sums`` added up, (…,) or (…, classes or bins).

        accuracy = hits / n; macro F1 = the mean over classes of 2 hits / (true + taken), 0 for a class that is there
        and never hit, classes neither true nor taken left out; NLL = -Σ log p / n; Brier as in Brier 1950, 0 to 2;
        ECE = Σ_b |right_b - sure_b| / n over 15 equal bins of confidence (Guo et al. 2017, eq. 3).
        """
        n = total["count"]
        seen = total["true"] + total["taken"]
        with np.errstate(divide="ignore", invalid="ignore"):
            f1 = np.where(seen > 0, 2 * total["hit"] / np.where(seen > 0, seen, 1), np.nan)
            return {
                "accuracy": total["hit"].sum(-1) / n,
                "macro F1": np.nansum(f1, -1) / np.maximum((seen > 0).sum(-1), 1),
                "NLL": total["nll"] / n,
                "Brier": total["brier"] / n,
                "ECE": np.abs(total["bin_right"] - total["bin_sure"]).sum(-1) / n,
            }

    def scores(self) -> dict[str, float | None]:
        everything = self.block_sums(np.zeros(len(self.truth), dtype=np.int64), 1)
        arrays = self.score_arrays({name: total[0] for name, total in everything.items()})
        return {name: float(value) if np.isfinite(value) else None for name, value in arrays.items()}

    def details(self) -> dict[str, dict[str, float | None]]:
        return {}

    def confusion(self) -> np.ndarray:
        """(classes, classes): row the truth, column what it was taken for."""
        flat = np.bincount(self.truth * self.classes + self.predicted, minlength=self.classes**2)
        return flat.reshape(self.classes, self.classes)


def class_errors(truth: np.ndarray, probabilities: np.ndarray, *, hard: bool = False) -> ClassErrors:
    """Errors of ``probabilities`` (examples, classes) against ``truth`` (examples,).

    A class that training did not have is numbered from ``probabilities.shape[1]`` on: nobody can hit it. ``hard``
    predictions are no probabilities: they have no NLL.
    """
    n, known = probabilities.shape
    classes = max(known, int(truth.max(initial=0)) + 1)
    p = np.zeros((n, classes))
    p[:, :known] = probabilities
    own = p[np.arange(n), truth]
    predicted = probabilities.argmax(axis=1)
    brier = (p**2).sum(axis=1) - 2 * own + 1
    nll = np.full(n, np.nan) if hard else -np.log(np.maximum(own, _TINY))
    return ClassErrors(truth, predicted, nll, brier, p[np.arange(n), predicted], classes)
