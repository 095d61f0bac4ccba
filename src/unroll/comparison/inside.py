"""The first look inside a trained candidate: how far its gradient reaches, how long its gates keep."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import torch
from torch import nn

from unroll.inspect import KeepTimescale, gradient_by_lag, keep_timescale, trace
from unroll.nn import Recurrent
from unroll.tasks import NetworkOptions, Probe, Task

LATENCY_STEPS = 300


def look_inside(task: Task, options: NetworkOptions, trained: nn.Module, seed: int) -> dict[str, Any]:
    """``gradient`` and ``keep`` of a result's candidate, with the same network before training beside them.

    Either is None where it says nothing: the gradient by lag of a network whose loss reads more than the encoder's last
    output. Of one that forecasts a step at a time it is that of the first.
    """
    before, after = (task.probe(network) for network in (task.network(options, seed), trained))
    keep, keep_start = _keep(after), _keep(before)
    return {
        "gradient": _gradient(before, after, seed),
        "keep": None if keep is None or keep_start is None else _keep_dict(keep, keep_start, after.reads),
    }


def step_microseconds(network: nn.Module) -> float | None:
    """Median time of one streaming step of the encoder, batch 1, one thread, in µs.

    None where there is no such thing: it reads both ways, or many steps of the data at once.
    """
    encoder = network.encoder
    assert isinstance(encoder, Recurrent)
    if encoder.bidirectional or getattr(network, "reads", 1) > 1:
        return None
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


def _gradient(before: Probe, after: Probe, seed: int) -> dict[str, Any] | None:
    if before.loss is None or after.loss is None:
        return None
    start, end = (gradient_by_lag(p.layer, p.x, p.loss, lengths=p.lengths) for p in (before, after) if p.loss)
    return {
        "lags": end.lags,
        "median": end.median,
        "q25": end.q25,
        "q75": end.q75,
        "at_start": {"median": start.median, "q25": start.q25, "q75": start.q75},
        "horizon": end.horizon,
        "span": end.span,
        "sequences": end.sequences,
        "seed": seed,
    }


def _keep(probe: Probe) -> KeepTimescale | None:
    with torch.no_grad():
        return keep_timescale(trace(probe.layer, probe.x, lengths=probe.lengths))


def _keep_dict(keep: KeepTimescale, start: KeepTimescale, reads: int) -> dict[str, Any]:
    """In steps of the data, of which a step of the layer is ``reads``."""
    quantiles = {"q10": 0.1, "q25": 0.25, "median": 0.5, "q75": 0.75, "q90": 0.9}
    return {
        "gate": keep.gate,
        "tau": {name: reads * keep.quantile(q) for name, q in quantiles.items()},
        "longest": reads * max(keep.units),
        "units": len(keep.units),
        "at_start": {"median": reads * start.quantile(0.5)},
    }
