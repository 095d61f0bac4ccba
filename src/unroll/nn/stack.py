"""A whole stack of layers in one operator of torch's, over (T, batch, features) or packed rows."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor

from unroll.kernels import Operator, note, torch_op

if TYPE_CHECKING:
    from unroll.nn.classic import Classic

Leaves = tuple[Tensor, ...]
"""A stacked state, each leaf (layers · directions, batch, features)."""


def run(
    layer: Classic, operator: Operator, x: Tensor, state: Leaves, batch_sizes: Tensor | None = None
) -> tuple[Tensor, Leaves]:
    """Output and final state, dropout between layers included."""
    note("torch")
    return torch_op.run(
        operator,
        x,
        state,
        batch_sizes=batch_sizes,
        num_layers=layer.num_layers,
        bidirectional=layer.bidirectional,
        dropout=layer.dropout,
        training=layer.training,
    )


def run_watched(
    layer: Classic,
    operator: Operator,
    x: Tensor,
    state: Leaves,
    report: Callable[[int, Tensor, Leaves], None],
    batch_sizes: Tensor | None = None,
) -> tuple[Tensor, Leaves]:
    """``run`` layer by layer: the same numbers, the same draws of dropout.

    ``report`` is given each layer's number, input and state before it.
    """
    note("torch")
    finals: list[Leaves] = []
    each = len(operator.weights) // layer.num_layers
    for number in range(layer.num_layers):
        if number and layer.dropout:
            x = F.dropout(x, layer.dropout, layer.training)
        own = tuple(leaf[number * layer.directions :][: layer.directions] for leaf in state)
        report(number, x, own)
        alone = operator._replace(weights=operator.weights[number * each :][:each])
        x, final = torch_op.run(alone, x, own, batch_sizes=batch_sizes, bidirectional=layer.bidirectional)
        finals.append(final)
    return x, tuple(torch.cat(leaves) for leaves in zip(*finals))
