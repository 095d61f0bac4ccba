"""What each command prints, where, and what it leaves behind."""

from __future__ import annotations

import json
import os
import pty
import re
import select
import shlex
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest

from unroll import __version__
from unroll.comparison import engine

from .harness import COMPARE, TINY, daily, program, table, tree, unroll

HELPS = [[], ["compare"], ["train"], ["backtest"], ["evaluate"], ["predict"], ["bench"], ["datasets"]]
HELPS += [["datasets", name] for name in ("list", "fetch", "use")]
ESCAPE = "\x1b["


@pytest.fixture
def no_training(monkeypatch):
    """Whoever starts a worker now fails."""

    def refused(*_: object, **__: object) -> None:
        raise AssertionError("a worker was started")

    monkeypatch.setattr(engine, "_Worker", refused)


def test_version_names_what_it_was_built_with():
    outcome = unroll("--version")
    assert outcome.code == 0
    assert re.fullmatch(rf"unroll {re.escape(__version__)} \(torch [\w.+]+, C\+\+ core: .+\)\n", outcome.out)


def test_no_arguments_print_the_help(folder):
    outcome = unroll()
    assert (outcome.code, outcome.err) == (0, "")
    assert outcome.out == unroll("--help").out
    for command in ("compare", "train", "evaluate", "predict", "bench", "datasets"):
        assert f"\n  {command} " in outcome.out
    assert "..." not in outcome.out.partition("Commands:")[2]


@pytest.mark.parametrize("command", HELPS, ids=" ".join)
@pytest.mark.parametrize("columns", [60, 80, 100, 200])
def test_help_fits(monkeypatch, command, columns):
    monkeypatch.setenv("COLUMNS", str(columns))
    outcome = unroll(*command, "--help")
    assert (outcome.code, outcome.err) == (0, "")
    assert max(map(len, outcome.out.splitlines())) <= min(100, columns)
    assert outcome.out == unroll(*command, "-h").out


def test_help_names_every_default():
    told = " ".join(unroll("compare", "--help").out.split())
    for name, default in {
        "cell": "rnn, lstm and gru", "hidden": "64", "layers": "1", "dropout": "0.0", "match": "hidden", "seeds": "3",
        "lr": "0.001, 0.003 and 0.01", "metric": "MASE", "epochs": "60", "patience": "8", "batch-size": "64",
        "split": "0.7,0.15,0.15", "missing": "error", "layout": "long", "workers": "one per core",
        "season": "found in the training data", "budget": "none",
    }.items():  # fmt: skip
        assert re.search(rf"--{name} [^\[]*\[default: {re.escape(default)}\]", told), name


def test_help_and_python_have_the_same_defaults():
    import inspect

    from unroll import api

    for name, call in (("compare", api.compare), ("train", api.train)):
        told = " ".join(unroll(name, "--help").out.split())
        for option, parameter in inspect.signature(call).parameters.items():
            if isinstance(parameter.default, (int, float, str)) and not isinstance(parameter.default, bool):
                assert re.search(rf"--{option.replace('_', '-')} [^\[]*\[default: {parameter.default}\]", told), option


def test_every_argument_from_python_is_an_option():
    import inspect

    from unroll import api

    renamed = {"features": "feature", "cells": "cell", "lrs": "lr"}
    for name, call in (("compare", api.compare), ("train", api.train)):
        told = unroll(name, "--help").out
        for parameter in inspect.signature(call).parameters:
            if parameter not in ("data", "options") and not parameter.startswith("on_"):
                assert f"--{renamed.get(parameter, parameter).replace('_', '-')} " in told


def test_a_comparison_prints_its_table_and_nothing_else(compared):
    done, folder = compared
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert lines[0].startswith("sales.csv · forecast units, 2 steps ahead · 60 days")
    assert any(re.match(r" +candidate +MASE +95 % interval +parameters", line) for line in lines)
    for name in ("GRU 4", "ridge AR(4)", "seasonal naive", "last value"):
        assert any(line.startswith(f"  {name} ") for line in lines), name
    assert any(line.startswith("Use ") and line.endswith((".", "MASE.")) for line in lines)
    assert lines[-1] == "report  runs/sales/report.html          again  unroll compare --config runs/sales/config.yaml"
    assert max(map(len, lines)) <= 100
    assert ESCAPE not in done.stdout
    assert sorted(path.name for path in (folder / "runs" / "sales").iterdir()) == [
        "config.yaml", "data.json", "report.html", "result.json", "trials",
    ]  # fmt: skip


