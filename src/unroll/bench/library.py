"""The asking side of a library's process."""

from __future__ import annotations

import functools
import json
import os
import subprocess
import sys
from types import TracebackType
from typing import Any

from unroll.bench.cases import Case
from unroll.bench.contenders import LABELS, PARTICIPANTS
from unroll.errors import RunError

_START = "import sys; from unroll.bench.serving import serve; serve(sys.argv[1], int(sys.argv[2]))"
_SECONDS_TO_END = 10.0


class Library:
    """A process that runs cases with one library, on ``threads`` threads.

    It works only while it is asked, but for its start: several may start at once.
    """

    def __init__(self, name: str, threads: int) -> None:
        self.name, self.threads = name, threads
        self.process = subprocess.Popen(
            [sys.executable, "-c", _START, PARTICIPANTS[name], str(threads)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | {"OMP_NUM_THREADS": str(threads), "MKL_NUM_THREADS": str(threads)},
        )

    @functools.cached_property
    def _greeting(self) -> dict[str, Any]:
        return self._read("as it was started")

    @property
    def missing(self) -> str:
        """Why the library cannot run here; empty where it can."""
        return str(self._greeting.get("missing", ""))

    @property
    def version(self) -> str:
        """Its version, where it can."""
        return str(self._greeting.get("version", ""))

    def ask(self, ask: str, what: str = "at the matrix product", **more: Any) -> dict[str, Any]:
        """The answer to one request; ``what`` says in an error where it was."""
        assert self.process.stdin is not None
        assert not self.missing
        try:
            self.process.stdin.write(json.dumps({"ask": ask, **more}) + "\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            raise self._ended(what) from None
        return self._read(what)

    def about(self, ask: str, case: Case, variant: str, **more: Any) -> dict[str, Any]:
        """The answer to a request about a case."""
        what = f"at {case.family} {case.work} {case.shape}" + (f", {variant}" if variant else "")
        given = {"family": case.family, "work": case.work, "shape": list(case.shape), "variant": variant}
        return self.ask(ask, what, **given, **more)

    def _read(self, what: str) -> dict[str, Any]:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise self._ended(what)
        told: dict[str, Any] = json.loads(line)
        if "error" in told:
            raise RunError(f"{LABELS[self.name]} failed {what}\n{told['error']}")
        return told

    def _ended(self, what: str) -> RunError:
        code = self.process.wait()
        return RunError(
            f"the process of {LABELS[self.name]} ended {what}: exit code {code}",
            fix="Where the machine has too little memory, leave the case out with --shape, --family or --work",
        )

    def close(self) -> None:
        """Let the process end, or make it."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        try:
            self.process.stdin.close()
            self.process.wait(_SECONDS_TO_END)
        except (BrokenPipeError, subprocess.TimeoutExpired):
            self.process.kill()
            self.process.wait()
        self.process.stdout.close()

    def __enter__(self) -> Library:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None:
            self.process.kill()
        self.close()
