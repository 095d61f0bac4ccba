"""A test run without the C++ core would pass on the fallback and say nothing of the engine: it does not start."""

import os
from typing import Any

import pytest

from unroll.kernels import cpu

ALLOWED = "UNROLL_ALLOW_NO_CORE"


def pytest_sessionstart() -> None:
    if cpu.native() is None and os.environ.get(ALLOWED) != "1":
        raise pytest.UsageError(
            "the C++ core is not built here, so the tests would run on the pure-Python fallback. "
            f"Run `make setup` with a compiler, or set {ALLOWED}=1 to test the fallback itself."
        )


def pytest_terminal_summary(terminalreporter: Any) -> None:
    if cpu.native() is None:
        terminalreporter.write_line(f"WARNING: no C++ core ({ALLOWED}=1): the engine was not tested", yellow=True)
