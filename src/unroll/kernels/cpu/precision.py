"""Weights in bfloat16, sums in float32: half the memory to read where that is what a step waits for."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_halved: ContextVar[bool] = ContextVar("unroll_bfloat16_weights", default=False)
halved = _halved.get
"""Whether ``bfloat16_weights`` is in force."""


@contextmanager
def bfloat16_weights() -> Iterator[None]:
    """Inside the ``with`` block our engine reads float32 weights rounded to bfloat16, to nearest even.

    Inputs, states and sums stay in float32, so that the result is that of the rounded weights to the bit. For
    inference: where a gradient may be asked for, and in float64, the weights are read in full. A stream keeps what was
    in force when its weights were packed, at its first step. A large layer's steps with few rows wait for their
    weights: those gain.

    Example::

        >>> with torch.no_grad(), kernels.bfloat16_weights():
        ...     output, state = layer(x)
    """
    token = _halved.set(True)
    try:
        yield
    finally:
        _halved.reset(token)
