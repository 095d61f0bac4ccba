"""Ragged batches for torch's operators, which know only full ones, in one call and without packing.

One more input tells the gates that a row has ended: it is 0 while the row runs and 1 in its padding, and its weights
are so large that σ rounds to exactly 0 or 1. The cell state is then kept to the bit, h at a row's own end is read off
the output, and no gradient passes through padding.
"""

from __future__ import annotations

import torch
from torch import Tensor

from unroll.kernels import torch_op
from unroll.kernels.operator import Operator

SHUT = 1e4
"""σ(±1e4) is exactly 1 and 0 in every dtype, and the number fits into float16."""


def run(
    operator: Operator, x: Tensor, state: tuple[Tensor, ...], lengths: Tensor, *, reverse: bool
) -> tuple[Tensor, tuple[Tensor, ...]]:
    """One layer in one direction over ``x`` (T, batch, features), zero in its padding; leaves (batch, …).

    Returns:
        output (T, batch, output), zero beyond each row's length, and the state after each row's last step.
    """
    ended = torch.arange(x.shape[0], device=x.device).unsqueeze(1) >= lengths
    index = reversal(lengths, x.shape[0]) if reverse else None
    source = x if index is None else taken(x, index)
    output, final = torch_op.run(
        _with_end(operator),
        torch.cat([source, ended.unsqueeze(-1).to(x.dtype)], dim=-1),
        [leaf.unsqueeze(0) for leaf in state],
    )
    output = output.masked_fill(ended.unsqueeze(-1), 0)
    # h is gathered, not carried: a GRU's h = n + z (h - n) may move by a rounding error even where z is 1.
    h = _at_end(output, state[0], lengths)
    if index is not None:
        output = taken(output, index)
    return output, (h, *(leaf.squeeze(0) for leaf in final[1:]))


def _with_end(operator: Operator) -> Operator:
    """``operator`` with one more input that, at 1, shuts the input gate and opens the forget gate."""
    w_ih, *others = operator.weights
    column = w_ih.new_zeros(w_ih.shape[0], 1)
    if operator.name == "lstm":
        gate = w_ih.shape[0] // 4
        column[:gate], column[gate : 2 * gate] = -SHUT, SHUT
    return operator._replace(weights=(torch.cat([w_ih, column], dim=1), *others))


def _at_end(output: Tensor, start: Tensor, lengths: Tensor) -> Tensor:
    """``output`` at each row's last step, ``start`` where the row has none."""
    if not output.shape[0]:
        return start
    last = (lengths - 1).clamp(min=0).view(1, -1, 1).expand(1, -1, output.shape[-1])
    return torch.where((lengths > 0).unsqueeze(1), output.gather(0, last).squeeze(0), start)


def reversal(lengths: Tensor, T: int) -> Tensor:
    """(T, batch) index that turns each row round within its own length and leaves padding in place."""
    t = torch.arange(T, device=lengths.device).unsqueeze(1)
    return torch.where(t < lengths, lengths - 1 - t, t)


def taken(x: Tensor, index: Tensor) -> Tensor:
    return x.gather(0, index.unsqueeze(-1).expand(-1, -1, x.shape[-1]))
