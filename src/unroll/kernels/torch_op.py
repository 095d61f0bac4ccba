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
    operators: Sequence[Operator],
    x: Tensor,
    state: Sequence[Tensor],
    *,
    num_layers: int = 1,
    bidirectional: bool = False,
    dropout: float = 0.0,
    training: bool = False,
    batch_first: bool = False,
) -> tuple[Tensor, tuple[Tensor, ...]]:
    """A whole stack in one call.

    ``operators`` come layer by layer, forward before reverse; ``state`` leaves are
    (layers x directions, batch, features).
    """
    name, _, has_biases = operators[0]
    weights = [w for operator in operators for w in operator.weights]
    hx = tuple(state) if name == "lstm" else state[0]
    output, *final = _SEQUENCE[name](
        x, hx, weights, has_biases, num_layers, dropout, training, bidirectional, batch_first
    )
    return output, tuple(final)


def cell_step(operator: Operator, x: Tensor, state: Sequence[Tensor]) -> tuple[Tensor, ...] | None:
    """One step of a cell, or None where torch has no operator for it (projections)."""
    biases = 2 if operator.has_biases else 0
    if len(operator.weights) != 2 + biases:
        return None
    hx = tuple(state) if operator.name == "lstm" else state[0]
    weights = operator.weights if operator.has_biases else (*operator.weights, None, None)
    result = _CELL[operator.name](x, hx, *weights)
    return result if isinstance(result, tuple) else (result,)
