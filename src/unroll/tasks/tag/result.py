"""What a result says of a tagging: its data, how it was scored, what was taken for what."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn

from unroll.data.examples.sentences import Sentences
from unroll.data.wording import counted
from unroll.tasks.contract import Probe
from unroll.tasks.network import in_double
from unroll.tasks.ragged import given_files, split_facts, split_record, spread
from unroll.tasks.sources import checked, said_of_own_parts
from unroll.tasks.tag.errors import FEATURES, SPANS
from unroll.tasks.tag.tables import tag_tables

if TYPE_CHECKING:
    from unroll.tasks.tag.task import TagTask

PROBED = 32


def described(task: TagTask, metric: str, match: str) -> dict[str, Any]:
    return {
        "name": "tag",
        "field": task.sentences.field,
        "tags": task.tags.count,
        "decoder": task.decoder,
        "input": task.input.told(),
        "metric": metric,
        "better": "higher",
        "match": match,
        "loss": "negative log-likelihood",
    }


def data_facts(task: TagTask, absent: Sequence[str] = ()) -> dict[str, Any]:
    """What was read and how it was split."""
    notes = [task.input.told(), task.tags.told(), *task.notes, *(f"no baseline {a}" for a in absent)]
    return {**split_facts(task), "notes": notes}


def protocol(task: TagTask) -> str:
    """How the figures came about, in words."""
    o = task.options
    return (
        f"The sentences of {task.source} are split at random (seed {o.split_seed}, {o.split}); equal sentences come "
        f"into the same part. {given_files(task.data)}{said_of_own_parts(task.notes)}"
        "Words are as the file cuts them. Words, letters and tags are those of the "
        f"training part: {task.input.told()}; {task.tags.told()}. Networks learn the likelihood of the tags, stop "
        "early on the validation part and are scored once on the test part; a word is right where its whole tag is. "
        "Scoring a sentence that training was on is an error."
    )


_DEFINITIONS = (
    ("accuracy", "The share of words whose tag was found, the whole of it where it is several, joined."),
    ("OOV accuracy", "The same of the words that the training part has not."),
    ("sentence accuracy", "The share of sentences of which every word's tag was found."),
    (
        "feature F1",
        "Of attributes with their values, over all words, the harmonic mean of how many of those said are right and "
        "how many of those there are were said.",
    ),
    (
        "span F1",
        "Of spans marked by B-, I- and O tags, the harmonic mean of how many of those said are right and how many of "
        "those there are were said; a span is right where its ends and its kind are.",
    ),
    (
        "95 % interval",
        "Bootstrap over test sentences and seeds, paired. Two candidates whose intervals overlap are called level.",
    ),
)


_UNLESS = {"span F1": SPANS, "feature F1": FEATURES}
"""Terms of tags that mark something."""


def shown(task: TagTask, networks: Mapping[str, nn.Module], best: str) -> dict[str, Any]:
    """What the best network took for what, and the words of a report."""
    indices = task.indices["test"]
    said = task.said(networks[best], indices)
    by, several = task.sentences.field, f", {task.tags.by_what}" if task.tags.by_what else ""
    words = {
        "job": f"tag words{f' by {by}' if by else ''}{several}",
        "example": "sentence",
        "checked": checked(task.notes, "vocabulary"),
        "examples": "What was taken for what",
        "definitions": [list(pair) for pair in _DEFINITIONS if _UNLESS.get(pair[0], task.marks) == task.marks],
        "gradient": "The loss reads the output at every word, so it reaches each of them directly.",
    }
    return {"words": words, "tables": tag_tables(task, indices, said, best), "examples": []}


def record(task: TagTask) -> dict[str, Any]:
    """What ``data.json`` holds."""
    return {
        "source": task.source,
        "fingerprint": task.fingerprint,
        "input": task.input.to_dict(),
        "tags": task.tags.to_dict(),
        "decoder": task.decoder,
        "beside": [own.to_dict() for own in task.beside],
        "marks": task.marks,
        "fitted_on": "train",
        "split": split_record(task),
        "notes": list(task.notes),
    }


def probe(task: TagTask, network: nn.Module) -> Probe:
    """What the sentence encoder reads of validation sentences, in float64; its loss reads every step."""
    double: Any = in_double(network)
    batch = task.encoded.batch(spread(task.part("valid"), PROBED))
    with torch.no_grad():
        read = double.reader.read(batch)
    return Probe(double.encoder, read, batch.lengths, None)


def notes(
    sentences: Sentences, indices: Mapping[str, np.ndarray], numbers: np.ndarray, decoder: str, found: bool
) -> list[str]:
    """How tags are chosen, and those of the test part that cannot be written."""
    told = [f"decoder {decoder}, {'found in the training tags' if found else 'as given'}"]
    offsets = np.concatenate([[0], np.cumsum([len(own) for own in sentences.words])])
    for part in ("valid", "test"):
        missed = sum(int((numbers[offsets[k] : offsets[k + 1], 0] < 0).sum()) for k in indices[part])
        if missed:
            told.append(
                f"{counted(missed, f'{part} word')} with a tag that training has not: nobody can be right there"
            )
    return told
