"""From what a user typed to files: a path, or a data set with files of its own for each part."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from unroll.data.registry.resolve import known_name, resolve

_OWN = "parts that the data set "
_REPEATED = "also in training"


def files_of(source: Any, part: str) -> list[Path] | None:
    """The file that ``source`` names, or those of the data set it names for ``part``; None if it is no name.

    Raises:
        DataError: no such file, and no data set of this name is here.
    """
    return resolve(str(source), part) if isinstance(source, (str, Path)) else None


def given_parts(source: Any, valid: str | None, test: str | None) -> dict[str, Any]:
    """What stands in for the parts "valid" and "test": the files given, else those of the data set ``source`` names."""
    given: dict[str, Any] = {}
    for part, path in (("valid", valid), ("test", test)):
        if path is not None:
            given[part] = path
        elif files_of(source, "train") != (own := files_of(source, part)) and own:
            given[part] = source
    return given


def shown_name(source: Any, file: str) -> str:
    """The name of the data set that ``source`` is the name of, else ``file``."""
    files = files_of(source, "train")
    if files is None or files == [Path(source).expanduser()]:
        return file
    return known_name(str(source)) or file


def own_parts(source: Any, given: Mapping[str, Any], names: Mapping[str, str]) -> list[str]:
    """Which of the ``given`` parts are files of the data set ``source`` itself, in words; ``names`` are theirs."""
    own = [f"{part}: {names[part]}" for part, path in given.items() if path is source]
    return [f"{_OWN}{source} itself has: {', '.join(own)}"] if own else []


def repeated(part: str, twice: int, count: int, what: str) -> str:
    """That files given for a part repeat training: a score on those is no score on the unseen."""
    are = "is" if twice == 1 else "are"
    return f"{twice:,} of {count:,} {part} {what}s {are} {_REPEATED} ({100 * twice / count:.1f} %)"


def checked(notes: Sequence[str], fitted: str) -> str:
    """What a reader of scores must know of the parts, in a few words."""
    overlap = "files overlap" if any(_REPEATED in note for note in notes) else "no overlap"
    return f"{overlap}, {fitted} fitted on train"


def said_of_own_parts(notes: Sequence[str]) -> str:
    """What ``own_parts`` said, as a sentence among others; empty where it said nothing."""
    return "".join(f"{note[0].upper()}{note[1:]}. " for note in notes if note.startswith(_OWN))
