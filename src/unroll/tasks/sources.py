"""From what a user typed to files: a path, or a data set with files of its own for each part."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from unroll.data.registry import resolve


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


def own_parts(source: Any, given: Mapping[str, Any], names: Mapping[str, str]) -> list[str]:
    """Which of the ``given`` parts are files of the data set ``source`` itself, in words; ``names`` are theirs."""
    own = [f"{part}: {names[part]}" for part, path in given.items() if path is source]
    return [f"parts that the data set {source} itself has: {', '.join(own)}"] if own else []
