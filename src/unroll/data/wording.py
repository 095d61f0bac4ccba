"""Small parts of messages: counts, lists of names, options a shell reads as written."""

from __future__ import annotations

import shlex
from collections.abc import Sequence


def counted(number: int, what: str) -> str:
    """``"1 row"``, ``"1,204 rows"``."""
    return f"{number:,} {what}" + ("" if number == 1 else "s")


def listed(names: Sequence[str], most: int = 20, quote: str = "") -> str:
    """The first ``most`` names, and how many more there are."""
    shown = ", ".join(f"{quote}{name}{quote}" for name in names[:most])
    return shown + (f" and {len(names) - most:,} more" if len(names) > most else "")


def option(name: str, value: str) -> str:
    """``"--target 'ice cream'"``: to be copied into a shell."""
    return f"{name}={shlex.quote(value)}" if value.startswith("-") else f"{name} {shlex.quote(value)}"


def skipped(names: Sequence[str], reason: str) -> str:
    """``"2 series skipped (too short): 'A', 'B'"``: a note of a series set."""
    return f"{len(names):,} series skipped ({reason}): {listed(names, 3, quote=chr(39))}"
