"""Classifying on the command line: train, predict, evaluate, compare, and what a person may get wrong."""

from __future__ import annotations

import csv
import io
import json
import random

import pytest

from unroll.tasks import TASKS

from .harness import apart, unroll
from .runs import trained_in

TINY = ["--epochs", "2", "--hidden", "8", "--embedding", "8", "--lr", ".02"]
ASKED = ["--task", "classify", "--text", "document", "--label", "label"]
GOOD, BAD = ("good", "lovely", "좋다"), ("bad", "dull", "나쁘다")
REST = ("the", "film", "was", "a", "story", "영화")


def reviews(rows: int, seed: int = 0, *, label: bool = True) -> str:
    """A TSV as a spreadsheet writes it, Korean and English, some documents in quotes."""
    rng = random.Random(seed)
    text = io.StringIO()
    writer = csv.writer(text, delimiter="\t", lineterminator="\r\n")
    writer.writerow(["id", "document", *(["label"] if label else [])])
    for k in range(rows):
        good = rng.random() < 0.5
        words = [*rng.choices(REST, k=rng.randint(1, 9)), rng.choice(GOOD if good else BAD)]
        rng.shuffle(words)
        document = " ".join(words) + ('\t"so"\nit said' if k % 17 == 0 else "")
        writer.writerow([k, document, *(["pos" if good else "neg"] if label else [])])
    return text.getvalue()


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A folder with reviews.tsv and a finished training of it, runs/a, and what it printed."""
    folder = tmp_path_factory.mktemp("reviews")
    (folder / "reviews.tsv").write_text(reviews(300), encoding="utf-8", newline="")
    (folder / "new.tsv").write_text(reviews(25, 1, label=False), encoding="utf-8", newline="")
    (folder / "newer.tsv").write_text(reviews(60, 2), encoding="utf-8", newline="")
    return trained_in(folder, "reviews.tsv", *ASKED, *TINY, "--cell", "gru")


def test_training_prints_its_choices_then_its_table(home):
    _, outcome = home
    told = " ".join(outcome.err.split())
    assert "a token is a word (found in the training documents)" in told
    assert "is padding, which no layer reads" in told
    assert "memory about" in told
    lines = outcome.out.splitlines()
    assert lines[0].startswith("reviews.tsv · classify documents by label, 2 classes · 300 documents:")
    for name in ("GRU 8", "majority", "TF-IDF"):
        assert any(line.strip().startswith(name) for line in lines), name
    assert lines[-1].startswith("report  runs/a/report.html")


def test_json_is_the_result_and_nothing_else(here):
    outcome = unroll("train", "reviews.tsv", *ASKED, *TINY, "--cell", "gru", "--out", "runs/a", "--json")
    assert (outcome.code, outcome.err) == (0, "")
    result = json.loads(outcome.out)
    assert result == json.loads((here / "runs/a/result.json").read_text(encoding="utf-8"))
    assert result["task"]["better"] == "higher"
    assert result["candidates"][0]["scores"]["accuracy"]["mean"] > 0.8
    assert {b["name"] for b in result["baselines"]} == {"majority", "TF-IDF + logistic regression"}


def test_the_report_says_what_was_taken_for_what(here):
    page = (here / "runs/a/report.html").read_text(encoding="utf-8")
    assert "What was taken for what" in page
    assert "precision" in page
    assert "higher is better" in page
    assert "lower is better" not in page
    assert "window" not in page.partition('<script type="application/json"')[0].partition("</style>")[2].replace(
        "window.", ""
    )


def test_predict_gives_a_class_for_every_document_in_order(here):
    outcome = unroll("predict", "runs/a", "new.tsv")
    assert (outcome.code, outcome.err) == (0, "")
    rows = list(csv.DictReader(io.StringIO(outcome.out)))
    assert len(rows) == 25
    truth = [row["label"] for row in csv.DictReader(io.StringIO(reviews(25, 1)), delimiter="\t")]
    assert sum(row["class"] == label for row, label in zip(rows, truth, strict=True)) > 18
    assert json.loads(unroll("predict", "runs/a", "new.tsv", "--json").out)[3]["class"] == rows[3]["class"]


def test_evaluate_scores_the_test_part_or_new_data(here):
    result = json.loads((here / "runs/a/result.json").read_text(encoding="utf-8"))
    own = json.loads(unroll("evaluate", "runs/a", "--json").out)
    seed = result["candidates"][0]["seeds"][0]
    assert own["network"] == pytest.approx(seed["scores"], rel=1e-6)
    new = unroll("evaluate", "runs/a", "newer.tsv")
    assert new.code == 0
    assert new.out.startswith("60 examples\n\n")
    for metric in ("accuracy", "macro F1", "NLL", "Brier", "ECE"):
        assert metric in new.out


def test_a_config_repeats_the_run(here):
    outcome = unroll("train", "--config", "runs/a", "--out", "runs/again")
    assert outcome.code == 0
    first, second = ((here / "runs" / name / "model.safetensors").read_bytes() for name in ("a", "again"))
    assert first == second
    wider = unroll("train", "--config", "runs/a", "--pooling", "mean", "--out", "runs/mean")
    assert wider.code == 0
    assert "pooling: mean" in (here / "runs/mean/config.yaml").read_text(encoding="utf-8")


def test_compare_recommends_and_loads(here):
    """In processes of its own, as a person starts it."""
    command = ["compare", "reviews.tsv", *ASKED, *TINY[:-2], "--lr", ".02", "--cell", "gru", "--cell", "rnn"]
    done = apart(*command, "--seeds", "2", "--epochs", "1", "--out", "runs/both", cwd=here)
    assert done.returncode == 0, done.stderr
    assert "GRU 8" in done.stdout
    assert "RNN 8" in done.stdout
    result = json.loads((here / "runs/both/result.json").read_text(encoding="utf-8"))
    scores = {c["name"]: c["scores"]["accuracy"] for c in result["candidates"] + result["baselines"]}
    assert all(0 <= s["mean"] <= (s["high"] or 1) <= 1 for s in scores.values())
    assert json.loads(unroll("evaluate", "runs/both", "--json").out)["examples"] == result["data"]["split"]["test"]
    again = unroll(*command, "--seeds", "2", "--epochs", "1", "--out", "runs/both", "--json")
    assert json.loads(again.out) == result


@pytest.mark.parametrize("name", TASKS)
@pytest.mark.parametrize("command", ["train", "compare"])
def test_help_lists_the_options_of_each_task_and_no_others(monkeypatch, name, command):
    monkeypatch.setenv("COLUMNS", "100")
    told = unroll(command, "--task", name, "--help").out
    assert "--task NAME" in told
    for other, kind in TASKS.items():
        own = {"--" + {"features": "feature", "targets": "target"}.get(n, n).replace("_", "-") for n in kind.names()}
        if other == name:
            assert [option for option in own if f"  {option}" not in told] == []
        else:
            shared = {f"--{n.replace('_', '-')}" for n in TASKS[name].names()} | own & _shared(TASKS[name])
            assert [option for option in own - shared if f"\n  {option} " in told] == []
    assert max(map(len, told.splitlines())) <= 100


def _shared(kind):
    return {"--" + {"features": "feature", "targets": "target"}.get(n, n).replace("_", "-") for n in kind.names()}


@pytest.mark.parametrize("name", TASKS)
def test_the_help_of_task_names_every_task(name):
    assert name in unroll("train", "--help").out.partition("--task NAME")[2].partition("--")[0]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--task", "clasify"], "unknown task 'clasify'. Did you mean 'classify'?"),
        (["--task", "classify", "--horizon", "3"], "no such option --horizon"),
        (["--task", "classify", "--text", "document"], "no --label given"),
        (["--task", "classify"], "neither --text nor --sequence given"),
        ([*ASKED, "--poling", "max"], "Did you mean --pooling?"),
        ([*ASKED, "--pooling", "sum"], "--pooling 'sum'"),
        ([*ASKED, "--longest", "many"], "--longest many expected a whole number"),
        ([*ASKED[:4], "--label", "labl"], "no column 'labl'. Did you mean 'label'?"),
        (["--text", "document"], "no such option --text"),
    ],
)
def test_what_a_person_gets_wrong_is_named(here, arguments, words):
    outcome = unroll("train", "reviews.tsv", *arguments, "--out", "runs/none")
    assert outcome.code == 2, outcome.err
    assert words in outcome.message
    assert not (here / "runs/none").exists()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"document\tlabel\ngood\xff\tpos\n", "byte 0xff in row 2"),
        (b'document\tlabel\n"good\tpos\nbad\tneg\n', "--no-quotes"),
        (b"document\tlabel\ngood\tpos\nbad\n", "1 cell in row 3"),
        (b"document\tlabel\ngood\t\nbad\tneg\n", "row 2 of bad.tsv has no label"),
        (b"document\tlabel\ngood\tpos\nbad\tpos\nodd\tpos\nsad\tpos\n", "one class"),
    ],
)
def test_bad_files_are_named_by_row(here, content, words):
    (here / "bad.tsv").write_bytes(content)
    outcome = unroll("train", "bad.tsv", *ASKED, *TINY, "--out", "runs/none")
    assert outcome.code == 2
    assert words in outcome.message
    assert not (here / "runs/none").exists()


def test_a_ts_file_needs_no_columns(here):
    rows = [f"{','.join(str((k % 2) * t + k % 5) for t in range(6))}:{'ab'[k % 2]}" for k in range(60)]
    (here / "x.ts").write_text("@classLabel true a b\n@data\n" + "\n".join(rows) + "\n")
    outcome = unroll("train", "x.ts", "--task", "classify", "--epochs", "2", "--hidden", "4", "--out", "runs/ts")
    assert outcome.code == 0, outcome.err
    assert "1-NN DTW" in outcome.out
    assert len(unroll("predict", "runs/ts", "x.ts").out.splitlines()) == 61


def test_a_metric_that_one_baseline_lacks_still_decides(here):
    """1-NN gives no probabilities, so it has no likelihood; the others do."""
    rows = [f"{','.join(str((k % 2) * t + k % 5) for t in range(6))}:{'ab'[k % 2]}" for k in range(60)]
    (here / "y.ts").write_text("@classLabel true a b\n@data\n" + "\n".join(rows) + "\n")
    command = ["train", "y.ts", "--task", "classify", "--metric", "NLL", "--epochs", "1", "--hidden", "4"]
    outcome = unroll(*command, "--out", "runs/nll", "--json")
    result = json.loads(outcome.out)
    assert (result["task"]["metric"], result["task"]["better"]) == ("NLL", "lower")
    scores = {b["name"]: b["scores"]["NLL"]["mean"] for b in result["baselines"]}
    assert scores["1-NN DTW"] is None
    assert result["answer"]["recommended"] != "1-NN DTW"
    assert unroll(*command, "--out", "runs/nll").code == 0


def test_reading_may_differ_when_a_run_is_used(here):
    (here / "other.tsv").write_text('text\n"good film\n', encoding="utf-8")
    outcome = unroll("predict", "runs/a", "other.tsv", "--text", "text", "--no-quotes")
    assert outcome.code == 0, outcome.err
    assert outcome.out.splitlines()[1].startswith("pos,")
    assert unroll("predict", "runs/a", "other.tsv", "--sort").code == 2


def test_a_run_of_another_task_in_the_folder_does_not_decide_what_is_trained(here):
    """Only the commands that read a run take its task."""
    (here / "sales.csv").write_text("units\n" + "\n".join(str(k % 7) for k in range(80)) + "\n")
    outcome = unroll("train", "sales.csv", "--target", "units", "--horizon", "2", "--out", "runs/a")
    assert outcome.code == 2
    assert "runs/a holds another run" in outcome.message
