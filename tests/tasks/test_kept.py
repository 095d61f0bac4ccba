"""Baselines beside new data: kept in the run folder, else fitted again on the training's data, else missing by name."""

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from tasks.classifying import reviews, waves
from tasks.tagging import sentences, written
from unroll import api
from unroll.errors import RunError
from unroll.tasks import load_run
from unroll.tasks.kept import ARRAYS_FILE, FIELDS_FILE

SMALL = {"hidden": 4, "epochs": 1, "embedding": 4, "lr": 1e-2}


def documents(folder, rows, seed, name):
    path = Path(folder) / name
    reviews(rows, seed).write_csv(path)
    return str(path)


def series(folder, rows, seed, name):
    sequences, labels = waves(rows, seed)
    channels = [[",".join(f"{v:.6f}" for v in channel) for channel in s.T] for s in sequences]
    rows = [":".join([*own, label]) for own, label in zip(channels, labels)]
    path = Path(folder) / name
    path.write_text("@classLabel true fast slow\n@data\n" + "\n".join(rows) + "\n")
    return str(path)


def images(folder, rows, seed, name):
    """Sequences of one length, of which a linear model reads every value."""
    rng = np.random.default_rng(seed)
    labels = ["up" if k % 2 else "down" for k in range(rows)]
    values = [np.arange(8) * (0.3 if label == "up" else -0.3) + rng.normal(size=8) for label in labels]
    path = Path(folder) / name
    lines = [",".join(f"{v:.6f}" for v in own) + f":{label}" for own, label in zip(values, labels)]
    path.write_text("@classLabel true up down\n@data\n" + "\n".join(lines) + "\n")
    return str(path)


def treebank(folder, rows, seed, name):
    return written(folder, sentences(rows, seed), name)


TEXT = {"task": "classify", "text": "document", "label": "label"}
CASES = {
    "words": (documents, "csv", TEXT),
    "characters": (documents, "csv", {**TEXT, "unit": "character", "keep_case": True}),
    "numbers": (series, "ts", {"task": "classify"}),
    "numbers of one length": (images, "ts", {"task": "classify"}),
    "tags": (treebank, "conllu", {"task": "tag", "letter_size": 4}),
}


@pytest.fixture(scope="module", params=CASES)
def run(request, tmp_path_factory):
    """A finished run: its folder, its result, the path of its data and that of new data."""
    make, ending, options = CASES[request.param]
    home = tmp_path_factory.mktemp(request.param)
    source, new = make(home, 90, 0, f"a.{ending}"), make(home, 40, 7, f"new.{ending}")
    options = {k: v for k, v in {**SMALL, **options}.items() if k != "embedding" or request.param[:7] != "numbers"}
    found = api.train(source, out=home / "run", **options)
    return found.folder, found.result, source, new


def test_new_data_is_scored_beside_every_baseline_of_the_run(run):
    folder, result, _, new = run
    scores = load_run(folder).evaluate(new)
    assert list(scores["baselines"]) == [b["name"] for b in result["baselines"]]
    assert scores["notes"] == []
    own = load_run(folder).evaluate()
    for b in result["baselines"]:
        for metric, value in own["baselines"][b["name"]].items():
            mean = b["scores"][metric]["mean"]
            assert value == (mean if mean is None else pytest.approx(mean, rel=1e-9)), (b["name"], metric)


def test_kept_baselines_say_what_the_fitted_ones_say(run, monkeypatch):
    """To the bit: without the files they are fitted again, on the same data."""
    folder, _, _, new = run
    kept = load_run(folder).evaluate(new)
    monkeypatch.setattr("unroll.tasks.beside.kept_in", lambda folder: None)
    again = load_run(folder).evaluate(new)
    assert (again["network"], again["baselines"]) == (kept["network"], kept["baselines"])


