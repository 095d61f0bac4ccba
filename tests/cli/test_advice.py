"""What an error advises is tried: it must do."""

from __future__ import annotations

import random
import re
import shlex
from pathlib import Path

import pytest

from .harness import ROWS, changed, csv, shops, table, unroll


@pytest.mark.parametrize(
    ("options", "content"),
    [
        ("--na n/a --missing carry", changed(12, "2024-01-11,n/a")),
        ("--na=-999 --missing carry", changed(12, "2024-01-11,-999")),
        ("--drop-bad-rows --missing carry", changed(12, "2024-01-11,n/a")),
        ("--missing carry", csv(*ROWS[:10], *ROWS[11:])),
        ("--sort", csv(*ROWS[:10], ROWS[11], ROWS[10], *ROWS[12:])),
        ("--time none", changed(12, "soon,3")),
        ("--delimiter ';'", table(60).replace(",", ";")),
        ("--delimiter tab", table(60).replace(",", "\t")),
        ("--group shop", shops(A=60, B=60)),
        ("--group shop --input 6 --horizon 3 --skip-bad-series", shops(A=60, B=9, C=60)),
    ],
)
def test_what_a_message_advises_is_accepted(folder, options, content):
    (folder / "a.csv").write_text(content)
    assert _accepted(folder, f"compare a.csv {options}")


@pytest.mark.parametrize("seed", range(8))
def test_the_lengths_a_message_advises_fit(folder, seed):
    """Each option named for a series that is too short, applied alone, is enough."""
    draw, tried = random.Random(seed), 0
    while tried < 4:
        rows, given = draw.randint(4, 60), {"--input": draw.randint(1, 50), "--horizon": draw.randint(1, 30)}
        if draw.random() < 0.5:
            given["--split"] = draw.choice(["0.5,0.25,0.25", "rest,3,3", "0.8,0.1,0.1"])
        (folder / "a.csv").write_text(table(rows))
        tried += not _fits(folder, given)


@pytest.mark.parametrize("rows", [4, 5, 6, 11])
@pytest.mark.parametrize("split", ["0.9,0.05,0.05", "rest,9,9", "30,9,9"])
def test_the_split_a_message_advises_has_rows_in_each_part(folder, rows, split):
    (folder / "a.csv").write_text(table(rows))
    _fits(folder, {"--split": split, "--horizon": 1, "--input": 1})


def _accepted(folder: Path, command: str) -> bool:
    """Whether the data and the options are accepted: the next thing looked at is a folder that will not do."""
    (folder / "taken").mkdir(exist_ok=True)
    (folder / "taken" / "mine.txt").touch()
    outcome = unroll(*shlex.split(command), "--out", "taken")
    assert outcome.code == 2, outcome.err
    return "taken holds files that are not a run" in outcome.message


def _fits(folder: Path, given: dict[str, object]) -> bool:
    """Whether a.csv can be cut as ``given``; if not, what the message advises must do.

    Where the split leaves a part empty, its own advice comes before that for the windows.
    """
    command = f"compare a.csv {_words(given)}"
    if _accepted(folder, command):
        return True
    message = unroll(*shlex.split(command)).message
    for change in _advised(message):
        if "training rows (input" in message:
            assert _accepted(folder, f"compare a.csv {_words(given | change)}"), f"{command}: {message}"
        else:
            assert _fits(folder, given | change) or change.keys() == {"--split"}, f"{command}: {message}"
    return False


def _advised(message: str) -> list[dict[str, str]]:
    """The changes a message offers, each a set of options that go together."""
    assert "Give --" in message, message
    advice = message[message.rindex("Give ") + len("Give ") :].split(", or ")
    return [dict(re.findall(r"(--\w+) ([\w.,]*\w)", each)) for each in advice if "--skip" not in each]


def _words(options: dict[str, object]) -> str:
    return " ".join(f"{name} {value}" for name, value in options.items())
