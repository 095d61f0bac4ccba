"""Results at the edge: hostile names, a crowd, one candidate, nothing but failures, far too much."""

from __future__ import annotations

import copy
import re
from typing import Any

import pytest

from unroll.report import render

from . import fake
from .reader import Page, read
from .test_page import embedded

HOSTILE = "</script><script>alert(1)</script> \"&' \u202eright\u2066 to left 🦜 \x1b[31m\x00"


def plain(page: Page) -> str:
    return page.text.replace("\u00a0", " ")


def test_hostile_words_stay_words() -> None:
    result = fake.renamed(fake.fake_result(), "GRU 64", HOSTILE)
    result = fake.renamed(result, "co2", "<img src=x onerror=alert(1)>")
    result["repeat"]["command"] = "unroll compare '</code><b>'"
    result["answer"]["sentences"].append(f"Try {HOSTILE}")
    html = render(result)
    page = read(html)
    assert embedded(html) == result
    assert html.count("<script") == 1
    assert "<img" not in html
    assert "<b>" not in html
    for raw in "\u202e\u2066\x1b\x00":
        assert raw not in html
    assert "[U+202E]" in html
    assert "🦜" in html
    assert len(page.figures) == 7


def test_ten_candidates_with_ten_seeds() -> None:
    result = fake.crowded_result()
    html = render(result)
    page = read(html)
    assert len(html.encode()) < 2_000_000
    assert len(page.figures["cost-figure"].rows) == 11 + 2
    assert "seeds 0 to 9" in page.figures["scores-figure"].caption
    assert embedded(html) == result
    labels = re.findall(r"<text[^>]*>([^<]*)</text>", page.figures["scores-figure"].drawings[0])
    assert max(map(len, labels)) < 45


def test_one_candidate_alone() -> None:
    page = read(render(fake.alone_result()))
    text = plain(page)
    assert "Use RNN 64." in text
    assert "there is no baseline to hold it against" in text
    assert "No baseline was scored" in text
    assert "No interval could be computed" in text
    assert "no example forecast" in text
    assert "No candidate has a gate that keeps" in text
    assert "95 % interval" in text  # it is still defined
    assert list(page.figures) == ["scores-figure", "learning-figure", "gradient-figure", "cost-figure"]


def test_nothing_but_failures() -> None:
    page = read(render(fake.failed_result()))
    text = plain(page)
    assert "No candidate finished." in text
    assert "9 trials failed and count in no score." in text
    assert "GRU 64, seeds 0, 1 and 2: the loss became NaN in epoch 2" in text
    assert "No training run finished an epoch." in text
    assert "No gradient was measured" in text
    assert page.figures["scores-figure"].title == "No candidate has a score; the best baseline is ridge AR(104)"


@pytest.mark.parametrize("parts", [("baselines", "candidates", "examples")])
def test_an_empty_result(parts: tuple[str, ...]) -> None:
    result = fake.failed_result()
    for part in parts:
        result[part] = []
    page = read(render(result))
    assert not page.figures
    assert "Nothing was scored." in page.text


def test_holes_in_the_numbers() -> None:
    result: dict[str, Any] = copy.deepcopy(fake.fake_result(seeds=2))
    gru, lstm, rnn = result["candidates"]
    gru["scores"]["MASE"] = {"mean": 0.6, "low": None, "high": None}
    lstm["scores"] = None
    lstm["keep"] = None
    rnn["gradient"] = None
    rnn["curves"][0]["valid_loss"][3] = None
    rnn["curves"][1]["valid_loss"] = [None] * len(rnn["curves"][1]["epoch"])
    gru["gradient"].update(q25=None, q75=None, at_start=None)
    result["task"]["season"] = None
    example = result["examples"][0]
    example["times"] = [str(i) for i in range(len(example["times"]))]
    example["truth"][2] = None
    del example["forecasts"]["ridge AR(104)"]
    page = read(render(result))
    assert "no score" in page.text
    assert len(page.figures) == 7
    assert "steps from the last input" in page.figures["forecast-1"].drawings[0]


def test_one_step_ahead_is_drawn_as_marks() -> None:
    result = fake.fake_result(seeds=1)
    result["task"]["horizon"] = 1
    example = result["examples"][0]
    example["times"], example["truth"] = example["times"][:1], example["truth"][:1]
    example["forecasts"] = {k: v[:1] for k, v in example["forecasts"].items()}
    result["examples"] = [example]
    drawing = read(render(result)).figures["forecast-1"].drawings[0]
    assert drawing.count('stroke="#009E73"') > 1


def test_a_result_too_long_for_a_page_is_cut_and_says_so() -> None:
    result = fake.fake_result(seeds=2)
    result["candidates"] = [
        {**result["candidates"][0], "name": f"GRU {i}", "gradient": None, "keep": None} for i in range(8)
    ]
    for entry in result["candidates"]:
        entry["curves"] = [
            {
                "seed": s,
                "epoch": list(range(1, 4001)),
                "train_loss": [1 / e + 1e-13 for e in range(1, 4001)],
                "valid_loss": [1 / e + s + 1e-13 for e in range(1, 4001)],
            }
            for s in range(2)
        ]
    html = render(result)
    assert len(html.encode()) < 2_000_000
    data = embedded(html)
    assert "result.json" in data["left_out"]
    assert data["repeat"] == result["repeat"]
