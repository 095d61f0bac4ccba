"""Several batches to one update: k batches of b give what one of k b does, however the loss weighs its examples."""

import pytest
import torch
from torch import nn

from train.making import Summing, Sums, small_epochs
from train.together import TASKS, Plain, Weighted, as_double
from unroll.tasks import NetworkOptions
from unroll.train import FitSettings, fit


class Uncut:
    """A problem whose batches are cut as they come, so that they are the same ones whatever their size."""

    def __init__(self, problem):
        if hasattr(problem, "_weight"):
            problem._weight = problem._weight.double()
        self.loss, self.validation_loss, self.train_count = problem.loss, problem.validation_loss, problem.train_count


def trained(network, problem, batch_size, accumulate, **options):
    settings = FitSettings(lr=1e-2, epochs=3, batch_size=batch_size, accumulate=accumulate, **options)
    with small_epochs():
        result = fit(network, problem, settings)
    return result, [p.detach().clone() for p in network.parameters()]


@pytest.mark.parametrize("problem", [Weighted, Plain])
@pytest.mark.parametrize(("b", "k"), [(16, 2), (16, 10), (7, 3), (1, 64), (50, 2), (160, 3)])
def test_k_batches_of_b_are_one_of_k_b(problem, b, k):
    """160 examples: the last update of an epoch often has fewer batches, the last batch fewer examples."""
    runs = []
    for batch_size, accumulate in ((b, k), (b * k, 1)):
        torch.manual_seed(3)
        runs.append(trained(Summing().double(), problem(), batch_size, accumulate))
    (first, weights), (second, expected) = runs
    for name in ("train_loss", "valid_loss", "gradient_norm"):
        assert [r[name] for r in first.records] == pytest.approx([r[name] for r in second.records], rel=1e-9)
    for p, q in zip(weights, expected, strict=True):
        torch.testing.assert_close(p, q, rtol=1e-8, atol=1e-11)


@pytest.mark.parametrize("name", TASKS)
def test_the_gradient_of_a_tasks_batch_is_that_of_its_parts(name, monkeypatch):
    """Of every task, in float64, whatever its loss divides by; sentences are of unequal length, classes not alike."""
    task = TASKS[name]()
    gradients = []
    for size in (24, 5, 1):
        network = as_double(task.network(NetworkOptions("gru", 4), 0))
        monkeypatch.setattr(torch.optim.AdamW, "step", lambda self: None)
        settings = FitSettings(epochs=1, epoch_size=24, batch_size=size, accumulate=24, clip_norm=1e9)
        with small_epochs():
            fit(network, Uncut(task.problem()), settings)
        gradients.append([p.grad.clone() for p in network.parameters() if p.grad is not None])
    assert any(float(g.abs().max()) > 1e-3 for g in gradients[0])
    for parts in gradients[1:]:
        for p, whole in zip(parts, gradients[0], strict=True):
            torch.testing.assert_close(p, whole, rtol=1e-6, atol=1e-8)


def test_dropout_draws_for_every_batch():
    """Two batches of one example each, alike, get masks of their own."""
    seen = []

    class Watched(nn.Module):
        def __init__(self):
            super().__init__()
            self.weight, self.dropout = nn.Parameter(torch.ones(50)), nn.Dropout(0.5)

        def forward(self, x):
            y = self.dropout(x * self.weight)
            seen.append(y.detach())
            return y.sum(-1)

    problem = Sums()
    problem.x, problem.y = torch.ones(224, 50), torch.zeros(224)
    with small_epochs():
        fit(Watched(), problem, FitSettings(epochs=1, batch_size=1, accumulate=2, epoch_size=2))
    assert not torch.equal(seen[0] == 0, seen[1] == 0)
