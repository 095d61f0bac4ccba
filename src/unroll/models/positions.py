"""Where a step stands, as numbers a network can read."""

from __future__ import annotations

import math

import torch
from torch import Tensor


def sinusoids(position: Tensor, size: int, dtype: torch.dtype | None = None) -> Tensor:
    r"""Sines and cosines of a position: Vaswani et al. 2017 (arXiv:1706.03762), section 3.5.

    .. math:: PE_{p,2i} = \sin(p / 10000^{2i/d}), \qquad PE_{p,2i+1} = \cos(p / 10000^{2i/d})

    Args:
        position: p, 0 first, of any shape.
        size: d; an odd one ends with a sine.
        dtype: of the result; torch's default unless given.

    Returns:
        (…, size).

    Example::

        >>> sinusoids(torch.arange(3), 4).shape
        torch.Size([3, 4])
    """
    # In float32 the angle of step 100 000 would be off by a hundredth; MPS has no float64.
    exact = torch.float32 if position.device.type == "mps" else torch.float64
    pair = torch.arange((size + 1) // 2, device=position.device, dtype=exact)
    angle = position.unsqueeze(-1).to(exact) * torch.exp(pair * (-2 * math.log(10000.0) / size))
    waves = torch.stack([angle.sin(), angle.cos()], -1).flatten(-2)
    return waves[..., :size].to(dtype or torch.get_default_dtype())