def test_a_finished_run_is_printed_again_without_training(runs, no_training):
    for command in (["compare", "sales.csv", *COMPARE, "--out", "both"], ["train", "sales.csv", *TINY, "--out", "run"]):
        files = {k: v for k, v in tree(runs).items() if not k.endswith("report.html")}
        first, second = unroll(*command), unroll(*command)
        assert first.code == 0
        assert first.out == second.out
        assert (first.err, second.err) == ("", "")
        assert {k: v for k, v in tree(runs).items() if not k.endswith("report.html")} == files


@pytest.mark.parametrize(
    "command", [["compare", "sales.csv", *COMPARE, "--out", "both"], ["train", "sales.csv", *TINY, "--out", "run"]]
)
def test_json_is_the_result_and_nothing_else(runs, command):
    outcome = unroll(*command, "--json")
    assert (outcome.code, outcome.err) == (0, "")
    assert json.loads(outcome.out) == json.loads((runs / command[-1] / "result.json").read_text())


def test_a_config_repeats_a_run_in_a_fresh_folder(runs):
    shutil.copytree(runs / "run", runs / "run-2")
    outcome = unroll("train", "--config", "run/config.yaml")
    assert (outcome.code, outcome.err) == (0, "")
    assert "report  run-3/report.html" in outcome.out
    first, again = (json.loads((runs / name / "result.json").read_text()) for name in ("run", "run-3"))
    assert [c["scores"] for c in first["candidates"]] == [c["scores"] for c in again["candidates"]]
    assert (runs / "run" / "config.yaml").read_text() == (runs / "run-3" / "config.yaml").read_text()


def test_an_option_beside_a_config_wins(runs):
    assert unroll("train", "--config", "run", "--hidden", "5", "--out", "wider").code == 0
    config = (runs / "wider" / "config.yaml").read_text()
    assert "hidden: 5" in config
    assert "epochs: 1" in config


def test_overwrite_replaces_a_run_and_nothing_else(runs):
    (runs / "run" / "notes.txt").write_text("mine")
    outcome = unroll("train", "sales.csv", *TINY, "--lr", ".02", "--out", "run", "--overwrite")
    assert outcome.code == 0
    assert "lr: 0.02" in (runs / "run" / "config.yaml").read_text()
    assert (runs / "run" / "notes.txt").read_text() == "mine"


def test_warnings_of_libraries_stay_away(runs):
    """Values near the smallest there are make numpy warn."""
    (runs / "tiny.csv").write_text(
        "\n".join(["date,units", *(f"{line.split(',')[0]},{k % 7}e-320" for k, line in enumerate(daily(60)))])
    )
    outcome = unroll("predict", "run", "tiny.csv")
    assert (outcome.code, outcome.err) == (0, "")


@pytest.mark.parametrize("command", ["evaluate run", "evaluate both", "predict run", "datasets", "--help"])
def test_ascii_output_where_the_terminal_is_ascii(runs, command):
    outcome = unroll(*shlex.split(command), encoding="ascii")
    assert outcome.code == 0
    assert outcome.out.isascii()


def test_names_a_terminal_cannot_show_do_not_stop_it(folder):
    """Column, file, folder and series have names beyond ASCII, and every stream is ASCII."""
    rows = [f"{line},{shop}" for shop, level in (("Été", 20), ("Hiver", 90)) for line in daily(60, level=level)]
    (folder / "été.csv").write_text("\n".join(["jour,unités,saison", *rows]) + "\n", encoding="utf-8")
    outcome = unroll("train", "été.csv", *TINY, "--group", "saison", encoding="ascii")
    assert (outcome.code, outcome.err) == (0, "")
    outcome = unroll("predict", "runs/été-gru", encoding="ascii")
    assert (outcome.code, outcome.err) == (0, "")
    assert outcome.out.startswith("saison,jour,unit\\xe9s,unit\\xe9s_low,unit\\xe9s_high\n\\xc9t\\xe9,2024-03-01,")
    lines = unroll("predict", "runs/été-gru").out.splitlines()
    assert [",".join(line.split(",")[:2]) for line in lines] == [
        "saison,jour", "Été,2024-03-01", "Été,2024-03-02", "Hiver,2024-03-01", "Hiver,2024-03-02",
    ]  # fmt: skip


