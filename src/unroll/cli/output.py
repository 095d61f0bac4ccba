"""Where things go: results to stdout, progress and errors to stderr, colour and Unicode only where they show."""

from __future__ import annotations

import json
import os
import shutil
import sys
import time
from typing import Any, TextIO

import typer

from unroll.errors import UnrollError, _sentence


def fail(error: UnrollError) -> None:
    """Print an error as it should look: what was received, then what was expected and what to change."""
    head = "error: "
    details = [_sentence(part) for part in (f"expected {error.expected}" if error.expected else "", error.fix) if part]
    lines = error.received.splitlines() + ([" ".join(details)] if details else [])
    text = "\n".join((head if k == 0 else " " * len(head)) + line for k, line in enumerate(lines))
    sys.stderr.write(shown(text, sys.stderr) + "\n")


def print_json(content: Any) -> None:
    """One object and nothing else."""
    typer.echo(json.dumps(content, indent=1, ensure_ascii=not unicode_shows(sys.stdout), allow_nan=False))


def print_result(result: dict[str, Any], report: str | None, as_json: bool) -> None:
    """The end of ``compare`` and ``train``."""
    if as_json:
        print_json(result)
        return
    from unroll.report import render_terminal

    width = min(100, shutil.get_terminal_size((100, 24)).columns)
    text = render_terminal(
        result, width=width, colour=colour_shows(sys.stdout), unicode=unicode_shows(sys.stdout), report_path=report
    )
    typer.echo(text, nl=False, color=colour_shows(sys.stdout))


def colour_shows(stream: TextIO) -> bool:
    """Whether ``stream`` is a terminal that takes colour (NO_COLOR and TERM=dumb say no)."""
    return stream.isatty() and "NO_COLOR" not in os.environ and os.environ.get("TERM") != "dumb"


def unicode_shows(stream: TextIO) -> bool:
    """Whether ``stream`` can carry the signs we use."""
    try:
        "…µ×°".encode(stream.encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return False
    return True


def shown(text: str, stream: TextIO) -> str:
    """``text`` in what ``stream`` can carry."""
    encoding = stream.encoding or "ascii"
    return text.replace("…", "..." if not unicode_shows(stream) else "…").encode(encoding, "replace").decode(encoding)


class ProgressLine:
    """At most one live line on stderr, gone when the work is done; nothing where stderr is no terminal."""

    EVERY = 0.1

    def __init__(self, quiet: bool = False) -> None:
        self._live = sys.stderr.isatty() and not quiet
        self._last = 0.0
        self.started = time.monotonic()

    def __enter__(self) -> ProgressLine:
        return self

    def __exit__(self, *_: object) -> None:
        if self._live:
            sys.stderr.write("\r\x1b[2K")
            sys.stderr.flush()

    def show(self, text: str) -> None:
        """Replace the line."""
        if not self._live or time.monotonic() - self._last < self.EVERY:
            return
        self._last = time.monotonic()
        width = shutil.get_terminal_size((100, 24)).columns - 1
        sys.stderr.write("\r\x1b[2K" + shown(text, sys.stderr)[:width])
        sys.stderr.flush()

    def remaining(self, share: float) -> str:
        """The time that is left when ``share`` of the work is done, in words."""
        if share <= 0.02:
            return ""
        left = (time.monotonic() - self.started) * (1 - share) / share
        return f" · {left / 60:.0f} min left" if left >= 90 else f" · {left:.0f} s left"
