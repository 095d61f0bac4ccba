"""What a classifier reads of numbers: their scale, the order of their steps, and the linear model of all of them."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from data.test_idx import write
from tasks.classifying import wave_task, waves
from unroll import Classifier
from unroll.errors import ConfigError, DataError
from unroll.tasks import ClassifyData, ClassifyOptions, prepare
from unroll.tasks.classify import baselines
from unroll.tasks.classify.baselines import ValueRegression, fitted_baselines
from unroll.tasks.classify.inputs import input_from


def even(rows=60, steps=9, seed=0):
    """Sequences of one length and their labels."""
    rng = np.random.default_rng(seed)
    labels = ["a" if k % 2 else "b" for k in range(rows)]
    return np.stack([rng.normal(name == "a", 2, size=(steps, 2)) for name in labels]), labels


def test_without_a_scale_the_network_reads_the_numbers_themselves():
    X, y = waves()
    task = wave_task((X, y), scale="none")
    for k, own in enumerate(X):
        assert np.array_equal(task.ragged.sequence(k), own.astype(np.float32))
    assert "as they are" in task.input.told()


@pytest.mark.parametrize("scale", ["standard", "none"])
def test_permuted_steps_are_the_same_steps_in_one_other_order(scale):
    X, y = even()
    plain, mixed = (wave_task((X, y), scale=scale, permute=seed) for seed in (None, 3))
    order = np.array(mixed.input.order)
    assert sorted(order) == list(range(9))
    assert (order != np.arange(9)).any()
    for k in range(len(X)):
        assert np.array_equal(mixed.ragged.sequence(k), plain.ragged.sequence(k)[order])
    assert wave_task((X, y), permute=4).input.order != mixed.input.order
    assert mixed.record()["input"]["order"] == order.tolist()
    assert "one fixed random order" in mixed.input.told()


def test_a_record_from_before_there_was_a_choice_is_read():
    made = wave_task().input
    held = {k: v for k, v in made.to_dict().items() if k not in ("scale", "order")}
    assert input_from(held).told() == made.told()


def test_sequences_of_unequal_length_cannot_be_permuted():
    with pytest.raises(
        DataError, match=r"sequence \d+ has \d+ steps\nexpected \d+ in every sequence, as --permute needs"
    ):
        wave_task(permute=0)


@pytest.mark.parametrize(
    ("options", "message"), [({"scale": "standart"}, "Did you mean 'standard'"), ({"permute": -1}, "a seed")]
)
def test_wrong_options_are_named(options, message):
    with pytest.raises(ConfigError, match=message):
        wave_task(**options)


def test_images_are_learned_from_pixels_between_0_and_1(tmp_path):
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, size=200)
    images = rng.integers(0, 60, size=(200, 3, 3)) + 150 * labels[:, None, None]
    path = write(tmp_path, images, labels, packed=True)
    task = prepare(path, ClassifyData(), ClassifyOptions())
    assert np.array_equal(task.ragged.sequence(7)[:, 0], (images[7].reshape(-1) / 255).astype(np.float32))
    made = Classifier("gru", 8, epochs=8, lr=0.05, permute=1).fit(path, out=tmp_path / "run")
    again = Classifier.load(tmp_path / "run")
    assert again.evaluate()["network"]["accuracy"] > 0.9
    (tmp_path / "train-labels-idx1-ubyte.gz").unlink()
    assert again.predict(path)["class"].equals(made.predict(path)["class"])


def test_the_linear_model_of_all_values_is_that_of_its_equation():
    X, y = even(200)
    task = wave_task((X, y))
    train, test = task.parts.indices["train"], task.parts.indices["test"]
    model = ValueRegression(task)
    mean, deviation = X[train].reshape(-1, 2).mean(0), X[train].reshape(-1, 2).std(0)
    flat = ((X - mean) / deviation).reshape(200, -1)
    own = LogisticRegression(C=model.model.C, max_iter=300).fit(flat[train], np.array(y)[train])
    np.testing.assert_allclose(model.probabilities(task, test), own.predict_proba(flat[test]), atol=1e-4)


def test_what_is_left_out_says_why(monkeypatch):
    names = {b.name for b in fitted_baselines(wave_task(even()))[0]}
    assert {"values + logistic regression", "1-NN DTW", "majority"} <= names
    found, absent = fitted_baselines(wave_task())
    assert "values + logistic regression" not in {b.name for b in found}
    assert absent == ["values + logistic regression: the sequences are not of one length"]
    for name in ("VALUES", "DTW_CELLS"):
        monkeypatch.setattr(baselines, name, 10)
    found, absent = fitted_baselines(wave_task(even()))
    assert [b.name for b in found] == ["summary features + logistic regression", "majority"]
    assert absent[0].endswith("it would learn from 8.6e+02 numbers, more than 1e+01")
    assert "1-NN DTW: it would compare" in absent[1]
