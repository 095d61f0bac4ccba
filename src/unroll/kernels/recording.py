"""Which backend ran: noted once per call of a layer, and kept only while somebody listens."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import torch

_heard: ContextVar[list[str] | None] = ContextVar("unroll_recording", default=None)
heard = _heard.get
"""What the innermost ``recording`` has heard, or None."""


@contextmanager
def recording() -> Iterator[list[str]]:
    """The names of what runs inside the ``with`` block, one for each layer and direction or stack run in one call.

    ``"torch"``, ``"cpu"`` and ``"reference"`` as in ``use``. What a compiled graph runs is not heard.

    Example::

        >>> with kernels.recording() as ran:
        ...     unroll.nn.GRU(3, 4, reset="before")(torch.randn(5, 2, 3))
        >>> ran
        ['reference']
    """
    ran: list[str] = []
    token = _heard.set(ran)
    try:
        yield ran
    finally:
        _heard.reset(token)


def note(name: str) -> None:
    """Say that ``name`` runs now."""
    # Dynamo cannot trace a context variable.
    if torch.compiler.is_compiling():
        return
    ran = _heard.get()
    if ran is not None:
        ran.append(name)
