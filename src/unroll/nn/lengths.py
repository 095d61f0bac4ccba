"""The lengths of a ragged batch."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from unroll.kernels import transforms


def checked_lengths(
    lengths: Tensor | Sequence[int] | None, batch_size: int, T: int, device: torch.device
) -> Tensor | None:
    """``lengths`` as an int64 tensor (batch,), each in 0…T.

    Raises:
        ValueError: they are not one integer in 0…T per row.
    """
    if lengths is None:
        return None
    lengths = torch.as_tensor(lengths, device=device)
    integers = not (lengths.dtype.is_floating_point or lengths.dtype is torch.bool) or batch_size == 0
    if lengths.dim() != 1 or lengths.shape[0] != batch_size or not integers:
        raise ValueError(
            f"lengths must hold {batch_size} integers, one per sequence, got {tuple(lengths.shape)} {lengths.dtype}"
        )
    if torch.compiler.is_compiling():
        # A graph holds no values: one that is out of range ends its run, not its making.
        within = ((lengths >= 0) & (lengths <= T)).all()
        torch._assert_async(within, "lengths must lie between 0 and the time length")
    elif batch_size and not transforms.is_batched(lengths):
        least, most = (int(bound) for bound in torch.aminmax(lengths))
        if least < 0 or most > T:
            raise ValueError(f"lengths must lie between 0 and the time length {T}, got {least} to {most}")
    return lengths.long()


def zero_padding(x: Tensor, lengths: Tensor) -> Tensor:
    """``x`` (T, batch, features) with zeros beyond each length, so that nothing there reaches a gradient."""
    t = torch.arange(x.shape[0], device=x.device).unsqueeze(1)
    return x.masked_fill((t >= lengths).unsqueeze(-1), 0)
