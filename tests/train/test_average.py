"""The average of the weights against its formula; it is what is validated, kept and saved."""

import pytest
import torch
from safetensors.torch import load_file
from torch import nn
from torch.optim.optimizer import register_optimizer_step_post_hook

from train.making import Scripted, Summing, Sums, small_epochs
from unroll.train import FitSettings, fit


class Buffered(nn.Module):
    """A network with a buffer that learning changes."""

    def __init__(self):
        super().__init__()
        self.inner = Summing()
        self.register_buffer("calls", torch.zeros((), dtype=torch.long))

    def forward(self, x):
        if self.training:
            self.calls += 1
        return self.inner(x)


def weights_after_updates(network, problem, settings, **options):
    """``fit``, and the weights after every update of its optimizer."""
    found = []
    hook = register_optimizer_step_post_hook(
        lambda optimizer, *_: found.append([p.detach().clone() for p in optimizer.param_groups[0]["params"]])
    )
    try:
        with small_epochs():
            result = fit(network, problem, settings, **options)
    finally:
        hook.remove()
    return result, found


@pytest.mark.parametrize("accumulate", [1, 3])
@pytest.mark.parametrize("decay", [0.5, 0.99])
def test_is_the_formula(decay, accumulate):
    torch.manual_seed(0)
    network = Buffered().double()
    problem = Sums()
    problem.x, problem.y = problem.x.double(), problem.y.double()
    settings = FitSettings(lr=1e-2, epochs=1, batch_size=16, ema=decay, accumulate=accumulate)
    result, history = weights_after_updates(network, problem, settings)
    assert len(history) == -(-10 // accumulate)
    expected = history[0]
    for weights in history[1:]:
        expected = [decay * a + (1 - decay) * w for a, w in zip(expected, weights)]
    for p, value in zip(network.parameters(), expected, strict=True):
        torch.testing.assert_close(p, value, rtol=1e-12, atol=1e-14)
    assert int(network.calls) == 10
    with torch.no_grad():
        assert result.best_loss == problem.validation_loss(network)
    assert not any(torch.equal(p, w) for p, w in zip(network.parameters(), history[-1]))


def test_what_learns_is_not_what_is_averaged():
    """The updates are those of a training without it."""
    runs = []
    for decay in (0.0, 0.9):
        torch.manual_seed(0)
        settings = FitSettings(lr=1e-2, epochs=3, batch_size=16, ema=decay, schedule="constant")
        runs.append(weights_after_updates(Summing(dropout=0.3), Sums(), settings)[1])
    assert all(torch.equal(a, b) for first, second in zip(*runs, strict=True) for a, b in zip(first, second))


def test_the_best_average_is_kept_and_saved(tmp_path):
    torch.manual_seed(0)
    network, problem = nn.Linear(3, 1, bias=False), Scripted([3.0, 1.0, 2.0])
    settings = FitSettings(epochs=3, batch_size=16, ema=0.9)
    result, history = weights_after_updates(network, problem, settings, folder=tmp_path)
    average = history[0][0]
    seen = []
    for k, (weight,) in enumerate(history):
        average = 0.9 * average + 0.1 * weight if k else weight
        seen.append(average)
    for epoch in range(3):
        torch.testing.assert_close(problem.weights[epoch], seen[4 * epoch + 3])
    assert result.best_epoch == 2
    assert torch.equal(network.weight, problem.weights[1])
    assert torch.equal(load_file(tmp_path / "checkpoints" / "best.safetensors")["weight"], problem.weights[1])


def test_an_update_that_was_left_out_is_not_averaged():
    network = nn.Linear(3, 1, bias=False)
    before = network.weight.detach().clone()
    with small_epochs():
        result = fit(network, Scripted([1.0], bad_after=0), FitSettings(epochs=1, batch_size=16, ema=0.9))
    assert result.stopped == "diverged"
    assert torch.equal(network.weight, before)
