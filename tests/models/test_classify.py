"""A class for a whole sequence: padding is never read, whatever the pooling and the direction."""

import itertools

import pytest
import torch

from unroll.errors import ConfigError
from unroll.models import POOLINGS, LastPooling, SequenceClassifier, pooling
from unroll.nn import CELLS, Recurrent

LENGTHS = [4, 0, 7, 1, 7]


def network(name, bidirectional, tokens, cell="gru"):
    torch.manual_seed(0)
    encoder = Recurrent(CELLS[cell].make(3, 4), 2, bidirectional=bidirectional, batch_first=True)
    options = {"directions": encoder.directions} if name == "last" else {}
    made = SequenceClassifier(encoder, pooling(name, encoder.output_size, **options), 5, tokens=tokens)
    return made.double().eval()


def batch(tokens):
    generator = torch.Generator().manual_seed(1)
    if tokens:
        return torch.randint(tokens, (len(LENGTHS), max(LENGTHS)), generator=generator)
    return torch.randn(len(LENGTHS), max(LENGTHS), 3, generator=generator, dtype=torch.float64)


CASES = list(itertools.product(POOLINGS, (False, True), (None, 11)))


@pytest.mark.parametrize(("name", "bidirectional", "tokens"), CASES)
def test_a_sequence_in_a_batch_is_scored_as_it_is_alone(name, bidirectional, tokens):
    made, x = network(name, bidirectional, tokens), batch(tokens)
    together = made(x, torch.tensor(LENGTHS))
    for k, length in enumerate(LENGTHS):
        alone = made(x[k : k + 1, : max(1, length)], torch.tensor([length]))
        torch.testing.assert_close(together[k : k + 1], alone, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(("name", "bidirectional", "tokens"), CASES)
def test_padding_reaches_neither_a_score_nor_a_gradient(name, bidirectional, tokens):
    made, x = network(name, bidirectional, tokens), batch(tokens)
    beyond = torch.arange(max(LENGTHS)) >= torch.tensor(LENGTHS).unsqueeze(1)
    other = x.clone()
    other[beyond] = 10 if tokens else float("nan")
    results = []
    for given in (x, other):
        made.zero_grad()
        scores = made(given, torch.tensor(LENGTHS))
        scores.square().sum().backward()
        results.append([scores.detach(), *(p.grad.clone() for p in made.parameters() if p.grad is not None)])
    for a, b in zip(*results, strict=True):
        assert torch.equal(a, b)


@pytest.mark.parametrize("name", POOLINGS)
def test_a_sequence_of_no_steps_gets_the_heads_own_scores(name):
    made = network(name, True, None)
    assert torch.equal(made(batch(None)[:1], torch.tensor([0]))[0], made.head.bias)


def test_its_last_state_is_what_the_encoder_ends_in():
    made, x = network("last", True, None), batch(None)
    _, state = made.encoder(x, lengths=torch.tensor(LENGTHS))
    ends = torch.cat([state[-2].h, state[-1].h], -1)
    torch.testing.assert_close(made(x, torch.tensor(LENGTHS)), made.head(ends), rtol=1e-12, atol=1e-12)


def test_what_does_not_fit_is_refused():
    cell = CELLS["gru"].make(3, 4)
    with pytest.raises(ConfigError, match="batch_first"):
        SequenceClassifier(Recurrent(cell), LastPooling(4), 2)
    with pytest.raises(ConfigError, match="pooling of 5 features over an encoder of 4"):
        SequenceClassifier(Recurrent(cell, batch_first=True), LastPooling(5), 2)
