"""The engine: the numbers of one process in many, what happens when one dies, and that none is left behind."""

import dataclasses
import json
import os
import signal
import subprocess
import sys
import time

import psutil
import pytest

from comparison.making import (
    DATA,
    FORECAST,
    OPTIONS,
    SETTINGS,
    TRIALS,
    children,
    compared,
    gone,
    timeless,
    write_rows,
)
from unroll.comparison import engine
from unroll.comparison.plan import Trial
from unroll.comparison.trial import load_errors, run_trial
from unroll.errors import RunError
from unroll.tasks import DataOptions, ForecastOptions, NetworkOptions, prepare
from unroll.train import FitSettings, read_history

BROKEN = '''
import os, signal
import torch
from unroll.nn import GRUCell, Step

class Quiet(GRUCell):
    """The recurrence, without the operator that would take its place."""
    def operator(self):
        return None

class RaisingCell(Quiet):
    def step(self, x, state):
        raise TypeError("there is no gate 'q'")

class DyingCell(Quiet):
    def step(self, x, state):
        os.kill(os.getpid(), signal.SIGKILL)

class TakingItsWorkerCell(Quiet):
    def step(self, x, state):
        os.kill(os.getppid(), signal.SIGKILL)
        os._exit(1)

class DivergingCell(Quiet):
    def step(self, x, state):
        output, state, signals = super().step(x, state)
        return Step(output * torch.nan, state, signals)
'''

SCRIPT = """
import unroll
unroll.compare("rows.csv", target="y", horizon=3, input=8, cells=["rnn", "gru"], hidden=4, layers=2, dropout=0.25, \
lrs=[1e-2, 3e-3], seeds=2, epochs=2, out="run")
"""


def results(folder):
    """When each trial's result was written, by trial."""
    return {path.parent.name: path.stat().st_mtime_ns for path in folder.glob("trials/*/result.json")}


def test_every_trial_ran_and_no_process_is_left(whole):
    assert len(results(whole.folder)) == TRIALS
    assert whole.result["failures"] == []
    assert not children()
    shared = whole.result["repeat"]["machine"]
    assert shared["workers"] * shared["threads_per_worker"] <= shared["cores"]


def test_results_are_those_of_one_process(whole, tmp_path):
    """To the bit, for a trial of each stage."""
    task = prepare(str(whole.folder.parent / "rows.csv"), DATA, FORECAST)
    rate = next(c["lr"] for c in whole.result["candidates"] if c["cell"] == "gru")
    searched, seeded = NetworkOptions("rnn", 4, 2, 0.25), NetworkOptions("gru", 4, 2, 0.25)
    for trial in (Trial(searched, 3e-3, 0), Trial(seeded, rate, 1)):
        there, here = whole.folder / "trials" / trial.id, tmp_path / trial.id
        found = run_trial(task, trial, SETTINGS, here)
        assert timeless(found) == timeless(json.loads((there / "result.json").read_text()))
        assert (here / "model.safetensors").read_bytes() == (there / "model.safetensors").read_bytes()
        a, b = (load_errors(place / "errors.safetensors") for place in (here, there))
        assert all((a.columns()[name] == b.columns()[name]).all() for name in a.columns())
        first, second = (read_history(place / "metrics.jsonl") for place in (here, there))
        assert [r | {"seconds": 0} for r in first] == [r | {"seconds": 0} for r in second]


def test_a_finished_comparison_is_given_back_untouched(whole):
    before = {path: path.stat().st_mtime_ns for path in whole.folder.rglob("*") if path.is_file()}
    again = compared(whole.folder.parent / "rows.csv", whole.folder)
    assert again.result == whole.result
    assert {path: path.stat().st_mtime_ns for path in whole.folder.rglob("*") if path.is_file()} == before


def test_whoever_fails_is_named_and_the_others_finish(tmp_path, monkeypatch):
    """One after the other in one worker: raising, diverging, killed, killed together with the worker."""
    (tmp_path / "failing_cells.py").write_text(BROKEN)
    monkeypatch.syspath_prepend(tmp_path)
    cells = ("Raising", "Diverging", "Dying", "TakingItsWorker")
    options = dataclasses.replace(
        OPTIONS, cells=(*(f"failing_cells:{cell}Cell" for cell in cells), "gru"), layers=1, dropout=0.0, lrs=(1e-2,),
        seeds=1, workers=1,
    )  # fmt: skip
    found = compared(write_rows(tmp_path), tmp_path / "run", options).result
    assert [c["name"] for c in found["candidates"]] == ["GRU 4"]
    why = {failure["candidate"]: failure["why"] for failure in found["failures"]}
    assert why == {
        "Raising 4": "TypeError: there is no gate 'q'",
        "Diverging 4": "training diverged before its first validation",
        "Dying 4": "its process was killed by SIGKILL (out of memory?)",
        "TakingItsWorker 4": "its process was killed by SIGKILL (out of memory?)",
    }
    assert all(f["seed"] == 0 and f["lr"] == 1e-2 for f in found["failures"])
    assert found["answer"]["recommended"] is not None
    assert not children()


