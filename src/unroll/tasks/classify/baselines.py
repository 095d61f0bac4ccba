"""What a classifier must beat: the majority, linear models of n-grams or of summaries, the nearest neighbour."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

import numpy as np

from unroll.data import Examples, Ragged
from unroll.tasks.classify.dtw import dtw_distances
from unroll.tasks.kept import Kept

if TYPE_CHECKING:
    from unroll.tasks.classify.task import ClassifyTask

STRENGTHS = (1.0, 10.0)
"""Inverse strengths of the linear models' penalty, chosen on validation."""
DTW_CELLS = 50_000_000_000
"""More than this many steps between pairs are not warped: some three minutes of one core."""
VALUES = 100_000_000
"""More than this many numbers of the training part are not held at once for a linear model: 0.8 GB."""


class Read(Protocol):
    """Examples, and what the network reads of them: a task, or new data."""

    @property
    def examples(self) -> Examples: ...

    @property
    def ragged(self) -> Ragged: ...


class ClassBaseline(ABC):
    """A classifier without a network; ``hard`` where what it gives are no probabilities."""

    name: str
    parameters: int = 0
    train_seconds: float = 0.0
    hard: ClassVar[bool] = False

    @abstractmethod
    def probabilities(self, data: Read, indices: np.ndarray) -> np.ndarray:
        """(examples, classes) float64."""

    @abstractmethod
    def kept(self) -> Kept:
        """What ``from_kept`` makes it of again."""

    @classmethod
    @abstractmethod
    def from_kept(cls, kept: Kept) -> ClassBaseline: ...

    def refuses(self, lengths: np.ndarray) -> str:
        """Why sequences of ``lengths`` are not classified; empty where they are."""
        return ""


class Majority(ClassBaseline):
    """Every example is taken for the most frequent class of training; the probabilities are the classes' shares."""

    name = "majority"

    def __init__(self, task: ClassifyTask) -> None:
        counts = np.bincount(task.truth[task.parts.indices["train"]], minlength=len(task.classes))
        self.shares = counts / counts.sum()

    def probabilities(self, data: Read, indices: np.ndarray) -> np.ndarray:
        return np.tile(self.shares, (len(indices), 1))

    def kept(self) -> Kept:
        return Kept({}, {"shares": self.shares})

    @classmethod
    def from_kept(cls, kept: Kept) -> Majority:
        made = cls.__new__(cls)
        made.shares = kept.arrays["shares"]
        return made


class _Linear(ClassBaseline):
    """Logistic regression on features of an example; the penalty is chosen by its validation accuracy."""

    strengths: ClassVar[tuple[float, ...]] = STRENGTHS

    def __init__(self, task: ClassifyTask) -> None:
        from sklearn.linear_model import LogisticRegression

        started = time.perf_counter()
        train, valid = task.parts.indices["train"], task.parts.indices["valid"]
        X, V = self.fit_features(task, train), self.features(task, valid)
        best: tuple[float, Any] | None = None
        for strength in self.strengths:
            model = LogisticRegression(C=strength, max_iter=300).fit(X, task.truth[train])
            right = float((model.predict(V) == task.truth[valid]).mean()) if len(valid) else 0.0
            if best is None or right > best[0]:
                best = (right, model)
        assert best is not None
        self.model = best[1]
        self.parameters = int(self.model.coef_.size + self.model.intercept_.size)
        self.train_seconds = time.perf_counter() - started

    def probabilities(self, data: Read, indices: np.ndarray) -> np.ndarray:
        return np.asarray(self.model.predict_proba(self.features(data, indices)), np.float64)

    def kept(self) -> Kept:
        fields, arrays = self.kept_features()
        model = {"coef": self.model.coef_, "intercept": self.model.intercept_, "classes": self.model.classes_}
        return Kept(fields, {**model, **arrays})

    @classmethod
    def from_kept(cls, kept: Kept) -> _Linear:
        from sklearn.linear_model import LogisticRegression

        made = cls.__new__(cls)
        made.restore_features(kept)
        made.model = LogisticRegression()
        for name in ("coef", "intercept", "classes"):
            setattr(made.model, f"{name}_", kept.arrays[name])
        return made

    @abstractmethod
    def kept_features(self) -> Kept:
        """What ``restore_features`` needs."""

    @abstractmethod
    def restore_features(self, kept: Kept) -> None: ...

    @abstractmethod
    def fit_features(self, task: ClassifyTask, indices: np.ndarray) -> Any: ...

    @abstractmethod
    def features(self, data: Read, indices: np.ndarray) -> Any: ...


