"""Taggers: a sentence in a batch is tagged as alone, likelihoods are those of what is decoded."""

import itertools

import numpy as np
import pytest
import torch

from tasks.tagging import tag_task
from unroll.tasks import NetworkOptions

KINDS = {"softmax": {}, "crf": {"decoder": "crf"}, "morphemes": {"joined": True}}


@pytest.fixture(params=KINDS)
def pair(request):
    task = tag_task(**KINDS[request.param])
    return task, task.network(NetworkOptions("gru", 5, 2), 0).double().eval()


def y_of(task, indices, batch):
    from unroll.tasks.tag.task import padded_numbers

    return padded_numbers(task.encoded, task.numbers, indices, batch)


def test_the_loss_of_a_batch_is_the_sum_of_its_sentences_alone(pair):
    task, network = pair
    indices = task.indices["train"][:7]
    together = task.encoded.batch(indices)
    alone = [task.encoded.batch(indices[k : k + 1]) for k in range(7)]
    expected = sum(network.loss(b, y_of(task, indices[k : k + 1], b)) for k, b in enumerate(alone))
    torch.testing.assert_close(network.loss(together, y_of(task, indices, together)), expected, rtol=1e-10, atol=1e-10)
    found = network.decode(together)
    for k, b in enumerate(alone):
        n = int(b.lengths[0])
        assert torch.equal(found[k, :n], network.decode(b)[0])
        assert not found[k, n:].any()


def test_a_batch_spells_each_form_once_and_gives_it_back():
    task = tag_task(letters="jamo+character")
    indices = np.array([5, 0, 5])
    batch = task.encoded.batch(indices)
    forms = {word for k in indices for word in task.sentences.words[k]}
    assert [len(own.lengths) for own in batch.spellings] == [len(forms)] * 2
    for row, k in enumerate(indices):
        for t, word in enumerate(task.sentences.words[k]):
            for letters, spelling in zip(task.input.letters, batch.spellings):
                own = spelling.letters[batch.types[row, t], : spelling.lengths[batch.types[row, t]]]
                assert own.tolist() == letters.encode(word).tolist()
            known = word in task.input.words
            assert batch.words[row, t] == (task.input.words.index(word) + 1 if known else 0)


def test_the_likelihoods_of_all_morpheme_sequences_sum_to_one():
    """Of one word, every sequence of up to two tags and what is longer than that."""
    task = tag_task(joined=True)
    network = task.network(NetworkOptions("gru", 5), 0).double().eval()
    network.head.longest = 2
    batch = task.encoded.batch(task.indices["train"][:1])
    batch = batch._replace(lengths=torch.tensor([1]), words=batch.words[:, :1], types=batch.types[:, :1])
    tags = range(task.tags.count)
    total = 0.0
    for a, b in itertools.product(tags, tags):
        if a == 0 and b > 0:
            continue
        total += float(torch.exp(-network.loss(batch, torch.tensor([[[a, b]]]))).detach())
    assert total == pytest.approx(1.0, rel=1e-10)
    (best,) = network.decode(batch)[0].tolist()
    assert best[0] > 0
