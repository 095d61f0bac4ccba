"""Classifying: a document or a sequence of numbers in, one of a few classes out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from unroll.data import Ragged, length_batches
from unroll.errors import LeakageError
from unroll.models import SequenceClassifier, pooling
from unroll.tasks import classify_result as result
from unroll.tasks.class_baselines import ClassBaseline, fitted_baselines
from unroll.tasks.class_errors import HIGHER, METRICS, ClassErrors, class_errors
from unroll.tasks.classify_inputs import NumberInput, TextInput
from unroll.tasks.classify_options import READING, ClassifyData, ClassifyOptions
from unroll.tasks.classify_reading import Parts, read_parts
from unroll.tasks.contract import Probe, Task, TaskKind
from unroll.tasks.memory import memory_told, padding_told, training_megabytes
from unroll.tasks.network import NetworkOptions, build_encoder
from unroll.train import FitSettings

if TYPE_CHECKING:
    from unroll.tasks.estimator import Estimator

CHUNK = 512
"""Sequences per forward pass when nothing is learned, within the budget of steps."""


@dataclass(frozen=True, eq=False)
class ClassifyTask(Task):
    """Examples ready to learn from: split, encoded, numbered. Build it with ``prepare``.

    Attributes:
        ragged: all examples, as the network reads them; ``truth`` the number of each one's class.
        classes: those of the training part, by number; higher numbers are of classes it has not.
    """

    name: ClassVar[str] = "classify"
    metrics: ClassVar[Sequence[str]] = METRICS
    higher: ClassVar[Sequence[str]] = HIGHER
    fallback: ClassVar[str] = "accuracy"

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
    def metric(self) -> str:  # type: ignore[override]
        return self.options.metric

    @property
    def source(self) -> str:
        return self.parts.source

    @property
    def fingerprint(self) -> str:
        return self.parts.examples.fingerprint

    @property
    def span(self) -> int:
        """Examples stand alone; blocks of them keep the bootstrap small where there are many."""
        return max(1, -(-len(self.parts.indices["test"]) // 2000))

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
        indices = self.parts.indices[part]
        seen = np.intersect1d(indices, self.parts.indices["train"])
        if len(seen):
            raise LeakageError(
                f"{len(seen):,} examples to be scored are those that training was on, the first of them "
                f"{self.parts.examples.where[int(seen[0])]}",
                expected="examples that training has not seen",
            )
        hard = isinstance(predictor, ClassBaseline) and predictor.hard
        return class_errors(self.truth[indices], self.probabilities(predictor, indices), hard=hard)

    def record(self) -> dict[str, Any]:
        return result.record(self)

    def described(self, metric: str, match: str) -> dict[str, Any]:
        return result.described(self, metric, match)

    def data_facts(self, absent: Sequence[str] = ()) -> dict[str, Any]:
        return result.data_facts(self, absent)

    def protocol(self) -> str:
        return result.protocol(self)

    def shown(self, networks: Mapping[str, nn.Module], baselines: Sequence[Any], best: str) -> dict[str, Any]:
        return result.shown(self, networks, best)

    def probe(self, network: nn.Module) -> Probe:
        return result.probe(self, network)

    def forewarn(self, networks: Sequence[NetworkOptions], settings: FitSettings) -> list[str]:
        lengths = self.ragged.lengths[self.parts.indices["train"]]
        cut = ClassifyProblem(self).cut(torch.arange(len(lengths)), settings.batch_size)
        batches, ways = [batch.numpy() for batch in cut], 2 if self.options.bidirectional else 1
        sizes = {
            n.name: training_megabytes(self.parameters(n), batches, lengths, n, width=self.input.width, ways=ways)
            for n in networks
        }
        padding = padding_told(lengths, settings.batch_size, self.options.batch_tokens, f"{self.input.what}s")
        return [self.input.told(), *self.notes, padding, memory_told(sizes)]


class ClassifyProblem:
    """What the training loop sees of a ``ClassifyTask``: positions in its training part."""

    def __init__(self, task: ClassifyTask) -> None:
        self.task = task
        self._train = task.parts.indices["train"]
        valid = task.parts.indices["valid"]
        self._valid = valid[task.truth[valid] < len(task.classes)]
        self._weight = class_weights(task.truth[self._train], len(task.classes), task.options.class_weight)

    @property
    def train_count(self) -> int:
        return len(self._train)

    def cut(self, order: Tensor, batch_size: int) -> list[Tensor]:
        """Batches of documents of like length, within the budget of steps."""
        lengths = self.task.ragged.lengths[self._train]
        found = length_batches(order.numpy(), lengths, batch_size, self.task.options.batch_tokens)
        return [torch.from_numpy(batch) for batch in found]

    def loss(self, network: nn.Module, indices: Tensor) -> tuple[Tensor, Tensor]:
        return self._error(network, self._train[indices.numpy()])

    def validation_loss(self, network: nn.Module) -> float:
        total, weight = 0.0, 0.0
        lengths = self.task.ragged.lengths
        for batch in length_batches(self._valid, lengths, CHUNK, self.task.options.batch_tokens, pool=None):
            part, own = self._error(network, batch)
            total, weight = total + float(part), weight + float(own)
        return total / weight if weight else float("nan")

    def _error(self, network: nn.Module, examples: np.ndarray) -> tuple[Tensor, Tensor]:
        device = next(network.parameters()).device
        x, lengths = (part.to(device) for part in self.task.ragged.batch(examples))
        y = torch.from_numpy(self.task.truth[examples]).to(device)
        weight = self._weight.to(device)
        return F.cross_entropy(network(x, lengths), y, weight=weight, reduction="sum"), weight[y].sum()


def class_weights(truth: np.ndarray, classes: int, kind: str) -> Tensor:
    """(classes,): ones, or n / (classes · n_k) for "balanced" (King & Zeng 2001), so that all classes count alike."""
    if kind == "none":
        return torch.ones(classes)
    counts = np.bincount(truth, minlength=classes)
    return torch.from_numpy(len(truth) / (classes * np.maximum(counts, 1))).float()


def network_probabilities(network: nn.Module, ragged: Ragged, indices: np.ndarray, budget: int) -> np.ndarray:
    """(examples, classes) float64, in the order of ``indices``."""
    device = next(network.parameters()).device
    found: np.ndarray | None = None
    places = np.arange(len(indices))
    network.eval()
    for batch in length_batches(places, ragged.lengths[indices], CHUNK, budget, pool=None):
        x, lengths = (part.to(device) for part in ragged.batch(indices[batch]))
        with torch.no_grad():
            p = network(x, lengths).double().softmax(-1).cpu().numpy()
        found = np.empty((len(indices), p.shape[1])) if found is None else found
        found[batch] = p
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
    from unroll.tasks.classifier import Classifier

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
