"""Seeing each layer and direction as it runs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from unroll import kernels
from unroll.kernels import Captured, StepNoise
from unroll.nn.cell import Cell


class Call(NamedTuple):
    """One layer and direction as it ran: enough to replay it; ``captured`` is what our engine kept, if it ran."""

    owner: nn.Module
    layer: int
    direction: int
    cell: Cell
    x: Tensor
    state: Any
    lengths: Tensor | None
    noise: StepNoise | None = None
    captured: Captured | None = None

    @property
    def name(self) -> str:
        """``"l0"``, ``"l0_reverse"``, …"""
        return f"l{self.layer}" + ("_reverse" if self.direction else "")

    def inside(self) -> Captured:
        """Signals and states of every step."""
        if self.captured is not None:
            return self.captured
        reverse = self.direction == 1
        return kernels.captured_again(
            self.cell, self.x, self.state, lengths=self.lengths, reverse=reverse, noise=self.noise
        )


_watcher: ContextVar[Callable[[Call], None] | None] = ContextVar("unroll_watcher", default=None)


def watcher_in_force() -> Callable[[Call], None] | None:
    """Who watches, if anyone; nobody inside a compiled graph, where dynamo cannot read a context variable."""
    return None if torch.compiler.is_compiling() else _watcher.get()


@contextmanager
def watching(watcher: Callable[[Call], None]) -> Iterator[None]:
    """Report every layer and direction that runs inside the ``with`` block to ``watcher``, each once it has run."""
    token = _watcher.set(watcher)
    try:
        yield
    finally:
        _watcher.reset(token)
