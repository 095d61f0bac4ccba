"""Sentences of words, each word with a tag: CoNLL-U, and files of columns."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from unroll.data.examples.features import ordered_features
from unroll.data.table import file_bytes, unzipped
from unroll.data.textfile import plain_utf8
from unroll.errors import ConfigError, DataError, did_you_mean

FIELDS = {"upos": 3, "xpos": 4, "feats": 5}
"""What CoNLL-U says of a word, and in which column (the first is 0)."""
MISC = "misc:"
"""Before the name of what stands in the last column as NAME=tag, which is O where a word has none."""
OUTSIDE = "O"
_COLUMNS = 10
_COMMENT = re.compile(r"# [\w-]+ = ")
_MANY, _EMPTY = re.compile(r"\d+-\d+"), re.compile(r"\d+\.\d+")


@dataclass(frozen=True, eq=False)
class Sentences:
    """One source. ``tags`` are as long as ``words``; a tag is None where the source has none.

    ``field`` is what CoNLL-U calls them, empty where columns have no names.
    """

    name: str
    fingerprint: str
    words: tuple[tuple[str, ...], ...]
    tags: tuple[tuple[str | None, ...], ...]
    lines: tuple[int, ...]
    field: str = ""

    def __len__(self) -> int:
        return len(self.words)

    def where(self, sentence: int, word: int = 0) -> str:
        """The line of a word, as a message names it."""
        return f"'{self.words[sentence][word]}' (sentence from line {self.lines[sentence]:,} of {self.name})"


def read_sentences(path: Path, field: str = "upos", *, word: int = 1, tag: int | None = None) -> Sentences:
    """A .conllu file with one of its fields as tags, or a file of columns with blank lines between sentences.

    Of columns, between tabs or spaces, ``word`` and ``tag`` are counted from 1; ``tag`` is the last unless given.
    A line such as ``# text = …`` before a sentence is a comment.
    What CoNLL-U writes of words joined or left out (ids 3-4 and 5.1) is passed over, as its tasks are scored.

    Raises:
        DataError: not readable, or malformed; the line is named.
        ConfigError: CoNLL-U has no such field, or a column is below 1.
    """
    data = file_bytes(path)
    fingerprint, suffixes = hashlib.sha256(data).hexdigest(), [s.lower() for s in path.suffixes]
    if suffixes[-1:] == [".gz"]:
        data, suffixes = unzipped(data, path.name), suffixes[:-1]
    text = plain_utf8(data, path.name).decode()
    named = suffixes[-1:] == [".conllu"]
    read = _conllu(path.name, field) if named else _columns(path.name, word, tag)
    words, tags, lines = _blocks(text, read)
    if not words:
        raise DataError(f"{path.name} has no sentence", expected="one word per line, a blank line between sentences")
    return Sentences(path.name, fingerprint, tuple(words), tuple(tags), tuple(lines), field if named else "")


_Word = tuple[str, str | None]


def _blocks(
    text: str, read: Callable[[str, int, int], _Word | None]
) -> tuple[list[tuple[str, ...]], list[tuple[str | None, ...]], list[int]]:
    """Sentences of the words that ``read`` gives of the lines, and their first lines."""
    words: list[tuple[str, ...]] = []
    tags: list[tuple[str | None, ...]] = []
    lines: list[int] = []
    own: list[_Word] = []
    first = 0
    for number, line in enumerate([*text.split("\n"), ""], 1):
        if line.strip():
            found = read(line, number, len(own))
            if found is not None:
                first = first if own else number
                own.append(found)
        elif own:
            words.append(tuple(w for w, _ in own))
            tags.append(tuple(t for _, t in own))
            lines.append(first)
            own = []
    return words, tags, lines


def _conllu(name: str, field: str) -> Callable[[str, int, int], _Word | None]:
    if field not in FIELDS and not (field.startswith(MISC) and field != MISC):
        raise ConfigError(
            f"--field '{field}'.{did_you_mean(field, FIELDS)}", expected=f"one of {', '.join(FIELDS)}, or {MISC}KEY"
        )

    def read(line: str, number: int, before: int) -> _Word | None:
        if line.startswith("#"):
            return None
        cells = line.split("\t")
        if len(cells) != _COLUMNS:
            raise DataError(
                f"{name} has {len(cells)} columns in line {number:,}",
                expected="the ten of CoNLL-U with tabs between them, a comment with #, or a blank line",
            )
        if _MANY.fullmatch(cells[0]) or _EMPTY.fullmatch(cells[0]):
            return None
        if cells[0] != str(before + 1):
            raise DataError(
                f"{name} has the word id '{cells[0]}' in line {number:,}",
                expected=f"{before + 1}: words of a sentence are counted from 1, a blank line begins the next",
            )
        if not cells[1]:
            raise DataError(f"{name} has a word without a form in line {number:,}", expected="its form, or _")
        if field not in FIELDS:
            return cells[1], _named(cells[-1], field.removeprefix(MISC))
        tag = cells[FIELDS[field]]
        if field == "feats":
            return cells[1], ordered_features(tag, f"in line {number:,} of {name}")
        return cells[1], tag if tag not in ("_", "") else None

    return read


def _named(cell: str, key: str) -> str:
    """The value of ``key`` in a list of NAME=value between bars."""
    held = dict(part.partition("=")[::2] for part in cell.split("|"))
    return held.get(key) or OUTSIDE


def _columns(name: str, word: int, tag: int | None) -> Callable[[str, int, int], _Word | None]:
    for option, value in (("word-column", word), ("tag-column", tag)):
        if value is not None and value < 1:
            raise ConfigError(f"--{option} {value}", expected="a column counted from 1")

    def read(line: str, number: int, before: int) -> _Word | None:
        cells = line.split("\t") if "\t" in line else line.split()
        if cells[0] == "-DOCSTART-" or (not before and _COMMENT.match(line)):
            return None
        last = len(cells) if tag is None else tag
        if len(cells) < max(word, last) or not cells[word - 1]:
            raise DataError(
                f"{name} has {len(cells)} column{'' if len(cells) == 1 else 's'} in line {number:,}",
                expected=f"a word in column {word} and a tag in column {last}, a blank line between sentences",
            )
        found = cells[last - 1].strip() if last != word else ""
        return cells[word - 1], found or None

    return read


def joined_share(tags: Sequence[Sequence[str | None]], joint: str) -> float:
    """The share of words whose tag is several, joined."""
    every = [t for own in tags for t in own if t is not None]
    return sum(joint in t.strip(joint) for t in every) / len(every) if every else 0.0
