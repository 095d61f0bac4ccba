"""The plan: which networks, which trials, on how many cores."""

import itertools
from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from comparison.making import OPTIONS, SETTINGS, TRIALS
from unroll.comparison import engine
from unroll.comparison.plan import (
    CompareOptions,
    Trial,
    candidates,
    plan_size,
    search_trials,
    seed_trials,
    trial_config,
)
from unroll.errors import ConfigError
from unroll.nn import CELLS
from unroll.tasks import DataOptions, ForecastOptions, NetworkOptions, prepare


def task(targets=1, **options):
    rng = np.random.default_rng(0)
    data = pl.DataFrame({f"y{k}": rng.normal(size=120) for k in range(targets)})
    return prepare(data, DataOptions(("all",)), ForecastOptions(**({"horizon": 12, "input": 10} | options)))


@pytest.mark.parametrize(("hidden", "layers", "targets"), [(64, 1, 1), (64, 2, 3), (128, 1, 7)])
def test_matched_networks_have_the_same_parameters_within_2_percent(hidden, layers, targets):
    ready = task(targets)
    options = CompareOptions(tuple(CELLS), hidden, layers, match="params")
    found = candidates(ready, options)
    counts = {n.cell: sum(p.numel() for p in ready.network(n, 0).parameters()) for n in found}
    equal = {n.cell: ready.parameters(n) for n in candidates(ready, replace(options, match="hidden"))}
    largest, goal = max(equal.items(), key=lambda item: item[1])
    assert counts[largest] == goal
    assert all(abs(count - goal) <= 0.02 * goal for count in counts.values()), counts


def test_networks_of_equal_width_have_it():
    assert [n.hidden for n in candidates(task(), CompareOptions(tuple(CELLS), 17))] == [17] * len(CELLS)


def test_parameters_are_counted_without_making_them():
    ready = task(3)
    for cell, layers in itertools.product(CELLS, (1, 2)):
        options = NetworkOptions(cell, 9, layers)
        assert ready.parameters(options) == sum(p.numel() for p in ready.network(options, 0).parameters())


def test_the_first_seed_is_searched_once():
    network = NetworkOptions("gru", 4)
    trials = {t for n in (network,) for t in search_trials(n, OPTIONS) + seed_trials(n, OPTIONS.lrs[0], OPTIONS)}
    assert len(trials) == plan_size(replace(OPTIONS, cells=("gru",))) == len(OPTIONS.lrs) + OPTIONS.seeds - 1
    assert plan_size(OPTIONS) == TRIALS


def test_every_trial_has_a_folder_of_its_own():
    cells = (*CELLS, "my.cells:Best", "my.cells:Best2")
    trials = [
        Trial(NetworkOptions(c, h, n), lr, seed)
        for c, h, n, lr, seed in itertools.product(cells, (1, 11), (1, 11), (1e-3, 1.1e-3, 1e-2), (0, 1, 10))
    ]
    ids = {trial.id for trial in trials}
    assert len(ids) == len(trials)
    assert all(set(i) <= set("abcdefghijklmnopqrstuvwxyzB0123456789._-") for i in ids)


def test_a_trial_is_told_by_its_config():
    first, second = (trial_config(Trial(NetworkOptions("gru", dropout=d), 1e-2, 0)) for d in (0.0, 0.5))
    assert first != second


@pytest.mark.parametrize(
    "changed",
    [
        {"cells": ()},
        {"cells": ("gru", "gru")},
        {"cells": ("grue",)},
        {"cells": ("no.such.module:Cell",)},
        {"match": "width"},
        {"seeds": 0},
        {"lrs": ()},
        {"lrs": (0.0,)},
        {"budget": 0.0},
        {"dropout": 1.0},
        {"workers": 0},
    ],
)
def test_options_that_make_no_sense_are_named(changed):
    with pytest.raises(ConfigError):
        replace(OPTIONS, **changed).check()


@pytest.mark.parametrize("cores", [1, 2, 3, 8, 64])
@pytest.mark.parametrize("trials", [1, 2, 9, 100])
@pytest.mark.parametrize("workers", [None, 1, 2])
def test_threads_of_all_workers_fit_the_cores(monkeypatch, tmp_path, cores, trials, workers):
    monkeypatch.setattr(engine, "cores", lambda: cores)
    made = engine.Engine(task(), SETTINGS, tmp_path, trials=trials, workers=workers)
    assert 1 <= made.workers <= trials
    assert made.workers * made.threads <= max(cores, made.workers)
    assert made.workers <= (workers or cores)


def test_more_workers_than_cores_have_one_thread_each(monkeypatch, tmp_path):
    monkeypatch.setattr(engine, "cores", lambda: 2)
    made = engine.Engine(task(), SETTINGS, tmp_path, trials=9, workers=5)
    assert (made.workers, made.threads) == (5, 1)


def test_shares_of_a_budget_never_add_up_to_more(monkeypatch, tmp_path):
    """Were every trial to use its whole share, one after another on each worker, the budget would hold."""
    now = [100.0]
    monkeypatch.setattr(engine.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(engine, "cores", lambda: 2)
    made = engine.Engine(task(), SETTINGS, tmp_path, trials=10, deadline=160.0)
    assert made.workers == 2
    for _ in range(5):
        share = made._share()
        assert share > 0.2
        now[0] += share + engine.OVERHEAD
        made.progress.done += 2
    assert now[0] <= 160.0 + 1e-6
    now[0] = 500.0
    assert made._share() == 0.2
