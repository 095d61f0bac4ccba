"""The reference: a loop over ``step``. Every other backend is held to its numbers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from unroll.kernels.noise import StepNoise
from unroll.kernels.operator import Recurrence, StepLike, map_state, rows


def run(
    cell: Recurrence,
    x: Tensor,
    state: Any,
    *,
    lengths: Tensor | None = None,
    reverse: bool = False,
    noise: StepNoise | None = None,
    watch: Callable[[int, StepLike], None] | None = None,
) -> tuple[Tensor, Any]:
    """Run ``cell`` over ``x`` (T, batch, features).

    Rows of a ragged batch keep their state where ``t >= length`` and put out zeros there, so walking
    backwards starts each row at its own end. ``noise`` is given to the step of its time.

    Returns:
        output (T, batch, output) and the final state.
    """
    steps = range(x.shape[0])
    outputs: list[Tensor] = []
    for t in reversed(steps) if reverse else steps:
        step = take(cell, x[t], state, noise, t)
        output, new = step.output, step.state
        if lengths is not None:
            output, new = held_back(output, new, state, t < lengths)
        state = new
        outputs.append(output)
        if watch is not None:
            watch(t, step._replace(output=output, state=new) if hasattr(step, "_replace") else step)
    if reverse:
        outputs.reverse()
    if not outputs:
        probe = cell.step(x.new_zeros(x.shape[1:]), state)
        return probe.output.new_zeros(0, *probe.output.shape), state
    return torch.stack(outputs), state


def take(cell: Recurrence, x: Tensor, state: Any, noise: StepNoise | None, t: int) -> StepLike:
    """The step of time ``t``; a cell that draws no noise need not know the word."""
    return cell.step(x, state) if noise is None else cell.step(x, state, noise.at(t))


def held_back(output: Tensor, new: Any, old: Any, alive: Tensor) -> tuple[Tensor, Any]:
    """A step of a ragged batch: rows that have ended keep their state and put out zeros."""
    state = map_state(lambda a, b: torch.where(rows(alive, a), a, b), new, old)
    return torch.where(rows(alive, output), output, output.new_zeros(())), state
