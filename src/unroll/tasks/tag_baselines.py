"""What a tagger must beat: the most frequent tag of each word."""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from unroll.tasks.tag import TagTask


class MostFrequentTag:
    """A word gets the tag it had most often in training, a word that training has not the most frequent of all.

    Of tags as frequent, the one seen first.
    """

    name = "most frequent tag"

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
        self.parameters = len(self.best)
        self.train_seconds = time.perf_counter() - started

    def tags(self, task: TagTask, indices: np.ndarray) -> list[list[str]]:
        """The tags of each sentence."""
        return [
            [self.best.get(task.input.folded(word), self.usual) for word in task.sentences.words[k]] for k in indices
        ]