class TfidfRegression(_Linear):
    """Logistic regression on TF-IDF weights: of words and pairs of them, or of 1 to 3 characters."""

    name = "TF-IDF + logistic regression"

    def fit_features(self, task: ClassifyTask, indices: np.ndarray) -> Any:
        self.words = task.input.to_dict()["vocabulary"]["unit"] == "word"
        self.lower = not task.options.keep_case
        self.vectorizer = self._vectorizer()
        return self.vectorizer.fit_transform(_texts(task, indices))

    def features(self, data: Read, indices: np.ndarray) -> Any:
        return self.vectorizer.transform(_texts(data, indices))

    def _vectorizer(self, vocabulary: Sequence[str] | None = None) -> Any:
        from sklearn.feature_extraction.text import TfidfVectorizer

        grams: dict[str, Any] = (
            {"analyzer": "word", "ngram_range": (1, 2), "token_pattern": r"(?u)\w+|[^\w\s]"}
            if self.words
            else {"analyzer": "char", "ngram_range": (1, 3)}
        )
        return TfidfVectorizer(min_df=2, sublinear_tf=True, lowercase=self.lower, vocabulary=vocabulary, **grams)

    def kept_features(self) -> Kept:
        grams = self.vectorizer.get_feature_names_out().tolist()
        return Kept({"words": self.words, "lower": self.lower, "grams": grams}, {"idf": self.vectorizer.idf_})

    def restore_features(self, kept: Kept) -> None:
        self.words, self.lower = kept.fields["words"], kept.fields["lower"]
        self.vectorizer = self._vectorizer(kept.fields["grams"])
        self.vectorizer.idf_ = kept.arrays["idf"]


def _texts(data: Read, indices: np.ndarray) -> list[str]:
    return [data.examples.texts[k] for k in indices]


class SummaryRegression(_Linear):
    """Logistic regression on standardised summaries of each channel: level, spread, ends, change, and the length."""

    name = "summary features + logistic regression"

    def fit_features(self, task: ClassifyTask, indices: np.ndarray) -> np.ndarray:
        summaries = _summaries(task, indices)
        self.mean, self.scale = summaries.mean(0), _spread(summaries, task.ragged.values.shape[1])
        return (summaries - self.mean) / self.scale

    def features(self, data: Read, indices: np.ndarray) -> np.ndarray:
        summaries = _summaries(data, indices)
        return (summaries - self.mean) / self.scale if len(summaries) else summaries

    def kept_features(self) -> Kept:
        return Kept({}, {"mean": self.mean, "scale": self.scale})

    def restore_features(self, kept: Kept) -> None:
        self.mean, self.scale = kept.arrays["mean"], kept.arrays["scale"]


DUST = 1e-6
"""Share of a channel's size under which a spread is rounding: that of the means of standardised series in float32."""


