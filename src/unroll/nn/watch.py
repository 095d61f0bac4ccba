"""Seeing each layer and direction as it runs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from unroll.kernels import StepNoise
from unroll.nn.cell import Cell


class Call(NamedTuple):
    """One layer and direction as it ran: enough to replay it."""

    owner: nn.Module
    layer: int
    direction: int
    cell: Cell
    x: Tensor
    state: Any
    lengths: Tensor | None
    noise: StepNoise | None = None


_watcher: ContextVar[Callable[[Call], None] | None] = ContextVar("unroll_watcher", default=None)


def watcher_in_force() -> Callable[[Call], None] | None:
    """Who watches, if anyone; nobody inside a compiled graph, where dynamo cannot read a context variable."""
    return None if torch.compiler.is_compiling() else _watcher.get()


@contextmanager
def watching(watcher: Callable[[Call], None]) -> Iterator[None]:
    """Report every layer and direction that runs inside the ``with`` block to ``watcher``."""
    token = _watcher.set(watcher)
    try:
        yield
    finally:
        _watcher.reset(token)