def test_nothing_trained_says_why(tmp_path, monkeypatch):
    monkeypatch.setattr(engine.Engine, "run", lambda self, trials: {t.id: "TypeError: no gate" for t in trials})
    with pytest.raises(RunError, match="no candidate could be trained: TypeError: no gate"):
        compared(write_rows(tmp_path), tmp_path / "run")


def test_an_interruption_ends_every_process(tmp_path):
    seen = set()

    def interrupt(progress):
        seen.update(children())
        if any(progress.running.values()):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        compared(write_rows(tmp_path), tmp_path / "run", settings=FitSettings(), on_progress=interrupt)
    assert seen
    assert gone(seen)
    assert not (tmp_path / "run" / "result.json").exists()


def test_other_data_is_not_continued_with(tmp_path):
    def interrupt(progress):
        raise KeyboardInterrupt

    path = write_rows(tmp_path)
    with pytest.raises(KeyboardInterrupt):
        compared(path, tmp_path / "run", on_progress=interrupt)
    write_rows(tmp_path, rows=161)
    with pytest.raises(RunError, match=r"begun on other data: rows\.csv has changed since"):
        compared(path, tmp_path / "run", on_progress=interrupt)
    with pytest.raises(KeyboardInterrupt):
        compared(path, tmp_path / "run", on_progress=interrupt, overwrite=True)


def test_a_script_without_a_guard_is_killed_and_continues_with_what_is_missing(whole, tmp_path):
    """And ends with the result of one that was never killed."""
    write_rows(tmp_path)
    (tmp_path / "script.py").write_text(SCRIPT)
    command = [sys.executable, "script.py"]
    first = subprocess.Popen(command, cwd=tmp_path)
    process = psutil.Process(first.pid)
    until = time.monotonic() + 90
    while not results(tmp_path / "run") and first.poll() is None and time.monotonic() < until:
        time.sleep(0.005)
    workers = process.children(recursive=True)
    os.kill(first.pid, signal.SIGKILL)
    assert first.wait() == -signal.SIGKILL
    assert workers
    assert gone(workers), "processes outlive the comparison that started them"
    done = results(tmp_path / "run")
    assert 0 < len(done) < TRIALS
    subprocess.run(command, cwd=tmp_path, check=True, timeout=600)
    after = results(tmp_path / "run")
    assert len(after) == TRIALS
    assert done.items() <= after.items(), "a finished trial was run again"
    found = json.loads((tmp_path / "run" / "result.json").read_text())
    assert timeless(found) == timeless(whole.result)
    assert (tmp_path / "run" / "report.html").exists()


def test_a_budget_bounds_all_training_together(tmp_path):
    """Every cell has a result or a stated failure."""
    budget, ends = 8.0, []
    options = dataclasses.replace(
        OPTIONS, cells=("rnn", "lstm", "gru"), layers=1, dropout=0.0, lrs=(1e-3, 3e-3, 1e-2), budget=budget
    )
    started = time.monotonic()
    found = compared(
        "co2",
        tmp_path / "run",
        options,
        FitSettings(epochs=500, patience=500),
        DataOptions(("co2",), missing="carry"),
        ForecastOptions(12, 26),
        on_progress=lambda progress: ends.append(time.monotonic() - started),
    ).result
    failed = {failure["candidate"] for failure in found["failures"]}
    assert {c["name"] for c in found["candidates"]} | failed == {"RNN 4", "LSTM 4", "GRU 4"}
    seeds = [s for c in found["candidates"] for s in c["seeds"]]
    assert {s["stopped"] for s in seeds} == {"budget"}
    assert all(s["scores"]["MASE"] > 0 for s in seeds)
    trained = sum(json.loads(path.read_text())["train_seconds"] for path in tmp_path.glob("run/trials/*/result.json"))
    assert trained <= budget * found["repeat"]["machine"]["workers"]
    assert found["repeat"]["budget_seconds"] == budget
    # Processes start and trials end outside of what a trial can be given less of, on a machine that is shared.
    assert ends[-1] <= budget + 20