def test_evaluate_scores_the_test_range(runs):
    outcome = unroll("evaluate", "run")
    assert (outcome.code, outcome.err) == (0, "")
    assert re.match(r"8 windows\n\n +MASE +MAE +RMSE +sMAPE +scaled MSE\n +network ", outcome.out)
    scores = json.loads(unroll("evaluate", "run", "--json").out)
    result = json.loads((runs / "run" / "result.json").read_text())
    assert scores["windows"] == 8
    assert scores["network"]["MASE"] == pytest.approx(result["candidates"][0]["scores"]["MASE"]["mean"], rel=1e-6)


def test_evaluate_scores_new_data_after_what_training_saw(runs):
    (runs / "newer.csv").write_text(table(80))
    scores = json.loads(unroll("evaluate", "run", "newer.csv", "--json").out)
    assert scores["windows"] == 80 - (42 + 9) - 2 + 1


def test_evaluate_takes_a_comparison(runs):
    assert json.loads(unroll("evaluate", "both", "--json").out)["windows"] == 8


def test_predict_prints_csv(runs):
    outcome = unroll("predict", "run")
    assert (outcome.code, outcome.err) == (0, "")
    assert re.fullmatch(r"date,units\n2024-03-01,[\d.]+\n2024-03-02,[\d.]+\n", outcome.out)


def test_predict_prints_the_same_as_json(runs):
    rows = json.loads(unroll("predict", "run", "--json").out)
    lines = unroll("predict", "run").out.splitlines()[1:]
    assert [f"{row['date']},{row['units']}" for row in rows] == lines


def test_predict_writes_a_file(runs):
    outcome = unroll("predict", "run", "--out", "new/forecast.csv")
    assert (outcome.code, outcome.out) == (0, "2 rows  new/forecast.csv\n")
    assert (runs / "new" / "forecast.csv").read_text() == unroll("predict", "run").out


def test_predict_needs_history_only(runs):
    """Three rows are fewer than the input; what follows them is forecast all the same."""
    (runs / "history.csv").write_text("date,units\n" + "\n".join(daily(3, first=100)) + "\n")
    outcome = unroll("predict", "run", "history.csv")
    assert outcome.code == 0
    assert [line.split(",")[0] for line in outcome.out.splitlines()] == ["date", "2024-04-13", "2024-04-14"]


def test_datasets_lists_what_is_here(folder):
    outcome = unroll("datasets")
    assert (outcome.code, outcome.err) == (0, "")
    assert outcome.out == unroll("datasets", "list").out
    assert re.search(r"^  co2 +bundled +Weekly CO2", outcome.out, re.MULTILINE)
    assert re.search(r"^  etth1 +- +Electricity", outcome.out, re.MULTILINE)
    assert max(map(len, outcome.out.splitlines())) <= 100
    tasks = [line for line in outcome.out.splitlines() if re.fullmatch("[a-z]+", line)]
    assert {"forecast", "classify", "tag"} <= set(tasks)
    assert len(tasks) == len(set(tasks))


def test_one_data_set_is_told_in_full(folder):
    outcome = unroll("datasets", "list", "gunpoint")
    assert (outcome.code, outcome.err) == (0, "")
    told = " ".join(outcome.out.split())
    assert told.startswith("ucr-gunpoint The hand of somebody")
    for part in (
        "task classify",
        "not here, 0.3 MB",
        "licence none stated",
        "command unroll train ucr-gunpoint --task",
    ):
        assert part in told
    bundled = unroll("datasets", "list", "co2").out
    assert re.search(r"^  file +/.+/co2.csv\n  command  unroll compare co2", bundled, re.MULTILINE)


def test_datasets_as_json(folder):
    listed = json.loads(unroll("datasets", "list", "--json").out)
    for one in listed:
        assert {"name", "title", "task", "licence", "source", "command", "bytes", "here", "files", "urls"} == set(one)
    here = {one["name"]: [Path(path).name for path in one["files"]] for one in listed if one["here"]}
    assert here == {"co2": ["co2.csv"]}
    assert json.loads(unroll("datasets", "list", "co2", "--json").out) == [one for one in listed if one["here"]]


