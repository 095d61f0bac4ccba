"""Small tasks for the tests of unroll.tasks."""

import datetime as dt

import numpy as np
import polars as pl
import pytest

from unroll.tasks import DataOptions, Forecaster, ForecastOptions, NetworkOptions, prepare


def wave(rows, seed=0, period=7.0):
    """A season, a slope and some noise."""
    t = np.arange(rows)
    return np.sin(2 * np.pi * t / period) + 0.01 * t + 0.1 * np.random.default_rng(seed).normal(size=rows)


def days(rows, step=1, start=dt.date(2021, 3, 1)):
    return [start + dt.timedelta(days=step * k) for k in range(rows)]


def frame(rows=160, **more):
    return pl.DataFrame({"day": days(rows), "y": wave(rows), **more})


def shops(rows=(120, 140, 160)):
    """Three series of two targets and a feature, of different levels."""
    parts = [
        pl.DataFrame({
            "shop": [name] * n,
            "day": days(n),
            "y": 10.0 ** k * wave(n, k),
            "z": -5.0 + wave(n, k + 9),
            "f": wave(n, k + 20, 12.0),
        })
        for k, (name, n) in enumerate(zip("ABC", rows))
    ]  # fmt: skip
    return pl.concat(parts)


def task_of(data, *targets, features=(), known=(), group=None, missing="error", layout="long", **options):
    reading = DataOptions(
        tuple(targets), tuple(features), group=group, missing=missing, layout=layout, known=tuple(known)
    )
    return prepare(data, reading, ForecastOptions(**options))


def refusal(call, kind):
    """What the error of ``kind`` says that ``call`` raises."""
    with pytest.raises(kind) as caught:
        call()
    return str(caught.value)


def small(**options):
    """A forecaster that is quickly trained."""
    return Forecaster(**{"hidden": 4, "horizon": 3, "input": 8, "epochs": 2, "lr": 1e-2} | options)


def words_of(task):
    """What a result of ``task`` says of it, whatever its network."""
    return task.shown({"GRU": task.network(NetworkOptions("gru", 4), 0)}, [], "GRU")["words"]
