"""Cells that compute all steps at once: one large product of the inputs, then an operator for the recurrence.

Directions and ragged batches live here: a cell knows neither.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from unroll.kernels import ragged, transforms
from unroll.kernels.operator import Recurrence, map_state, rows

FEW = 6
"""Steps that are taken one by one as fast as the operators are called."""


def run(
    cell: Recurrence,
    x: Tensor,
    state: Any,
    *,
    lengths: Tensor | None = None,
    reverse: bool = False,
    always: bool = True,
) -> tuple[Tensor, Any] | None:
    """``reference.run`` by the cell's own ``sequence``; None where it has none, or this call is not for it.

    Unless ``always``, a few steps are not.
    """
    if (not always and x.shape[0] < FEW) or not _takes(cell, x, state):
        return None
    if lengths is None:
        found = cell.sequence(x.flip(0) if reverse else x, state, None)
        if found is None:
            return None
        output, states = found
        return output.flip(0) if reverse else output, map_state(lambda leaf: leaf[-1].clone(), states)
    # Padding starts from 0 at each step, so that nothing in it grows without bound.
    ended = torch.arange(x.shape[0], device=x.device).unsqueeze(1) >= lengths
    index = ragged.reversal(lengths, x.shape[0]) if reverse else None
    found = cell.sequence(x if index is None else ragged.taken(x, index), state, ended)
    if found is None:
        return None
    output, states = found
    output = output if index is None else ragged.taken(output, index)
    final = map_state(lambda leaf, first: _at_end(leaf, first, lengths), states, state)
    return output.masked_fill(ended.unsqueeze(-1), 0), final


def _takes(cell: Recurrence, x: Tensor, state: Any) -> bool:
    """Whether all numbers are of one kind; autocast and some of ``torch.func``'s transforms take steps.

    So do exported programs, to be loaded where unroll's operators are not.
    """
    if (
        not x.numel()
        or x.is_meta
        or torch.is_autocast_enabled(x.device.type)
        or transforms.needs_reference()
        or _exporting()
    ):
        return False
    return all(t.dtype == x.dtype and t.device == x.device for t in (*state, *cell.parameters()))


def _exporting() -> bool:
    return hasattr(torch.compiler, "is_exporting") and torch.compiler.is_exporting()  # torch 2.7 and later


def _at_end(states: Tensor, first: Tensor, lengths: Tensor) -> Tensor:
    """``states`` (T, batch, …) at each row's last step, ``first`` where a row has none."""
    last = rows((lengths - 1).clamp(min=0), first).expand_as(first).unsqueeze(0)
    return torch.where(rows(lengths > 0, first), states.gather(0, last).squeeze(0), first)
