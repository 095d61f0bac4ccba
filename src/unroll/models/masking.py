"""Padding that reaches neither a value nor a gradient. In every mask here, True is what takes part."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from unroll.nn.lengths import checked_lengths


def valid_steps(lengths: Tensor, T: int) -> Tensor:
    """(batch, T): True at the steps of each row that exist."""
    return torch.arange(T, device=lengths.device) < lengths.unsqueeze(1)


def allowed_steps(memory: Tensor, lengths: Tensor | Sequence[int] | None, mask: Tensor | None) -> Tensor | None:
    """(batch, 1 or Q, T): True where a query may attend to a step of ``memory`` (batch, T, features).

    None says that all may attend to all of a memory that has steps.

    Raises:
        ValueError: ``lengths`` or ``mask`` do not fit ``memory``.
        TypeError: ``mask`` is not bool.
    """
    B, T = memory.shape[:2]
    known = checked_lengths(lengths, B, T, memory.device)
    allowed = None if known is None else valid_steps(known, T).unsqueeze(1)
    if mask is not None:
        own = _checked_mask(mask, B, T)
        allowed = own if allowed is None else own & allowed
    if allowed is None and T == 0:
        return torch.zeros(B, 1, 0, dtype=torch.bool, device=memory.device)
    return allowed


def masked_softmax(scores: Tensor, allowed: Tensor | None) -> Tensor:
    """Softmax over the last dimension among what is ``allowed``; exactly 0 elsewhere, and where nothing is.

    The softmax of nothing but -∞ is NaN, which torch's anomaly detection would find on the way back: there it is
    taken of zeros.
    """
    if allowed is None:
        return scores.softmax(-1)
    nothing = ~allowed.any(-1, keepdim=True)
    scores = scores.masked_fill(~allowed, -math.inf).masked_fill(nothing, 0)
    return scores.softmax(-1).masked_fill(~allowed, 0)


def _checked_mask(mask: Tensor, batch_size: int, T: int) -> Tensor:
    """``mask`` as (batch, 1 or Q, T)."""
    if mask.dtype is not torch.bool:
        raise TypeError(f"mask must be bool, True where a query may attend, got {mask.dtype}")
    if mask.dim() not in (2, 3) or mask.shape[0] != batch_size or mask.shape[-1] != T:
        raise ValueError(
            f"mask must be (batch, T) or (batch, Q, T) with batch={batch_size} and T={T}, got {tuple(mask.shape)}"
        )
    return mask if mask.dim() == 3 else mask.unsqueeze(1)
