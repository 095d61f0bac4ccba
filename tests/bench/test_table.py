"""How a row looks, whatever its figures."""

from __future__ import annotations

from typing import Any

import pytest

from unroll.bench import closing, heading, line
from unroll.bench.cases import WORKS
from unroll.bench.table import _duration, _ratio


@pytest.mark.parametrize(
    ("microseconds", "told"),
    [(None, ""), (0.9994, "0.999 µs"), (999.4, "999 µs"), (999.6, "1 ms"), (999_600, "1 s"), (110e6, "110 s")],
)
def test_a_duration_has_three_digits_and_its_unit(microseconds: float | None, told: str) -> None:
    assert _duration(microseconds) == told


@pytest.mark.parametrize(
    ("value", "told"), [(0.07, "0.07"), (9.994, "9.99"), (9.996, "10.0"), (99.96, "100"), (313.2, "313")]
)
def test_a_ratio_takes_five_places_at_most(value: float, told: str) -> None:
    assert _ratio(value) == told


def a_row(faster: dict[str, float], **apart: bool) -> dict[str, Any]:
    return {
        "family": "LSTM", "work": "forward", "B": 128, "T": 20_000, "I": 256, "H": 512, "threads": 1,
        "ran": {"torch": "torch", "unroll": "reference"},
        "apart": {name: {"forward": 3e-4, "backward": None, "equal": equal} for name, equal in apart.items()},
        "microseconds": dict.fromkeys(("torch", *faster), 123456.0), "faster": faster,
        "quartiles": {name: [value, value] for name, value in faster.items()},
        "share_of_peak": dict.fromkeys(faster, 1.0),
    }  # fmt: skip


def test_the_widest_row_stands_below_its_headings() -> None:
    told = line(a_row(dict.fromkeys(("unroll", "onnx", "jax", "eager"), 99.94))).rstrip("\n")
    columns = heading("forward").splitlines()[-1]
    assert len(told) <= len(columns) <= 100
    for name, value in (("ONNX", "99.9"), ("JAX", "99.9"), ("eager", "99.9"), ("unroll", "123 ms"), ("peak", "100%")):
        end = columns.index(name) + len(name)
        assert told[:end].endswith(value), name


def test_a_library_that_differs_has_its_place_empty_and_a_line_below() -> None:
    first, *below = line(a_row({"onnx": 1.5}, unroll=False, onnx=True)).splitlines()
    assert first.split() == ["LSTM", "128,20000,256,512", "123", "ms", "reference", "1.50"]
    assert below == ["      numbers of unroll differ by 0.0003 of the largest number: no speed"]


def test_every_work_has_its_heading() -> None:
    for work in WORKS:
        title, columns = heading(work).splitlines()[1:]
        assert title == f"{work}: {WORKS[work]}"
        assert "ran" in columns
        assert max(len(title), len(columns)) <= 100


VERDICTS = [(True, 9, "reached"), (False, 9, "missed"), (None, 2, "over 2 of 9 rows"), (None, 9, "over other rows")]


@pytest.mark.parametrize(("reached", "over", "told"), VERDICTS)
def test_a_goal_says_whether_it_is_reached(reached: bool | None, over: int, told: str) -> None:
    goal = {"name": "GRU training", "threads": 2, "figure": 4.126, "goal": 0.125, "at_least": False,
            "reached": reached, "over": over, "of": 9}  # fmt: skip
    head, own = closing({"summary": [goal], "equal": True}).splitlines()[1:]
    assert head.split() == ["on", "2", "threads", "figure", "goal"]
    assert own.split(maxsplit=4) == ["GRU", "training", "4.13", "<=", f"0.125   {told}"]
