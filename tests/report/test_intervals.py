"""What share of the truth intervals held stands beside the share asked for, wherever a result is shown."""

import pytest

from report.fake import fake_result
from report.reader import read
from unroll.report import render, render_scores, render_terminal

HELD = {"GRU 64": 0.884, "LSTM 64": 0.913, "RNN 64": 0.7}


@pytest.fixture
def result():
    made = fake_result()
    made["task"]["interval"] = 0.9
    for row in made["candidates"]:
        held = HELD[row["name"]]
        row["scores"]["coverage"] = {"mean": held, "low": held - 0.03, "high": held + 0.03}
        row["scores"]["interval width"] = {"mean": 1.25, "low": None, "high": None}
        row["scores"]["MSIS"] = {"mean": 4.5, "low": None, "high": None}
    return made


def test_the_terminal_shows_both_shares(result):
    lines = render_terminal(result, width=120).splitlines()
    head = next(line for line in lines if "candidate" in line)
    assert "coverage" in head
    for name, held in HELD.items():
        (line,) = [line for line in lines if line.strip().startswith(name) and "/" in line]
        assert f"{100 * held:.0f} / 90 %" in line
    (baseline,) = [line for line in lines if line.strip().startswith("last value")]
    assert "/ 90 %" not in baseline


def test_the_page_shows_the_share_with_its_own_interval(result):
    text = read(render(result)).text
    assert "The 90 % intervals of GRU 64 held 88.4 % of what happened" in " ".join(text.split())
    assert "85.4 %" in text
    assert "91.4 %" in text


def test_the_interval_of_an_example_is_drawn_and_named_and_its_numbers_stand_behind(result):
    example = result["examples"][0]
    low, high = ([v + move for v in example["forecasts"]["GRU 64"]] for move in (-3.0, 900.0))
    plain = read(render(result)).figures["forecast-1"]
    example["interval"] = {"of": "GRU 64", "level": 0.9, "low": low, "high": high}
    page = read(render(result))
    figure = page.figures["forecast-1"]
    assert "Band: the 90 % interval of GRU 64." in " ".join(page.text.replace("\u00a0", " ").split())
    assert figure.head[-2:] == ["GRU 64 from", "GRU 64 to"]
    assert figure.rows[-1][-2:] == [cell for cell in figure.rows[-1][-2:] if cell]
    assert len(figure.drawings[0]) > len(plain.drawings[0])
    assert "Band: the" not in read(render(fake_result())).text


def test_without_intervals_nothing_is_said_of_them():
    made = fake_result()
    assert "coverage" not in render_terminal(made, width=120)
    assert "intervals of" not in read(render(made)).text


def test_notes_of_an_evaluation_are_printed():
    note = "90 % intervals held 9 %"
    scores = {"windows": 5, "network": {"MASE": 1.0, "coverage": 0.9}, "baselines": {}, "notes": [note]}
    assert render_scores(scores).splitlines()[-1] == note
