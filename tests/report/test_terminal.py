"""The last lines of a comparison."""

from __future__ import annotations

from typing import Any

import pytest
from rich.cells import cell_len

from unroll.report import render_terminal

from . import fake

PATH = "runs/co2/report.html"


def test_shape(result: dict[str, Any]) -> None:
    lines = render_terminal(result, colour=False, unicode=True, report_path=PATH).splitlines()
    assert lines[:9] == [
        "co2.csv · forecast co2, 12 steps ahead · 2,284 weeks: 1,599 train, 342 valid, 343 test (no overlap,",
        "scaler fitted on train)",
        "",
        "  candidate        MASE   95 % interval   parameters   train    step   memory   gradient reaches",
        "  GRU 64           0.61   0.59 … 0.64         13.1 k    21 s   41 µs   312 MB      60 steps",
        "  LSTM 64          0.62   0.58 … 0.67         17.4 k    27 s   53 µs   319 MB   > 103 steps",
        "  RNN 64           0.78   0.69 … 0.89          4.4 k     7 s   15 µs   297 MB       6 steps",
        "  ridge AR(104)    0.66   0.64 … 0.69            104   0.1 s                    baseline",
        "  seasonal naive   1.00                            0                            baseline",
    ]
    assert lines[-1] == f"report  {PATH}          again  {fake.COMMAND}"
    assert lines[-4].startswith("Use GRU 64: 8 % better")


@pytest.mark.parametrize("make", [fake.fake_result, fake.crowded_result, fake.alone_result, fake.failed_result])
@pytest.mark.parametrize("width", [60, 80, 100, 160])
def test_fits(make: Any, width: int) -> None:
    text = render_terminal(make(), width=width, colour=False, unicode=True, report_path=PATH)
    assert max(cell_len(line) for line in text.splitlines()) <= width
    assert "\x1b" not in text
    assert not any(line != line.rstrip() for line in text.splitlines())


def test_wide_names_fit_too(result: dict[str, Any]) -> None:
    renamed = fake.renamed(result, "GRU 64", "게이트 순환 유닛 예순넷 아주 긴 이름의 후보")
    for unicode in (True, False):
        text = render_terminal(renamed, width=100, colour=False, unicode=unicode)
        assert max(cell_len(line) for line in text.splitlines()) <= 100


@pytest.mark.parametrize("make", [fake.fake_result, fake.crowded_result, fake.failed_result])
def test_plain_ascii(make: Any) -> None:
    text = render_terminal(make(), colour=False, unicode=False, report_path=PATH)
    assert text.isascii()
    assert ".." in text
    assert "…" not in text


def test_ascii_keeps_the_units(result: dict[str, Any]) -> None:
    text = render_terminal(result, colour=False, unicode=False)
    assert "41 us" in text
    assert "0.59 .. 0.64" in text
    assert "co2.csv - forecast co2" in text


def test_colour_paints_and_moves_nothing(result: dict[str, Any]) -> None:
    warned = {**result, "answer": {**result["answer"], "warnings": ["No candidate beats seasonal naive."]}}
    bare = render_terminal(warned, colour=False, unicode=True)
    painted = render_terminal(warned, colour=True, unicode=True)
    assert "\x1b[31mNo candidate beats seasonal naive.\x1b[0m" in painted
    for code in ("\x1b[31m", "\x1b[1m", "\x1b[2m", "\x1b[0m"):
        painted = painted.replace(code, "")
    assert painted == bare


def test_a_name_cannot_write_to_the_terminal(result: dict[str, Any]) -> None:
    text = render_terminal(fake.renamed(result, "GRU 64", "G\x1b[2JRU\u202e"), colour=False, unicode=True)
    assert "\x1b" not in text
    assert "\u202e" not in text


def test_failures_are_told_once_for_each_candidate() -> None:
    text = render_terminal(fake.failed_result(), colour=False, unicode=True)
    assert "failed: GRU 64, seeds 0, 1 and 2: the loss became NaN in epoch 2" in text
    assert "none" in text


def test_without_a_report(result: dict[str, Any]) -> None:
    last = render_terminal(result, colour=False, unicode=True).splitlines()[-1]
    assert last == f"again   {fake.COMMAND}"


def test_long_paths_take_two_lines(result: dict[str, Any]) -> None:
    path = "runs/" + "a" * 70 + "/report.html"
    lines = render_terminal(result, colour=False, unicode=True, report_path=path).splitlines()
    assert lines[-2:] == [f"report  {path}", f"again   {fake.COMMAND}"]
