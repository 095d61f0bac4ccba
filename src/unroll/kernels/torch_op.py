"""torch's own fused operators: oneDNN and ATen on a CPU, cuDNN on a GPU."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from unroll.kernels.operator import Operator

_SEQUENCE: dict[str, Any] = {
    "lstm": torch._VF.lstm,
    "gru": torch._VF.gru,
    "rnn_tanh": torch._VF.rnn_tanh,
    "rnn_relu": torch._VF.rnn_relu,
}
_CELL: dict[str, Any] = {
    "lstm": torch._VF.lstm_cell,
    "gru": torch._VF.gru_cell,
    "rnn_tanh": torch._VF.rnn_tanh_cell,
    "rnn_relu": torch._VF.rnn_relu_cell,
}


def run(
    operator: Operator,
    x: Tensor,
    state: Sequence[Tensor],
    *,
    batch_sizes: Tensor | None = None,
    num_layers: int = 1,
    bidirectional: bool = False,
    dropout: float = 0.0,
    training: bool = False,
) -> tuple[Tensor, tuple[Tensor, ...]]:
    """A whole stack in one call, over ``x`` (T, batch, features) or, with ``batch_sizes``, over packed rows.

    ``operator.weights`` come layer by layer, forward before reverse; ``state`` leaves are
    (layers x directions, batch, features).
    """
    function, weights, has_biases = _SEQUENCE[operator.name], operator.weights, operator.has_biases
    hx = tuple(state) if operator.name == "lstm" else state[0]
    if batch_sizes is None:
        output, *final = function(x, hx, weights, has_biases, num_layers, dropout, training, bidirectional, False)
    else:
        output, *final = function(x, batch_sizes, hx, weights, has_biases, num_layers, dropout, training, bidirectional)
    return output, tuple(final)


def cell_step(operator: Operator, x: Tensor, state: Sequence[Tensor]) -> tuple[Tensor, ...] | None:
    """One step of a cell, or None where torch has no operator for it (projections)."""
    name, weights, has_biases = operator
    if len(weights) != (4 if has_biases else 2):
        return None
    biases = () if has_biases else (None, None)
    if name == "lstm":
        return tuple(_CELL[name](x, tuple(state), *weights, *biases))
    return (_CELL[name](x, state[0], *weights, *biases),)
