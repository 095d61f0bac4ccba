"""Tagging on the command line: train, predict, evaluate, compare, and what a person may get wrong."""

from __future__ import annotations

import csv
import io
import json

import pytest

from tasks.tagging import conllu, sentences

from .harness import unroll
from .runs import trained_in

TINY = ["--epochs", "2", "--hidden", "8", "--lr", ".02", "--embedding", "6", "--letter-size", "6"]


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A folder with a treebank and a finished training of it, runs/a, and what it printed."""
    folder = tmp_path_factory.mktemp("treebank")
    (folder / "train.conllu").write_text(conllu(sentences(150, joined=True)), encoding="utf-8")
    (folder / "test.conllu").write_text(conllu(sentences(30, 1, joined=True)), encoding="utf-8")
    return trained_in(folder, "train.conllu", "--task", "tag", "--field", "xpos", "--test", "test.conllu", *TINY)


def test_training_prints_its_choices_then_its_table(home):
    _, outcome = home
    told = " ".join(outcome.err.split())
    assert "decoder morphemes, found in the training tags" in told
    assert "one to a morpheme and up to 3 to a word" in told
    assert "memory about" in told
    assert outcome.out.startswith("train.conllu · tag words by xpos, morpheme by morpheme · 180 sentences:")
    assert "most frequent tag" in outcome.out


def test_predict_gives_a_row_for_every_word(here):
    outcome = unroll("predict", "runs/a", "test.conllu")
    assert (outcome.code, outcome.err) == (0, "")
    rows = list(csv.DictReader(io.StringIO(outcome.out)))
    made = sentences(30, 1, joined=True)
    assert [row["word"] for row in rows] == [word for own in made for word, _ in own]
    right = sum(row["tag"] == tag for row, tag in zip(rows, (t for own in made for _, t in own), strict=True))
    result = json.loads((here / "runs/a/result.json").read_text(encoding="utf-8"))
    assert right / len(rows) == pytest.approx(result["candidates"][0]["scores"]["accuracy"]["mean"])


def test_evaluate_scores_the_test_part(here):
    own, given = (
        json.loads(unroll("evaluate", *words, "--json").out) for words in (["runs/a"], ["runs/a", "test.conllu"])
    )
    assert own == given
    told = unroll("evaluate", "runs/a").out
    assert told.startswith("30 sentences\n\n")
    assert "OOV accuracy" in told


def test_the_report_says_what_was_taken_for_what(here):
    page = (here / "runs/a/report.html").read_text(encoding="utf-8")
    assert "What was taken for what" in page
    assert "on words new to it" in page


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("1\ta\t_\tX\n", "4 columns in line 1"),
        ("1\ta\t_\tX\tX\t_\t0\t_\t_\t_\n3\tb\t_\tX\tX\t_\t0\t_\t_\t_\n", "the word id '3' in line 2"),
        ("# nothing\n", "no sentence"),
    ],
)
def test_a_malformed_treebank_is_named_by_its_line(here, content, words):
    (here / "bad.conllu").write_text(content)
    outcome = unroll("train", "bad.conllu", "--task", "tag", "--out", "runs/none")
    assert outcome.code == 2
    assert words in outcome.message
    assert not (here / "runs/none").exists()


def test_columns_with_entities_are_scored_by_span(here):
    made = sentences(120, spans=True)
    (here / "ner.txt").write_text("\n\n".join("\n".join(f"{w} x {t}" for w, t in own) for own in made))
    command = ["train", "ner.txt", "--task", "tag", "--decoder", "crf", "--metric", "span F1", *TINY]
    outcome = unroll(*command, "--out", "runs/ner", "--json")
    assert outcome.code == 0, outcome.err
    result = json.loads(outcome.out)
    assert result["task"]["metric"] == "span F1"
    assert 0 < result["candidates"][0]["scores"]["span F1"]["mean"] <= 1
