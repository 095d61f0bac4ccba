"""Tasks on examples of unequal length: documents, sequences, sentences. One code for parts, batches and predictions."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from unroll.data import length_batches
from unroll.data.series.split import PARTS
from unroll.errors import LeakageError
from unroll.tasks.contract import Probe, Task
from unroll.tasks.kept import keep
from unroll.tasks.memory import memory_told, padding_told, training_megabytes
from unroll.tasks.network import NetworkOptions
from unroll.train import FitSettings

_T = TypeVar("_T")
MOST_BLOCKS = 2000
"""Examples stand alone; blocks of them keep the bootstrap small where there are more than this."""


class RaggedTask(Task):
    """Examples of unequal length, each in one part.

    Attributes:
        words: the module that puts this task into words: ``record``, ``described``, ``data_facts``, ``protocol``,
            ``shown``, ``probe``.
        chunk: examples per forward pass when nothing is learned, within the budget of steps.
    """

    fallback: ClassVar[str] = "accuracy"
    words: ClassVar[Any]
    chunk: ClassVar[int]
    options: Any

    @abstractmethod
    def part(self, name: str) -> np.ndarray:
        """The indices of the examples in a part."""

    @property
    @abstractmethod
    def lengths(self) -> np.ndarray:
        """Of every example, its steps."""

    @property
    @abstractmethod
    def what(self) -> str:
        """One example, in words."""

    @abstractmethod
    def where(self, index: int) -> str:
        """An example's place in its source, as a message names it."""

    @abstractmethod
    def read_width(self) -> int:
        """How many numbers the encoder reads at a step."""

    @abstractmethod
    def directions(self) -> int:
        """How many ways the encoder reads."""

    @abstractmethod
    def choices(self) -> Sequence[str]:
        """What was found or fitted, in words, to be told before training."""

    @abstractmethod
    def problem(self) -> RaggedProblem: ...

    @property
    def metric(self) -> str:  # type: ignore[override]
        return str(self.options.metric)

    @property
    def span(self) -> int:
        return max(1, -(-len(self.part("test")) // MOST_BLOCKS))

    def unseen(self, part: str) -> np.ndarray:
        """The examples of ``part``. Raises LeakageError where training was on any of them."""
        indices = self.part(part)
        seen = np.intersect1d(indices, self.part("train"))
        if len(seen):
            raise LeakageError(
                f"{len(seen):,} {self.what}s to be scored are those that training was on, the first of them "
                f"{self.where(int(seen[0]))}",
                expected=f"{self.what}s that training has not seen",
            )
        return indices

    def keep(self, baselines: Sequence[Any], folder: Path) -> bool:
        keep(baselines, folder)
        return True

    def record(self) -> dict[str, Any]:
        found: dict[str, Any] = self.words.record(self)
        return found

    def described(self, metric: str, match: str) -> dict[str, Any]:
        found: dict[str, Any] = self.words.described(self, metric, match)
        return found

    def data_facts(self, absent: Sequence[str] = ()) -> dict[str, Any]:
        found: dict[str, Any] = self.words.data_facts(self, absent)
        return found

    def protocol(self) -> str:
        return str(self.words.protocol(self))

    def shown(self, networks: Mapping[str, nn.Module], baselines: Sequence[Any], best: str) -> dict[str, Any]:
        found: dict[str, Any] = self.words.shown(self, networks, best)
        return found

    def probe(self, network: nn.Module) -> Probe:
        found: Probe = self.words.probe(self, network)
        return found

    def forewarn(self, networks: Sequence[NetworkOptions], settings: FitSettings) -> list[str]:
        lengths, budget = self.lengths[self.part("train")], self.options.batch_tokens
        batches = [batch.numpy() for batch in self.problem().cut(torch.arange(len(lengths)), settings.batch_size)]
        sizes = {
            n.name: training_megabytes(
                self.parameters(n), batches, lengths, n, width=self.read_width(), ways=self.directions()
            )
            for n in networks
        }
        padding = padding_told(lengths, settings.batch_size, budget, f"{self.what}s")
        return [*self.choices(), padding, memory_told(sizes)]


class RaggedProblem(ABC):
    """What the training loop sees of a ``RaggedTask``: positions in its training part, batches of like length."""

    def __init__(self, task: RaggedTask, valid: np.ndarray) -> None:
        self._lengths, self._budget, self._chunk = task.lengths, task.options.batch_tokens, task.chunk
        self._train, self._valid = task.part("train"), valid
        self._smoothing: float = task.options.label_smoothing

    @abstractmethod
    def error(self, network: nn.Module, examples: np.ndarray, smoothing: float = 0.0) -> tuple[Tensor, Tensor]:
        """The summed loss of ``examples``, and the summed weight that makes a mean of it.

        ``smoothing`` is that of the labels, which only training has: what is validated is the likelihood.
        """

    @property
    def train_count(self) -> int:
        return len(self._train)

    def cut(self, order: Tensor, batch_size: int) -> list[Tensor]:
        """Batches of examples of like length, within the budget of steps."""
        found = length_batches(order.numpy(), self._lengths[self._train], batch_size, self._budget)
        return [torch.from_numpy(batch) for batch in found]

    def loss(self, network: nn.Module, indices: Tensor) -> tuple[Tensor, Tensor]:
        return self.error(network, self._train[indices.numpy()], self._smoothing)

    def validation_loss(self, network: nn.Module) -> float:
        total, weight = 0.0, 0.0
        for batch in length_batches(self._valid, self._lengths, self._chunk, self._budget, pool=None):
            part, own = self.error(network, batch)
            total, weight = total + float(part), weight + float(own)
        return total / weight if weight else float("nan")


def each_batch(
    network: nn.Module,
    lengths: np.ndarray,
    indices: np.ndarray,
    most: int,
    budget: int,
    read: Callable[[np.ndarray, torch.device], _T],
) -> Iterator[tuple[np.ndarray, _T]]:
    """What ``read`` makes of batches of ``indices`` on the network's device, without gradients, and which of the
    ``indices`` those are: batches of like length, at most ``most`` examples and ``budget`` steps."""
    device = next(network.parameters()).device
    network.eval()
    for places in length_batches(np.arange(len(indices)), lengths[indices], most, budget, pool=None):
        with torch.no_grad():
            found = read(indices[places], device)
        yield places, found


def split_facts(task: RaggedTask) -> dict[str, Any]:
    """What was read and how many examples are in which part, as a result's ``data`` holds it."""
    sizes = {part: len(task.part(part)) for part in PARTS}
    return {
        "source": task.source,
        "fingerprint": task.fingerprint,
        "series": 1,
        "rows": len(task.lengths),
        "unit": f"{task.what}s",
        "split": sizes,
        "examples": sizes,
    }


def split_record(task: RaggedTask) -> dict[str, dict[str, Any]]:
    """Which examples are in which part, as ``data.json`` holds it."""
    parts = {part: task.part(part) for part in PARTS}
    return {
        name: {"examples": len(own), "sha256": hashlib.sha256(own.tobytes()).hexdigest()} for name, own in parts.items()
    }


def given_files(data: Any) -> str:
    """Which files took the place of parts, as a sentence; nothing where none did."""
    files = [f"--{part} {path}" for part, path in (("valid", data.valid), ("test", data.test)) if path]
    return f"Given files take the place of parts: {' and '.join(files)}. " if files else ""


def spread(indices: np.ndarray, most: int) -> np.ndarray:
    """At most ``most`` of ``indices``, evenly chosen."""
    return indices[np.unique(np.linspace(0, len(indices) - 1, min(most, len(indices))).round().astype(int))]
