"""Runs the command line in this process (fast) or in one of its own, and looks at what it left."""

from __future__ import annotations

import hashlib
import io
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

from unroll.cli import main

TINY = ["--epochs", "1", "--hidden", "4", "--horizon", "2", "--input", "4"]
COMPARE = [*TINY, "--cell", "gru", "--seeds", "1", "--lr", ".01", "--workers", "1"]


@dataclass(frozen=True)
class Outcome:
    """What a command gave back."""

    code: int
    out: str
    err: str

    @property
    def message(self) -> str:
        """stderr on one line."""
        return " ".join(self.err.split())


class Stream(io.TextIOWrapper):
    """Keeps what is written to it; it may say that it is a terminal."""

    terminal = False

    def isatty(self) -> bool:
        return self.terminal


def unroll(*arguments: str | Path, encoding: str = "utf-8", terminal: bool = False) -> Outcome:
    """``unroll ARGUMENTS`` in this process."""
    out, err = (Stream(io.BytesIO(), encoding=encoding) for _ in range(2))
    out.terminal = err.terminal = terminal
    with mock.patch.multiple(sys, stdout=out, stderr=err, argv=["unroll", *map(str, arguments)]):
        try:
            main()
            code = 0
        except SystemExit as end:
            code = int(end.code or 0)
    return Outcome(code, *(_text(stream, encoding) for stream in (out, err)))


def apart(*arguments: str | Path, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """``unroll ARGUMENTS`` in a process of its own, its streams no terminals."""
    return subprocess.run(
        [*program(), *map(str, arguments)],
        cwd=cwd,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )


def program() -> list[str]:
    """The words that start the command line in a new process."""
    return [sys.executable, "-c", "from unroll.cli import main; main()"]


def tree(folder: Path) -> dict[str, str]:
    """Every file and folder below ``folder`` and what is in it."""
    return {
        str(path.relative_to(folder)): "folder" if path.is_dir() else hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
    }


def daily(rows: int, *, level: float = 20.0, first: int = 0) -> list[str]:
    """``rows`` lines "date,units" that vary."""
    import datetime

    start = datetime.date(2024, 1, 1)
    return [
        f"{start + datetime.timedelta(days=first + k)},{level + 5 * (k % 7) + (k * k % 11) / 10:.1f}"
        for k in range(rows)
    ]


def table(rows: int, header: str = "date,units") -> str:
    """A good CSV."""
    return "\n".join([header, *daily(rows)]) + "\n"


def _text(stream: io.TextIOWrapper, encoding: str) -> str:
    stream.flush()
    buffer = stream.buffer
    assert isinstance(buffer, io.BytesIO)
    return buffer.getvalue().decode(encoding)


ROWS = daily(60)


def csv(*rows: str, header: str = "date,units") -> str:
    return "\n".join([header, *rows]) + "\n"


def changed(row: int, line: str, rows: list[str] = ROWS) -> str:
    """Good data in which row ``row`` of the file (the header is row 1) is ``line``."""
    return csv(*rows[: row - 2], line, *rows[row - 1 :])


def shops(**rows: int) -> str:
    return csv(*(f"{line},{shop}" for shop, count in rows.items() for line in daily(count)), header="date,units,shop")


def assert_one_message(outcome: Outcome, *says: str) -> None:
    assert outcome.code == 2, outcome.err
    assert outcome.out == ""
    assert outcome.err.startswith("error: ")
    assert outcome.err.count("error: ") == 1
    assert outcome.err.endswith("\n")
    assert "Traceback" not in outcome.err
    assert "failed in a way it should not" not in outcome.err
    assert all(line.startswith("       ") for line in outcome.err.splitlines()[1:])
    for phrase in says:
        assert phrase in outcome.message
