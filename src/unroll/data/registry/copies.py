"""Copies of data sets on this machine: where they may lie, and whether their content is the right one."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from unroll.data.registry.download import alone, cannot_store, elsewhere, holds
from unroll.data.registry.known import DataFile
from unroll.data.registry.unpack import gzip_holds
from unroll.errors import ConfigError, RunError
from unroll.files import write_json

DEPTH = 8  # folders below the one searched
ENTRIES = 200_000  # files looked at
_MEMORY = "datasets.json"


def cache_folder() -> Path:
    """Where fetched data sets lie: ``UNROLL_CACHE``, else the user's cache folder of this system.

    Raises:
        ConfigError: neither is known.
    """
    if chosen := os.environ.get("UNROLL_CACHE"):
        return Path(chosen).expanduser().absolute()
    if (xdg := os.environ.get("XDG_CACHE_HOME")) and Path(xdg).is_absolute():
        return Path(xdg) / "unroll"
    if sys.platform == "win32" and (local := os.environ.get("LOCALAPPDATA")):
        return Path(local) / "unroll" / "Cache"
    try:
        home = Path.home()
    except RuntimeError as error:
        fix = "Set UNROLL_CACHE to a writable folder"
        raise ConfigError("this user has no home folder", expected="a place for data sets", fix=fix) from error
    return home / ("Library/Caches" if sys.platform == "darwin" else ".cache") / "unroll"


def has_content(path: Path, file: DataFile) -> bool:
    """Whether ``path`` holds the content of ``file``, as it is or packed by gzip."""
    if is_packed(path, file):
        return gzip_holds(path, file.sha256, file.bytes)
    return holds(path, file.sha256, file.bytes)


def is_packed(path: Path, file: DataFile) -> bool:
    """Whether ``path`` is named as ``file`` packed by gzip."""
    return path.name == f"{file.name}.gz"


def checked(path: Path, file: DataFile) -> bool:
    """``has_content``, but the checksum is read once, and again when the file changes."""
    try:
        state = path.stat()
    except OSError:
        return False
    stamp = [state.st_size, state.st_mtime_ns, file.sha256]
    if _memory()["verified"].get(str(path)) == stamp:
        return True
    if not has_content(path, file):
        return False
    with suppress(RunError):  # without a writable cache the checksum is read again next time
        _update("verified", str(path), stamp)
    return True


def named_like(folder: Path, files: Iterable[DataFile], depth: int = DEPTH) -> dict[str, list[Path]]:
    """Files below ``folder`` by the name of the one of ``files`` they are named as, packed by gzip or not.

    Hidden folders and links are not entered.
    """
    wanted = {name: file.name for file in files for name in (file.name, f"{file.name}.gz")}
    found: dict[str, list[Path]] = {}
    seen = 0
    for here, folders, names in os.walk(folder):
        level = len(Path(here).relative_to(folder).parts)
        folders[:] = sorted(each for each in folders if not each.startswith(".")) if level < depth else []
        for name in sorted(wanted.keys() & set(names)):
            found.setdefault(wanted[name], []).append(Path(here) / name)
        seen += len(names)
        if seen > ENTRIES:
            break
    return found


def all_held(candidates: Mapping[str, list[Path]], files: Sequence[DataFile]) -> list[Path | None]:
    """Of each file the first candidate that has its content; those beside the others found come first."""
    found: list[Path | None] = []
    for file in files:
        near = {path.parent for path in found if path}
        paths = sorted(candidates.get(file.name, []), key=lambda path: path.parent not in near)
        found.append(next((path for path in paths if checked(path, file)), None))
    return found


def remembered(name: str) -> list[Path]:
    """Where the files of a set were said to lie."""
    return [Path(text) for text in _memory()["places"].get(name, [])]


def remember(name: str, paths: Sequence[Path]) -> None:
    """Keep where the files of a set lie. Raises RunError where the cache cannot be written."""
    _update("places", name, [str(path) for path in paths])


def other_content(path: Path, file: DataFile) -> str:
    """Why ``path`` is not ``file``."""
    if is_packed(path, file):
        return f"{path} does not hold the {file.bytes:,} bytes with the sha256 {file.sha256}"
    size = path.stat().st_size
    if size != file.bytes:
        return f"{path} has {size:,} bytes, not {file.bytes:,}"
    return f"{path} does not have the sha256 {file.sha256}"


def _memory() -> dict[str, dict[str, Any]]:
    kept: dict[str, dict[str, Any]] = {"places": {}, "verified": {}}
    with suppress(OSError, ValueError):
        content = json.loads((cache_folder() / _MEMORY).read_text(encoding="utf-8"))
        if isinstance(content, dict):
            kept |= {part: each for part, each in content.items() if part in kept and isinstance(each, dict)}
    return kept


def _update(part: str, key: str, value: Any) -> None:
    folder = cache_folder()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with alone(folder):
            memory = _memory()
            memory[part][key] = value
            write_json(folder / _MEMORY, memory)
    except OSError as error:
        raise cannot_store(folder / _MEMORY, error) from error
    except RunError as error:
        raise elsewhere(error) from error
