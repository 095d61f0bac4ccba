"""What training will take, before it begins: memory, and how much of the batches is padding."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from unroll.data import length_batches, padded_steps
from unroll.nn import cell_entry
from unroll.tasks.network import NetworkOptions

COPIES = 4
"""A weight, its gradient, and the two moments AdamW keeps."""
KEPT_GATE, KEPT = 4, 2
"""Numbers that a unit keeps per step until its gradient is taken: of each gate its sum, its value and what passes back;
its output and its state. Measured: LSTM 17, MGU 15. Our engine keeps less (GRU 5, tanh RNN 4): there it is a bound."""


def training_megabytes(
    parameters: int,
    batches: Sequence[np.ndarray],
    lengths: np.ndarray,
    options: NetworkOptions,
    *,
    width: int,
    ways: int,
) -> float:
    """An estimate of the most that the costliest of ``batches`` takes, in MB.

    Weights, gradients and moments, and for every padded step what it reads (``width`` numbers, three times: read,
    dropped out, its gradient) and what the units of all layers and ``ways`` keep; 4 bytes a number.
    """
    steps = max((padded_steps([batch], lengths) for batch in batches), default=0)
    units = options.hidden * options.layers * ways * (KEPT_GATE * _gates(options) + KEPT)
    return 4e-6 * (COPIES * parameters + steps * (3 * width + units))


def _gates(options: NetworkOptions) -> int:
    """How many matrices of hidden x hidden a cell has for its state: 4 of an LSTM, 3 of a GRU."""
    size = options.hidden
    with torch.device("meta"):
        cell = cell_entry(options.cell).make(size, size)
    return max(1, round(sum(p.numel() for p in cell.parameters()) / (2 * size * size)))


def memory_told(sizes: dict[str, float]) -> str:
    """The largest of ``sizes`` (MB by network), in words."""
    most = max(sizes, key=lambda name: sizes[name])
    return f"memory about {sizes[most]:,.0f} MB to train {most}, beside what Python and torch hold"


def padding_told(lengths: np.ndarray, batch_size: int, budget: int, what: str) -> str:
    """How much of the training batches is padding, with and without buckets of like length."""
    order = np.random.default_rng(0).permutation(len(lengths))
    bucketed = length_batches(order, lengths, batch_size, budget)
    plain = [order[k : k + batch_size] for k in range(0, len(order), batch_size)]
    real = max(1, int(lengths.sum()))
    share, without = (1 - real / max(real, padded_steps(batches, lengths)) for batches in (bucketed, plain))
    return (
        f"{len(bucketed):,} batches of at most {batch_size} {what} and {budget:,} steps; "
        f"{100 * share:.0f} % is padding, which no layer reads ({100 * without:.0f} % without buckets of like length)"
    )
