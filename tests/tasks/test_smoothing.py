"""Label smoothing: the definition by hand, in training alone."""

import math

import numpy as np
import pytest
import torch

from tasks.classifying import reviews, text_task
from tasks.tagging import tag_task
from unroll.errors import ConfigError
from unroll.tasks import ClassifyOptions, NetworkOptions, TagOptions

NETWORK = NetworkOptions("gru", 4)
TAGGERS = {"softmax": {}, "morphemes": {"joined": True}}


def smoothed(logits, truth, share, weight=None):
    """Σ -q log p with q = (1 - share) of the truth and share/C of every class, each class weighing what it does."""
    log_p = np.log(np.exp(logits) / np.exp(logits).sum(-1, keepdims=True))
    weight = np.ones(logits.shape[-1]) if weight is None else weight
    q = np.full(logits.shape, share / logits.shape[-1])
    q[np.arange(len(truth)), truth] += 1 - share
    return -(q * weight * log_p).sum()


@pytest.mark.parametrize("weights", ["none", "balanced"])
@pytest.mark.parametrize("share", [0.0, 0.1, 0.7])
def test_of_classes(share, weights):
    frame = reviews(150, classes=("a", "b", "c"))
    task = text_task(frame, class_weight=weights, label_smoothing=share)
    problem, network = task.problem(), task.network(NETWORK, 0).double().eval()
    problem._weight = problem._weight.double()
    examples = task.part("train")[:40]
    with torch.no_grad():
        total, weight = problem.loss(network, torch.arange(40))
    x, lengths = task.ragged.batch(examples)
    w = problem._weight.numpy()
    expected = smoothed(network(x, lengths).detach().numpy(), task.truth[examples], share, w)
    assert float(total) == pytest.approx(expected, rel=1e-10)
    assert float(weight) == pytest.approx(w[task.truth[examples]].sum())
    assert float(total / weight) == pytest.approx(
        float(
            torch.nn.CrossEntropyLoss(problem._weight, label_smoothing=share)(
                network(x, lengths), torch.from_numpy(task.truth[examples])
            )
        )
    )


@pytest.mark.parametrize("share", [0.0, 0.2])
def test_of_tags(share):
    task = tag_task(label_smoothing=share)
    network = task.network(NETWORK, 0).double().eval()
    total, words = task.problem().loss(network, torch.arange(9))
    expected = 0.0
    for k in task.part("train")[:9]:
        batch = task.encoded.batch(np.array([k]))
        logits = network.head.scores(network.reader(batch))[0].detach().numpy()
        begin = task.encoded.types.offsets[k]
        expected += smoothed(logits, task.numbers[begin : begin + len(logits), 0], share)
    assert float(total) == pytest.approx(expected, rel=1e-9)
    assert int(words) == sum(len(task.sentences.words[k]) for k in task.part("train")[:9])


def test_of_morphemes_at_every_place():
    """A network that gives every tag the same probability has the loss of its places, whatever the smoothing."""
    losses = []
    for share in (0.0, 0.3):
        task = tag_task(joined=True, label_smoothing=share)
        network = task.network(NETWORK, 0).double().eval()
        for p in network.head.parameters():
            torch.nn.init.zeros_(p)
        losses.append(float(task.problem().loss(network, torch.arange(9))[0]))
        with torch.no_grad():
            network.head.scores.bias[0] = 2.0  # the end is likelier than the rest: now the two differ
        losses.append(float(task.problem().loss(network, torch.arange(9))[0]))
    numbers = np.concatenate(
        [
            task.numbers[task.encoded.types.offsets[k] : task.encoded.types.offsets[k + 1]]
            for k in task.part("train")[:9]
        ]
    )
    written = np.minimum((numbers != 0).sum(-1) + 1, numbers.shape[1])
    assert losses[0] == pytest.approx(written.sum() * math.log(task.tags.count), rel=1e-6)
    assert losses[2] == pytest.approx(losses[0], rel=1e-6)
    logits = np.zeros((written.sum(), task.tags.count))
    logits[:, 0] = 2.0
    places = np.concatenate([row[:n] for row, n in zip(numbers, written)])
    assert losses[3] == pytest.approx(smoothed(logits, places, 0.3), rel=1e-6)
    assert losses[3] != pytest.approx(losses[1], rel=1e-3)


@pytest.mark.parametrize("make", [text_task, tag_task, lambda **o: tag_task(joined=True, **o)])
def test_validation_is_not_smoothed(make):
    losses, trained = [], []
    for share in (0.0, 0.3):
        task = make(label_smoothing=share)
        network = task.network(NETWORK, 0).eval()
        with torch.no_grad():
            losses.append(task.problem().validation_loss(network))
            trained.append(float(task.problem().loss(network, torch.arange(20))[0]))
    assert losses[0] == losses[1]
    assert trained[0] != trained[1]


@pytest.mark.parametrize("options", [ClassifyOptions, TagOptions])
@pytest.mark.parametrize("share", [1.0, -0.1, math.nan, "much"])
def test_a_wrong_share_is_named(options, share):
    with pytest.raises(ConfigError, match=r"--label-smoothing"):
        options(label_smoothing=share).check()


def test_a_crf_is_refused():
    with pytest.raises(ConfigError, match=r"--label-smoothing 0\.1 with --decoder crf"):
        TagOptions(label_smoothing=0.1, decoder="crf").check()
    task = tag_task(decoder="crf")
    network, batch = task.network(NETWORK, 0), task.encoded.batch(np.array([0]))
    with pytest.raises(ValueError, match="CRF"):
        network.loss(batch, torch.zeros(*batch.words.shape, 1, dtype=torch.long), 0.1)
