"""``Classifier``: fit, predict, evaluate, save, load; the same from Python, from a folder and after a kill."""

import json

import numpy as np
import polars as pl
import pytest
import torch

from tasks.classifying import reviews, waves
from unroll import Classifier, Forecaster
from unroll.errors import ConfigError, DataError, RunError
from unroll.tasks import load_run

NEWER = ["good film", "the dull story", "", "쿵쾅 qqq"]


def small(**options):
    return Classifier(**{"hidden": 8, "epochs": 3, "lr": 2e-2, "embedding": 8} | options)


@pytest.fixture(scope="module", params=[1, 3], ids=["tokens", "runs of 3"])
def fitted(request):
    return small(ngrams=request.param).fit(reviews(300), text="document", label="label")


def test_it_says_a_class_and_a_probability_of_each(fitted):
    found = fitted.predict(pl.DataFrame({"document": NEWER}))
    assert found.columns == ["class", "probability", "p(n)", "p(p)", "tokens", "read", "known"]
    assert found["class"][:2].to_list() == ["p", "n"]
    np.testing.assert_allclose(found["p(n)"] + found["p(p)"], 1)
    assert found["tokens"].to_list() == [2, 3, 0, 2]
    assert found["known"].to_list() == [1, 1, None, 0]
    assert found["probability"].is_finite().all()


def test_the_vectors_of_the_runs_that_end_at_a_step_are_added():
    made = small(ngrams=3, epochs=1).fit(reviews(60), text="document", label="label")
    numbers = made.task.ragged.batch(np.arange(5)).x
    table = made.network.embedding.weight
    assert numbers.shape[2] == 3
    assert len(table) == made.task.input.grams.count
    torch.testing.assert_close(made.network.embedded(numbers), sum(table[numbers[..., k]] for k in range(3)))


def test_predictions_do_not_depend_on_what_stands_beside(fitted):
    together = fitted.predict(pl.DataFrame({"document": NEWER}))
    alone = pl.concat([fitted.predict(pl.DataFrame({"document": [text]})) for text in NEWER])
    assert together["class"].equals(alone["class"])
    np.testing.assert_allclose(together["probability"], alone["probability"], rtol=1e-5)


def test_its_own_test_part_scores_as_the_task_does(fitted):
    found = fitted.evaluate()
    assert found["network"] == fitted.task.errors(fitted.network).scores()
    assert found["examples"] == len(fitted.task.parts.indices["test"])
    majority = next(b for b in fitted.task.baselines()[0] if b.name == "majority")
    assert found["baselines"]["majority"] == pytest.approx(fitted.task.errors(majority).scores())


def test_labels_training_has_not_count_as_missed(fitted):
    frame = pl.DataFrame({"document": ["good film", "bad film"], "label": ["p", "new"]})
    found = fitted.evaluate(frame)
    assert found["network"]["accuracy"] == 0.5
    assert found["notes"] == ["1 examples of classes that training has not: new"]


def test_a_saved_one_comes_back(fitted, tmp_path):
    fitted.save(tmp_path / "run")
    for again in (Classifier.load(tmp_path / "run"), load_run(tmp_path / "run")):
        assert isinstance(again, Classifier)
        frame = pl.DataFrame({"document": NEWER})
        assert again.predict(frame).equals(fitted.predict(frame))
        with pytest.raises(DataError, match="not at hand"):
            again.evaluate()
    with pytest.raises(RunError, match="a run of the task classify"):
        Forecaster.load(tmp_path / "run")


@pytest.mark.parametrize("pooling", ["last", "attention"])
def test_arrays_are_classified_too(tmp_path, pooling):
    sequences, labels = waves(90)
    made = small(pooling=pooling, bidirectional=True).fit((sequences, labels), out=tmp_path / "run")
    again = Classifier.load(tmp_path / "run")
    for estimator in (made, again):
        found = estimator.predict(sequences)
        assert (found["class"] == pl.Series(labels)).mean() > 0.8
        assert estimator.evaluate((sequences, labels))["examples"] == 90
    with pytest.raises(DataError, match="has 3 channels"):
        again.predict([np.zeros((4, 3))])


def test_a_killed_training_goes_on_to_the_same_numbers(tmp_path):
    """To the bit: buckets and their order are a function of the epoch."""
    data, how = reviews(200), {"text": "document", "label": "label"}

    def killer(record):
        if record["epoch"] == 2:
            raise KeyboardInterrupt

    whole = small(dropout=0.2).fit(data, **how, out=tmp_path / "whole")
    stopped = small(dropout=0.2)
    stopped.data_options = whole.data_options
    with pytest.raises(KeyboardInterrupt):
        stopped.fit_prepared(whole.task, data, tmp_path / "killed", progress=killer)
    small(dropout=0.2).fit(data, **how, out=tmp_path / "killed")
    a, b = ((tmp_path / name / "model.safetensors").read_bytes() for name in ("whole", "killed"))
    assert a == b


def test_a_run_on_a_file_finds_its_test_part_again(tmp_path):
    reviews(150).write_csv(tmp_path / "a.csv")
    made = small().fit(tmp_path / "a.csv", text="document", label="label", out=tmp_path / "run")
    assert Classifier.load(tmp_path / "run").evaluate() == made.evaluate()
    reviews(151).write_csv(tmp_path / "a.csv")
    with pytest.raises(DataError, match="has changed since the training"):
        Classifier.load(tmp_path / "run").evaluate()


@pytest.mark.parametrize("part", ["input", "classes"])
def test_a_damaged_record_is_named(fitted, tmp_path, part):
    folder = fitted.save(tmp_path / "run")
    record = json.loads((folder / "data.json").read_text())
    del record[part]
    (folder / "data.json").write_text(json.dumps(record))
    with pytest.raises(RunError, match=f"data.json has no '{part}'"):
        Classifier.load(folder)


def test_options_are_checked_by_name():
    with pytest.raises(ConfigError, match="Did you mean 'pooling'"):
        Classifier(poling="max")
    with pytest.raises(ConfigError, match="Did you mean 'no_quotes'"):
        small().fit(reviews(), text="document", label="label", no_quote=True)
    with pytest.raises(RunError, match="this classifier is not trained"):
        small().predict(reviews())
