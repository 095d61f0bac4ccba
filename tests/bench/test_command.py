"""``unroll bench`` from end to end, on sizes that take no time.

Tests share processes, but where their start and end are the point: with a backend that is forced, with the work "long".
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from bench.conftest import Running
from cli.harness import Outcome, unroll
from unroll import bench
from unroll.bench import run
from unroll.bench.cases import IN_FLOAT64, ON_REQUEST, WORKS, Case, Shape
from unroll.bench.equality import BOUNDS, apart
from unroll.bench.library import Library
from unroll.errors import RunError

TINY = ["--quick", "--shape", "2,6,3,4", "--threads", "1", "--repeats", "2"]
GRU = [*TINY, "--family", "GRU"]
ALONE = ["--beside", "none"]
NUMBERS = {"type": "object", "additionalProperties": {"type": "number", "exclusiveMinimum": 0}}
APART = {
    "type": "object",
    "required": ["forward", "backward", "equal"],
    "properties": {name: {"type": ["number", "null"], "minimum": 0} for name in ("forward", "backward")}
    | {"equal": {"type": "boolean"}},
    "additionalProperties": False,
}
ROW = {
    "type": "object",
    "required": ["family", "work", "B", "T", "I", "H", "threads", "compared_in", "equal", "apart", "ran",
                 "microseconds", "faster", "quartiles", "share_of_peak", "repeats"],
    "properties": {
        "family": {"enum": list(bench.FAMILIES)},
        "work": {"enum": list(WORKS)},
        **{name: {"type": "integer", "minimum": 1} for name in ("B", "T", "I", "H", "threads")},
        "compared_in": {"enum": list(BOUNDS)},
        "equal": {"type": "boolean"},
        "apart": {"type": "object", "additionalProperties": APART},
        "ran": {"type": "object", "additionalProperties": {"type": "string", "minLength": 1}},
        "microseconds": NUMBERS,
        "faster": NUMBERS,
        "quartiles": {"type": "object", "additionalProperties": {"type": "array", "minItems": 2, "maxItems": 2}},
        "share_of_peak": NUMBERS,
        "repeats": {"type": "integer", "minimum": 0},
        "memory_mb": NUMBERS,
        "memory_before_mb": NUMBERS,
    },
    "additionalProperties": False,
}  # fmt: skip
GOAL = {
    "type": "object",
    "properties": {
        "name": {"type": "string"},
        "threads": {"type": "integer"},
        "figure": {"type": ["number", "null"]},
        "goal": {"type": "number"},
        "at_least": {"type": "boolean"},
        "reached": {"type": ["boolean", "null"]},
        "over": {"type": "integer"},
        "of": {"type": "integer", "minimum": 1},
    },
    "required": ["name", "threads", "figure", "goal", "at_least", "reached", "over", "of"],
    "additionalProperties": False,
}
SCHEMA = {
    "type": "object",
    "properties": {
        "started": {"type": "string"},
        "dtype": {"const": "float32"},
        "bounds": {"type": "object", "required": list(BOUNDS), "additionalProperties": NUMBERS},
        "machine": {"type": "object", "required": ["processor", "cores"]},
        "versions": {"type": "object", "required": ["unroll", "torch"]},
        "libraries": {"type": "object", "additionalProperties": {"type": "string"}},
        "missing": {"type": "object", "additionalProperties": {"type": "string"}},
        "clock": {"type": "object", "additionalProperties": {"enum": ["processor", "wall"]}},
        "peak_gigaflops": NUMBERS,
        "product_gigaflops": {"type": "object", "additionalProperties": NUMBERS},
        "rows": {"type": "array", "items": ROW},
        "equal": {"type": "boolean"},
        "summary": {"type": "array", "items": GOAL},
    },
    "additionalProperties": False,
}
SCHEMA["required"] = list(SCHEMA["properties"])  # type: ignore[call-overload]


@pytest.fixture(scope="module")
def everything(running: Running, tmp_path_factory: pytest.TempPathFactory) -> tuple[Outcome, dict[str, Any]]:
    """Every work once, as text and as the file written beside it."""
    file = tmp_path_factory.mktemp("bench") / "new" / "result.json"
    every = [word for work in WORKS for word in ("--work", work)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(run, "Library", running)
        outcome = unroll("bench", *TINY, *every, "--family", "LSTM", "--out", file)
    return outcome, json.loads(file.read_text(encoding="utf-8"))


def test_every_work_runs_and_equals(everything: tuple[Outcome, dict[str, Any]]) -> None:
    outcome, result = everything
    assert (outcome.code, outcome.err) == (0, "")
    assert result["equal"] is True
    assert [(row["work"], row["family"]) for row in result["rows"]] == [(work, "LSTM") for work in WORKS]
    for row in result["rows"]:
        assert row["faster"], (row["work"], row["family"])
        assert set(row["faster"]) == set(row["quartiles"])


def test_another_family_runs_every_work_but_options(shared: None) -> None:
    works = [work for work in WORKS if work not in (*ON_REQUEST, "options")]
    outcome = unroll("bench", *GRU, *(word for work in works for word in ("--work", work)), "--json")
    assert (outcome.code, outcome.err) == (0, "")
    result = json.loads(outcome.out)
    jsonschema.validate(result, SCHEMA)
    assert [(row["work"], row["equal"], bool(row["faster"])) for row in result["rows"]] == [
        (work, True, True) for work in works
    ]


def test_numbers_that_float32_cannot_give_are_compared_in_float64(everything: tuple[Outcome, dict[str, Any]]) -> None:
    for row in everything[1]["rows"]:
        assert row["compared_in"] == ("float64" if row["work"] in IN_FLOAT64 else "float32")
        most = max(value or 0 for one in row["apart"].values() for value in (one["forward"], one["backward"]))
        assert most <= max(BOUNDS[row["compared_in"]])


def test_the_result_keeps_to_its_schema(everything: tuple[Outcome, dict[str, Any]]) -> None:
    jsonschema.validate(everything[1], SCHEMA)


def test_the_text_fits_and_names_every_work_row_and_backend(everything: tuple[Outcome, dict[str, Any]]) -> None:
    lines = everything[0].out.splitlines()
    assert max(map(len, lines)) <= 100
    for work in WORKS:
        assert any(line.startswith(f"{work}: ") for line in lines)
    rows = [line for line in lines if re.match(r"(RNN|LSTM|GRU) +2,[16],3,4 ", line)]
    assert len(rows) == len(everything[1]["rows"])
    assert all(re.search(r"\b(torch|cpu|reference)\b", line) for line in rows)
    assert re.search(r"1 thread, processor time · float32 · matrix product torch\.mm \d+.* GFLOP/s", lines[0])


def test_each_row_says_what_ran(everything: tuple[Outcome, dict[str, Any]]) -> None:
    for row in everything[1]["rows"]:
        assert row["ran"].get("torch", "torch") == "torch"
        assert row["ran"].get("eager", "reference") == "reference"
        if row["work"] == "options":
            assert row["ran"]["plain by steps"] == "reference"


def test_a_backend_that_is_forced_is_what_a_row_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UNROLL_BACKEND", "reference")
    outcome = unroll("bench", *GRU, *ALONE, "--work", "forward", "--json")
    (row,) = json.loads(outcome.out)["rows"]
    assert row["ran"] == {"torch": "torch", "unroll": "reference"}


def test_a_long_sequence_runs_in_processes_of_its_own(everything: tuple[Outcome, dict[str, Any]]) -> None:
    for row in everything[1]["rows"]:
        if row["work"] == "long":
            assert set(row["memory_mb"]) == {"torch", "unroll"}
            assert all(row["memory_mb"][name] >= row["memory_before_mb"][name] > 50 for name in row["memory_mb"])


def test_json_is_one_value_and_nothing_else(shared: None) -> None:
    outcome = unroll("bench", *GRU, *ALONE, "--work", "forward", "--json")
    assert (outcome.code, outcome.err) == (0, "")
    result = json.loads(outcome.out)
    jsonschema.validate(result, SCHEMA)
    assert set(result["libraries"]) == {"torch", "unroll"}


def test_a_file_that_cannot_be_written_costs_no_figure(shared: None, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    outcome = unroll("bench", *GRU, *ALONE, "--work", "forward", "--out", tmp_path / "file" / "result.json")
    assert outcome.code == 2
    assert "cannot write" in outcome.message
    assert "GRU forward, times faster than torch.nn" in outcome.out


@pytest.mark.parametrize(("here", "expected"), [(1, [1]), (2, [1, 2]), (64, [1, 2])])
def test_by_default_no_more_threads_run_than_there_are_cores(
    here: int, expected: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run, "cores", lambda: here)
    assert run._checked_threads(None) == expected


def test_a_terminal_without_unicode_is_written_to_in_ascii(shared: None) -> None:
    outcome = unroll("bench", *GRU, *ALONE, "--work", "step", encoding="ascii")
    assert outcome.code == 0
    assert re.search(r"\d us", outcome.out)
    assert "?" not in outcome.out
    assert "\\" not in outcome.out


@pytest.mark.parametrize(
    ("beside", "package", "label"), [("jax", "jax", "a JAX scan"), ("onnx", "onnxruntime", "ONNX Runtime")]
)
def test_a_library_that_is_not_installed_is_a_line(
    beside: str, package: str, label: str, without: Callable[[str, str], None], tmp_path: Path
) -> None:
    without(beside, package)
    out = tmp_path / "result.json"
    outcome = unroll("bench", *GRU, "--work", "forward", "--beside", beside, "--out", out)
    assert outcome.code == 0
    assert f"not measured: {label} ({package} is not installed)\n" in outcome.out
    result = json.loads(out.read_text(encoding="utf-8"))
    assert result["missing"] == {label: f"{package} is not installed"}
    assert set(result["rows"][0]["faster"]) == {"unroll"}


@pytest.mark.parametrize("name", ["onnx", "jax"])
def test_another_library_gives_torchs_numbers(name: str, running: Running, tmp_path: Path) -> None:
    """On an awkward shape, every family."""
    pytest.importorskip({"onnx": "onnxruntime"}.get(name, name), reason="it is not installed")
    own, wanted = tmp_path / "own.npz", tmp_path / "wanted.npz"
    with running("torch", 1) as torchs, running(name, 1) as library:
        for work in ["forward"] if name == "onnx" else ["forward", "training"]:
            for family in bench.FAMILIES:
                case = Case(family, work, Shape(3, 7, 5, 11))
                results = torchs.about("numbers", case, "", file=str(wanted))["results"]
                assert library.about("numbers", case, "", file=str(own))["results"] == results
                assert apart(own, wanted, results, case.compared_in).equal, case


@pytest.mark.parametrize("how", ["wrong gradient", "not a number"])
def test_unequal_numbers_have_no_speed_and_fail(how: str, instead: Callable[[str, str], None], tmp_path: Path) -> None:
    instead("unroll", how)
    out = tmp_path / "result.json"
    outcome = unroll("bench", *GRU, *ALONE, "--work", "training", "--out", out)
    assert outcome.code == 1
    assert "numbers of unroll differ" in outcome.out
    assert "no speed" in outcome.out
    assert not re.search(r"\d (µs|ms|s)\b", outcome.out)
    assert re.search(r"GRU training, .* none .*missed", outcome.out)
    result = json.loads(out.read_text(encoding="utf-8"))
    jsonschema.validate(result, SCHEMA)
    (row,) = result["rows"]
    assert (result["equal"], row["equal"], row["apart"]["unroll"]["equal"]) == (False, False, False)
    assert row["microseconds"] == row["faster"] == row["share_of_peak"] == {}


def test_one_librarys_wrong_numbers_leave_the_others_their_speed(instead: Callable[[str, str], None]) -> None:
    instead("eager", "wrong output")
    outcome = unroll("bench", *GRU, "--work", "forward", "--beside", "eager", "--json")
    assert outcome.code == 1
    (row,) = json.loads(outcome.out)["rows"]
    assert set(row["faster"]) == {"unroll"}
    assert set(row["microseconds"]) == {"torch", "unroll"}


def test_what_rests_on_wrong_numbers_is_not_timed(instead: Callable[[str, str], None]) -> None:
    """Captured gates equal the run without them, but both are wrong."""
    instead("unroll", "wrong output")
    outcome = unroll("bench", *GRU, "--work", "captured")
    assert outcome.code == 1
    assert not re.search(r"\d (µs|ms|s)\b", outcome.out)


def test_what_a_library_prints_is_no_answer(instead: Callable[[str, str], None]) -> None:
    instead("unroll", "talkative")
    outcome = unroll("bench", *GRU, *ALONE, "--work", "forward", "--json")
    assert outcome.code == 0
    assert json.loads(outcome.out)["rows"][0]["microseconds"]["unroll"] > 0


@pytest.mark.parametrize(
    ("how", "told"),
    [("failing", "RuntimeError: no such layer here"), ("dying", "ended at GRU forward 2,6,3,4: exit code 3")],
)
def test_a_library_that_fails_says_where(how: str, told: str, instead: Callable[[str, str], None]) -> None:
    instead("unroll", how)
    outcome = unroll("bench", *GRU, *ALONE, "--work", "forward")
    assert outcome.code == 2
    assert told in outcome.message
    assert "GRU forward 2,6,3,4" in outcome.message


def test_a_process_ends_with_its_block_whatever_happens() -> None:
    with Library("torch", 1) as library:
        pass
    assert library.process.poll() == 0
    with pytest.raises(ZeroDivisionError), Library("torch", 1) as library:
        raise ZeroDivisionError
    assert library.process.poll() is not None
    with pytest.raises((RunError, ValueError)):
        library.about("numbers", Case("GRU", "forward", Shape(1, 1, 1, 1)), "", file="nowhere")


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--threads", "0"], "threads 0 expected whole numbers from 1 to"),
        (["--threads", "100000"], "the cores of this machine"),
        (["--threads", "one"], "--threads one expected whole numbers with commas between"),
        (["--repeats", "0"], "repeats 0 expected a whole number above 0"),
        (["--shape", "1,2,3"], "shape '1,2,3' expected batch,steps,input,hidden"),
        (["--family", "GRUU"], "unknown family 'GRUU'. Did you mean 'gru'?"),
        (["--work", "trainng"], "unknown work 'trainng'. Did you mean 'training'?"),
        (["--beside", "onx"], "unknown library 'onx'. Did you mean 'onnx'?"),
        (["--quik"], "no such option --quik. Did you mean --quick?"),
        (["data.csv"], "unexpected argument data.csv"),
    ],
)
def test_a_wrong_argument_is_told_before_anything_runs(
    arguments: list[str], told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: object, **__: object) -> None:
        raise AssertionError("a process was started")

    monkeypatch.setattr(subprocess, "Popen", refused)
    monkeypatch.setenv("COLUMNS", "200")
    outcome = unroll("bench", *arguments)
    assert (outcome.code, outcome.out) == (2, "")
    assert told in outcome.message


def test_the_script_of_the_benchmarks_is_the_command() -> None:
    script = Path(__file__).parents[2] / "benchmarks" / "cpu_layers.py"
    done = subprocess.run([sys.executable, str(script), "--help"], capture_output=True, text=True, check=True)
    assert "--quick" in done.stdout
    assert "--beside" in done.stdout