def test_without_the_data_of_the_training_it_is_said(run, monkeypatch):
    folder, result, source, new = run
    scores = load_run(folder).evaluate(new)
    content = Path(source).read_bytes()
    monkeypatch.setattr("unroll.tasks.beside.kept_in", lambda folder: None)
    try:
        Path(source).write_bytes(content + content.splitlines()[-1] + b"\n")
        (note,) = load_run(folder).evaluate(new)["notes"]
        assert "the run keeps none, and" in note
        assert "has changed since the training" in note
        Path(source).unlink()
        found = load_run(folder).evaluate(new)
        assert "there is no file" in found["notes"][0]
        assert found["network"] == scores["network"]
        assert list(found["baselines"]) == (["majority"] if result["task"]["name"] == "classify" else [])
        if found["baselines"]:
            assert found["baselines"]["majority"] == pytest.approx(scores["baselines"]["majority"])
            assert "no baselines but majority" in found["notes"][0]
    finally:
        Path(source).write_bytes(content)


def test_what_is_kept_is_plain_and_damage_is_named(run):
    folder, result, _, new = run
    held = json.loads((folder / FIELDS_FILE).read_text(encoding="utf-8"))
    assert [fields["name"] for fields in held] == [b["name"] for b in result["baselines"]]
    whole = (folder / ARRAYS_FILE).read_bytes()
    assert b"pickle" not in whole
    try:
        (folder / ARRAYS_FILE).write_bytes(whole[:20])
        with pytest.raises(RunError, match=ARRAYS_FILE):
            load_run(folder).evaluate(new)
        (folder / ARRAYS_FILE).write_bytes(whole)
        (folder / FIELDS_FILE).write_text(json.dumps([{"name": "magic"}, *held[1:]]))
        with pytest.raises(RunError, match=FIELDS_FILE):
            load_run(folder).evaluate(new)
    finally:
        (folder / ARRAYS_FILE).write_bytes(whole)
        (folder / FIELDS_FILE).write_text(json.dumps(held))


def test_one_neighbour_is_left_out_where_it_would_take_too_long(monkeypatch, tmp_path):
    found = api.train(series(tmp_path, 60, 0, "a.ts"), task="classify", hidden=4, epochs=1, out=tmp_path / "run")
    new = series(tmp_path, 30, 1, "b.ts")
    monkeypatch.setattr("unroll.tasks.classify.baselines.DTW_CELLS", 1000)
    scores = load_run(found.folder).evaluate(new)
    assert "1-NN DTW" not in scores["baselines"]
    assert scores["notes"][0].startswith("no baseline 1-NN DTW: it would compare")


def test_a_run_overwritten_keeps_the_baselines_of_the_new_one(tmp_path):
    source = documents(tmp_path, 90, 0, "a.csv")
    for unit in ("word", "character"):
        api.train(source, out=tmp_path / "run", overwrite=True, **SMALL, **TEXT, unit=unit)
    (tfidf, *_) = json.loads((tmp_path / "run" / FIELDS_FILE).read_text(encoding="utf-8"))
    assert tfidf["words"] is False


def test_what_was_evaluated_is_saved_with_its_baselines(tmp_path):
    """Fitted on a dataframe that no run folder can name; what was not evaluated has the majority, and says why."""
    from unroll import Classifier

    frame = pl.DataFrame({"document": ["good film", "dull"], "label": ["p", "n"]})
    made = Classifier("gru", 4, epochs=1, embedding=4).fit(reviews(), text="document", label="label")
    made.save(tmp_path / "early")
    early = load_run(tmp_path / "early").evaluate(frame)
    assert list(early["baselines"]) == ["majority"]
    assert "is not at hand" in early["notes"][0]
    scores = made.evaluate(frame)
    made.save(tmp_path / "late")
    late = load_run(tmp_path / "late")
    assert late.evaluate(frame)["baselines"] == scores["baselines"]
    late.save(tmp_path / "later")
    assert load_run(tmp_path / "later").evaluate(frame)["baselines"] == scores["baselines"]
    assert set(scores["baselines"]) == {"TF-IDF + logistic regression", "majority"}


def test_arrays_are_scored_beside_every_baseline():
    from unroll import Classifier

    sequences, labels = waves(60)
    made = Classifier("gru", 4, epochs=1).fit((sequences, labels))
    assert set(made.evaluate((sequences, labels))["baselines"]) > {"majority", "1-NN DTW"}