def _spread(summaries: np.ndarray, channels: int) -> np.ndarray:
    """The standard deviation of each summary, 1 where it is constant but for rounding."""
    spread: np.ndarray = summaries.std(0)
    size = np.abs(summaries[:, :-1]).reshape(-1, channels).max(0)
    sizes = np.append(np.tile(size, (summaries.shape[1] - 1) // channels), np.abs(summaries[:, -1]).max())
    return np.where(spread > DUST * sizes, spread, 1.0)


def _summaries(data: Read, indices: np.ndarray) -> np.ndarray:
    return np.array([summary(data.ragged.sequence(int(k))) for k in indices])


class ValueRegression(_Linear):
    """Logistic regression on every value of the sequences, which are of one length, as the network reads them."""

    name = "values + logistic regression"
    strengths = (0.1, 1.0)

    def fit_features(self, task: ClassifyTask, indices: np.ndarray) -> np.ndarray:
        self.steps = int(task.ragged.lengths[0])
        return self.features(task, indices)

    def features(self, data: Read, indices: np.ndarray) -> np.ndarray:
        rows = [data.ragged.sequence(int(k)).reshape(-1) for k in indices]
        return np.array(rows, np.float64).reshape(len(rows), self.steps * data.ragged.values.shape[1])

    def refuses(self, lengths: np.ndarray) -> str:
        other = np.flatnonzero(lengths != self.steps)
        return f"{self.name}: it was fitted on sequences of {self.steps:,} steps alone" if len(other) else ""

    def kept_features(self) -> Kept:
        return Kept({"steps": self.steps}, {})

    def restore_features(self, kept: Kept) -> None:
        self.steps = int(kept.fields["steps"])


def summary(sequence: np.ndarray) -> np.ndarray:
    """Of each channel mean, deviation, quartiles, extremes, ends, mean change and its size; and the length."""
    channels = sequence.shape[1]
    x = sequence.astype(np.float64) if len(sequence) else np.zeros((1, channels))
    steps = np.diff(x, axis=0) if len(x) > 1 else np.zeros((1, channels))
    parts = [x.mean(0), x.std(0), *np.quantile(x, (0.0, 0.25, 0.5, 0.75, 1.0), axis=0), x[0], x[-1]]
    return np.concatenate([*parts, steps.mean(0), np.abs(steps).mean(0), [np.log1p(len(sequence))]])


class NearestNeighbour(ClassBaseline):
    """The class of the training sequence with the least DTW distance (Dau et al. 2019 print it beside every set)."""

    name = "1-NN DTW"
    hard = True

    def __init__(self, task: ClassifyTask) -> None:
        train = task.part("train")
        self.held = [task.ragged.sequence(int(k)) for k in train]
        self.answers = np.eye(len(task.classes))[task.truth[train]]

    def probabilities(self, data: Read, indices: np.ndarray) -> np.ndarray:
        asked, held = (
            [s.astype(np.float64) for s in sequences]
            for sequences in ([data.ragged.sequence(int(k)) for k in indices], self.held)
        )
        return self.answers[dtw_distances(asked, held).argmin(axis=1)]

    def refuses(self, lengths: np.ndarray) -> str:
        cells = float(sum(map(len, self.held))) * float(lengths.sum())
        return "" if cells <= DTW_CELLS else _too_many(cells)

    def kept(self) -> Kept:
        empty = np.empty((0, self.held[0].shape[1]), self.held[0].dtype)
        held = Ragged.of(self.held, empty)
        return Kept({}, {"values": held.values, "offsets": held.offsets, "answers": self.answers})

    @classmethod
    def from_kept(cls, kept: Kept) -> NearestNeighbour:
        made, held = cls.__new__(cls), Ragged(kept.arrays["values"], kept.arrays["offsets"])
        made.held, made.answers = [held.sequence(k) for k in range(len(held))], kept.arrays["answers"]
        return made


KINDS: dict[str, type[ClassBaseline]] = {
    kind.name: kind for kind in (TfidfRegression, SummaryRegression, ValueRegression, NearestNeighbour, Majority)
}


def _too_many(cells: float) -> str:
    return f"1-NN DTW: it would compare {cells:.1e} steps, more than {DTW_CELLS:.0e}"


def fitted_baselines(task: ClassifyTask) -> tuple[list[ClassBaseline], list[str]]:
    """Those that go with the input, fitted, and why any is absent."""
    found: list[ClassBaseline] = []
    absent = []
    if task.parts.examples.is_text:
        try:
            found.append(TfidfRegression(task))
        except ValueError as error:
            absent.append(f"TF-IDF + logistic regression: {str(error).splitlines()[0]}")
    else:
        found.append(SummaryRegression(task))
        _values(task, found, absent)
        cells = warping_cells(task)
        if cells <= DTW_CELLS:
            found.append(NearestNeighbour(task))
        else:
            absent.append(_too_many(cells))
    return [*found, Majority(task)], absent


def _values(task: ClassifyTask, found: list[ClassBaseline], absent: list[str]) -> None:
    """Add the linear model of all values, or say why there is none."""
    lengths, train = task.ragged.lengths, task.parts.indices["train"]
    numbers = int(lengths[train].sum()) * task.input.width
    if (lengths != lengths[0]).any():
        absent.append(f"{ValueRegression.name}: the sequences are not of one length")
    elif numbers > VALUES:
        absent.append(f"{ValueRegression.name}: it would learn from {numbers:.1e} numbers, more than {VALUES:.0e}")
    else:
        found.append(ValueRegression(task))


def warping_cells(task: ClassifyTask) -> float:
    """How many cells all pairs of training and test sequences have."""
    lengths = task.ragged.lengths.astype(np.float64)
    return float(lengths[task.parts.indices["train"]].sum() * lengths[task.parts.indices["test"]].sum())
