"""Processes of libraries that go on from test to test, and libraries that misbehave in the place of real ones."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest

from bench import misbehaving
from unroll.bench import run
from unroll.bench.contenders import PARTICIPANTS
from unroll.bench.library import Library

Running = Callable[[str, int], AbstractContextManager[Library]]


@pytest.fixture(scope="session")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A ``Library`` that is started once for all tests and ended behind the last: each start takes seconds."""
    started: dict[tuple[str, int], Library] = {}
    asked = tmp_path_factory.mktemp("misbehaving") / "how"

    @contextmanager
    def library(name: str, threads: int) -> Iterator[Library]:
        key = PARTICIPANTS[name], threads
        if key not in started or started[key].process.poll() is not None:
            started[key] = Library(name, threads)
        started[key].name = name
        yield started[key]

    with pytest.MonkeyPatch.context() as patch:
        here = str(Path(__file__).parent)
        patch.setenv("PYTHONPATH", os.pathsep.join([here, os.environ.get("PYTHONPATH", "")]))
        patch.setenv(misbehaving.ASKED, str(asked))
        yield library
    for one in started.values():
        one.process.kill()  # how a process ends by itself is tested elsewhere
        one.close()


@pytest.fixture
def shared(running: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let measurements take processes that are running already."""
    monkeypatch.setattr(run, "Library", running)


@pytest.fixture
def instead(shared: None, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], None]:
    """``instead("unroll", "wrong output")`` lets a library misbehave, as ``misbehaving.py`` says."""

    def put(name: str, how: str) -> None:
        monkeypatch.setitem(PARTICIPANTS, name, "misbehaving:Misbehaving")
        Path(os.environ[misbehaving.ASKED]).write_text(how, encoding="utf-8")

    return put


@pytest.fixture
def without(shared: None, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], None]:
    """``without("onnx", "onnxruntime")``: the process of a library cannot import a package."""

    def hide(name: str, package: str) -> None:
        monkeypatch.setitem(PARTICIPANTS, name, f"lacking:{package}={PARTICIPANTS[name]}")

    return hide
