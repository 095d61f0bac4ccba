"""The reference: a loop over ``step``. Every other backend is held to its numbers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from unroll.kernels.operator import Recurrence, StepLike, map_state, rows


def run(
    cell: Recurrence,
    x: Tensor,
    state: Any,
    *,
    lengths: Tensor | None = None,
    reverse: bool = False,
    watch: Callable[[int, StepLike], None] | None = None,
) -> tuple[Tensor, Any]:
    """Run ``cell`` over ``x`` (T, batch, features).

    Rows of a ragged batch keep their state where ``t >= length`` and put out zeros there, so walking
    backwards starts each row at its own end.

    Returns:
        output (T, batch, output) and the final state.
    """
    steps = range(x.shape[0])
    outputs: list[Tensor] = []
    for t in reversed(steps) if reverse else steps:
        step = cell.step(x[t], state)
        output, new = step.output, step.state
        if lengths is not None:
            alive = t < lengths
            new = map_state(lambda a, b, m=alive: torch.where(rows(m, a), a, b), new, state)
            output = torch.where(rows(alive, output), output, output.new_zeros(()))
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
