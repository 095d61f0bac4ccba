"""What a task is to the rest of the house: training, comparison, report and commands know nothing else of it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, Protocol

import numpy as np
import torch
from torch import Tensor, nn

from unroll.nn import Recurrent
from unroll.tasks.network import NetworkOptions
from unroll.train import FitSettings, Problem, seed_everything

if TYPE_CHECKING:
    from unroll.tasks.estimator import Estimator


class Errors(Protocol):
    """How far predictions were off, as sums per example: scores, intervals and differences come from the same sums.

    Attributes:
        series, origins: (examples,) which series an example is of and where in it: neighbours may share data.
    """

    @property
    def series(self) -> np.ndarray: ...

    @property
    def origins(self) -> np.ndarray: ...

    def arrays(self) -> dict[str, np.ndarray]:
        """Everything, to be stored."""

    def block_sums(self, block: np.ndarray, blocks: int) -> dict[str, np.ndarray]:
        """What ``score_arrays`` needs, by name, added up within blocks of examples: (blocks,) or (blocks, n)."""

    def score_arrays(self, total: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Every metric from sums over examples, (…,) or (…, n); NaN where nothing could be scored."""

    def scores(self) -> dict[str, float | None]:
        """Every metric over all examples; None where nothing could be scored."""

    def details(self) -> dict[str, dict[str, float | None]]:
        """Further figures for the record, by group and name."""

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray]) -> Errors:
        """What ``arrays`` gave, read back."""


class Baseline(Protocol):
    """What a network must beat. How it predicts is the task's own business."""

    name: str
    parameters: int
    train_seconds: float


class Probe(NamedTuple):
    """A recurrent layer, what it read, and the loss of its last outputs: what ``inspect`` measures.

    ``lengths`` are those of the sequences, or None; ``loss`` is None where the loss reads more than the last output.
    ``reads`` is how many steps of the data one step of the layer reads.
    """

    layer: Recurrent
    x: Tensor
    lengths: Tensor | None
    loss: Callable[[Tensor], Tensor] | None
    reads: int = 1


class Task(ABC):
    """Data ready to learn from: read, split, fitted on the training part, batched.

    Attributes:
        name: as it is registered.
        metrics: all that are computed; ``higher`` those of which more is better.
        metric: what decides.
        span: how many neighbouring examples share what they are scored on; 1 where they are independent.
    """

    name: ClassVar[str]
    higher: ClassVar[Sequence[str]] = ()
    fallback: ClassVar[str]
    """The metric that decides where the one asked for is not defined."""
    metric: str

    @property
    @abstractmethod
    def metrics(self) -> Sequence[str]: ...

    @property
    @abstractmethod
    def source(self) -> str:
        """The name of what was read."""

    @property
    @abstractmethod
    def fingerprint(self) -> str:
        """A hash of what was read."""

    @property
    @abstractmethod
    def span(self) -> int: ...

    @abstractmethod
    def build(self, options: NetworkOptions) -> nn.Module:
        """A network on the current device; its recurrent layer is ``encoder``."""

    def network(self, options: NetworkOptions, seed: int) -> nn.Module:
        """A new network, its weights drawn from ``seed``."""
        seed_everything(seed)
        return self.build(options)

    def parameters(self, options: NetworkOptions) -> int:
        """How many numbers such a network learns."""
        with torch.device("meta"):
            network = self.build(options)
        return sum(p.numel() for p in network.parameters())

    @abstractmethod
    def problem(self) -> Problem:
        """What the training loop sees."""

    @abstractmethod
    def baselines(self) -> tuple[Sequence[Baseline], list[str]]:
        """The baselines, fitted, and why any is absent."""

    def keep(self, baselines: Sequence[Any], folder: Path) -> bool:
        """Write to a run folder what scoring new data beside fitted ``baselines`` needs; whether anything was."""
        return False

    @abstractmethod
    def errors(self, predictor: Any, part: str = "test") -> Errors:
        """Score a network or baseline. Raises LeakageError if anything was fitted on what is scored."""

    def calibration(self, network: nn.Module) -> dict[str, Any] | None:
        """What is fitted on the validation part once ``network`` is trained, to be kept beside its weights."""
        return None

    @abstractmethod
    def record(self) -> dict[str, Any]:
        """What ``data.json`` holds: fingerprint, split, and all that was fitted, on what."""

    @abstractmethod
    def described(self, metric: str, match: str) -> dict[str, Any]:
        """The ``task`` part of a result."""

    @abstractmethod
    def data_facts(self, absent: Sequence[str] = ()) -> dict[str, Any]:
        """The ``data`` part of a result."""

    @abstractmethod
    def protocol(self) -> str:
        """How the figures came about, in words."""

    @abstractmethod
    def shown(self, networks: Mapping[str, nn.Module], baselines: Sequence[Any], best: str) -> dict[str, Any]:
        """Further parts of a result: ``examples``; ``tables`` of what was predicted, of the network ``best``; and the
        ``words`` a report uses of this task (a result without them is a forecast's)."""

    @abstractmethod
    def probe(self, network: nn.Module) -> Probe:
        """A few validation examples in float64, for a look inside."""

    def reach(self) -> tuple[int | None, str]:
        """How many steps back matter, if that is known, and what a step is called."""
        return None, "steps"

    def forewarn(self, networks: Sequence[NetworkOptions], settings: FitSettings) -> list[str]:
        """What a user should know before training begins: choices made, memory needed."""
        return []


@dataclass(frozen=True)
class TaskKind:
    """A task by name, and the classes its options come in.

    ``data`` says how the source is read, ``options`` what is learned of it (its ``task`` is the name). Their fields
    made by ``options.option`` are options of the commands. ``reading`` names those of ``data`` that may differ when a
    run reads new data; ``training`` holds the settings that differ from ``FitSettings``' own defaults.
    """

    name: str
    data: type[Any]
    options: type[Any]
    errors: type[Any]
    prepare: Callable[[Any, Any, Any], Task]
    estimator: Callable[[], type[Estimator]]
    reading: Sequence[str] = ()
    training: Mapping[str, Any] = field(default_factory=dict)

    def groups(self) -> tuple[type[Any], ...]:
        """Every class of options that a run of this task has."""
        return self.data, self.options, NetworkOptions, FitSettings

    def names(self) -> list[str]:
        """The options that are this task's own."""
        return [*(f.name for f in fields(self.data)), *(f.name for f in fields(self.options))]


def options_dict(options: Any) -> dict[str, Any]:
    """A dataclass of options as JSON-safe values."""
    return {k: list(v) if isinstance(v, tuple) else v for k, v in asdict(options).items()}


def options_from(kind: type[Any], held: Mapping[str, Any]) -> Any:
    """The options that ``options_dict`` made ``held`` of."""
    return kind(**{k: tuple(v) if isinstance(v, list) else v for k, v in held.items()})
