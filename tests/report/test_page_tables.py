"""Tables of a task that are drawn: the matrix of what was taken for what, and the reliability diagram."""

from __future__ import annotations

import copy
import math
import re
from typing import Any

import pytest
from scipy.stats import binomtest

from unroll.report import render
from unroll.report.charts.calibration import _Bin
from unroll.report.style import HEAT, LOOKS
from unroll.tasks.matrix import DRAWN, confusion

from . import fake
from .reader import Page, read

TIMES = {
    ("cat", "cat"): 90,
    ("cat", "dog"): 10,
    ("dog", "dog"): 47,
    ("dog", "cat"): 2,
    ("dog", "cow"): 1,
    ("cow", "cat"): 1,
}
BINS = [{"count": 30, "sure": 0.55, "right": 0.5}, {"count": 121, "sure": 0.93, "right": 1.0}]


def result_of(times: dict[tuple[str, str], int], bins: list[dict[str, Any]]) -> dict[str, Any]:
    """A result with one table of each kind that is drawn, and one that is not."""
    result = fake.fake_result()
    rows = [[a, b, n] for (a, b), n in times.items()]
    head = ["truth", "taken for", "times"]
    result["tables"] = [
        {"title": "Cats pass for dogs", "head": head, "rows": rows, "note": "Test part.",
         "drawn": confusion(times, "documents")},
        {"title": "Plain", "head": head, "rows": rows, "note": "No drawing."},
        {"title": "As sure as it is right", "head": ["given", "examples", "mean", "right"], "note": "Test part.",
         "rows": [[f"{b['sure']:.2f}", b["count"], b["sure"], b["right"]] for b in bins],
         "drawn": {"kind": "calibration", "name": "GRU 64", "bins": bins, "what": "documents"}},
    ]  # fmt: skip
    result["words"] = {
        "job": "classify",
        "example": "document",
        "examples": "What was taken for what",
        "definitions": [],
    }
    result["examples"] = []
    return result


@pytest.fixture(scope="module")
def page() -> Page:
    return read(render(result_of(TIMES, BINS)))


def texts(drawing: str) -> list[str]:
    return re.findall(r"<text[^>]*>([^<]*)</text>", drawing)


def test_both_are_drawn_twice_with_words_and_numbers(page: Page) -> None:
    for anchor, rows in (("confusion-figure", len(TIMES)), ("calibration-figure", len(BINS))):
        figure = page.figures[anchor]
        assert len(figure.drawings) == 2
        assert len(figure.rows) == rows
        assert figure.title
        assert figure.caption
        for drawing in figure.drawings:
            assert 'role="img"' in drawing
            assert "NaN" not in drawing
            assert set(re.findall(r'(?:fill|stroke)="([^"]+)"', drawing)) <= {look.light for look in LOOKS} | {"none"}
    assert "cat: 90 % of 100 found, most often taken for dog" in page.figures["confusion-figure"].drawings[0]
    assert "55 % given, 50 % right of 30" in page.figures["calibration-figure"].drawings[0]


def test_the_matrix_says_shares_of_each_row(page: Page) -> None:
    said = texts(page.figures["confusion-figure"].drawings[0])
    for share in ("90", "10", "94", "4", "2", "100"):
        assert share in said
    assert said.count("cat") == 2
    fills = re.findall(r'fill="([^"]+)"', page.figures["confusion-figure"].drawings[0])
    assert [fills.count(HEAT[k].light) for k in (0, 1, 9)] == [0, 1, 3]


def test_many_labels_are_folded_and_none_is_lost() -> None:
    names = [f"label-{k:02}-of-very-many" for k in range(40)]
    times = {(a, b): 100 - k if a == b else 1 for k, a in enumerate(names) for b in names}
    drawn = confusion(times, "words")
    assert len(drawn["labels"]) == DRAWN
    assert drawn["rest"] == 40 - DRAWN
    assert sum(map(sum, drawn["counts"])) == sum(times.values())
    page = read(render(result_of(times, BINS)))
    wide, narrow = page.figures["confusion-figure"].drawings
    assert "25 others" in texts(wide)
    assert "34 others" in texts(narrow)
    assert max(map(len, texts(narrow))) < 14
    right = [float(x) for x in re.findall(r"translate\((\d+)", narrow)]
    assert max(right) < 360


@pytest.mark.parametrize("labels", [1, 2, DRAWN, DRAWN + 1, DRAWN + 2])
def test_few_labels_are_all_shown(labels: int) -> None:
    drawn = confusion({(str(k), str(k)): 1 for k in range(labels)}, "words")
    shown = labels if labels <= DRAWN + 1 else DRAWN
    assert (len(drawn["labels"]), drawn["rest"]) == (shown, labels - shown)


@pytest.mark.parametrize(("count", "right"), [(1, 0.0), (1, 1.0), (30, 0.5), (200, 0.97)])
def test_intervals_are_those_of_scipy(count: int, right: float) -> None:
    found = _Bin(count, 0.5, right).interval()
    expected = binomtest(round(count * right), count).proportion_ci(method="wilson")
    assert found == pytest.approx((expected.low, expected.high), abs=2e-4)
    assert all(math.isfinite(v) for v in found)


def test_hostile_labels_and_an_unknown_name() -> None:
    hostile = "<script>alert(1)</script>\u202e\x00"
    result = result_of({(hostile, hostile): 3, (hostile, "b"): 1}, BINS)
    result["tables"][2]["drawn"]["name"] = "nobody"
    html = render(result)
    page = read(html)
    assert html.count("<script") == 1
    assert "calibration-figure" not in page.figures
    assert "As sure as it is right" in page.text.replace("\u00a0", " ")


def test_definitions_are_those_the_page_needs() -> None:
    result = result_of(TIMES, BINS)
    for candidate in result["candidates"]:
        candidate["gradient"] = None
    text = read(render(copy.deepcopy(result))).text.replace("\u00a0", " ")
    assert "Gradient by lag" not in text
    assert "Gradient reaches" not in text
    assert "Keep-gate timescale" in text
    assert "never by the test part" in text
