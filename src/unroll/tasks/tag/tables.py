"""Tables of a tagging: what was taken for what, tag by tag, span by span, attribute by attribute."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from unroll.data.examples.features import parse_features
from unroll.tasks.matrix import confusion
from unroll.tasks.tag.errors import FEATURES, SPANS
from unroll.tasks.tag.spans import spans_of

if TYPE_CHECKING:
    from unroll.tasks.tag.task import TagTask

SHOWN = 20
_Pair = tuple[str, str, str, bool]
"""The true tag of a word, the one said, the word, and whether training has it not."""


def tag_tables(task: TagTask, indices: np.ndarray, said: Sequence[Sequence[str]], name: str) -> list[dict[str, Any]]:
    """``title``, ``head``, ``rows`` and ``note`` of each, for the network ``name`` and what it ``said``."""
    truth = [[str(tag) for tag in task.sentences.tags[k]] for k in indices]
    pairs = [
        (tag, found, word, new)
        for k, own, tags in zip(indices, truth, said)
        for word, tag, found, new in zip(task.sentences.words[k], own, tags, task.input.new(task.sentences.words[k]))
    ]
    tables = [_confused(pairs, name), _by_tag(pairs, name)]
    if task.marks == SPANS:
        tables.insert(0, _by_kind(truth, said, name))
    if task.marks == FEATURES:
        tables.insert(0, _by_attribute(pairs, name))
    return tables


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
    table = _table(title, ["truth", "taken for", "times", "of", "as in"], rows, "Test part.")
    return {**table, "drawn": confusion(Counter((truth, said) for truth, said, _, _ in pairs), "words")}


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
    return _table(title, ["tag", "precision", "recall", "words"], rows, "Most frequent first.")


def _by_kind(truth: Sequence[Sequence[str]], said: Sequence[Sequence[str]], name: str) -> dict[str, Any]:
    true, found, right = Counter[str](), Counter[str](), Counter[str]()
    for own, tags in zip(truth, said):
        a, b = spans_of(own), spans_of(tags)
        for counter, spans in ((true, a), (found, b), (right, a & b)):
            counter.update(kind for _, _, kind in spans)
    rows = [_shares(kind, right[kind], found[kind], n) for kind, n in true.most_common()]
    rows += [_shares(kind, 0, n, 0) for kind, n in found.most_common() if kind not in true]
    worst = min((row for row in rows if row[2] is not None), key=lambda row: row[2], default=None)
    title = f"No test sentence has a span; {name} says {found.total():,}"
    if worst is not None:
        title = f"{name} finds {100 * worst[2]:.0f} % of the spans {worst[0]}, the least of any kind"
    return _table(title, ["span", "precision", "recall", "F1", "spans"], rows, "Test part, most frequent first.")


def _by_attribute(pairs: Sequence[_Pair], name: str) -> dict[str, Any]:
    held = [(parse_features(truth), parse_features(said)) for truth, said, _, _ in pairs]
    rows = []
    for attribute in sorted({key for both in held for own in both for key in own}, key=str.lower):
        values = [(truth.get(attribute), said.get(attribute)) for truth, said in held]
        right = sum(a == b is not None for a, b in values)
        said, true = sum(b is not None for _, b in values), sum(a is not None for a, _ in values)
        alike = sum(a == b for a, b in values)
        rows.append([*_shares(attribute, right, said, true), alike / len(values)])
    worst = min((row for row in rows if row[3] is not None), key=lambda row: row[3], default=None)
    title = "No test word has a feature"
    if worst is not None:
        title = f"{name} is worst on {worst[0]}: F1 {worst[3]:.2f} of {worst[4]:,} words that have it"
    head = ["attribute", "precision", "recall", "F1", "words with it", "right of all words"]
    return _table(title, head, rows, "Test part. Right of all words: its value, or that it is not there.")


def _shares(name: str, right: int, said: int, true: int) -> list[Any]:
    """Name, precision, recall, F1, count."""
    f1 = 2 * right / (said + true) if said + true else None
    return [name, right / said if said else None, right / true if true else None, f1, true]


def _table(title: str, head: list[str], rows: list[list[Any]], note: str) -> dict[str, Any]:
    return {"title": title, "head": head, "rows": rows, "note": note}
