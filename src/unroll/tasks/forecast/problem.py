"""What the training loop sees of a forecast."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from torch import Tensor, nn

from unroll.tasks.forecast.quantiles import pinball

if TYPE_CHECKING:
    from unroll.tasks.forecast.task import ForecastTask

VALIDATION_WINDOWS = 4_000
"""Early stopping looks at no more than this many validation windows, evenly spaced."""
CHUNK = 512
"""Validation windows per forward pass."""


class ForecastProblem:
    """What the training loop sees of a ``ForecastTask``."""

    def __init__(self, task: ForecastTask) -> None:
        self.task = task
        count = task.windows.count("valid")
        step = max(1, -(-count // VALIDATION_WINDOWS))
        self._validation = np.arange(0, count, step)

    @property
    def train_count(self) -> int:
        return self.task.windows.count("train")

    def loss(self, network: nn.Module, indices: Tensor) -> tuple[Tensor, Tensor]:
        return self._error(network, "train", indices.numpy())

    def validation_loss(self, network: nn.Module) -> float:
        total, count = 0.0, 0.0
        for begin in range(0, len(self._validation), CHUNK):
            part_total, part_count = self._error(network, "valid", self._validation[begin : begin + CHUNK])
            total, count = total + float(part_total), count + float(part_count)
        return total / count

    def _error(self, network: nn.Module, part: str, indices: np.ndarray) -> tuple[Tensor, Tensor]:
        batch = self.task.windows.batch(part, indices)
        device = next(network.parameters()).device
        y, mask = batch.y.to(device), batch.mask.to(device)
        told = network(*(t.to(device) for t in batch.read()))
        if levels := self.task.options.levels:
            return (pinball(y.unsqueeze(-1) - told, levels).mean(-1) * mask).sum(), mask.sum().clamp(min=1)
        e = (told - y) * mask
        return (e.square() if self.task.loss == "mse" else e.abs()).sum(), mask.sum().clamp(min=1)
