"""Which networks are trained, in what order: a small learning-rate search per cell, then every seed."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from unroll.errors import ConfigError
from unroll.tasks import NetworkOptions, Task

CELLS = ("rnn", "lstm", "gru")
LEARNING_RATES = (1e-3, 3e-3, 1e-2)


@dataclass(frozen=True)
class CompareOptions:
    """What is compared; each is the command-line option of the same name.

    Attributes:
        match: "hidden" gives every cell ``hidden`` units; "params" widens the cells until each has about as
            many parameters as the largest has at ``hidden``.
        lrs: learning rates tried per cell with the first seed; the best on validation trains the other seeds.
            A rate shared by all cells would confound them.
        seeds: how many seeds, from 0.
        budget: seconds for all training together, or None.
    """

    cells: tuple[str, ...] = CELLS
    hidden: int = 64
    layers: int = 1
    dropout: float = 0.0
    match: str = "hidden"
    lrs: tuple[float, ...] = LEARNING_RATES
    seeds: int = 3
    budget: float | None = None
    workers: int | None = None
    init: str | None = None

    def check(self) -> None:
        """Raises ConfigError naming the option that is wrong."""
        for name in self.cells:
            self.network(name).check()
        if not self.cells or len(set(self.cells)) < len(self.cells):
            raise ConfigError(f"--cell {', '.join(self.cells) or 'none'}", expected="one or more different cells")
        if self.match not in ("hidden", "params"):
            raise ConfigError(f"--match {self.match}", expected="hidden or params")
        if self.seeds < 1:
            raise ConfigError(f"--seeds {self.seeds}", expected="1 or more, best 3 or more")
        if not self.lrs or any(not 0 < lr < 10 for lr in self.lrs):
            raise ConfigError(f"--lr {', '.join(map(str, self.lrs))}", expected="learning rates above 0, below 10")
        if self.budget is not None and self.budget <= 0:
            raise ConfigError(f"--budget {self.budget:g} s", expected="a time above 0, as 90s, 2m or 1h")
        if self.workers is not None and self.workers < 1:
            raise ConfigError(f"--workers {self.workers}", expected="1 or more")

    def network(self, cell: str) -> NetworkOptions:
        """The network of ``cell``."""
        return NetworkOptions(cell, self.hidden, self.layers, self.dropout, self.init)


@dataclass(frozen=True)
class Trial:
    """One training: a network, a learning rate, a seed."""

    network: NetworkOptions
    lr: float
    seed: int

    @property
    def id(self) -> str:
        """The trial's folder name."""
        n = self.network
        cell = "".join(c if c.isalnum() or c in "._" else "-" for c in n.cell)
        return f"{cell}-{n.hidden}x{n.layers}-lr{self.lr:g}-seed{self.seed}"


def candidates(task: Task, options: CompareOptions) -> list[NetworkOptions]:
    """The networks to compare, one per cell."""
    same = [options.network(cell) for cell in options.cells]
    if options.match == "hidden":
        return same
    goal = max(task.parameters(network) for network in same)
    return [_widened(task, network, goal) for network in same]


def search_trials(network: NetworkOptions, options: CompareOptions) -> list[Trial]:
    """The learning-rate search: every rate with seed 0."""
    return [Trial(network, lr, 0) for lr in options.lrs]


def seed_trials(network: NetworkOptions, lr: float, options: CompareOptions) -> list[Trial]:
    """Every seed at the chosen rate; seed 0 was part of the search."""
    return [Trial(network, lr, seed) for seed in range(options.seeds)]


def plan_size(options: CompareOptions) -> int:
    """How many trainings the plan holds in all."""
    return len(options.cells) * (len(options.lrs) + options.seeds - 1)


def trial_config(trial: Trial) -> dict[str, Any]:
    """What a trial's ``config.yaml`` says of it."""
    n = trial.network
    return {
        "cell": n.cell,
        "hidden": n.hidden,
        "layers": n.layers,
        "dropout": n.dropout,
        "lr": trial.lr,
        "seed": trial.seed,
    }


def _widened(task: Task, network: NetworkOptions, goal: int) -> NetworkOptions:
    """``network`` with the width whose parameter count is nearest to ``goal``."""
    low, high = network.hidden, network.hidden
    while task.parameters(replace(network, hidden=high)) < goal:
        high *= 2
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if task.parameters(replace(network, hidden=middle)) < goal else (low, middle)
    options = [replace(network, hidden=h) for h in (low, high)]
    return min(options, key=lambda n: abs(task.parameters(n) - goal))
