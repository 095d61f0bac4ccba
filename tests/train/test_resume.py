"""A run that was killed and started again gives the numbers of one that never was, to the bit."""

import json
import signal

import numpy as np
import pytest

from train.making import SETTINGS, ended, finished, forecaster_run, killed_after, lines, outcome, sums_run
from unroll.train.checkpoint import load_checkpoint

BATCHES = 10
"""To the epoch."""
SLOW = {"pause": 0.05, "quick": 2 * BATCHES}
"""From the third epoch on, half a second each."""


@pytest.fixture(scope="module")
def never_killed(tmp_path_factory):
    """The outcome of a run by its dropout."""
    made = {}
    for dropout in (0.0, 0.3):
        folder = tmp_path_factory.mktemp("run")
        finished(sums_run, folder, dropout)
        made[dropout] = outcome(folder)
    return made


@pytest.mark.parametrize("delay", [0.0, 0.08, 0.3])
@pytest.mark.parametrize("dropout", [0.0, 0.3])
def test_killed_in_an_epoch_and_continued(tmp_path, never_killed, dropout, delay):
    assert killed_after(2, delay, sums_run, tmp_path, dropout, **SLOW) == -signal.SIGKILL
    assert 2 <= len(lines(tmp_path)) < SETTINGS.epochs
    finished(sums_run, tmp_path, dropout)
    assert outcome(tmp_path) == never_killed[dropout]


@pytest.mark.parametrize("dropout", [0.0, 0.3])
def test_killed_again_and_again_between_checkpoints_of_every_batch(tmp_path, never_killed, dropout):
    batches = 0
    for last in (7, 14, 1, 5, 22):
        assert ended(sums_run, tmp_path, dropout, checkpoint_seconds=0.0, last=last) == -signal.SIGKILL
        batches += last - 1
        position = load_checkpoint(tmp_path / "checkpoints" / "last.safetensors").position
        assert (position["epoch"], position["batch"]) == divmod(batches, BATCHES)
        assert position["batch"] > 0
    finished(sums_run, tmp_path, dropout)
    assert outcome(tmp_path) == never_killed[dropout]


def test_killed_before_the_first_checkpoint(tmp_path, never_killed):
    killed_after(0, 0.05, sums_run, tmp_path, pause=0.05)
    finished(sums_run, tmp_path)
    assert outcome(tmp_path) == never_killed[0.0]


def test_a_line_cut_short_by_the_kill_is_written_again(tmp_path, never_killed):
    killed_after(2, 0.02, sums_run, tmp_path, **SLOW)
    with open(tmp_path / "metrics.jsonl", "a") as stream:
        stream.write('{"epoch": 3, "train_lo')
    finished(sums_run, tmp_path)
    assert outcome(tmp_path) == never_killed[0.0]
    assert [json.loads(line)["epoch"] for line in lines(tmp_path)] == list(range(1, SETTINGS.epochs + 1))


def test_a_line_without_its_checkpoint_is_written_once(tmp_path, never_killed):
    """Killed after the record, before the checkpoint of the same epoch."""
    killed_after(2, 0.02, sums_run, tmp_path, **SLOW)
    record = json.loads(lines(tmp_path)[-1])
    with open(tmp_path / "metrics.jsonl", "a") as stream:
        stream.write(json.dumps(record | {"epoch": record["epoch"] + 1}) + "\n")
    finished(sums_run, tmp_path)
    assert outcome(tmp_path) == never_killed[0.0]


def test_a_finished_run_started_again_is_left_as_it_is(tmp_path, never_killed):
    finished(sums_run, tmp_path)
    before = (tmp_path / "metrics.jsonl").read_bytes()
    finished(sums_run, tmp_path)
    assert outcome(tmp_path) == never_killed[0.0]
    assert (tmp_path / "metrics.jsonl").read_bytes() == before


def test_same_seed_same_numbers_other_seed_others(tmp_path, never_killed):
    finished(sums_run, tmp_path / "same", 0.3)
    finished(sums_run, tmp_path / "other", 0.3, seed=1)
    assert outcome(tmp_path / "same") == never_killed[0.3]
    weights, records, _ = outcome(tmp_path / "other")
    assert weights != never_killed[0.3][0]
    assert all(a["train_loss"] != b["train_loss"] for a, b in zip(records, never_killed[0.3][1]))


def test_a_killed_forecaster_gives_the_same_scores(tmp_path):
    rows = np.random.default_rng(0).normal(size=260).cumsum()
    data = tmp_path / "walk.csv"
    data.write_text("y\n" + "\n".join(f"{v:.4f}" for v in rows) + "\n")
    finished(forecaster_run, tmp_path / "whole", str(data))
    assert killed_after(2, 0.03, forecaster_run, tmp_path / "killed", str(data)) == -signal.SIGKILL
    finished(forecaster_run, tmp_path / "killed", str(data))
    assert outcome(tmp_path / "killed") == outcome(tmp_path / "whole")
