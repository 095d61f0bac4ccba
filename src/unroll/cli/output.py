"""Where things go: results to stdout, progress and errors to stderr, colour and Unicode only where they show."""

from __future__ import annotations

import io
import json
import os
import shutil
import sys
import textwrap
import time
import unicodedata
from typing import Any, TextIO

from unroll.errors import RunError, UnrollError, _sentence

_PLAIN = str.maketrans({"…": "...", "·": "-", "µ": "u", "×": "x", "−": "-", "°": "", "’": "'", "–": "-"})
_BARS = str.maketrans({"▓": "#", "░": "?"})


def open_streams() -> None:
    """Make sure that there is somewhere to write to, and that no character stops us from writing."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115
        elif isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def drop_stdout() -> None:
    """Send what is left in the buffer nowhere, so that it is not tried again when Python ends."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def fail(error: UnrollError) -> None:
    """Print an error as it should look: what was received, then what was expected and what to change."""
    head = "error: "
    details = [_sentence(part) for part in (f"expected {error.expected}" if error.expected else "", error.fix) if part]
    paragraphs = error.received.splitlines() + ([" ".join(details)] if details else [])
    width = max(40, columns() - len(head))
    lines = [line for paragraph in paragraphs for line in _wrapped(shown(paragraph, sys.stderr), width)]
    text = "\n".join((head if k == 0 else " " * len(head)) + line for k, line in enumerate(lines))
    sys.stderr.write(text + "\n")


def say(text: str) -> None:
    """Write ``text``, which ends in its newline, to stdout.

    Raises:
        BrokenPipeError: the reader has gone.
        RunError: stdout takes no more, as where its disk is full.
    """
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except OSError as error:
        drop_stdout()
        if isinstance(error, BrokenPipeError):
            raise
        raise RunError(
            f"cannot write the result to standard output: {(error.strerror or str(error)).lower()}",
            fix="Free some space, or send it elsewhere",
        ) from error


def say_lines(text: str) -> None:
    """``say``, with the signs that stdout cannot carry in ASCII."""
    say("".join(shown(line, sys.stdout) + "\n" for line in text.splitlines()))


def print_json(content: Any) -> None:
    """One JSON value and nothing else; times as ISO text."""
    unicode = unicode_shows(sys.stdout)
    say(json.dumps(content, indent=1, ensure_ascii=not unicode, allow_nan=False, default=_iso) + "\n")


def print_result(result: dict[str, Any], report: str | None, as_json: bool) -> None:
    """The end of ``compare`` and ``train``."""
    if as_json:
        print_json(result)
        return
    from unroll.report import render_terminal

    colour, unicode = colour_shows(sys.stdout), unicode_shows(sys.stdout)
    say(render_terminal(result, width=columns(), colour=colour, unicode=unicode, report_path=report))


def columns() -> int:
    """How wide our lines may be."""
    return min(100, shutil.get_terminal_size((100, 24)).columns)


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
    """``text`` as one line that ``stream`` can carry: control characters made visible, signs in ASCII if need be."""
    text = "".join(c if c.isprintable() or unicodedata.category(c) == "Cf" else ascii(c)[1:-1] for c in text)
    if not unicode_shows(stream):
        text = text.translate(_PLAIN)
    encoding = stream.encoding or "ascii"
    if not _carries(_BARS, encoding):
        text = text.translate(_BARS)
    return text.encode(encoding, "backslashreplace").decode(encoding)


def _carries(table: dict[int, str], encoding: str) -> bool:
    try:
        "".join(map(chr, table)).encode(encoding)
    except (UnicodeEncodeError, LookupError):
        return False
    return True


def _wrapped(text: str, width: int) -> list[str]:
    return textwrap.wrap(text, width, break_long_words=False, break_on_hyphens=False) or [""]


def _iso(value: Any) -> str:
    return str(value.isoformat())


class ProgressLine:
    """At most one live line on stderr, gone when the work is done; nothing where stderr is no terminal."""

    EVERY = 0.1

    def __init__(self, quiet: bool = False) -> None:
        self._quiet = quiet
        self._live = sys.stderr.isatty() and not quiet
        self._last = 0.0
        self.started = time.monotonic()

    def __enter__(self) -> ProgressLine:
        return self

    def __exit__(self, *_: object) -> None:
        self.clear()

    def clear(self) -> None:
        """Take the line away, so that something else can be printed."""
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

    def note(self, text: str) -> None:
        """A line that stays, unless quiet."""
        if self._quiet:
            return
        sys.stderr.write(("\r\x1b[2K" if self._live else "") + shown(text, sys.stderr) + "\n")
        sys.stderr.flush()

    def remaining(self, share: float) -> str:
        """The time that is left when ``share`` of the work is done, in words."""
        if share <= 0.02:
            return ""
        left = (time.monotonic() - self.started) * (1 - share) / share
        return f" · {left / 60:.0f} min left" if left >= 90 else f" · {left:.0f} s left"
