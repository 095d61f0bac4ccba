"""The learning rate against closed forms, torch's schedulers, and a loop written by hand with them."""

import math
from itertools import pairwise

import pytest
import torch
from torch.optim import lr_scheduler

from train.making import Scripted, small_epochs
from unroll.errors import ConfigError
from unroll.train import SCHEDULES, FitSettings, fit
from unroll.train.schedule import Moment, Schedule

EPOCHS, UPDATES = 7, 5
PLANNED = EPOCHS * UPDATES


def rates(**options):
    """Those of every update of a training whose validation loss never gets better after the first epoch."""
    settings = FitSettings(**{"lr": 0.2, "epochs": EPOCHS, "decay_after": 2} | options)
    schedule = Schedule(settings, PLANNED)
    return [
        schedule.rate(Moment(u, u // UPDATES, u / PLANNED, max(0, u // UPDATES - 1) // settings.decay_after))
        for u in range(PLANNED)
    ]


def torch_rates(make, *, by_epoch=False):
    """Those that a scheduler of torch gives."""
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.2)
    scheduler, found = make(optimizer), []
    for u in range(PLANNED):
        found.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        if not by_epoch or (u + 1) % UPDATES == 0:
            scheduler.step()
    return found


TORCH = {
    "constant": (lambda o: lr_scheduler.ConstantLR(o, 1.0), False, {}),
    "cosine": (lambda o: lr_scheduler.CosineAnnealingLR(o, PLANNED), False, {}),
    "linear": (lambda o: lr_scheduler.LinearLR(o, 1.0, 0.0, PLANNED), False, {}),
    "exponential": (lambda o: lr_scheduler.ExponentialLR(o, 0.8), True, {"lr_decay": 0.8}),
    "step": (lambda o: lr_scheduler.StepLR(o, 2, 0.3), True, {"lr_decay": 0.3}),
    "inverse": (lambda o: lr_scheduler.LambdaLR(o, lambda e: 1 / (1 + 0.5 * e)), True, {"lr_decay": 0.5}),
    # Torch's counts epochs without a better loss from the first; ours falls after decay_after of them, its after more.
    "plateau": (lambda o: Watching(lr_scheduler.ReduceLROnPlateau(o, factor=0.3, patience=1)), True, {"lr_decay": 0.3}),
}


class Watching:
    def __init__(self, scheduler):
        self.scheduler = scheduler

    def step(self):
        self.scheduler.step(1.0)


@pytest.mark.parametrize("name", SCHEDULES)
def test_equals_torchs_scheduler(name):
    make, by_epoch, options = TORCH[name]
    found = rates(schedule=name, **options)
    assert found == pytest.approx(torch_rates(make, by_epoch=by_epoch), rel=1e-12, abs=1e-15)
    assert len(set(found)) > 1 or name == "constant"


@pytest.mark.parametrize(("warmup", "updates"), [(1, 1), (4, 4), (10, 10), (0.2, 7), (0.01, 1)])
@pytest.mark.parametrize("name", ["cosine", "linear"])
def test_warms_up_and_then_equals_torchs_scheduler(name, warmup, updates):
    rest = PLANNED - updates
    after = {
        "cosine": lambda o: lr_scheduler.CosineAnnealingLR(o, rest),
        "linear": lambda o: lr_scheduler.LinearLR(o, 1.0, 0.0, rest),
    }[name]

    def make(optimizer):
        rising = lr_scheduler.LambdaLR(optimizer, lambda u: (u + 1) / updates)
        return lr_scheduler.SequentialLR(optimizer, [rising, after(optimizer)], [updates])

    assert rates(schedule=name, warmup=warmup) == pytest.approx(torch_rates(make), rel=1e-10, abs=1e-14)


@pytest.mark.parametrize("name", SCHEDULES)
def test_warming_up_only_scales_the_first_updates(name):
    plain, warm = rates(schedule=name), rates(schedule=name, warmup=4)
    if name in ("cosine", "linear"):
        assert warm[:4] == pytest.approx([0.05, 0.1, 0.15, 0.2])
    else:
        assert warm == pytest.approx([r * min(1, (u + 1) / 4) for u, r in enumerate(plain)])


def test_ends_near_nothing():
    assert rates(schedule="linear")[-1] == pytest.approx(0.2 / PLANNED)
    assert rates(schedule="cosine")[-1] == pytest.approx(0.1 * (1 + math.cos(math.pi * (1 - 1 / PLANNED))))


@pytest.mark.parametrize("epoch_updates", [[4, 6, 5], [9, 1, 1]])
def test_epochs_of_unequal_length_end_where_equal_ones_do(epoch_updates):
    """Batches cut by length do not come out equally many each epoch."""
    planned = 3 * epoch_updates[0]
    schedule = Schedule(FitSettings(lr=1.0, epochs=3, schedule="linear", warmup=2), planned)
    found, done = [], 0
    for epoch, count in enumerate(epoch_updates):
        for k in range(count):
            found.append(schedule.rate(Moment(done, epoch, (epoch + k / count) / 3, 0)))
            done += 1
    assert all(rate >= 0 for rate in found)
    assert all(a > b for a, b in pairwise(found[2:]))
    last = (1 - 1 / (3 * epoch_updates[-1]) - 2 / planned) / (1 - 2 / planned)
    assert found[-1] == pytest.approx(1 - last)


def test_the_record_names_the_rate_of_the_last_update_of_an_epoch():
    network = torch.nn.Linear(3, 1, bias=False)
    settings = FitSettings(lr=0.3, epochs=3, schedule="linear", batch_size=16, patience=9)
    with small_epochs():
        result = fit(network, Scripted([3.0, 2.0, 1.0]), settings)
    updates = 4  # of 64 examples
    expected = [0.3 * (1 - (updates * e + updates - 1) / (3 * updates)) for e in range(3)]
    assert [r["lr"] for r in result.records] == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("warmup", [12, 500, 0.95])
def test_a_warm_up_as_long_as_the_training_is_refused(warmup):
    with small_epochs(), pytest.raises(ConfigError, match=r"(?s)--warmup .*fewer than the 12 updates"):
        fit(torch.nn.Linear(3, 1, bias=False), Scripted([1.0]), FitSettings(epochs=3, batch_size=16, warmup=warmup))


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"schedule": "cosin"}, "--schedule 'cosin'. Did you mean 'cosine'"),
        ({"schedule": "cosine", "lr_decay": 0.5}, "which has none"),
        ({"lr_decay": 1.0}, "above 0 and below 1"),
        ({"lr_decay": 0.0}, "above 0 and below 1"),
        ({"schedule": "inverse", "lr_decay": -1.0}, "above 0, as --lr-decay 0.05"),
        ({"warmup": -1}, "--warmup -1"),
        ({"warmup": 1.5}, "--warmup 1.5"),
        ({"warmup": math.nan}, "--warmup nan"),
    ],
)
def test_wrong_settings_are_named(options, told):
    with pytest.raises(ConfigError) as caught:
        FitSettings(**options)
    assert told in " ".join(str(caught.value).split())
