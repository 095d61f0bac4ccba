"""Classifying: a document or a sequence of numbers in, one of a few classes out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from unroll.data import Examples, Ragged
from unroll.models import SequenceClassifier, pooling
from unroll.tasks.classify import result
from unroll.tasks.classify.baselines import ClassBaseline, fitted_baselines
from unroll.tasks.classify.errors import HIGHER, METRICS, ClassErrors, class_errors
from unroll.tasks.classify.inputs import NumberInput, TextInput
from unroll.tasks.classify.options import READING, ClassifyData, ClassifyOptions
from unroll.tasks.classify.reading import Parts, read_parts
from unroll.tasks.contract import TaskKind
from unroll.tasks.network import NetworkOptions, build_encoder
from unroll.tasks.ragged import RaggedProblem, RaggedTask, each_batch

if TYPE_CHECKING:
    from unroll.tasks.estimator import Estimator

CHUNK = 512
"""Sequences per forward pass when nothing is learned, within the budget of steps."""


@dataclass(frozen=True, eq=False)
class ClassifyTask(RaggedTask):
    """Examples ready to learn from: split, encoded, numbered. Build it with ``prepare``.

    Attributes:
        ragged: all examples, as the network reads them; ``truth`` the number of each one's class.
        classes: those of the training part, by number; higher numbers are of classes it has not.
    """

    name: ClassVar[str] = "classify"
    metrics: ClassVar[Sequence[str]] = METRICS
    higher: ClassVar[Sequence[str]] = HIGHER
    words: ClassVar[Any] = result
    chunk: ClassVar[int] = CHUNK

    parts: Parts
    data: ClassifyData
    options: ClassifyOptions
    input: TextInput | NumberInput
    ragged: Ragged
    classes: tuple[str, ...]
    labels: tuple[str, ...]
    truth: np.ndarray
    notes: tuple[str, ...]

    @property
    def examples(self) -> Examples:
        return self.parts.examples

    @property
    def source(self) -> str:
        return self.parts.source

    @property
    def fingerprint(self) -> str:
        return self.parts.examples.fingerprint

    @property
    def lengths(self) -> np.ndarray:
        return self.ragged.lengths

    @property
    def what(self) -> str:
        return self.input.what

    def part(self, name: str) -> np.ndarray:
        return self.parts.indices[name]

    def where(self, index: int) -> str:
        return str(self.parts.examples.where[index])

    def read_width(self) -> int:
        return self.input.width

    def directions(self) -> int:
        return 2 if self.options.bidirectional else 1

    def choices(self) -> list[str]:
        return [self.input.told(), *self.notes]

    def build(self, options: NetworkOptions) -> SequenceClassifier:
        return build_classifier(options, self.options, self.input, len(self.classes))

    def problem(self) -> ClassifyProblem:
        return ClassifyProblem(self)

    def baselines(self) -> tuple[list[ClassBaseline], list[str]]:
        return fitted_baselines(self)

    def probabilities(self, predictor: nn.Module | ClassBaseline, indices: np.ndarray) -> np.ndarray:
        """(examples, classes) float64."""
        if not isinstance(predictor, nn.Module):
            return predictor.probabilities(self, indices)
        return network_probabilities(predictor, self.ragged, indices, self.options.batch_tokens)

    def errors(self, predictor: nn.Module | ClassBaseline, part: str = "test") -> ClassErrors:
        indices = self.unseen(part)
        hard = isinstance(predictor, ClassBaseline) and predictor.hard
        return class_errors(self.truth[indices], self.probabilities(predictor, indices), hard=hard)


class ClassifyProblem(RaggedProblem):
    """Positions in the training part of a ``ClassifyTask``; validation leaves out classes that training has not."""

    def __init__(self, task: ClassifyTask) -> None:
        valid = task.part("valid")
        super().__init__(task, valid[task.truth[valid] < len(task.classes)])
        self.task = task
        self._weight = class_weights(task.truth[self._train], len(task.classes), task.options.class_weight)

    def error(self, network: nn.Module, examples: np.ndarray, smoothing: float = 0.0) -> tuple[Tensor, Tensor]:
        device = next(network.parameters()).device
        x, lengths = (part.to(device) for part in self.task.ragged.batch(examples))
        y = torch.from_numpy(self.task.truth[examples]).to(device)
        weight = self._weight.to(device)
        z = network(x, lengths)
        return F.cross_entropy(z, y, weight=weight, reduction="sum", label_smoothing=smoothing), weight[y].sum()


def class_weights(truth: np.ndarray, classes: int, kind: str) -> Tensor:
    """(classes,): ones, or n / (classes · n_k) for "balanced" (King & Zeng 2001), so that all classes count alike."""
    if kind == "none":
        return torch.ones(classes)
    counts = np.bincount(truth, minlength=classes)
    return torch.from_numpy(len(truth) / (classes * np.maximum(counts, 1))).float()


def network_probabilities(network: nn.Module, ragged: Ragged, indices: np.ndarray, budget: int) -> np.ndarray:
    """(examples, classes) float64, in the order of ``indices``."""

    def read(examples: np.ndarray, device: torch.device) -> np.ndarray:
        x, lengths = (part.to(device) for part in ragged.batch(examples))
        p: np.ndarray = network(x, lengths).double().softmax(-1).cpu().numpy()
        return p

    found: np.ndarray | None = None
    for places, p in each_batch(network, ragged.lengths, indices, CHUNK, budget, read):
        found = np.empty((len(indices), p.shape[1])) if found is None else found
        found[places] = p
    return np.empty((0, 0)) if found is None else found


def build_classifier(
    network: NetworkOptions, options: ClassifyOptions, input: TextInput | NumberInput, classes: int
) -> SequenceClassifier:
    """The network ``network`` and ``options`` describe."""
    encoder = build_encoder(network, input.width, bidirectional=options.bidirectional)
    directions = {"directions": encoder.directions} if options.pooling == "last" else {}
    pool = pooling(options.pooling, encoder.output_size, **directions)
    return SequenceClassifier(encoder, pool, classes, tokens=input.tokens, dropout=network.dropout)


def prepare(source: Any, data: ClassifyData, options: ClassifyOptions) -> ClassifyTask:
    """Read, check, split and encode ``source``; what is fitted is fitted on the training part alone.

    Raises:
        DataError: the data cannot be used; the message names file, row and column.
        ConfigError: an option is wrong.
    """
    options.check()
    parts = read_parts(source, data, options)
    examples, train = parts.examples, parts.indices["train"]
    input: TextInput | NumberInput
    if examples.is_text:
        input = TextInput.fit([examples.texts[k] for k in train], options)
    else:
        input = NumberInput.fit(examples, train, data.missing, scale=options.scale, permute=options.permute)
    ragged = input.encode(examples)
    classes = tuple(sorted({str(examples.labels[k]) for k in train}))
    others = tuple(sorted({str(label) for label in examples.labels} - set(classes)))
    number = {label: k for k, label in enumerate(classes + others)}
    truth = np.array([number[str(label)] for label in examples.labels], dtype=np.int64)
    notes = (*parts.notes, *result.length_notes(input, examples, ragged))
    return ClassifyTask(parts, data, options, input, ragged, classes, classes + others, truth, notes)


def _classifier() -> type[Estimator]:
    from unroll.tasks.classify.classifier import Classifier

    return Classifier


KIND = TaskKind(
    "classify",
    ClassifyData,
    ClassifyOptions,
    ClassErrors,
    prepare,
    _classifier,
    reading=READING,
    training={"epoch_size": 1_000_000_000},
)
"""An epoch visits every training example, as those who count epochs of text expect."""
