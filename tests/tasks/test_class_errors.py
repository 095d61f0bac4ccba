"""Scores of classifications against scikit-learn and torchmetrics, and from any blocks."""

import numpy as np
import pytest
import torch
from sklearn.metrics import accuracy_score, confusion_matrix, f1_score, log_loss
from torchmetrics.functional.classification import multiclass_calibration_error

from unroll.tasks.classify.errors import BINS, METRICS, ClassErrors, class_errors


def made(n, classes, seed=0, sharp=3.0):
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, classes, size=n)
    scores = sharp * (rng.normal(size=(n, classes)) + np.eye(classes)[truth])
    p = np.exp(scores)
    return truth, p / p.sum(axis=1, keepdims=True)


@pytest.mark.parametrize(("n", "classes"), [(1, 2), (7, 2), (200, 3), (500, 18)])
@pytest.mark.parametrize("seed", range(3))
def test_scores_are_those_of_scikit_learn_and_torchmetrics(n, classes, seed):
    truth, p = made(n, classes, seed)
    found = class_errors(truth, p).scores()
    taken = p.argmax(axis=1)
    assert found["accuracy"] == pytest.approx(accuracy_score(truth, taken), abs=1e-12)
    assert found["macro F1"] == pytest.approx(f1_score(truth, taken, average="macro"), abs=1e-12)
    assert found["NLL"] == pytest.approx(log_loss(truth, p, labels=range(classes)), rel=1e-9)
    assert found["Brier"] == pytest.approx(((p - np.eye(classes)[truth]) ** 2).sum(axis=1).mean(), rel=1e-9)
    ece = multiclass_calibration_error(torch.tensor(p), torch.tensor(truth), classes, n_bins=BINS, norm="l1")
    assert found["ECE"] == pytest.approx(float(ece), abs=1e-6)


def test_a_class_nobody_can_know_counts_as_a_miss():
    """As scikit-learn counts a label that was never predicted."""
    truth = np.array([0, 1, 2, 2])
    p = np.array([[0.9, 0.1], [0.2, 0.8], [0.6, 0.4], [0.3, 0.7]])
    found = class_errors(truth, p)
    assert found.scores()["accuracy"] == 0.5
    assert found.scores()["macro F1"] == pytest.approx(f1_score(truth, p.argmax(1), average="macro"))
    assert np.array_equal(found.confusion(), confusion_matrix(truth, p.argmax(1)))


def test_hard_predictions_have_no_likelihood():
    truth, p = made(20, 3)
    found = class_errors(truth, np.eye(3)[p.argmax(1)], hard=True).scores()
    assert found["NLL"] is None
    assert all(found[m] is not None for m in METRICS if m != "NLL")


def test_certainty_of_the_wrong_class_is_finite():
    found = class_errors(np.array([0]), np.array([[0.0, 1.0]])).scores()
    assert found["Brier"] == 2.0
    assert found["NLL"] == pytest.approx(-np.log(1e-12))


@pytest.mark.parametrize("blocks", [1, 7, 60])
def test_scores_of_blocks_add_up_to_scores_of_their_examples(blocks):
    """Any multiset of blocks scores as the examples in it, repeated, do."""
    truth, p = made(300, 4)
    errors = class_errors(truth, p)
    rng = np.random.default_rng(1)
    block = rng.permutation(np.arange(300) % blocks)
    counts = rng.integers(0, 3, size=(5, blocks))
    counts[:, 0] = 1
    sums = errors.block_sums(block, blocks)
    found = errors.score_arrays({name: counts @ column for name, column in sums.items()})
    for row, times in enumerate(counts):
        drawn = np.repeat(np.arange(300), times[block])
        alone = class_errors(truth[drawn], p[drawn])
        expected = ClassErrors(**{**vars(alone), "classes": 4}).scores()
        assert {m: found[m][row] for m in METRICS} == pytest.approx(expected, rel=1e-9)


def test_errors_come_back_from_their_arrays():
    errors = class_errors(*made(50, 3))
    again = ClassErrors.from_arrays(errors.arrays())
    assert again.scores() == errors.scores()
    assert np.array_equal(again.origins, errors.origins)
    assert sorted(errors.origins) == list(range(50))
