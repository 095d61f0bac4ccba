"""A folder of text files, one for each class: every line is a document of the class that names the file."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

from unroll.data.examples.examples import Examples
from unroll.data.table import file_bytes, unzipped
from unroll.data.textfile import plain_utf8
from unroll.data.wording import counted
from unroll.errors import DataError

SUFFIX = ".txt"


def class_files(folder: Path) -> list[Path]:
    """The text files of a folder, by name. Raises DataError where there are none."""
    found = sorted(path for path in folder.iterdir() if is_class_file(path))
    if not found:
        raise DataError(
            f"{folder} has no {SUFFIX} files", expected="a file, or a folder with a text file for each class"
        )
    return found


def is_class_file(path: Path) -> bool:
    """Whether ``path`` may be one: NAME.txt, also packed by gzip."""
    return path.name.removesuffix(".gz").endswith(SUFFIX)


def read_class_files(paths: Sequence[Path], name: str) -> Examples:
    """The lines of every file; its name without the ending is their class. Blank lines are no documents.

    Raises:
        DataError: a file cannot be read, or has no line.
    """
    texts: list[str] = []
    labels: list[str] = []
    where: list[str] = []
    digest = hashlib.sha256()
    for path in paths:
        data = file_bytes(path)
        data = unzipped(data, path.name) if path.suffix == ".gz" else data
        label = path.name.removesuffix(".gz").removesuffix(SUFFIX)
        digest.update(f"{label}\0{len(data)}\0".encode() + data)
        lines = [(k, line.strip()) for k, line in enumerate(plain_utf8(data, path.name).decode().split("\n"), 1)]
        kept = [(k, line) for k, line in lines if line]
        if not kept:
            raise DataError(
                f"{path.name} has no documents in its {counted(len(lines), 'line')}", expected="one per line"
            )
        texts += [line for _, line in kept]
        labels += [label] * len(kept)
        where += [f"line {k:,} of {path.name}" for k, _ in kept]
    return Examples(name, digest.hexdigest(), tuple(texts), (), tuple(labels), where)
