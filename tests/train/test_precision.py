"""bfloat16: products in it, the weights, their gradients and what is validated in float32."""

import pytest
import torch
from torch import nn

from train.making import Sums, small_epochs
from train.together import TASKS
from unroll.nn import Recurrent
from unroll.nn.cells import CELLS
from unroll.tasks import NetworkOptions
from unroll.train import FitSettings, epoch_order, fit


class Wide(nn.Module):
    """A projection, which autocast computes in bfloat16, and two layers of a cell after it."""

    def __init__(self, cell):
        super().__init__()
        self.read = nn.Linear(2, 8)
        self.encoder = Recurrent(CELLS[cell].make(8, 12), 2, batch_first=True)
        self.head = nn.Linear(12, 1)
        self.seen = set()

    def forward(self, x):
        z = self.read(x)
        self.seen.add((self.training, z.dtype))
        return self.head(self.encoder(z)[0][:, -1])[:, 0].float()


def gradient(precision, network, problem, **options):
    """What one update leaves in the parameters."""
    settings = FitSettings(epochs=1, epoch_size=24, batch_size=24, precision=precision, clip_norm=1e9, **options)
    with small_epochs():
        fit(network, problem, settings)
    return torch.cat([p.grad.flatten() for p in network.parameters() if p.grad is not None])


def near(half, whole, size):
    """Within the rounding of bfloat16, 2^-8 of each factor, as it adds up over a few products."""
    return float((half - whole).norm()) < 0.03 * size


def mean_size(network, problem, examples):
    """The mean norm of the examples' own gradients: where they cancel, their rounding does not."""
    total = weights = 0.0
    for k in examples:
        network.zero_grad()
        loss, weight = problem.loss(network, k.view(1))
        loss.backward()
        total += float(torch.cat([p.grad.flatten() for p in network.parameters() if p.grad is not None]).norm())
        weights += float(weight)
    return total / weights


@pytest.mark.parametrize("cell", CELLS)
def test_the_gradient_of_every_cell_is_near_that_of_float32(cell):
    found = []
    for precision in ("float32", "bfloat16"):
        torch.manual_seed(0)
        network = Wide(cell)
        found.append(gradient(precision, network, Sums()))
        assert network.seen == {
            (True, torch.bfloat16 if precision == "bfloat16" else torch.float32),
            (False, torch.float32),
        }
        assert {p.dtype for p in network.parameters()} == {torch.float32}
    assert found[1].dtype == torch.float32
    assert not torch.equal(*found)
    assert near(found[1], found[0], float(found[0].norm()))


@pytest.mark.parametrize("accumulate", [1, 3])
@pytest.mark.parametrize("name", TASKS)
def test_the_gradient_of_every_task_is_near_that_of_float32(name, accumulate):
    task = TASKS[name]()
    found = [
        gradient(precision, task.network(NetworkOptions("gru", 6), 0), task.problem(), accumulate=accumulate)
        for precision in ("float32", "bfloat16")
    ]
    problem = task.problem()
    examples = epoch_order(0, 0, problem.train_count, 24)
    assert not torch.equal(*found)
    assert near(found[1], found[0], mean_size(task.network(NetworkOptions("gru", 6), 0), problem, examples))
