"""From a source to examples, whichever kind it is of, and from examples to parts."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from unroll.data import (
    Examples,
    array_examples,
    labelled,
    read_documents,
    read_long_table,
    read_ts_examples,
    stratified,
)
from unroll.data.examples.class_files import class_files, is_class_file, read_class_files
from unroll.data.examples.idx import is_idx, read_pixels
from unroll.data.series.split import PARTS
from unroll.data.wording import counted, listed
from unroll.errors import ConfigError, DataError
from unroll.tasks.classify.options import ClassifyData, ClassifyOptions
from unroll.tasks.sources import files_of, given_parts, own_parts, repeated, shown_name


def read_examples(source: Any, data: ClassifyData, *, labels: bool = True, part: str = "train") -> Examples:
    """The examples of ``source``: a file, any dataframe, or arrays; without ``labels`` their column is not needed.

    Of a data set with files for each part those of ``part`` are read.

    Raises:
        DataError: the source cannot be read as what ``data`` says it holds.
        ConfigError: ``data`` does not say what it holds.
    """
    if isinstance(source, tuple) and len(source) == 2 and not hasattr(source, "_fields"):
        return array_examples(*source)
    if isinstance(source, np.ndarray) or (isinstance(source, list) and data.text is None and data.sequence is None):
        return array_examples(source)
    files = files_of(source, part)
    if files is not None:
        read = _without_columns(files, str(source), labels)
        if read is not None:
            return read
        source = files[0]
    _check_columns(data, labels)
    label = data.label if labels else None
    if data.text is not None:
        return read_documents(source, data.text, label, delimiter=data.delimiter, no_quotes=data.no_quotes)
    assert data.sequence is not None
    return read_long_table(
        source, data.sequence, label, values=data.value, time=data.time, delimiter=data.delimiter, na=data.na
    )


def _without_columns(files: list[Path], name: str, labels: bool) -> Examples | None:
    """The examples of files that say themselves what they hold; None where columns must be named."""
    path = files[0]
    if path.name.lower().removesuffix(".gz").endswith(".ts"):
        return read_ts_examples(path)
    if is_idx(path):
        return read_pixels(path, labels=labels)
    if path.is_dir():
        return read_class_files(class_files(path), name)
    if len(files) > 1 and all(map(is_class_file, files)):
        return read_class_files(files, name)
    return None


def _check_columns(data: ClassifyData, labels: bool) -> None:
    if data.text is not None and data.sequence is not None:
        raise ConfigError("--text and --sequence together", expected="documents or sequences of numbers, not both")
    if data.text is None and data.sequence is None:
        raise ConfigError(
            "neither --text nor --sequence given",
            expected="--text COLUMN for documents, --sequence COLUMN for numbers; neither for .ts and idx files",
        )
    if labels and data.label is None:
        raise ConfigError("no --label given", expected="--label COLUMN: what is to be predicted")


@dataclass(frozen=True, eq=False)
class Parts:
    """All examples, which are in which part, and what there is to say of that."""

    examples: Examples
    indices: dict[str, np.ndarray]
    notes: tuple[str, ...]
    source: str


def read_parts(source: Any, data: ClassifyData, options: ClassifyOptions) -> Parts:
    """Read DATA, and --valid and --test where they are given; what is not given is a stratified part of DATA.

    Raises:
        DataError: a file cannot be read, an example has no label, or there are too few of them.
        ConfigError: an option is wrong.
    """
    own = labelled(read_examples(source, data), drop=data.drop_bad_rows)
    sources = given_parts(source, data.valid, data.test)
    given = {
        part: labelled(read_examples(path, data, part=part), drop=data.drop_bad_rows) for part, path in sources.items()
    }
    shares = _shares(options, len(own), given)
    indices = stratified(own.labels, own.keys(), shares, options.split_seed)
    _check_size(own, indices, given, options)
    joined = replace(own, notes=())
    notes = [*own.notes, *own_parts(source, sources, {part: more.name for part, more in given.items()})]
    for part, more in given.items():
        indices[part] = np.arange(len(joined), len(joined) + len(more))
        notes += more.notes
        joined = joined.joined(replace(more, notes=()))
    notes += _repeated(joined, indices, given) + _rare(joined, indices)
    return Parts(joined, indices, tuple(notes), shown_name(source, own.name))


def _shares(options: ClassifyOptions, count: int, given: dict[str, Examples]) -> list[float]:
    parts = options.shares().parts
    counts = [float(p) for p in parts if p is not None]
    rest = max(0.0, count - sum(counts))
    shares = [rest if p is None else float(p) for p in parts]
    shares = [0.0 if name in given else share for name, share in zip(PARTS, shares)]
    if any(isinstance(p, int) for p in parts) and not given and sum(shares) > count:
        raise ConfigError(f"--split {options.split} for {counted(count, 'example')}", expected="no more than there are")
    return shares


def _check_size(own: Examples, indices: dict[str, np.ndarray], given: dict[str, Examples], options: Any) -> None:
    classes = {own.labels[k] for k in indices["train"]}
    if len(classes) < 2:
        raise DataError(
            f"every training example of {own.name} is of one class, '{next(iter(classes))}'",
            expected="two classes or more",
        )
    empty = [part for part in PARTS if not len(indices[part]) and part not in given]
    if empty:
        raise DataError(
            f"{own.name} has {counted(len(own), 'example')}: none is left for the {empty[0]} part",
            expected=f"examples in each part of --split {options.split}",
            fix="Give more examples, another --split, or --valid FILE and --test FILE",
        )


def _repeated(examples: Examples, indices: dict[str, np.ndarray], given: dict[str, Examples]) -> list[str]:
    """What files that are given share with the training part."""
    if not given:
        return []
    keys = examples.keys()
    trained = {keys[k] for k in indices["train"]}
    notes = []
    for part in given:
        held = indices[part]
        twice = sum(keys[k] in trained for k in held)
        if twice:
            notes.append(repeated(part, twice, len(held), "example"))
    return notes


def _rare(examples: Examples, indices: dict[str, np.ndarray]) -> list[str]:
    """Classes that cannot be judged: one example, or not in training."""
    count = Counter(examples.labels)
    once = sorted(str(label) for label, n in count.items() if n == 1)
    trained = {examples.labels[k] for k in indices["train"]}
    new = {part: [examples.labels[k] for k in indices[part] if examples.labels[k] not in trained] for part in PARTS}
    notes = []
    if once:
        have = "has a single example" if len(once) == 1 else "have a single example"
        notes.append(f"{counted(len(once), 'class').replace('classs', 'classes')} {have}: {listed(once, 5)}")
    for part, labels in new.items():
        if labels:
            names = sorted({str(label) for label in labels})
            notes.append(
                f"{counted(len(labels), f'{part} example')} of a class that training has not ({listed(names, 5)}): "
                "no candidate can be right there"
            )
    return notes
