"""What a classifier reads: numbers of tokens, or standardised channels; each fitted on the training part alone."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from unroll.data import Examples, Ragged, Vocabulary, carried_sequences, usual_unit
from unroll.data.examples.ngrams import NGrams
from unroll.data.examples.vocabulary import UNKNOWN
from unroll.errors import DataError, reading_record
from unroll.tasks.classify.options import ClassifyOptions


class Input(ABC):
    """From examples to sequences of what the network reads."""

    what: str
    """One example, in words."""

    @abstractmethod
    def encode(self, examples: Examples) -> Ragged:
        """Raises DataError for examples of another kind than it was fitted on."""

    @property
    @abstractmethod
    def tokens(self) -> int | None:
        """How many numbers tokens have; None for channels."""

    @property
    @abstractmethod
    def width(self) -> int:
        """What the encoder reads at a step."""

    @abstractmethod
    def to_dict(self) -> dict[str, Any]: ...

    @abstractmethod
    def told(self) -> str:
        """What was chosen and fitted, in words."""


@dataclass(frozen=True, eq=False)
class TextInput(Input):
    """Documents as numbers of their first ``longest`` tokens."""

    vocabulary: Vocabulary
    longest: int
    embedding: int
    chosen: str
    grams: NGrams
    what = "document"

    @classmethod
    def fit(cls, texts: list[str], options: ClassifyOptions) -> TextInput:
        unit = options.unit or usual_unit(texts)
        why = "as given" if options.unit else "found in the training documents"
        vocabulary = Vocabulary.fit(
            texts, unit, lower=not options.keep_case, min_count=options.min_count, size=options.vocabulary
        )
        grams = NGrams.fit(
            [vocabulary.encode(text)[: options.longest] for text in texts] if options.ngrams > 1 else [],
            len(vocabulary),
            options.ngrams,
            min_count=options.min_count,
            size=options.vocabulary,
        )
        return cls(vocabulary, options.longest, options.embedding, why, grams)

    def encode(self, examples: Examples) -> Ragged:
        if not examples.is_text:
            raise DataError(f"{examples.name} holds numbers", expected="documents, as the training had")
        like = np.empty((0, self.grams.longest)[: 1 if self.grams.longest == 1 else 2], np.int64)
        return Ragged.of([self.cut(text) for text in examples.texts], like)

    def cut(self, text: str) -> np.ndarray:
        return self.grams.encode(self.vocabulary.encode(text)[: self.longest])

    def count(self, text: str) -> int:
        """How many tokens a document has, read or not."""
        return len(self.vocabulary.encode(text))

    @property
    def tokens(self) -> int:
        return self.grams.count

    @property
    def width(self) -> int:
        return self.embedding

    def known_share(self, ragged: Ragged) -> list[float | None]:
        """Of each document's tokens, the share that training had; None of a document without any."""
        known = [ragged.sequence(k).reshape(-1, self.grams.longest)[:, 0] != UNKNOWN for k in range(len(ragged))]
        return [float(own.mean()) if len(own) else None for own in known]

    def told(self) -> str:
        case = "" if self.vocabulary.lower else ", case kept"
        runs = [f", {len(known):,} runs of {n}" for n, known in enumerate(self.grams.runs, 2)]
        return (
            f"a token is a {self.vocabulary.unit} ({self.chosen}{case}); {len(self.vocabulary) - 1:,} known"
            f"{''.join(runs)}, learned from {self.vocabulary.fitted_on:,} training documents"
        )

    def to_dict(self) -> dict[str, Any]:
        return {
            "kind": "text",
            "vocabulary": self.vocabulary.to_dict(),
            "longest": self.longest,
            "embedding": self.embedding,
            "chosen": self.chosen,
            "ngrams": self.grams.to_dict(),
        }


