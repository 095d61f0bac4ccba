"""What a result says of a classification: its data, how it was scored, what was taken for what."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from unroll.data import Examples, Ragged
from unroll.data.wording import counted
from unroll.tasks.classify.inputs import NumberInput, TextInput
from unroll.tasks.classify.tables import tables
from unroll.tasks.contract import Probe
from unroll.tasks.network import in_double
from unroll.tasks.ragged import given_files, split_facts, split_record, spread
from unroll.tasks.sources import checked, said_of_own_parts

if TYPE_CHECKING:
    from unroll.tasks.classify.task import ClassifyTask

PROBED, LONGEST_PROBED = 32, 300
"""How many validation examples are looked inside with, and how many steps of each."""


def described(task: ClassifyTask, metric: str, match: str) -> dict[str, Any]:
    o = task.options
    return {
        "name": "classify",
        "label": task.data.label,
        "classes": list(task.classes),
        "input": task.input.told(),
        "pooling": o.pooling,
        "bidirectional": o.bidirectional,
        "class_weight": o.class_weight,
        "metric": metric,
        "better": "higher" if metric in task.higher else "lower",
        "match": match,
        "loss": "cross entropy",
    }


def data_facts(task: ClassifyTask, absent: Sequence[str] = ()) -> dict[str, Any]:
    """What was read and how it was split."""
    notes = [task.input.told(), *task.notes, *(f"no baseline {a}" for a in absent)]
    return {**split_facts(task), "notes": notes}


def protocol(task: ClassifyTask) -> str:
    """How the figures came about, in words."""
    o = task.options
    split = (
        f"The examples of {task.source} are split at random (seed {o.split_seed}, {o.split}) so that each part has the "
        f"classes in their shares; equal {task.input.what}s come into the same part. "
    )
    weights = " with classes weighted so that all count alike" if o.class_weight == "balanced" else ""
    return (
        f"{split}{given_files(task.data)}{said_of_own_parts(task.notes)}"
        f"What the network reads is fitted on the training part alone: {task.input.told()}. "
        f"Batches hold {task.input.what}s of like length, at most {o.batch_tokens:,} steps with their padding, which "
        "no layer reads. "
        f"Networks learn the cross entropy{weights}, stop early on the validation part and are scored once on the test "
        "part. Scoring an example that training was on is an error."
    )


def words(task: ClassifyTask) -> dict[str, Any]:
    """What a report says of this task and of no other."""
    by = f" by {task.data.label}" if task.data.label else ""
    return {
        "job": f"classify {task.input.what}s{by}, {len(task.classes)} classes",
        "example": task.input.what,
        "checked": checked(task.notes, _fitted(task.input)),
        "examples": "What was taken for what",
        "gradient": "The loss reads every step's output at once, so it reaches each of them directly: there is no "
        "reach to measure. With --pooling last, reading one way, there is.",
        "definitions": [list(pair) for pair in _DEFINITIONS],
    }


def _fitted(input: TextInput | NumberInput) -> str:
    if isinstance(input, TextInput):
        return "vocabulary"
    return "scaler" if input.scale == "standard" else "nothing but the weights"


_DEFINITIONS = (
    ("accuracy", "The share of examples whose class was found."),
    (
        "macro F1",
        "Of each class the harmonic mean of precision (how much of what was taken for it is it) and recall (how much "
        "of it was found), then the mean over classes, each counting alike.",
    ),
    ("NLL", "The mean negative logarithm of the probability given to the true class."),
    ("Brier", "The mean squared distance of the probabilities from 1 for the true class and 0 for the others, 0 to 2."),
    (
        "ECE",
        "Expected calibration error: how far the share of right answers lies from the probability given to them, "
        "averaged over 15 ranges of it.",
    ),
    (
        "95 % interval",
        "Bootstrap over test examples and seeds, paired. Two candidates whose intervals overlap are called level.",
    ),
)


def shown(task: ClassifyTask, networks: Mapping[str, nn.Module], best: str) -> dict[str, Any]:
    """Tables of what the best network took for what, and the words of a report."""
    indices = task.parts.indices["test"]
    probabilities = task.probabilities(networks[best], indices)
    return {"words": words(task), "tables": tables(task, best, indices, probabilities), "examples": []}


def record(task: ClassifyTask) -> dict[str, Any]:
    """What ``data.json`` holds: enough to read new data as the training's was, and to tell it apart."""
    return {
        "source": task.source,
        "fingerprint": task.fingerprint,
        "classes": list(task.classes),
        "input": task.input.to_dict(),
        "fitted_on": "train",
        "split": split_record(task),
        "counts": {
            part: np.bincount(task.truth[own], minlength=len(task.labels)).tolist()
            for part, own in task.parts.indices.items()
        },
        "labels": list(task.labels),
        "notes": list(task.notes),
    }


def probe(task: ClassifyTask, network: nn.Module) -> Probe:
    """The first steps of validation examples that have any, in float64."""
    lengths = task.ragged.lengths
    valid = task.parts.indices["valid"]
    own = valid[lengths[valid] > 0]
    if not len(own):
        own = task.parts.indices["train"][lengths[task.parts.indices["train"]] > 0]
    indices = spread(own, PROBED)
    double = in_double(network)
    x, sizes = task.ragged.batch(indices)
    x, sizes = x[:, :LONGEST_PROBED], sizes.clamp(max=LONGEST_PROBED)
    y = torch.from_numpy(np.minimum(task.truth[indices], len(task.classes) - 1))
    with torch.no_grad():
        read = double.embedded(x)  # type: ignore[operator]

    def loss(summary: Tensor) -> Tensor:
        return nn.functional.cross_entropy(double.scores(summary), y, reduction="none")  # type: ignore[operator]

    # Where every step is pooled the loss reaches each of them at once: there is no reach to measure.
    alone = task.options.pooling == "last" and not task.options.bidirectional
    return Probe(double.encoder, read.detach(), sizes, loss if alone else None)  # type: ignore[arg-type]


def length_notes(input: TextInput | NumberInput, examples: Examples, ragged: Ragged) -> list[str]:
    """Empty examples, documents that were cut, and documents of which nothing is known."""
    lengths = ragged.lengths
    notes = []
    empty = int((lengths == 0).sum())
    if empty:
        notes.append(f"{counted(empty, input.what)} without a {'token' if input.tokens else 'step'}: kept")
    if isinstance(input, TextInput):
        # One at the limit may have ended there; the text is cut again, further on, to know.
        full = np.flatnonzero(lengths == input.longest)
        cut = sum(len(input.vocabulary.encode(examples.texts[k])) > input.longest for k in full)
        if cut:
            notes.append(f"{counted(cut, 'document')} cut to the first {input.longest:,} tokens (--longest)")
        dark = sum(bool(len(s)) and not s.any() for s in (ragged.sequence(k) for k in range(len(ragged))))
        if dark:
            notes.append(f"{counted(dark, 'document')} with no token that training knows")
    return notes
