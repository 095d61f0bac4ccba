"""Tables of a classification: what was taken for what, class by class, how sure, and where it was most wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from unroll.tasks.classify.errors import BINS, ClassErrors, class_errors
from unroll.tasks.matrix import confusion

if TYPE_CHECKING:
    from unroll.tasks.classify.task import ClassifyTask

MOST_CLASSES = 12
"""More classes than this are listed as pairs: nobody reads the whole matrix."""
MOST_WRONG, EXCERPT = 5, 80


def tables(task: ClassifyTask, name: str, indices: np.ndarray, probabilities: np.ndarray) -> list[dict[str, Any]]:
    """``title``, ``head``, ``rows`` and ``note`` of each, for the network ``name``."""
    errors = class_errors(task.truth[indices], probabilities)
    return [
        _confusion(task, name, errors),
        _classes(task, name, errors),
        _calibration(name, errors, f"{task.input.what}s"),
        *_most_wrong(task, name, errors, indices),
    ]


def _confusion(task: ClassifyTask, name: str, errors: ClassErrors) -> dict[str, Any]:
    matrix = errors.confusion()
    labels = task.labels[: errors.classes]
    wrong = matrix - np.diag(np.diag(matrix))
    if not wrong.any():
        title = f"{name} is right on every test {task.input.what}"
    else:
        a, b = (int(k) for k in np.unravel_index(int(wrong.argmax()), wrong.shape))
        title = f"{name} most often takes {labels[a]} for {labels[b]}: {wrong[a, b]:,} of {matrix[a].sum():,}"
    if errors.classes <= MOST_CLASSES:
        head = ["truth, and what it was taken for", *labels]
        rows = [[label, *map(int, row)] for label, row in zip(labels, matrix)]
    else:
        order = np.argsort(-wrong, axis=None, kind="stable")[:20]
        pairs = [np.unravel_index(int(k), wrong.shape) for k in order if wrong.flat[int(k)]]
        head = ["truth", "taken for", "times", "of"]
        rows = [[labels[a], labels[b], int(wrong[a, b]), int(matrix[a].sum())] for a, b in pairs]
    times = {(labels[a], labels[b]): int(matrix[a, b]) for a, b in zip(*np.nonzero(matrix))}
    return {**_table(title, head, rows, "Test part."), "drawn": confusion(times, f"{task.input.what}s")}


def _classes(task: ClassifyTask, name: str, errors: ClassErrors) -> dict[str, Any]:
    matrix = errors.confusion()
    hit, true, taken = np.diag(matrix), matrix.sum(axis=1), matrix.sum(axis=0)
    share = [
        [_ratio(hit[k], taken[k]), _ratio(hit[k], true[k]), _ratio(2 * hit[k], true[k] + taken[k])]
        for k in range(errors.classes)
    ]
    found = [(row[1], k) for k, row in enumerate(share) if row[1] is not None]
    worst = min(found)[1] if found else 0
    title = f"{name} finds {100 * (share[worst][1] or 0):.0f} % of {task.labels[worst]}, the least of any class"
    rows = [[task.labels[k], *share[k], int(true[k])] for k in range(errors.classes)]
    return _table(title, ["class", "precision", "recall", "F1", "examples"], rows, "Test part.")


def _calibration(name: str, errors: ClassErrors, what: str) -> dict[str, Any]:
    right = errors.truth == errors.predicted
    place = np.minimum((errors.confidence * BINS).astype(int), BINS - 1)
    sure, share = float(errors.confidence.mean()), float(right.mean())
    gap = 100 * (sure - share)
    how = "as sure as it is right" if abs(gap) < 1 else f"{abs(gap):.0f} points too {'sure' if gap > 0 else 'unsure'}"
    title = f"{name} says {100 * sure:.0f} % on average and is right in {100 * share:.0f} %: {how}"
    rows = [
        [f"{b / BINS:.2f} to {(b + 1) / BINS:.2f}", int(own.sum()), _mean(errors.confidence[own]), _mean(right[own])]
        for b in range(BINS)
        if (own := place == b).any()
    ]
    bins = [{"count": row[1], "sure": row[2], "right": row[3]} for row in rows]
    drawn = {"kind": "calibration", "name": name, "bins": bins, "what": what}
    table = _table(title, ["probability given", "examples", "mean of it", "right"], rows, "Test part.")
    return {**table, "drawn": drawn}


def _most_wrong(task: ClassifyTask, name: str, errors: ClassErrors, indices: np.ndarray) -> list[dict[str, Any]]:
    wrong = np.flatnonzero(errors.truth != errors.predicted)
    if not len(wrong):
        return []
    surest = wrong[np.argsort(-errors.confidence[wrong], kind="stable")][:MOST_WRONG]
    rows = [
        [
            _excerpt(task, int(indices[k])),
            task.labels[errors.truth[k]],
            task.labels[errors.predicted[k]],
            float(errors.confidence[k]),
        ]
        for k in surest
    ]
    title = f"Where {name} is wrong and surest of it"
    return [_table(title, [task.input.what, "truth", "taken for", "probability"], rows, "Look here for wrong labels.")]


def _excerpt(task: ClassifyTask, index: int) -> str:
    examples = task.parts.examples
    if not examples.is_text:
        return str(examples.where[index])
    text = " ".join(examples.texts[index].split())
    return (text if len(text) <= EXCERPT else text[:EXCERPT] + "…") or f"(empty) {examples.where[index]}"


def _table(title: str, head: list[str], rows: list[list[Any]], note: str) -> dict[str, Any]:
    return {"title": title, "head": head, "rows": rows, "note": note}


def _ratio(part: float, whole: float) -> float | None:
    return float(part / whole) if whole else None


def _mean(values: np.ndarray) -> float:
    return float(values.mean())