def test_every_command_of_the_list_is_understood(folder):
    """Each reaches the data, which is the first thing looked at after the options."""
    for dataset in json.loads(unroll("datasets", "list", "--json").out):
        if dataset["name"] == "co2":
            continue
        words = shlex.split(dataset["command"])[1:]
        if words[0] == "datasets":
            assert words == ["datasets", "fetch", dataset["name"]]
            continue
        outcome = unroll(*words)
        assert f"the data set '{dataset['name']}' is not on this machine" in outcome.message


def test_datasets_fetch_copies_the_bundled_one(folder):
    outcome = unroll("datasets", "fetch", "co2", "--folder", "kept")
    assert (outcome.code, outcome.err) == (0, "")
    assert Path(outcome.out.strip()) == folder / "kept" / "co2.csv"
    assert (folder / "kept" / "co2.csv").exists()


def test_datasets_use_finds_a_local_copy(folder):
    unroll("datasets", "fetch", "co2", "--folder", "kept")
    assert unroll("datasets", "use", "kept").out == "found co2\n"


def test_a_reader_that_goes_away_is_no_error(folder):
    done = subprocess.run(["bash", "-c", f"{shlex.join(program())} --help | head -1"], capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("Usage: unroll [OPTIONS] COMMAND [ARGS]...\n", "")
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run([*program(), "--help"], stdout=writer, stderr=subprocess.PIPE, text=True)
    os.close(writer)
    assert (done.returncode, done.stderr) == (0, "")


def test_closed_streams_are_no_error():
    assert subprocess.run(["bash", "-c", f"{shlex.join(program())} --version >&- 2>&-"]).returncode == 0


def test_an_interrupt_says_how_to_go_on_and_leaves_a_run_to_continue(folder):
    command = ["train", "sales.csv", "--hidden", "4", "--horizon", "2", "--input", "4", "--epochs", "500"]
    command += ["--patience", "500", "--out", "run"]
    # A shell of our own starts it, so that SIGINT is not ignored where the tests run in the background.
    process = subprocess.Popen(
        [*program(), *command],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    history = folder / "run" / "metrics.jsonl"
    _wait(lambda: history.exists() and history.read_text().count("\n") >= 2)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=300)
    assert process.returncode == 130
    assert out == ""
    assert err.strip() == "interrupted: the same command continues where this one stopped"
    assert not (folder / "run" / "result.json").exists()
    refused = unroll("predict", "run")
    assert refused.code == 2
    assert "not finished" in refused.message


def test_the_progress_line_shows_on_a_terminal_and_leaves_nothing(folder):
    """The last thing done to the line is to empty it; without a terminal nothing is written at all."""
    out, shown = _on_terminal(["train", "sales.csv", *TINY, "--epochs", "3", "--out", "run"], folder)
    assert "epoch 1 · validation loss" in shown
    assert shown.endswith("\r\x1b[2K")
    assert "\n" not in shown
    assert out.startswith("sales.csv")
    assert ESCAPE not in out


def test_json_is_quiet_on_a_terminal(runs):
    outcome = unroll("train", "sales.csv", *TINY, "--out", "run", "--json", terminal=True)
    assert outcome.err == ""
    assert json.loads(outcome.out)


@pytest.mark.parametrize(
    ("environment", "coloured"), [({}, True), ({"NO_COLOR": "1"}, False), ({"TERM": "dumb"}, False)]
)
def test_colour_is_for_terminals_that_want_it(runs, monkeypatch, environment, coloured):
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    outcome = unroll("train", "sales.csv", *TINY, "--out", "run", terminal=True)
    assert (ESCAPE in outcome.out) == coloured


def _on_terminal(command: list[str], folder: Path) -> tuple[str, str]:
    """stdout, and what a terminal that is stderr was sent."""
    terminal, theirs = pty.openpty()
    process = subprocess.Popen(
        [*program(), *command],
        cwd=folder,
        env=os.environ | {"TERM": "xterm"},
        stdout=subprocess.PIPE,
        stderr=theirs,
    )
    os.close(theirs)
    shown = _all_of(terminal)
    os.close(terminal)
    out, _ = process.communicate(timeout=300)
    assert process.returncode == 0, shown
    return out.decode(), shown


def _all_of(terminal: int) -> str:
    pieces = []
    while select.select([terminal], [], [], 60)[0]:
        try:
            piece = os.read(terminal, 65536)
        except OSError:  # the other end is closed
            break
        if not piece:
            break
        pieces.append(piece)
    return b"".join(pieces).decode()


def _wait(condition, seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "nothing happened"
        time.sleep(0.05)
