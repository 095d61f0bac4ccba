"""Several processes train one network: the numbers of one process with the same batches, one report, one end."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from train.together import (
    CASES,
    TASKS,
    all_cases,
    ended,
    every_case,
    failing_run,
    free_port,
    launch_variables,
    resumed_run,
    together,
)
from unroll.api import compare, train
from unroll.errors import ConfigError, RunError
from unroll.train import Processes, read_history


@pytest.fixture(scope="module")
def alone():
    return every_case()


@pytest.fixture(scope="module", params=[2, 3])
def shared(request, tmp_path_factory):
    """What each of the processes ends with."""
    folder = tmp_path_factory.mktemp("shared")
    assert ended(together(all_cases, request.param, folder)) == [0] * request.param
    return [torch.load(folder / f"{index}.pt") for index in range(request.param)]


@pytest.mark.parametrize("name", [*CASES, *TASKS])
def test_the_numbers_are_those_of_one_process(alone, shared, name):
    """Losses, gradient norms and weights after some hundred updates, in float64."""
    records, stopped, weights, told = alone[name]
    assert [process[name][3] for process in shared] == [told] + [0] * (len(shared) - 1)
    for found, reason, theirs, _ in (process[name] for process in shared):
        assert reason == stopped
        assert len(found) == len(records)
        for record, expected in zip(found, records):
            assert record == pytest.approx(expected, rel=1e-6)
        for key, weight in weights.items():
            torch.testing.assert_close(theirs[key], weight, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("name", [*CASES, *TASKS])
def test_all_processes_end_with_the_same_weights(shared, name):
    first = shared[0][name]
    for process in shared[1:]:
        assert process[name][:2] == first[:2]
        assert all(torch.equal(weight, process[name][2][key]) for key, weight in first[2].items())


def test_cases_are_what_they_say(alone):
    assert alone["stopped early"][1] == "early"
    assert alone["out of time"][1] == "budget"
    assert torch.equal(alone["weighted"][2]["unread"], torch.ones(3, dtype=torch.float64))
    assert not torch.allclose(alone["weighted"][2]["inner.head.weight"], alone["ragged"][2]["inner.head.weight"])


def test_killed_and_continued_together(tmp_path):
    """To the bit, with dropout: what each process draws is a function of the update."""
    for run, kills in (("whole", ()), ("cut", (5, 11))):
        folder = tmp_path / run
        for last in kills:
            assert ended(together(resumed_run, 2, folder, last)) == [-signal.SIGKILL] * 2
        assert ended(together(resumed_run, 2, folder)) == [0, 0]
    whole, cut = ([torch.load(tmp_path / run / f"{k}.pt") for k in range(2)] for run in ("whole", "cut"))
    for a, b in [*zip(whole, cut), (whole[0], whole[1])]:
        assert a[0] == b[0]
        assert all(torch.equal(value, b[1][name]) for name, value in a[1].items())
    assert [r["epoch"] for r in read_history(tmp_path / "cut" / "metrics.jsonl")] == [1, 2, 3]


@pytest.mark.parametrize("where", [0, 1, "validation"])
def test_where_one_fails_the_others_do(tmp_path, where):
    """Though the process that failed lives on."""
    processes = together(failing_run, 2, tmp_path, where)
    until = time.monotonic() + 240
    while len(list(tmp_path.glob("*.json"))) < 2 and time.monotonic() < until:
        time.sleep(0.05)
    ended(processes, 0)
    told = [json.loads((tmp_path / f"{k}.json").read_text())[0] for k in range(2)]
    failed = where if where == 1 else 0
    assert told[failed].startswith("ValueError: ")
    assert told[1 - failed].startswith(f"RunError: process {2 - failed} of 2 stops")
    if where == "validation":
        assert "nothing to validate on" in told[1]


def test_where_one_is_killed_the_other_ends(tmp_path):
    first, second = together(resumed_run, 2, tmp_path, None)
    until = time.monotonic() + 240
    while not (tmp_path / "checkpoints" / "last.safetensors").exists() and time.monotonic() < until:
        time.sleep(0.01)
    second.kill()
    first.join(60)
    assert first.exitcode == 1


@pytest.fixture
def rows(tmp_path):
    data = tmp_path / "rows.csv"
    data.write_text("y\n" + "\n".join(f"{k * k % 17 + 0.1 * k:.2f}" for k in range(160)) + "\n")
    return data


LEAVING = """
import atexit
import torch
atexit.register(lambda: print(torch.distributed.is_initialized()))  # what is registered last is called first
from unroll.train import Processes
print(Processes().from_main(lambda: "told"))
"""


def test_none_exits_inside_the_group():
    """Threads of a group that lives on abort the process at its exit, now and then."""
    processes = [
        subprocess.Popen([sys.executable, "-c", LEAVING], env=os.environ | variables, stdout=subprocess.PIPE, text=True)
        for variables in launch_variables(2)
    ]
    assert [process.communicate(timeout=600)[0].split() for process in processes] == [["told", "False"]] * 2
    assert [process.returncode for process in processes] == [0, 0]


def launched(*arguments):
    command = [str(Path(sys.executable).with_name("unroll")), *map(str, arguments)]
    launcher = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2"]
    launcher += ["--master-port", str(free_port()), "--no-python", *command]
    return subprocess.run(launcher, capture_output=True, text=True, timeout=600)


def test_torchrun_of_the_command_trains_one_network(tmp_path, rows):
    options = [rows, "--target", "y", "--horizon", 3, "--input", 8, "--hidden", 4, "--epochs", 2, "--json"]
    done = launched("train", *options, "--out", tmp_path / "two")
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    one = train(rows, target="y", horizon=3, input=8, hidden=4, epochs=2, out=tmp_path / "one").result
    mine, theirs = (r["candidates"][0]["seeds"][0]["scores"] for r in (result, one))
    assert mine == pytest.approx(theirs, rel=1e-3)
    assert result["repeat"]["machine"]["workers"] == 2
    assert (tmp_path / "two" / "report.html").exists()
    again = launched("train", *options, "--out", tmp_path / "two")
    assert json.loads(again.stdout) == result


def test_a_comparison_is_refused(rows, monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(ConfigError, match=r"unroll compare was started in 2 processes[^$]*--workers"):
        compare(rows, target="y")


def test_processes_that_accelerate_does_not_know_are_refused(monkeypatch):
    Processes()
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(RunError, match="2 processes were started"):
        Processes()
