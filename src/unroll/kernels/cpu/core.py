"""The C++ core, where it is built."""

from __future__ import annotations

import functools
import os
from typing import Any

from unroll.errors import ConfigError


@functools.cache
def native() -> Any:
    """The C++ core with the engine in it, or None."""
    try:
        from unroll import _native
    except ImportError:
        return None
    return _native if hasattr(_native, "Call") else None


@functools.cache
def instruction_set() -> str:
    """What the engine runs on: the widest set of this machine, or the one ``UNROLL_ISA`` names.

    Raises:
        ConfigError: the machine does not have it.
    """
    offered = list(native().instruction_sets())
    asked = os.environ.get("UNROLL_ISA")
    if asked is not None and asked not in offered:
        raise ConfigError(f"UNROLL_ISA={asked}", expected=f"one of {', '.join(offered)}, which this machine has")
    return asked or offered[0]
