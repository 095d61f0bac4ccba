"""The gradient of one update: of a batch, of several, or of one that several processes share."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from unroll.train.processes import Processes
from unroll.train.seed import noise_seed

if TYPE_CHECKING:
    from unroll.train.loop import Problem


class Gradient:
    r"""Leaves the gradient of the mean loss over all examples of an update in the network's parameters.

    .. math::
        g = \frac{\sum_{b, p} \nabla\, \ell_{b, p}}{\sum_{b, p} w_{b, p}}

    ℓ is the sum of losses and w the sum of weights (examples, words, observed values) in the part of batch b that
    process p computes. So it is the gradient of the batch as a whole however it is cut; the mean of the parts' means
    is not, where they weigh differently. The processes agree on the sums in one exchange after all batches.
    """

    def __init__(self, problem: Problem, network: nn.Module, processes: Processes, precision: str, seed: int) -> None:
        self._problem, self._network, self._processes, self._seed = problem, network, processes, seed
        self._half = precision == "bfloat16"
        self._parameters = [p for p in network.parameters() if p.requires_grad]

    def __call__(self, batches: Sequence[Tensor], update: int) -> float:
        """The mean loss over ``batches``, which are what update number ``update`` learns from."""
        self._network.zero_grad()
        if len(batches) == 1 and self._processes.count == 1:
            loss = _mean(self._loss(batches[0]))
            loss.backward()
            return float(loss.detach())
        total, weight = 0.0, 0.0
        for number, batch in enumerate(batches):
            own = batch[self._processes.index :: self._processes.count]
            if len(own) == 0:
                continue
            if self._processes.count > 1:
                # What is drawn is a function of these numbers, and differs by process: a checkpoint need not hold it.
                torch.manual_seed(noise_seed(self._seed, update, number, self._processes.index))
            part, share = _sum(self._loss(own), len(own))
            part.backward()
            total, weight = total + float(part.detach()), weight + share
        return self._gathered(total, weight)

    def _loss(self, batch: Tensor) -> Tensor | tuple[Tensor, Tensor | float]:
        with self._autocast():
            return self._problem.loss(self._network, batch)

    def _autocast(self) -> AbstractContextManager[object]:
        # Accelerate settles one precision for a whole process; here every training has its own.
        return torch.autocast(self._processes.device.type, torch.bfloat16) if self._half else nullcontext()

    def _gathered(self, total: float, weight: float) -> float:
        """Sum over the processes and divide; a parameter that no process used keeps no gradient."""
        used = [float(p.grad is not None) for p in self._parameters]
        device = self._processes.device
        sums = torch.tensor([total, weight, *used], dtype=_widest(device), device=device)
        self._processes.add_([sums])
        total, weight, *used = sums.tolist()
        learned = [p for p, users in zip(self._parameters, used) if users]
        gradients = [torch.zeros_like(p) if p.grad is None else p.grad for p in learned]
        self._processes.add_(gradients)
        weight = weight or 1.0
        for p, gradient in zip(learned, gradients):
            p.grad = gradient.div_(weight)
        return total / weight


def _mean(found: Tensor | tuple[Tensor, Tensor | float]) -> Tensor:
    return found if isinstance(found, Tensor) else found[0] / (found[1] if found[1] else 1)


def _sum(found: Tensor | tuple[Tensor, Tensor | float], examples: int) -> tuple[Tensor, float]:
    return (found * examples, float(examples)) if isinstance(found, Tensor) else (found[0], float(found[1]))


def _widest(device: torch.device) -> torch.dtype:
    return torch.float32 if device.type == "mps" else torch.float64
