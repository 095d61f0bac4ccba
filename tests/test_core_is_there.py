"""No silent fallback: a test run without the C++ core stops, or says so."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from unroll.kernels import cpu

HERE = Path(__file__).parent
WITHOUT = "import sys; sys.modules['unroll._native'] = None; import pytest; sys.exit(pytest.main(sys.argv[1:]))"
"""pytest in a Python that cannot import the core."""
TEST = f"{Path(__file__).name}::test_something_to_run"


def test_something_to_run() -> None:
    """A test that the runs below select; here it says what they take away."""
    assert cpu.native() is not None or os.environ.get("UNROLL_ALLOW_NO_CORE") == "1"


def run(allowed: str | None) -> tuple[int, str]:
    environment = {name: value for name, value in os.environ.items() if name != "UNROLL_ALLOW_NO_CORE"}
    environment |= {} if allowed is None else {"UNROLL_ALLOW_NO_CORE": allowed}
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT, "-p", "no:cacheprovider", TEST],
        cwd=HERE, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    return done.returncode, done.stdout + done.stderr


@pytest.mark.parametrize("allowed", [None, "0", ""])
def test_a_run_without_the_core_stops_and_says_why(allowed: str | None) -> None:
    code, told = run(allowed)
    assert code == pytest.ExitCode.USAGE_ERROR
    assert "the C++ core is not built here" in told
    assert "make setup" in told
    assert "UNROLL_ALLOW_NO_CORE=1" in told
    assert "passed" not in told


def test_a_run_that_is_allowed_to_do_without_says_so() -> None:
    code, told = run("1")
    assert code == 0, told
    assert "1 passed" in told
    assert "WARNING: no C++ core (UNROLL_ALLOW_NO_CORE=1)" in told
