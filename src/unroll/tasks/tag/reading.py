"""From files to sentences in parts."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from unroll.data import stratified
from unroll.data.examples.features import ordered_features
from unroll.data.examples.sentences import Sentences, read_sentences
from unroll.data.series.split import PARTS
from unroll.data.wording import counted
from unroll.errors import DataError
from unroll.tasks.sources import files_of, given_parts, own_parts, repeated, shown_name
from unroll.tasks.tag.options import TagData, TagOptions


def read_source(source: Any, data: TagData, part: str = "train") -> Sentences:
    """The sentences of a file, or of a data set's file for ``part``.

    Raises:
        DataError: it is neither, or a line is malformed.
    """
    files = files_of(source, part)
    if files is None:
        raise DataError(
            f"a {type(source).__name__}", expected="the path of a .conllu file, or of one with a word and tag per line"
        )
    return read_sentences(files[0], data.field, word=data.word_column, tag=data.tag_column)


def all_tagged(sentences: Sentences) -> Sentences:
    """``sentences``, every word of which has a tag. Raises DataError naming the first that has none."""
    for k, tags in enumerate(sentences.tags):
        if None in tags:
            raise DataError(
                f"{sentences.where(k, tags.index(None))} has no tag",
                expected="a tag for every word",
                fix="Complete it, or give another --field or --tag-column",
            )
    return sentences


def in_order(sentences: Sentences) -> Sentences:
    """``sentences`` whose tags are features, these in their one order. Raises DataError naming a word without any."""
    written = tuple(
        tuple(ordered_features(str(tag), f"at {sentences.where(k, i)}") for i, tag in enumerate(own))
        for k, own in enumerate(sentences.tags)
    )
    return sentences if written == sentences.tags else replace(sentences, tags=written)


def read_tagged(
    source: Any, data: TagData, options: TagOptions
) -> tuple[Sentences, dict[str, np.ndarray], list[str], str]:
    """All sentences, which are in which part, what there is to say of that, and the source's name.

    Raises:
        DataError: a file cannot be read, a word has no tag, or a part would be empty.
    """
    own = all_tagged(read_source(source, data))
    sources = given_parts(source, data.valid, data.test)
    given = {part: all_tagged(read_source(path, data, part)) for part, path in sources.items()}
    parts = options.shares().parts
    rest = max(0.0, len(own) - sum(float(p) for p in parts if p is not None))
    shares = [0.0 if name in given else rest if p is None else float(p) for name, p in zip(PARTS, parts)]
    indices = stratified([""] * len(own), own.words, shares, options.split_seed)
    for part in PARTS:
        if not len(indices[part]) and part not in given:
            raise DataError(
                f"{own.name} has {counted(len(own), 'sentence')}: none is left for the {part} part",
                expected=f"sentences in each part of --split {options.split}",
                fix="Give more of them, another --split, or --valid FILE and --test FILE",
            )
    joined, notes = own, own_parts(source, sources, {part: more.name for part, more in given.items()})
    trained = {own.words[k] for k in indices["train"]}
    for part, more in given.items():
        indices[part] = np.arange(len(joined), len(joined) + len(more))
        twice = sum(words in trained for words in more.words)
        if twice:
            notes.append(repeated(part, twice, len(more), "sentence"))
        joined = _joined(joined, more)
    return joined, indices, notes, shown_name(source, own.name)


def _joined(one: Sentences, other: Sentences) -> Sentences:
    return replace(
        one,
        fingerprint=f"{one.fingerprint}+{other.fingerprint}",
        words=one.words + other.words,
        tags=one.tags + other.tags,
        lines=one.lines + other.lines,
    )
