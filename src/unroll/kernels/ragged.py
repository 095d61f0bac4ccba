"""Ragged batches for kernels that know only full ones.

Rows are sorted by length and time is cut where a row ends: each piece is a full batch, so no padding is
computed and every row's final state falls out at its own end.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

FullRun = Callable[[Tensor, list[Tensor]], tuple[Tensor, tuple[Tensor, ...]]]


def run(
    full: FullRun, x: Tensor, state: list[Tensor], lengths: Tensor, *, reverse: bool, output_size: int
) -> tuple[Tensor, tuple[Tensor, ...]]:
    """Run ``full`` over the valid part of ``x`` (T, batch, features); ``state`` leaves are (batch, …).

    Returns:
        output (T, batch, output_size), zero beyond each row's length, and the final state's leaves.
    """
    T, B = x.shape[:2]
    order = torch.argsort(lengths, descending=True, stable=True)
    back = torch.argsort(order)
    index = _reversal(lengths, T) if reverse else None
    source = x if index is None else _take(x, index)
    output, final = _run_sorted(
        full,
        source.index_select(1, order),
        [leaf.index_select(0, order) for leaf in state],
        lengths.index_select(0, order).tolist(),
        output_size,
    )
    output = F.pad(output, (0, 0, 0, 0, 0, T - output.shape[0])).index_select(1, back)
    if index is not None:
        output = _take(output, index)
    return output.view(T, B, output_size), tuple(leaf.index_select(0, back) for leaf in final)


def _run_sorted(
    full: FullRun, x: Tensor, state: list[Tensor], lengths: list[int], output_size: int
) -> tuple[Tensor, list[Tensor]]:
    B = x.shape[1]
    finished: list[list[Tensor]] = []
    pieces: list[Tensor] = []
    start, active = 0, B
    for stop in sorted(set(lengths)):
        if stop > start:
            piece, moved = full(x[start:stop, :active], state)
            pieces.append(F.pad(piece, (0, 0, 0, B - active)))
            state = list(moved)
        staying = sum(length > stop for length in lengths)
        finished.append([leaf[staying:] for leaf in state])
        state = [leaf[:staying] for leaf in state]
        start, active = stop, staying
    final = [torch.cat([done[k] for done in reversed(finished)]) for k in range(len(finished[0]))]
    return torch.cat(pieces) if pieces else x.new_zeros(0, B, output_size), final


def _reversal(lengths: Tensor, T: int) -> Tensor:
    """(T, batch) index that turns each row round within its own length and leaves padding in place."""
    t = torch.arange(T, device=lengths.device).unsqueeze(1)
    return torch.where(t < lengths, lengths - 1 - t, t)


def _take(x: Tensor, index: Tensor) -> Tensor:
    return x.gather(0, index.unsqueeze(-1).expand(-1, -1, x.shape[-1]))
