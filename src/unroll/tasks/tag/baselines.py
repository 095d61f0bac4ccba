"""What a tagger must beat: the most frequent tag of each word."""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from unroll.tasks.kept import Kept
from unroll.tasks.tag.inputs import WordInput

if TYPE_CHECKING:
    from unroll.tasks.tag.task import TagTask


class MostFrequentTag:
    """A word gets the tag it had most often in training, a word that training has not the most frequent of all.

    Of tags as frequent, the one seen first.
    """

    name = "most frequent tag"
    parameters: int = 0
    train_seconds: float = 0.0

    def __init__(self, task: TagTask) -> None:
        started = time.perf_counter()
        held: dict[str, Counter[str]] = defaultdict(Counter)
        every: Counter[str] = Counter()
        for k in task.indices["train"]:
            for word, tag in zip(task.sentences.words[k], task.sentences.tags[k]):
                held[task.input.folded(word)][str(tag)] += 1
                every[str(tag)] += 1
        self.best = {word: counts.most_common(1)[0][0] for word, counts in held.items()}
        self.usual = every.most_common(1)[0][0]
        self.folded = task.input.folded
        self.parameters = len(self.best)
        self.train_seconds = time.perf_counter() - started

    def tags(self, sentences: Sequence[Sequence[str]]) -> list[list[str]]:
        """The tags of each sentence."""
        return [[self.best.get(self.folded(word), self.usual) for word in own] for own in sentences]

    def kept(self) -> Kept:
        tags = sorted({self.usual, *self.best.values()})
        number = {tag: k for k, tag in enumerate(tags)}
        best = np.array([number[tag] for tag in self.best.values()], dtype=np.int32)
        return Kept({"tags": tags, "usual": self.usual, "words": list(self.best)}, {"best": best})

    @classmethod
    def from_kept(cls, kept: Kept, input: WordInput) -> MostFrequentTag:
        """``input`` says whether words are told apart by case."""
        made, tags = cls.__new__(cls), kept.fields["tags"]
        made.best = dict(zip(kept.fields["words"], (tags[k] for k in kept.arrays["best"]), strict=True))
        made.usual, made.folded = kept.fields["usual"], input.folded
        return made
