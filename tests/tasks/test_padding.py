"""Padding never reaches a prediction, a loss or a gradient: every step beyond a length is NaN here."""

import itertools

import numpy as np
import polars as pl
import pytest
import torch

from tasks.classifying import reviews, text_task, wave_task, waves
from tasks.tagging import inflected, sentences, tag_task
from unroll.data import Ragged, RaggedBatch
from unroll.data.examples.tokens import SUBWORD, UNITS
from unroll.models import POOLINGS
from unroll.models.words import Spelling
from unroll.tasks import NetworkOptions
from unroll.tasks.classify.task import ClassifyProblem
from unroll.tasks.tag.options import DECODERS
from unroll.tasks.tag.task import network_tags

NETWORK = NetworkOptions("lstm", 5, 2)
EMPTY = pl.DataFrame({"document": ["", "  ", "좋다", "x" * 300] * 3, "label": ["n", "p"] * 6})


def poisoned(batch: RaggedBatch, poison: float) -> RaggedBatch:
    """``batch`` with ``poison`` in every step that is none."""
    x, lengths = batch.x.clone(), batch.lengths
    x[torch.arange(x.shape[1]) >= lengths.unsqueeze(1)] = poison
    return RaggedBatch(x, lengths)


def with_poison(embedding: torch.nn.Embedding) -> torch.nn.Embedding:
    """One more number, whose vector is NaN."""
    weight = torch.cat([embedding.weight.detach(), torch.full((1, embedding.embedding_dim), torch.nan)])
    return torch.nn.Embedding.from_pretrained(weight, freeze=False)


def poison_padding(monkeypatch, number):
    """From here on padding holds ``number``, or NaN where the steps are channels."""
    batch = Ragged.batch

    def padded(self, indices):
        found = batch(self, indices)
        return poisoned(found, torch.nan if found.x.is_floating_point() else number)

    monkeypatch.setattr(Ragged, "batch", padded)


@pytest.mark.parametrize("cell", ["lstm", "mgu"])
@pytest.mark.parametrize(("pooling", "both"), list(itertools.product(POOLINGS, (False, True))))
@pytest.mark.parametrize("unit", [*UNITS, SUBWORD, None])
def test_a_classification_never_sees_padding(monkeypatch, unit, pooling, both, cell):
    """To the bit: the same batches with NaN for padding; and, nearly, each example alone."""
    if unit is None:
        sequences, labels = waves(30)
        data = ([*sequences, np.zeros((0, 2)), np.zeros((0, 2))], [*labels, "fast", "slow"])
        task = wave_task(data, pooling=pooling, bidirectional=both)
    else:
        task = text_task(pl.concat([reviews(30), EMPTY]), unit=unit, pooling=pooling, bidirectional=both)
    network = task.network(NetworkOptions(cell, 5, 2), 0).double().eval()
    every = np.arange(len(task.truth))
    assert (task.lengths == 0).any()
    clean = task.probabilities(network, every)
    loss, gradients = loss_of(task, network)
    alone = np.concatenate([task.probabilities(network, every[k : k + 1]) for k in every])
    np.testing.assert_allclose(clean, alone, rtol=1e-10)
    if network.embedding is not None:
        network.embedding = with_poison(network.embedding)
    poison_padding(monkeypatch, task.input.tokens)
    assert np.isfinite(clean).all()
    assert np.array_equal(task.probabilities(network, every), clean)
    same(loss_of(task, network), (loss, gradients))


def loss_of(task, network):
    """The loss of a mixed batch and its gradients, without those of a poisoned row."""
    network.zero_grad()
    problem = task.problem()
    if isinstance(problem, ClassifyProblem):
        problem._weight = problem._weight.double()
    total, weight = problem.loss(network, torch.arange(12))
    loss = total / weight
    loss.backward()
    return float(loss.detach()), {name: p.grad for name, p in network.named_parameters()}


def same(found, expected):
    assert found[0] == expected[0]
    for name, gradient in expected[1].items():
        assert torch.equal(found[1][name][: len(gradient)], gradient), name
        assert not found[1][name][len(gradient) :].any()


TAGGED = {
    "softmax": lambda: (sentences(30), {}),
    "crf": lambda: (sentences(30, spans=True), {}),
    "morphemes": lambda: (sentences(30, joined=True), {}),
    "features": lambda: (inflected(30), {"field": "xpos"}),
}


def test_every_decoder_is_tried():
    assert set(TAGGED) == set(DECODERS)


@pytest.mark.parametrize(("one_way", "letters"), [(False, "character"), (True, "jamo+character")])
@pytest.mark.parametrize("decoder", TAGGED)
def test_a_tagging_never_sees_padding(monkeypatch, decoder, one_way, letters):
    """NaN for padded words, padded letters, and in the spelling that padded words point to."""
    made, reading = TAGGED[decoder]()
    task = tag_task(made, decoder=decoder, one_way=one_way, letters=letters, reading=reading)
    network = task.network(NETWORK, 0).double().eval()
    every = np.arange(len(task.sentences))
    clean = task.said(network, every)
    loss, gradients = loss_of(task, network)
    alone = [task.said(network, every[k : k + 1])[0] for k in every]
    assert clean == alone
    reader = network.reader
    words, letters = reader.word.num_embeddings, [own.letter.num_embeddings for own in reader.letters]
    reader.word = with_poison(reader.word)
    for own in reader.letters:
        own.letter = with_poison(own.letter)
    batch = type(task.encoded).batch

    def padded(self, indices):
        found = batch(self, indices)
        beyond = torch.arange(found.words.shape[1]) >= found.lengths.unsqueeze(1)
        spellings = [Spelling(*poisoned(RaggedBatch(*own), n)) for own, n in zip(found.spellings, letters)]
        return found._replace(words=found.words.masked_fill(beyond, words), spellings=tuple(spellings))

    def misspelled(self, indices):
        """Padded words point to a form that is NaN."""
        found = padded(self, indices)
        beyond = torch.arange(found.words.shape[1]) >= found.lengths.unsqueeze(1)
        spellings = [
            Spelling(
                torch.cat([own.letters, torch.full((1, own.letters.shape[1]), n)]),
                torch.cat([own.lengths, torch.ones(1, dtype=own.lengths.dtype)]),
            )
            for own, n in zip(found.spellings, letters)
        ]
        forms = len(spellings[0].lengths) - 1
        return found._replace(types=found.types.masked_fill(beyond, forms), spellings=tuple(spellings))

    for poison in (padded, misspelled):
        monkeypatch.setattr(type(task.encoded), "batch", poison)
        assert task.said(network, every) == clean
        assert loss_of(task, network)[0] == pytest.approx(loss, rel=1e-12)
    monkeypatch.setattr(type(task.encoded), "batch", padded)
    same(loss_of(task, network), (loss, gradients))


@pytest.mark.parametrize("decoder", TAGGED)
def test_sentences_without_words_are_tagged_and_change_nothing(decoder):
    """An empty sentence among full ones, as ``predict`` takes them."""
    made, reading = TAGGED[decoder]()
    task = tag_task(made, decoder=decoder, reading=reading)
    network = task.network(NETWORK, 0).double().eval()
    words = [list(own) for own in task.sentences.words[:5]]
    full = network_tags(network, task.input.encode(words), task.tags, np.arange(5), 100)
    mixed = [[], *words[:3], [], *words[3:], []]
    found = network_tags(network, task.input.encode(mixed), task.tags, np.arange(8), 100)
    assert found == [[], *full[:3], [], *full[3:], []]
    assert network_tags(network, task.input.encode([[], []]), task.tags, np.arange(2), 100) == [[], []]
