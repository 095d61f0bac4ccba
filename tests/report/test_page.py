"""The page: whole, alone, the same every time, and true to its result."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from unroll.report import render, write_report
from unroll.report.style import LOOKS

from . import fake
from .reader import Page

FIGURES = [
    "forecast-1",
    "forecast-2",
    "scores-figure",
    "learning-figure",
    "gradient-figure",
    "keep-figure",
    "cost-figure",
]


def embedded(html: str) -> Any:
    found = re.findall(r'<script type="application/json" id="data">(.*?)</script>', html, re.S)
    assert len(found) == 1
    return json.loads(found[0])


def test_nothing_is_fetched(html: str, page: Page) -> None:
    links = [(t, k, v) for t, k, v in page.attributes if k in ("src", "href", "xlink:href", "action", "srcset", "data")]
    assert all(v.startswith(("#", "data:")) for _, _, v in links), links
    style = html[html.index("<style>") : html.index("</style>")]
    assert "@import" not in style
    assert "url(" not in style
    fragments = re.findall(r"url\(([^)]*)\)", html)
    assert all(f.startswith("#") for f in fragments)
    without_names = html.replace('xmlns="http://www.w3.org/2000/svg"', "")
    assert not re.search(r"https?://", without_names)
    assert "default-src 'none'" in html


def test_the_only_script_is_data(html: str, result: dict[str, Any]) -> None:
    assert re.findall(r"<script[^>]*>", html) == ['<script type="application/json" id="data">']
    assert not re.search(r"<[^>]+\son\w+=", html)
    assert embedded(html) == result


def test_every_id_is_unique_and_every_reference_lands(html: str, page: Page) -> None:
    assert len(page.ids) == len(set(page.ids))
    asked = {v.removeprefix("#") for _, k, v in page.attributes if k == "href" and v.startswith("#")}
    asked |= {v for _, k, v in page.attributes if k in ("aria-labelledby", "aria-describedby")}
    asked |= set(re.findall(r"url\(#([^)]+)\)", html))
    assert asked <= set(page.ids)


def test_order_is_that_of_the_questions(html: str) -> None:
    order = ["answer", "forecasts", "scores", "learning", "memory", "cost", "repeat", "definitions"]
    places = [html.index(f'id="{anchor}"') for anchor in order]
    assert places == sorted(places)
    assert re.findall(r"<h1>", html) == ["<h1>"]


def test_every_chart_can_be_read_without_seeing_it(page: Page) -> None:
    assert list(page.figures) == FIGURES
    for figure in page.figures.values():
        assert figure.title
        assert figure.caption
        assert len(figure.drawings) == 2
        for drawing in figure.drawings:
            svg = ElementTree.fromstring(drawing)
            name, description = svg[0], svg[1]
            assert svg.attrib["role"] == "img"
            assert name.tag.endswith("title")
            assert description.tag.endswith("desc")
            assert name.text
            assert description.text
            assert "NaN" not in drawing
            assert "undefined" not in drawing
        assert len(figure.rows) > 1
        assert all(len(row) == len(figure.head) for row in figure.rows), figure.anchor


def number(cell: str) -> float | None:
    return None if cell == "∅" else float(cell.replace(",", ""))


def column(page: Page, anchor: str, head: str) -> list[float | None]:
    figure = page.figures[anchor]
    return [number(row[figure.head.index(head)]) for row in figure.rows]


def test_tables_hold_the_numbers_of_the_result(page: Page, result: dict[str, Any]) -> None:
    def same(cells: list[float | None], values: list[float | None]) -> None:
        assert len(cells) == len(values)
        for cell, value in zip(cells, values):
            assert cell == (None if value is None else pytest.approx(value, rel=1e-4, abs=1e-9))

    gru, lstm, rnn = result["candidates"]
    everyone = [*result["candidates"], *result["baselines"]]
    same(column(page, "scores-figure", "MASE"), [e["scores"]["MASE"]["mean"] for e in everyone])
    same(column(page, "scores-figure", "low")[:3], [e["scores"]["MASE"]["low"] for e in everyone[:3]])
    same(column(page, "scores-figure", "scaled MSE"), [e["scaled"]["MSE"] for e in everyone])
    first = lstm["curves"][1]
    same(column(page, "learning-figure", "LSTM 64, seed 1")[: len(first["epoch"])], first["valid_loss"])
    same(column(page, "gradient-figure", "GRU 64, median"), gru["gradient"]["median"])
    same(column(page, "gradient-figure", "GRU 64, median at start"), gru["gradient"]["at_start"]["median"])
    same(column(page, "keep-figure", "median"), [c["keep"]["tau"]["median"] for c in (gru, lstm)])
    same(column(page, "cost-figure", "one step, µs")[:3], [c["step_microseconds"] for c in (gru, lstm, rnn)])
    shown = result["examples"][1]
    same(column(page, "forecast-2", "truth"), shown["history"][-24:] + shown["truth"])
    same(column(page, "forecast-2", "RNN 64")[-fake.HORIZON :], shown["forecasts"]["RNN 64"])


def test_a_vanished_gradient_is_named_and_never_zero(page: Page, result: dict[str, Any]) -> None:
    figure = page.figures["gradient-figure"]
    cells = [row[figure.head.index("RNN 64, median")] for row in figure.rows]
    values = result["candidates"][2]["gradient"]["median"]
    assert [c == "< 1e-30" for c in cells] == [v is None for v in values]
    assert any(v is None for v in values)
    assert "&lt; 1e-30" in figure.drawings[0]


def test_titles_are_findings(page: Page, result: dict[str, Any]) -> None:
    titles = {anchor: figure.title.replace("\u00a0", " ") for anchor, figure in page.figures.items()}
    horizon = result["candidates"][2]["gradient"]["horizon"]
    assert titles["gradient-figure"].startswith(f"RNN 64's gradient is below 1 % after {horizon} steps")
    assert titles["scores-figure"].startswith("GRU 64 scores 0.61 MASE, level with LSTM 64; the best baseline, ridge")
    assert titles["keep-figure"].startswith("Half of LSTM 64's units keep a value for 8.3 steps or longer")


def test_both_themes_and_paper(html: str) -> None:
    for look in LOOKS:
        assert look.light in html
        assert look.dark in html
        assert f'svg [fill="{look.light}"]{{fill:var(--{look.name})}}' in html
    for needed in (
        "prefers-color-scheme:dark",
        "#theme-dark:checked",
        "#theme-light:checked",
        "@media print",
        "size:A4",
    ):
        assert needed in html


def test_every_colour_in_a_drawing_has_a_dark_twin(page: Page) -> None:
    known = {look.light for look in LOOKS} | {"none"}
    for figure in page.figures.values():
        for drawing in figure.drawings:
            assert set(re.findall(r'(?:fill|stroke)="([^"]+)"', drawing)) <= known


def test_the_same_result_gives_the_same_bytes(html: str, result: dict[str, Any]) -> None:
    code = (
        "import sys, json; from unroll.report import render\n"
        "sys.stdout.buffer.write(render(json.load(sys.stdin)).encode())"
    )
    other = subprocess.run(
        [sys.executable, "-c", code], input=json.dumps(result).encode(), capture_output=True, check=True
    )
    assert other.stdout.decode() == html


def test_size(html: str) -> None:
    assert len(html.encode()) < 400_000


def test_drawing_libraries_are_imported_only_to_draw() -> None:
    code = "import sys, unroll.report; assert not {'altair', 'vl_convert'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_write_report(tmp_path: Path) -> None:
    result = fake.failed_result()
    write_report(result, tmp_path / "run" / "report.html")
    assert (tmp_path / "run" / "report.html").read_text(encoding="utf-8") == render(result)
    assert [p.name for p in (tmp_path / "run").iterdir()] == ["report.html"]


@pytest.mark.parametrize("keep", ["best", "last"])
def test_it_says_which_weights_were_kept(keep: str) -> None:
    result = fake.fake_result()
    result["repeat"]["config"]["train"] = {"keep": keep}
    text = render(result)
    assert ("The weights are those of the last epoch." in text) == (keep == "last")
    seed = result["candidates"][0]["seeds"][0]
    kept = seed["epochs" if keep == "last" else "best_epoch"]
    assert seed["epochs"] != seed["best_epoch"]
    cells = re.findall(r"<t[dh][^>]*>([^<]*)</t[dh]>", text.split("GRU 64, seed 0</t")[-1])
    assert [int(cell) for cell in cells[:3]] == [seed["epochs"], seed["best_epoch"], kept]
