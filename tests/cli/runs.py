"""Folders with a finished run in them, for the tests of a task's commands."""

from __future__ import annotations

from pathlib import Path

import pytest

from .harness import Outcome, unroll


def trained_in(folder: Path, *command: str) -> tuple[Path, Outcome]:
    """``folder``, in which ``unroll train COMMAND --out runs/a`` has run, and what it printed."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        outcome = unroll("train", *command, "--out", "runs/a")
    assert outcome.code == 0, outcome.err
    return folder, outcome
