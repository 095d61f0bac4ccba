"""What is classified: documents, or sequences of numbers, each with its label if it has one."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from unroll.data.examples.textrows import TextRows, read_text_rows
from unroll.data.wording import counted
from unroll.errors import DataError


@dataclass(frozen=True, eq=False)
class Examples:
    """One source. ``texts`` or ``sequences``, the other is empty; ``labels`` None where there is none.

    Attributes:
        sequences: each (T, channels) of floats, NaN where missing; ``channels`` their names.
        where: how a message names each example.
        ids: what tells the examples apart in the source, or None where they are numbered.
        scaled: whether the numbers lie from 0 to 1 already, as pixels do.
    """

    name: str
    fingerprint: str
    texts: tuple[str, ...]
    sequences: tuple[np.ndarray, ...]
    labels: tuple[str | None, ...]
    where: Sequence[str]
    channels: tuple[str, ...] = ()
    ids: tuple[str, ...] | None = None
    notes: tuple[str, ...] = ()
    scaled: bool = False

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def is_text(self) -> bool:
        return not self.channels

    def keys(self) -> list[Any]:
        """Equal for examples of equal content."""
        return list(self.texts) if self.is_text else [hashlib.sha256(s.tobytes()).digest() for s in self.sequences]

    def joined(self, other: Examples) -> Examples:
        """These and then ``other``'s, of the same kind."""
        return replace(
            self,
            fingerprint=f"{self.fingerprint}+{other.fingerprint}",
            texts=self.texts + other.texts,
            sequences=self.sequences + other.sequences,
            labels=self.labels + other.labels,
            where=[*self.where, *other.where],
            ids=None,
            notes=(*self.notes, *other.notes),
        )


def labelled(examples: Examples, *, drop: bool) -> Examples:
    """``examples``, all of which have a label; those without are left out with ``drop``, noted.

    Raises:
        DataError: one has none.
    """
    missing = [k for k, label in enumerate(examples.labels) if label is None]
    if not missing:
        return examples
    if not drop:
        raise DataError(
            f"{examples.where[missing[0]]} has no label" + (f" ({len(missing):,} such)" if len(missing) > 1 else ""),
            expected="a label for every example",
            fix="Complete it, or give --drop-bad-rows to leave such examples out",
        )
    gone = set(missing)
    kept = [k for k in range(len(examples)) if k not in gone]
    if not kept:
        raise DataError(f"{examples.name} has no label at all", expected="a label for every example")
    return replace(
        examples,
        texts=tuple(examples.texts[k] for k in kept) if examples.is_text else (),
        sequences=() if examples.is_text else tuple(examples.sequences[k] for k in kept),
        labels=tuple(examples.labels[k] for k in kept),
        where=[examples.where[k] for k in kept],
        ids=None if examples.ids is None else tuple(examples.ids[k] for k in kept),
        notes=(*examples.notes, f"{counted(len(missing), 'example')} without a label left out of {examples.name}"),
    )


def read_documents(
    source: Any, text: str, label: str | None, *, delimiter: str | None = None, no_quotes: bool = False
) -> Examples:
    """Documents from the column ``text`` of a table; ``label`` None where none are to be read.

    An empty cell is an empty document: it is kept.

    Raises:
        DataError: the table cannot be read or lacks a column.
    """
    rows = read_text_rows(source, delimiter=delimiter, no_quotes=no_quotes)
    texts = tuple(cell or "" for cell in rows.column(text, "--text"))
    labels = [None] * len(texts) if label is None else [_label(cell) for cell in rows.column(label, "--label")]
    return Examples(
        name=rows.name,
        fingerprint=rows.fingerprint,
        texts=texts,
        sequences=(),
        labels=tuple(labels),
        where=_Where(rows),
    )


def _label(cell: str | None) -> str | None:
    clean = (cell or "").strip()
    return clean or None


class _Where(Sequence[str]):
    """Row names made when one is asked for."""

    def __init__(self, rows: TextRows) -> None:
        self._name, self._lines = rows.name, rows.lines

    def __len__(self) -> int:
        return len(self._lines)

    def __getitem__(self, k: Any) -> Any:
        if isinstance(k, slice):
            return [self[i] for i in range(*k.indices(len(self)))]
        return f"row {self._lines[k]:,} of {self._name}"
