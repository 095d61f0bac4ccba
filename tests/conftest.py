"""A test run without the C++ core would pass on the fallback and say nothing of the engine: it does not start."""

import functools
import http.server
import os
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from data.making import entry, write_set
from unroll.data.registry import known
from unroll.kernels import cpu

ALLOWED = "UNROLL_ALLOW_NO_CORE"
# Workers of pytest-xdist are told a width that no terminal has: what is printed without one is under test.
for name in ("COLUMNS", "LINES"):
    os.environ.pop(name, None)


def pytest_sessionstart() -> None:
    if cpu.native() is None and os.environ.get(ALLOWED) != "1":
        raise pytest.UsageError(
            "the C++ core is not built here, so the tests would run on the pure-Python fallback. "
            f"Run `make setup` with a compiler, or set {ALLOWED}=1 to test the fallback itself."
        )


def pytest_terminal_summary(terminalreporter: Any) -> None:
    if cpu.native() is None:
        terminalreporter.write_line(f"WARNING: no C++ core ({ALLOWED}=1): the engine was not tested", yellow=True)


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of its own, and no copy of the machine's user."""
    for name in ("UNROLL_DATA", "http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("UNROLL_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def origin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A server with the files of a set 'pair' and a set 'single', which are the only ones known beside co2."""
    folder = tmp_path / "origin"
    folder.mkdir()
    quiet = type("Quiet", (http.server.SimpleHTTPRequestHandler,), {"log_message": lambda *args: None})
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(quiet, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()

    def made(name: str, *files: str) -> None:
        for file in files:
            (folder / file).write_bytes(f"content of {file}\n".encode())
        write_set(name, base=base, files=[entry(file, (folder / file).read_bytes()) for file in files])

    base = f"http://127.0.0.1:{server.server_port}"
    monkeypatch.setenv("UNROLL_TEST_ORIGIN", base)
    (tmp_path / "sets").mkdir()
    shutil.copy(known.SETS / "co2.yaml", tmp_path / "sets")
    monkeypatch.setattr(known, "SETS", tmp_path / "sets")
    made("pair", "train.csv", "test.csv")
    made("single", "one.csv")
    yield folder
    server.shutdown()
    thread.join()
    server.server_close()
