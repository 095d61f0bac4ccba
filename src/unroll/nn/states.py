"""A stack's state in torch's form, leaves (layers · directions, batch, features), and as one cell state for each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from unroll import kernels

Given = tuple[Any, ...]
"""Stacked leaves, or one cell state per layer and direction where their sizes differ."""


def is_per_cell(hx: Any) -> bool:
    """Whether ``hx`` holds cell states, not tensors."""
    return hx is not None and not isinstance(hx, Tensor) and len(hx) > 0 and not isinstance(hx[0], Tensor)


def stacked(states: Sequence[Any]) -> tuple[Tensor, ...]:
    """One cell state per layer and direction as stacked leaves."""
    return tuple([torch.stack(leaves) for leaves in zip(*states)])


def per_cell(leaves: Sequence[Tensor], kind: Any) -> list[Any]:
    """Stacked leaves as one cell state, a ``kind``, per layer and direction."""
    return [kind(*own) for own in zip(*(leaf.unbind(0) for leaf in leaves))]


def unsqueezed(state: Any) -> Any:
    """The state of one sequence as a batch of one."""
    return kernels.map_state(lambda leaf: leaf.unsqueeze(0), state)


def squeezed(state: Any) -> Any:
    """The state of a batch of one as that of its sequence."""
    return kernels.map_state(lambda leaf: leaf.squeeze(0), state)


def checked(hx: Any, widths: Sequence[int], stack: int, batch_size: int, *, batched: bool) -> tuple[Tensor, ...]:
    """torch's ``hx`` as stacked leaves, with torch's errors.

    Raises:
        RuntimeError: it has another number of tensors, dimensions or entries than it should.
    """
    given = (hx,) if isinstance(hx, Tensor) else tuple(hx)
    if len(given) != len(widths):
        raise RuntimeError(f"Expected a state of {len(widths)} tensors, got {len(given)}")
    dims = 3 if batched else 2
    if any(leaf.dim() != dims for leaf in given):
        kind = "batched 3-D" if batched else "unbatched 2-D"
        got = ", ".join(f"{leaf.dim()}-D" for leaf in given)
        what, got = ("hx and cx", f"({got}) tensors") if len(given) > 1 else ("hx", f"{got} tensor")
        raise RuntimeError(f"For {kind} input, {what} should also be {dims}-D but got {got}")
    if not batched:
        given = tuple(leaf.unsqueeze(1) for leaf in given)
    for position, (leaf, width) in enumerate(zip(given, widths)):
        if leaf.shape != (stack, batch_size, width):
            where = f"hidden[{position}]" if len(widths) > 1 else "hidden"
            raise RuntimeError(f"Expected {where} size {(stack, batch_size, width)}, got {list(leaf.shape)}")
    return given
