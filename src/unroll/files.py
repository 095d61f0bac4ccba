"""Writing files so that a reader sees the old content or the new, never half of either."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from unroll.errors import RunError


def write_atomically(path: Path, write: Callable[[Path], None]) -> None:
    """Let ``write`` fill a file beside ``path``, flush it to the disk, then rename it into place.

    Raises:
        RunError: the folder is not writable or the disk is full. Nothing is left behind and an older
            ``path`` is untouched.
    """
    path = Path(path)
    aside: Path | None = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        os.close(handle)
        aside = Path(name)
        write(aside)
        with open(aside, "rb+") as stream:
            os.fsync(stream.fileno())
        os.chmod(aside, 0o666 & ~_umask())
        os.replace(aside, path)
    except OSError as error:
        raise not_writable(path, error) from error
    finally:
        if aside is not None and aside.exists():
            aside.unlink()


def write_bytes(path: Path, content: bytes) -> None:
    write_atomically(path, lambda aside: _fill(aside, content))


def write_text(path: Path, content: str) -> None:
    write_bytes(path, content.encode("utf-8"))


def write_json(path: Path, content: Any) -> None:
    write_text(path, json.dumps(content, indent=1, allow_nan=False, ensure_ascii=False) + "\n")


def not_writable(path: Path, error: OSError) -> RunError:
    return RunError(
        f"cannot write {path}: {(error.strerror or str(error)).lower()}",
        expected="a writable folder with room on its disk",
        fix="Free some space or its permissions, or give another folder with --out",
    )


def _fill(path: Path, content: bytes) -> None:
    with open(path, "wb") as stream:
        stream.write(content)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
