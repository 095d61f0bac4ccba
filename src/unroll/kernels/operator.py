"""What a kernel needs to know of one layer in one direction."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple, Protocol

from torch import Tensor

State = tuple[Tensor, ...]
"""A NamedTuple of tensors, each ``(batch, …)``."""


class Operator(NamedTuple):
    """A torch operator that computes the same recurrence, with its weights in torch's order.

    ``weights``: ``(w_ih, w_hh[, b_ih, b_hh][, w_hr])``, of a stack one layer and direction after the other.
    """

    name: str
    weights: tuple[Tensor, ...]
    has_biases: bool


class Fusable(Protocol):
    """What may have a torch operator that equals it."""

    def operator(self) -> Operator | None: ...


class Recurrence(Fusable, Protocol):
    """What every backend runs: one step, and what equals it: an operator, a program of our engine, a whole sequence."""

    @property
    def step(self) -> Callable[..., StepLike]: ...

    def program(self, noisy: bool = False) -> Any: ...

    def sequence(self, x: Tensor, state: Any, resets: Tensor | None) -> tuple[Tensor, Any] | None: ...

    def signals_of(self, gates: Mapping[str, Tensor]) -> Mapping[str, Tensor] | None: ...

    def parameters(self) -> Iterator[Tensor]: ...


class StepLike(Protocol):
    @property
    def output(self) -> Tensor: ...

    @property
    def state(self) -> Any: ...

    @property
    def signals(self) -> Mapping[str, Tensor]: ...


def map_state(function: Any, *states: Any) -> Any:
    """Apply ``function`` leaf by leaf; the result has the type of the first state."""
    first = states[0]
    leaves = [function(*leaf) for leaf in zip(*states, strict=True)]
    return type(first)(*leaves) if hasattr(first, "_fields") else tuple(leaves)


def rows(mask: Tensor, leaf: Tensor) -> Tensor:
    """``mask`` (batch,) shaped to select rows of ``leaf`` (batch, …)."""
    return mask.view(-1, *[1] * (leaf.dim() - 1))
