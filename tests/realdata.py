"""Real data sets for tests: under $UNROLL_DATA, else in the folder shared/data beside the repository."""

import os
from pathlib import Path

import pytest

ROOT = Path(os.environ.get("UNROLL_DATA") or Path(__file__).resolve().parents[2] / "shared" / "data")


def real(path: str) -> Path:
    """The file ``path`` below the data folder; skips the test, visibly, where it is missing."""
    found = ROOT / path
    if not found.exists():
        pytest.skip(f"real data not here: {path} (set UNROLL_DATA to its folder)")
    return found
