"""A folder with good data in it, and finished runs to copy from."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from .harness import COMPARE, TINY, apart, table, unroll


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The current folder, which holds sales.csv; data sets are kept apart from the user's own."""
    monkeypatch.setenv("UNROLL_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("UNROLL_DATA", raising=False)
    monkeypatch.setenv("COLUMNS", "100")
    here = tmp_path / "here"
    here.mkdir()
    (here / "sales.csv").write_text(table(60))
    monkeypatch.chdir(here)
    return here


@pytest.fixture(scope="session")
def compared(tmp_path_factory):
    """The process that made a comparison, and the folder it ran in."""
    home = tmp_path_factory.mktemp("compared")
    (home / "sales.csv").write_text(table(60))
    return apart("compare", "sales.csv", *COMPARE, cwd=home), home


@pytest.fixture(scope="session")
def trained(tmp_path_factory):
    """The folder of a finished training."""
    home = tmp_path_factory.mktemp("trained")
    (home / "sales.csv").write_text(table(60))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(home)
        outcome = unroll("train", "sales.csv", *TINY, "--out", "run")
    assert outcome.code == 0, outcome.err
    return home / "run"


@pytest.fixture
def runs(folder, compared, trained) -> Path:
    """Copies of a finished training, ``run``, and a finished comparison, ``both``, in the current folder."""
    shutil.copytree(trained, folder / "run")
    shutil.copytree(compared[1] / "runs" / "sales", folder / "both")
    return folder


@pytest.fixture
def here(home, monkeypatch) -> Path:
    """The folder of a module's ``home``, as the current one."""
    monkeypatch.chdir(home[0])
    monkeypatch.setenv("COLUMNS", "100")
    folder: Path = home[0]
    return folder
