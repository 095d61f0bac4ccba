"""The linear-chain field against all sequences of tags, one by one."""

import itertools

import pytest
import torch

from unroll.models import CRF

LENGTHS = [4, 1, 0, 3, 4]
TAGS = 3


def made(dtype=torch.float64):
    torch.manual_seed(0)
    crf = CRF(TAGS).to(dtype)
    for p in crf.parameters():
        torch.nn.init.normal_(p)
    return crf, torch.randn(len(LENGTHS), max(LENGTHS), TAGS, dtype=dtype), torch.tensor(LENGTHS)


def score(crf, z, tags):
    total = crf.start[tags[0]] + crf.end[tags[-1]] + sum(z[t, tag] for t, tag in enumerate(tags))
    return total + sum(crf.transitions[a, b] for a, b in itertools.pairwise(tags))


@pytest.mark.parametrize("row", [k for k, n in enumerate(LENGTHS) if n])
def test_likelihood_and_best_sequence_are_those_of_enumeration(row):
    crf, z, lengths = made()
    n = LENGTHS[row]
    every = list(itertools.product(range(TAGS), repeat=n))
    scores = torch.stack([score(crf, z[row], tags) for tags in every])
    y = torch.zeros(len(LENGTHS), max(LENGTHS), dtype=torch.long)
    for tags, expected in zip(every, scores - scores.logsumexp(0), strict=True):
        y[row, :n] = torch.tensor(tags)
        torch.testing.assert_close(crf.log_likelihood(z, y, lengths)[row], expected, rtol=1e-10, atol=1e-10)
    best = crf.best(z, lengths)[row]
    assert tuple(best[:n].tolist()) == every[int(scores.argmax())]
    assert not best[n:].any()


def test_without_transitions_it_is_a_softmax_of_each_step():
    _, z, lengths = made()
    crf = CRF(TAGS).double()
    y = torch.randint(TAGS, z.shape[:2], generator=torch.Generator().manual_seed(1))
    valid = torch.arange(max(LENGTHS)) < lengths.unsqueeze(1)
    own = z.log_softmax(-1).gather(2, y.unsqueeze(2)).squeeze(2)
    torch.testing.assert_close(crf.log_likelihood(z, y, lengths), own.masked_fill(~valid, 0).sum(1))
    assert torch.equal(crf.best(z, lengths), z.argmax(-1).masked_fill(~valid, 0))


def test_padding_reaches_neither_value_nor_gradient():
    crf, z, lengths = made()
    y = torch.randint(TAGS, z.shape[:2], generator=torch.Generator().manual_seed(1))
    beyond = torch.arange(max(LENGTHS)) >= lengths.unsqueeze(1)
    results = []
    for fill in (0.0, 1e30):
        given = z.masked_fill(beyond.unsqueeze(-1), fill).requires_grad_()
        total = crf.log_likelihood(given, y.masked_fill(beyond, 2 if fill else 0), lengths)
        results.append((total, *torch.autograd.grad(total.sum(), [given, *crf.parameters()])))
    for a, b in zip(*results, strict=True):
        assert torch.equal(a, b)
    assert not results[0][1][beyond].any()


def test_gradients():
    crf, z, lengths = made()
    y = torch.randint(TAGS, z.shape[:2], generator=torch.Generator().manual_seed(1))
    assert torch.autograd.gradcheck(lambda given: crf.log_likelihood(given, y, lengths), z.requires_grad_())