@dataclass(frozen=True, eq=False)
class NumberInput(Input):
    """Channels standardised with the mean and deviation of all steps of the training sequences, or as they are.

    ``order`` is the one fixed order in which the steps of every sequence are read, or None for their own.
    """

    channels: tuple[str, ...]
    mean: np.ndarray
    deviation: np.ndarray
    fitted_on: int
    missing: str
    scale: str = "standard"
    order: tuple[int, ...] | None = None
    what = "sequence"

    @classmethod
    def fit(
        cls,
        examples: Examples,
        train: np.ndarray,
        missing: str,
        *,
        scale: str | None = None,
        permute: int | None = None,
    ) -> NumberInput:
        """Raises DataError where no training sequence has a step, or ``permute`` is to order unequal lengths."""
        sequences = carried_sequences(examples, missing)
        if not any(len(sequences[k]) for k in train):
            raise DataError(f"no training sequence of {examples.name} has a step", expected="one step or more")
        scale = scale or ("none" if examples.scaled else "standard")
        mean, deviation = _fitted([sequences[k] for k in train], len(examples.channels), scale)
        order = None if permute is None else _order(len(sequences[train[0]]), permute)
        return cls(examples.channels, mean, deviation, len(train), missing, scale, order)

    def encode(self, examples: Examples) -> Ragged:
        if len(examples.channels) != len(self.channels):
            raise DataError(
                f"{examples.name} has {len(examples.channels)} channels",
                expected=f"the {len(self.channels)} of the training: {', '.join(self.channels)}",
            )
        sequences = carried_sequences(examples, self.missing)
        self._check_lengths(examples)
        offsets = np.concatenate([[0], np.cumsum([len(s) for s in sequences], dtype=np.int64)])
        values = np.empty((offsets[-1], self.width), np.float32)
        order = slice(None) if self.order is None else np.array(self.order)
        for k, s in enumerate(sequences):
            read = s[order]
            values[offsets[k] : offsets[k + 1]] = np.nan_to_num((read - self.mean) / self.deviation, nan=0.0)
        return Ragged(values, offsets)

    def _check_lengths(self, examples: Examples) -> None:
        if self.order is None:
            return
        for k, s in enumerate(examples.sequences):
            if len(s) != len(self.order):
                raise DataError(
                    f"{examples.where[k]} has {len(s):,} steps",
                    expected=f"{len(self.order):,} in every sequence, as --permute needs",
                    fix="Leave --permute out",
                )

    @property
    def tokens(self) -> None:
        return None

    @property
    def width(self) -> int:
        return len(self.channels)

    def told(self) -> str:
        many = f"{self.width} channels" if self.width > 1 else "one channel"
        order = "" if self.order is None else f", the {len(self.order):,} steps in one fixed random order (--permute)"
        if self.scale == "none":
            return f"{many}, as {'they are' if self.width > 1 else 'it is'}{order}"
        return f"{many}, standardised with the mean and deviation of {self.fitted_on:,} training sequences{order}"

    def to_dict(self) -> dict[str, Any]:
        return {
            "kind": "numbers",
            "channels": list(self.channels),
            "mean": self.mean.tolist(),
            "deviation": self.deviation.tolist(),
            "fitted_on": self.fitted_on,
            "missing": self.missing,
            "scale": self.scale,
            "order": None if self.order is None else list(self.order),
        }


def _fitted(sequences: list[np.ndarray], channels: int, scale: str) -> tuple[np.ndarray, np.ndarray]:
    """Mean and deviation of each channel; 0 and 1 where it is left as it is."""
    if scale == "none":
        return np.zeros(channels), np.ones(channels)
    steps = np.ma.masked_invalid(np.concatenate(sequences).astype(np.float64, copy=False))
    deviation = np.asarray(steps.std(axis=0).filled(0.0), np.float64)
    # A channel that does not change is 0 throughout, not noise blown up.
    return np.asarray(steps.mean(axis=0).filled(0.0)), np.where(deviation > 1e-12, deviation, 1.0)


def _order(steps: int, seed: int) -> tuple[int, ...]:
    return tuple(np.random.default_rng(seed).permutation(steps).tolist())


def input_from(record: Mapping[str, Any]) -> TextInput | NumberInput:
    """What ``to_dict`` wrote. Raises RunError where a part is missing."""
    with reading_record():
        if record["kind"] == "text":
            vocabulary = Vocabulary.from_dict(record["vocabulary"])
            grams = NGrams.from_dict(record["ngrams"]) if "ngrams" in record else NGrams(len(vocabulary), ())
            return TextInput(vocabulary, record["longest"], record["embedding"], record["chosen"], grams)
        mean, deviation = (np.asarray(record[name], np.float64) for name in ("mean", "deviation"))
        order = record.get("order")
        return NumberInput(
            tuple(record["channels"]),
            mean,
            deviation,
            record["fitted_on"],
            record["missing"],
            record.get("scale", "standard"),
            None if order is None else tuple(order),
        )
