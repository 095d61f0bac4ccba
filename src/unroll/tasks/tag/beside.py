"""Other fields of a treebank that a tagger learns beside the one it is asked for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from unroll.data.examples.sentences import FIELDS, MISC, Sentences
from unroll.errors import ConfigError, DataError, did_you_mean
from unroll.tasks.tag.errors import FEATURES
from unroll.tasks.tag.fitting import fit_tags, numbers_of
from unroll.tasks.tag.options import TagData
from unroll.tasks.tag.reading import all_tagged, in_order, read_source
from unroll.tasks.tag.sets import Tags, tags_from


@dataclass(frozen=True, eq=False)
class Beside:
    """One such field: its tags, how they are chosen, and their ``numbers`` of every word, those of training alone."""

    field: str
    tags: Tags
    decoder: str
    numbers: np.ndarray

    def to_dict(self) -> dict[str, Any]:
        return {"field": self.field, "tags": self.tags.to_dict(), "decoder": self.decoder}

    @classmethod
    def from_dict(cls, record: Mapping[str, Any]) -> Beside:
        return cls(record["field"], tags_from(record["tags"]), record["decoder"], np.empty((0, 0), np.int64))


def read_beside(
    source: Any, data: TagData, joint: str, sentences: Sentences, train: Sequence[int]
) -> tuple[Beside, ...]:
    """The fields ``data.beside`` of the training sentences ``train`` among ``sentences``, which begin with those of
    ``source``.

    Raises:
        ConfigError: no such field, or it is the one that is asked for.
        DataError: a word of the source has no tag of it.
    """
    return tuple(_one(field, source, data, joint, sentences, train) for field in data.beside)


def _one(field: str, source: Any, data: TagData, joint: str, sentences: Sentences, train: Sequence[int]) -> Beside:
    if field == data.field or not (field in FIELDS or field.startswith(MISC)):
        raise ConfigError(
            f"--beside {field}.{did_you_mean(field, FIELDS)}",
            expected=f"another field than --field: {', '.join(f for f in FIELDS if f != data.field)}",
        )
    own = all_tagged(read_source(source, replace(data, field=field)))
    if own.words != sentences.words[: len(own)]:
        raise DataError(f"{own.name} has other words with --beside {field}", expected="a CoNLL-U file")
    learned = set(train)
    tags, marks, decoder = fit_tags([[str(tag) for tag in own.tags[k]] for k in train], None, joint, own.name)
    kept = in_order(own) if marks == FEATURES else own
    every = [kept.tags[k] if k in learned else (None,) * len(words) for k, words in enumerate(sentences.words)]
    return Beside(field, tags, decoder, numbers_of(every, tags))
