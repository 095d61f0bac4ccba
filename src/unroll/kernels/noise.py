"""What a stochastic cell is given besides its input: masks drawn beforehand, so that a run can be repeated exactly."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

from torch import Tensor

QUIET: Mapping[str, Tensor] = {}
"""No noise: what a step is given in evaluation."""


class StepNoise(NamedTuple):
    """The masks of one layer and direction.

    Attributes:
        held: by name, (batch, …): the same at every step.
        steps: by name, (T, batch, …): one per step.
    """

    held: Mapping[str, Tensor] = QUIET
    steps: Mapping[str, Tensor] = QUIET

    def at(self, t: int) -> Mapping[str, Tensor]:
        """What the cell is given at step ``t``, each (batch, …)."""
        return {**self.held, **{name: mask[t] for name, mask in self.steps.items()}}

    def map(self, held: Callable[[Tensor], Tensor], steps: Callable[[Tensor], Tensor]) -> StepNoise:
        """Each mask through ``held`` or ``steps``."""
        return StepNoise(
            {name: held(mask) for name, mask in self.held.items()},
            {name: steps(mask) for name, mask in self.steps.items()},
        )
