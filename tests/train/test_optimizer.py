"""Each optimizer under each schedule against a loop written by hand with torch's; settings that are wrong."""

import math

import pytest
import torch
from torch import nn

from train.making import Summing, Sums, small_epochs
from unroll.errors import ConfigError
from unroll.train import OPTIMIZERS, SCHEDULES, FitSettings, epoch_order, fit

EPOCHS, BATCHES = 3, 10
BY_HAND = {
    "adamw": (lambda p: torch.optim.AdamW(p, lr=1e-2, weight_decay=0.3), {}),
    "adam": (lambda p: torch.optim.Adam(p, lr=1e-2, weight_decay=0.3), {}),
    "rmsprop": (
        lambda p: torch.optim.RMSprop(p, lr=1e-2, weight_decay=0.3, momentum=0.8),
        {"momentum": 0.8},
    ),
    "sgd": (
        lambda p: torch.optim.SGD(p, lr=1e-2, weight_decay=0.3, momentum=0.8, nesterov=True),
        {"momentum": 0.8, "nesterov": True},
    ),
}
T = EPOCHS * BATCHES
FACTOR = {
    "plateau": lambda u, bad: 0.5**bad,
    "constant": lambda u, bad: 1.0,
    "cosine": lambda u, bad: 0.5 + 0.5 * math.cos(math.pi * u / T),
    "linear": lambda u, bad: (T - u) / T,
    "exponential": lambda u, bad: 0.95 ** (u // BATCHES),
    "step": lambda u, bad: 0.5 ** (u // BATCHES),
    "inverse": lambda u, bad: 1 / (1 + 0.05 * (u // BATCHES)),
}


class DoubleSums(Sums):
    def __init__(self):
        super().__init__()
        self.x, self.y = self.x.double(), self.y.double()


def by_hand(optimizer, schedule):
    """The weights after each epoch, the last first among those of equal loss: what ``fit`` keeps is the best."""
    torch.manual_seed(3)
    network, problem = Summing().double(), DoubleSums()
    made = BY_HAND[optimizer][0](network.parameters())
    u, bad, losses, weights = 0, 0, [], []
    for epoch in range(EPOCHS):
        for batch in epoch_order(0, epoch, problem.train_count, 10_000).split(16):
            made.param_groups[0]["lr"] = 1e-2 * FACTOR[schedule](u, bad)
            made.zero_grad()
            problem.loss(network, batch).backward()
            nn.utils.clip_grad_norm_(network.parameters(), 1.0)
            made.step()
            u += 1
        with torch.no_grad():
            losses.append(problem.validation_loss(network))
        weights.append([p.detach().clone() for p in network.parameters()])
        bad += losses[-1] > min(losses)
    return losses, weights[losses.index(min(losses))]


@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_equals_a_loop_by_hand(optimizer, schedule):
    torch.manual_seed(3)
    network, options = Summing().double(), BY_HAND[optimizer][1]
    settings = FitSettings(
        lr=1e-2, epochs=EPOCHS, batch_size=16, decay_after=1, weight_decay=0.3, optimizer=optimizer, schedule=schedule,
        **options,
    )  # fmt: skip
    with small_epochs():
        result = fit(network, DoubleSums(), settings)
    losses, weights = by_hand(optimizer, schedule)
    assert [r["valid_loss"] for r in result.records] == pytest.approx(losses, rel=1e-10)
    for p, expected in zip(network.parameters(), weights, strict=True):
        torch.testing.assert_close(p, expected, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"optimizer": "adanw"}, "--optimizer 'adanw'. Did you mean 'adamw'"),
        ({"optimizer": "lion"}, "one of adamw, sgd, adam, rmsprop"),
        ({"momentum": 0.9}, "--momentum 0.9 with --optimizer adamw"),
        ({"optimizer": "sgd", "momentum": 1.0}, "--momentum 1.0"),
        ({"optimizer": "sgd", "nesterov": True}, "--nesterov with --optimizer sgd and momentum 0"),
        ({"optimizer": "rmsprop", "momentum": 0.9, "nesterov": True}, "--nesterov with --optimizer rmsprop"),
        ({"weight_decay": -0.1}, "--weight-decay -0.1"),
        ({"weight_decay": math.inf}, "--weight-decay inf"),
        ({"accumulate": 0}, "--accumulate 0"),
        ({"ema": 1.0}, "--ema 1.0"),
        ({"ema": -0.1}, "--ema -0.1"),
        ({"precision": "float16"}, "--precision 'float16'"),
    ],
)
def test_wrong_settings_are_named(options, told):
    with pytest.raises(ConfigError) as caught:
        FitSettings(**options)
    assert told in " ".join(str(caught.value).split())
