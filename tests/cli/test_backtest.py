"""``unroll backtest``: what it prints, what it leaves, and that its options are those of a training and three more."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from .harness import TINY, table, unroll

RUN = [*TINY, "--origins", "3", "--refit", "2", "--season", "7", "--out", "run"]


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("day.csv").write_text(table(90), encoding="utf-8")
    return tmp_path


def test_it_prints_a_table_and_leaves_a_page_and_a_folder_for_each_training(here):
    outcome = unroll("backtest", "day.csv", "--target", "units", *RUN)
    assert outcome.code == 0, outcome.err
    assert "3 origins, 2 steps apart, a new training every 2" in outcome.out
    assert outcome.out.isascii() or "±" in outcome.out
    assert sorted(p.name for p in (here / "run" / "refits").iterdir()) == ["01", "02"]
    assert (here / "run" / "report.html").read_text(encoding="utf-8").startswith("<!doctype html>")
    again = unroll("backtest", "day.csv", "--target", "units", *RUN)
    assert again.out == outcome.out


def test_json_is_the_result_and_the_config_repeats_it(here):
    first = unroll("backtest", "day.csv", "--target", "units", *RUN, "--json")
    result = json.loads(first.out)
    assert result == json.loads((here / "run" / "result.json").read_text())
    second = unroll("backtest", "--config", "run/config.yaml", "--out", "again", "--json")
    assert second.code == 0, second.err
    repeated = json.loads(second.out)
    assert repeated["candidates"][0]["by_origin"] == result["candidates"][0]["by_origin"]
    assert repeated["repeat"]["config"] == result["repeat"]["config"]


def test_help_lists_the_options_of_a_training_too():
    told = unroll("backtest", "--help").out
    options = ("--origins", "--step", "--refit", "--interval", "--lr", "--known", "--hidden")
    assert all(option in told for option in options)


@pytest.mark.parametrize(
    ("more", "told"),
    [
        (["--origins", "80"], "before the first origin"),
        (["--refit", "-1"], "--refit -1"),
        (["--origin", "3"], "--origins"),
    ],
)
def test_what_cannot_be_is_told(here, more, told):
    outcome = unroll("backtest", "day.csv", "--target", "units", *TINY, *more)
    assert outcome.code == 2
    assert told in outcome.message
    assert not (here / "runs").exists()
