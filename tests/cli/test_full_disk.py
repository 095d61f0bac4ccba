"""A disk without room: named, and what is on it stays whole."""

from __future__ import annotations

import resource
import shlex
import subprocess
from pathlib import Path

from .harness import TINY, Outcome, assert_one_message, program, tree

TINY_TRAIN = shlex.join(["train", "sales.csv", *TINY])


def test_a_full_disk_is_named_and_an_older_file_stays(runs):
    (runs / "forecast.csv").write_text("older\n")
    before = tree(runs)
    assert_one_message(_with_room_for(8, runs, "predict run --out forecast.csv"), "cannot write forecast.csv", "space")
    assert tree(runs) == before


def test_a_disk_that_fills_up_during_training_is_named_and_leaves_whole_files(folder):
    outcome = _with_room_for(2000, folder, f"{TINY_TRAIN} --out run")
    assert_one_message(outcome, "cannot write run/", "space")
    assert not [name for name in tree(folder) if Path(name).name.startswith(".")]


def test_a_full_standard_output_is_named():
    with open("/dev/full", "w") as full:
        done = subprocess.run(program(), stdout=full, stderr=subprocess.PIPE, text=True)
    outcome = Outcome(done.returncode, "", done.stderr)
    assert_one_message(outcome, "cannot write the result to standard output", "no space left")


def _with_room_for(size: int, folder: Path, command: str) -> Outcome:
    """A process whose files cannot grow beyond ``size`` bytes."""
    done = subprocess.run(
        [*program(), *shlex.split(command)],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=600,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (size, size)),
    )
    return Outcome(done.returncode, done.stdout, done.stderr)
