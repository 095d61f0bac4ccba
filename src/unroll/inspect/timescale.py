"""How long a gated cell keeps its state, read off its keep gate."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from unroll.inspect.tracing import Trace

LONGEST = 1e6
"""A gate that rounds to 1 everywhere has no finite timescale; it is reported as this many steps."""


@dataclass(frozen=True)
class KeepTimescale:
    """τ in steps, one value per unit of every layer: how long until 1/e of the old state is left.

    Attributes:
        gate: the keep gate's name, "f" for LSTM and "z" for GRU.
        units: τ of every unit, layer by layer.
    """

    gate: str
    units: list[float]

    def quantile(self, q: float) -> float:
        return float(torch.tensor(self.units, dtype=torch.float64).quantile(q))


def keep_timescale(trace: Trace) -> KeepTimescale | None:
    r"""τ_u = -1 / mean_t log k_{u,t} of each unit u over all valid steps t, k the keep gate.

    A geometric mean over time: mean(1 / (1 - k)) is ruled by single steps near 1. It says what the gate
    alone would keep; new writes and the path through W_hh are not in it.

    Returns:
        None if no layer of the trace has a keep gate, or none took a step.
    """
    taus: list[float] = []
    gate = None
    for layer in trace.layers.values():
        if layer.keep_gate is None or layer.keep_gate not in layer.signals:
            continue
        gate = layer.keep_gate
        taus.extend(_taus(layer.signals[gate], layer.mask))
    return KeepTimescale(gate, taus) if gate is not None and taus else None


def _taus(keep: Tensor, mask: Tensor) -> list[float]:
    log = keep.double().clamp(min=1e-300).log()
    mean = log[mask].mean(dim=0)
    return [min(LONGEST, -1.0 / m) if m < 0 else LONGEST for m in mean.tolist() if not math.isnan(m)]
