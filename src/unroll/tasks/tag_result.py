"""What a result says of a tagging: its data, how it was scored, what was taken for what."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn

from unroll.data.sentences import Sentences
from unroll.data.wording import counted
from unroll.tasks.contract import Probe
from unroll.tasks.network import in_double
from unroll.tasks.ragged import given_files, split_facts, split_record, spread

if TYPE_CHECKING:
    from unroll.tasks.tag import TagTask

PROBED, SHOWN = 32, 20


def described(task: TagTask, metric: str, match: str) -> dict[str, Any]:
    return {
        "name": "tag",
        "field": task.data.field,
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
        f"into the same part. {given_files(task.data)}"
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
        "span F1",
        "Of spans marked by B-, I- and O tags, the harmonic mean of how many of those said are right and how many of "
        "those there are were said; a span is right where its ends and its kind are.",
    ),
    (
        "95 % interval",
        "Bootstrap over test sentences and seeds, paired. Two candidates whose intervals overlap are called level.",
    ),
)


def shown(task: TagTask, networks: Mapping[str, nn.Module], best: str) -> dict[str, Any]:
    """What the best network took for what, and the words of a report."""
    indices = task.indices["test"]
    said = task.said(networks[best], indices)
    pairs = [
        (str(tag), found, word, new)
        for k, tags in zip(indices, said)
        for word, tag, found, new in zip(
            task.sentences.words[k], task.sentences.tags[k], tags, task.input.new(task.sentences.words[k])
        )
    ]
    several = "" if task.tags.joint is None else ", morpheme by morpheme"
    words = {
        "job": f"tag words by {task.data.field}{several}",
        "example": "sentence",
        "checked": "no overlap, vocabulary fitted on train",
        "examples": "What was taken for what",
        "definitions": [list(pair) for pair in _DEFINITIONS],
        "gradient": "The loss reads the output at every word, so it reaches each of them directly.",
    }
    return {"words": words, "tables": [_confused(pairs, best), _by_tag(pairs, best)], "examples": []}


_Pair = tuple[str, str, str, bool]


def _confused(pairs: Sequence[_Pair], name: str) -> dict[str, Any]:
    wrong = Counter((truth, said) for truth, said, _, _ in pairs if truth != said)
    example = {(truth, said): word for truth, said, word, _ in reversed(pairs) if truth != said}
    total = Counter(truth for truth, _, _, _ in pairs)
    common = wrong.most_common(SHOWN)
    title = f"{name} is right on every test word"
    if common:
        (truth, said), times = common[0]
        title = f"{name} most often takes {truth} for {said}: {times:,} of {total[truth]:,}"
    rows = [[truth, said, times, total[truth], example[truth, said]] for (truth, said), times in common]
    return {"title": title, "head": ["truth", "taken for", "times", "of", "as in"], "rows": rows, "note": "Test part."}


def _by_tag(pairs: Sequence[_Pair], name: str) -> dict[str, Any]:
    total, said = Counter(p[0] for p in pairs), Counter(p[1] for p in pairs)
    hit = Counter(p[0] for p in pairs if p[0] == p[1])
    new = sum(p[3] for p in pairs)
    missed = sum(p[3] and p[0] != p[1] for p in pairs)
    all_missed = sum(p[0] != p[1] for p in pairs)
    share = f"{100 * missed / all_missed:.0f} %" if all_missed else "none"
    part = f"{100 * new / max(1, len(pairs)):.0f} %"
    title = f"{share} of the errors of {name} are on words new to it, which are {part} of all"
    rows = [
        [tag, hit[tag] / said[tag] if said[tag] else None, hit[tag] / n, n] for tag, n in total.most_common(2 * SHOWN)
    ]
    return {
        "title": title,
        "head": ["tag", "precision", "recall", "words"],
        "rows": rows,
        "note": "Most frequent first.",
    }


def record(task: TagTask) -> dict[str, Any]:
    """What ``data.json`` holds."""
    return {
        "source": task.source,
        "fingerprint": task.fingerprint,
        "input": task.input.to_dict(),
        "tags": task.tags.to_dict(),
        "decoder": task.decoder,
        "spans": task.spans,
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
