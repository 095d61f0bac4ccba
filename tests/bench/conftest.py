"""Libraries that misbehave, put in the place of real ones."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from unroll.bench.contenders import PARTICIPANTS


def found_there(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    """Let processes that are started find modules of ``folder`` first."""
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(folder), os.environ.get("PYTHONPATH", "")]))


@pytest.fixture
def instead(monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], None]:
    """``instead("unroll", "Wrong")`` lets a class of ``misbehaving.py`` run as a library."""

    def put(name: str, place: str) -> None:
        monkeypatch.setitem(PARTICIPANTS, name, f"misbehaving:{place}")
        found_there(monkeypatch, Path(__file__).parent)

    return put


@pytest.fixture
def without(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[str], None]:
    """``without("jax")``: a process started from here cannot import it."""

    def hide(package: str) -> None:
        text = f"raise ModuleNotFoundError(\"No module named '{package}'\", name='{package}')\n"
        (tmp_path / f"{package}.py").write_text(text, encoding="utf-8")
        found_there(monkeypatch, tmp_path)

    return hide
