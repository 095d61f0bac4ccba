"""The loop as one operator of a graph: what ``torch.compile``, ``torch.export`` and ONNX see instead of T steps.

``torch.scan`` keeps the body once, so a graph's size does not grow with T and T stays free.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from unroll.kernels.noise import StepNoise
from unroll.kernels.operator import Recurrence
from unroll.kernels.reference import held_back


def run(
    cell: Recurrence,
    x: Tensor,
    state: Any,
    *,
    lengths: Tensor | None = None,
    reverse: bool = False,
    noise: StepNoise | None = None,
) -> tuple[Tensor, Any]:
    """``reference.run`` with the loop as a single operator."""
    from torch._higher_order_ops.scan import scan

    kind, leaves = type(state), tuple(state)
    held = {} if noise is None else dict(noise.held)
    over: dict[str, Tensor] = {} if noise is None else dict(noise.steps)
    names = list(over)
    series = [x, *over.values()]
    if lengths is not None:
        series.append(torch.arange(x.shape[0], device=x.device).unsqueeze(1) < lengths)

    def step(before: Any, now: Any) -> Any:
        old = kind(*before)
        if noise is None:
            taken = cell.step(now[0], old)
        else:
            taken = cell.step(now[0], old, {**held, **dict(zip(names, now[1:]))})
        output, new = taken.output, taken.state
        if lengths is not None:
            output, new = held_back(output, new, old, now[-1])
        # The carry may alias neither the output nor what came in.
        return tuple([_copy(leaf) for leaf in new]), _copy(output)

    if torch.is_autocast_enabled(x.device.type):
        # What is carried keeps its dtype, and autocast may give it another in the first step.
        taken, _ = step(leaves, [steps[0] for steps in series])
        leaves = tuple([before.to(after.dtype) for before, after in zip(leaves, taken)])
    # It keeps its strides too, and a learned start or a caller's state may have any.
    final, output = scan(step, tuple([_copy(leaf) for leaf in leaves]), series, reverse=reverse)
    return output, kind(*final)


def _copy(leaf: Tensor) -> Tensor:
    return leaf.clone(memory_format=torch.contiguous_format)
