"""What is learned of a column of tags: their numbers, and how a network is to write them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from unroll.data.examples.features import parse_features, written_features
from unroll.data.examples.sentences import joined_share
from unroll.errors import ConfigError, DataError
from unroll.tasks.tag.errors import FEATURES, marks_of
from unroll.tasks.tag.sets import FeatureSet, Tags, TagSet

JOINED = 0.05
"""Where at least this share of the training tags is several, joined, each word gets a sequence of tags."""


class FittedTags(NamedTuple):
    """The tags of the training part; ``marks``: what they are beside themselves; ``decoder``: how they are chosen."""

    tags: Tags
    marks: str
    decoder: str


def fit_tags(held: Sequence[Sequence[str]], decoder: str | None, joint: str, name: str) -> FittedTags:
    """The numbers of the tags ``held`` by the training sentences of ``name``; a ``decoder`` that fits if none is told.

    Raises:
        DataError: all tags are one.
        ConfigError: ``decoder`` does not fit them.
    """
    every = [tag for own in held for tag in own]
    if len(set(every)) == 1:
        raise DataError(
            f"every training word of {name} has the tag '{every[0]}'",
            expected="two tags or more",
            fix="Give another --field or --tag-column",
        )
    marks = marks_of(every)
    if marks == FEATURES:
        held = [[written_features(parse_features(tag)) for tag in own] for own in held]
    chosen = decoder or _usual_decoder(held, marks, joint)
    if chosen != "features":
        return FittedTags(TagSet.fit(held, joint if chosen == "morphemes" else None), marks, chosen)
    if marks != FEATURES:
        raise ConfigError(
            "--decoder features, but the training tags are none", expected="tags such as Case=Nom|Number=Sing, or _"
        )
    return FittedTags(FeatureSet.fit(held), marks, chosen)


def numbers_of(sentences: Sequence[Sequence[str | None]], tags: Tags) -> np.ndarray:
    """The numbers of all words' tags, (words, longest); -1 where there is none, or one that cannot be written."""
    none = [-1] * tags.longest
    known: dict[str, list[int]] = {}
    rows = []
    for own in sentences:
        for tag in own:
            if tag is not None and tag not in known:
                known[tag] = tags.encode(tag) or none
            rows.append(none if tag is None else known[tag])
    return np.array(rows, dtype=np.int64)


def _usual_decoder(held: Sequence[Sequence[str]], marks: str, joint: str) -> str:
    if marks == FEATURES:
        return "features"
    return "morphemes" if joined_share(held, joint) >= JOINED else "softmax"
