"""The first look inside a trained candidate: how far its gradient reaches, how long its gates keep."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import torch
from torch import Tensor

from unroll.inspect import GradientByLag, KeepTimescale, gradient_by_lag, keep_timescale, trace
from unroll.models import DirectForecast
from unroll.tasks import ForecastTask, NetworkOptions, in_double

SEQUENCES = 32
LATENCY_STEPS = 300


def look_inside(task: ForecastTask, options: NetworkOptions, trained: DirectForecast, seed: int) -> dict[str, Any]:
    """``gradient`` and ``keep`` of a result's candidate, with the same network before training beside them."""
    start = task.network(options, seed)
    before, after = _gradient(task, start), _gradient(task, trained)
    keep, keep_start = _keep(task, trained), _keep(task, start)
    return {
        "gradient": {
            "lags": after.lags,
            "median": after.median,
            "q25": after.q25,
            "q75": after.q75,
            "at_start": {"median": before.median, "q25": before.q25, "q75": before.q75},
            "horizon": after.horizon,
            "span": after.span,
            "sequences": after.sequences,
            "seed": seed,
        },
        "keep": None if keep is None or keep_start is None else _keep_dict(keep, keep_start),
    }


def step_microseconds(network: DirectForecast) -> float:
    """Median time of one streaming step of the encoder, batch 1, one thread, in µs."""
    encoder = network.encoder
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with torch.no_grad():
            x = torch.randn(1, encoder.input_size)
            _, state = encoder.step(x)
            times = []
            for _ in range(LATENCY_STEPS):
                begin = time.perf_counter()
                _, state = encoder.step(x, state)
                times.append(time.perf_counter() - begin)
    finally:
        torch.set_num_threads(threads)
    return float(np.median(times) * 1e6)


def _examples(task: ForecastTask) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Validation windows, evenly spaced, in float64."""
    count = task.windows.count("valid")
    indices = np.unique(np.linspace(0, count - 1, min(SEQUENCES, count)).round().astype(int))
    x, y, mask, last = task.windows.batch("valid", indices)
    return x.double(), y.double(), mask.double(), last.double()


def _gradient(task: ForecastTask, network: DirectForecast) -> GradientByLag:
    x, y, mask, last = _examples(task)
    network = in_double(network)

    def loss(summary: Tensor) -> Tensor:
        e = (network.forecast(summary, last) - y) * mask
        return e.square().sum(dim=(1, 2))

    return gradient_by_lag(network.encoder, network.differences(x, last), loss)


def _keep(task: ForecastTask, network: DirectForecast) -> KeepTimescale | None:
    x, _, _, last = _examples(task)
    network = in_double(network)
    with torch.no_grad():
        return keep_timescale(trace(network.encoder, network.differences(x, last)))


def _keep_dict(keep: KeepTimescale, start: KeepTimescale) -> dict[str, Any]:
    quantiles = {"q10": 0.1, "q25": 0.25, "median": 0.5, "q75": 0.75, "q90": 0.9}
    return {
        "gate": keep.gate,
        "tau": {name: keep.quantile(q) for name, q in quantiles.items()},
        "longest": max(keep.units),
        "units": len(keep.units),
        "at_start": {"median": start.quantile(0.5)},
    }
