"""The data sets unroll knows by name: one file each in the folder ``sets``, read when it is asked for."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from unroll.data.series.split import PARTS
from unroll.errors import ConfigError, did_you_mean

SETS = Path(__file__).parent / "sets"
FORMS = ("gzip", "zip", "tar")
_PLAIN = re.compile(r"[\w-][\w .-]*", re.ASCII)
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class Packed:
    """The file that is downloaded where it is not the data itself: a gzip file, or an archive and a member of it."""

    form: str
    bytes: int
    sha256: str
    member: str | None = None


@dataclass(frozen=True)
class DataFile:
    """One file of a data set, known by its name, size and checksum. ``part`` is what it is for, if it is for one."""

    name: str
    url: str
    sha256: str
    bytes: int
    part: str | None = None
    packed: Packed | None = None


@dataclass(frozen=True)
class Dataset:
    """A data set unroll knows by name. ``command`` shows how to use it; ``bundled`` ones come with unroll."""

    name: str
    title: str
    task: str
    files: tuple[DataFile, ...]
    licence: str
    source: str
    command: str
    bundled: bool = False


def set_names() -> list[str]:
    """The name of every data set, in alphabetical order."""
    return sorted(path.stem for path in SETS.glob("*.yaml"))


def datasets() -> tuple[Dataset, ...]:
    """Every data set known by name."""
    return tuple(_read(name) for name in set_names())


def known_name(typed: str) -> str | None:
    """The name of the set that ``typed`` means, or None: in capitals or not, its first word left out if that is clear.

    ``gunpoint`` is ``ucr-gunpoint``.
    """
    names, asked = set_names(), typed.lower()
    if asked in names:
        return asked
    ends = [name for name in names if name.partition("-")[2] == asked]
    return ends[0] if len(ends) == 1 else None


def dataset(name: str) -> Dataset:
    """The data set called ``name``. Raises ConfigError for an unknown name."""
    known = known_name(name)
    if known is None:
        names = set_names()
        raise ConfigError(
            f"there is no data set '{name}'",
            expected=f"one of {', '.join(names)}",
            fix=f"`unroll datasets` lists them.{did_you_mean(name.lower(), names)}",
        )
    return _read(known)


def _read(name: str) -> Dataset:
    return _parsed(SETS / f"{name}.yaml")


@cache
def _parsed(path: Path) -> Dataset:
    """The set that a file describes. Raises ConfigError naming the file and what is wrong with it."""
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
        base = content.pop("base", None)
        files = tuple(_file(entry, base) for entry in content.pop("files"))
        command = content.pop("command", f"unroll datasets fetch {path.stem}")
        return Dataset(name=path.stem, files=files, command=command, **content)
    except (yaml.YAMLError, AttributeError, KeyError, TypeError, ValueError) as error:
        raise ConfigError(
            f"{path} describes no data set: {error}", expected="title, task, licence, source and files"
        ) from error


def _file(entry: Mapping[str, Any], base: str | None) -> DataFile:
    content = dict(entry)
    packed = content.pop("packed", None)
    content.setdefault("url", f"{base}/{content['name']}")
    made = DataFile(**content, packed=None if packed is None else Packed(**packed))
    # The name becomes a path below the cache: it must not lead out of it.
    if not _PLAIN.fullmatch(made.name):
        raise ValueError(f"'{made.name}' is not the plain name of a file")
    if made.part is not None and made.part not in PARTS:
        raise ValueError(f"{made.name} is for the part '{made.part}'")
    for part in (made, made.packed):
        if part is not None and not (_SHA256.fullmatch(part.sha256) and part.bytes > 0):
            raise ValueError(f"{made.name} has no sha256 and size")
    if made.packed is not None and (made.packed.form == "gzip") is not (made.packed.member is None):
        raise ValueError(f"{made.name} is packed as {made.packed.form} with the member {made.packed.member}")
    if made.packed is not None and made.packed.form not in FORMS:
        raise ValueError(f"{made.name} is packed as {made.packed.form}")
    return made
