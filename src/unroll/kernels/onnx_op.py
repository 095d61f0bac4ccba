"""ONNX's own LSTM and GRU, which ONNX Runtime runs faster than its Scan.

Its RNN computes the rows of a batch one by one and is slower than Scan from 8 rows on, and none of the three has
projections or, in ONNX Runtime, a kernel for float64: those stay with ``scan``.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from unroll.kernels.operator import Operator, State

_NAMES = {"lstm": "LSTM", "gru": "GRU"}
_GATES = {"lstm": (0, 3, 1, 2), "gru": (1, 0, 2)}
"""Where each of ONNX's gates, i o f c and z r h, stands in torch's order."""


def fits(operator: Operator, x: Tensor) -> bool:
    """Whether an ONNX export is under way and has an operator for ``operator``."""
    if not torch.onnx.is_in_onnx_export() or not hasattr(torch.onnx, "ops"):
        return False
    plain = len(operator.weights) == (4 if operator.has_biases else 2)
    return operator.name in _NAMES and plain and x.dtype == torch.float32


def run(
    operator: Operator, x: Tensor, state: State, *, lengths: Tensor | None = None, reverse: bool = False
) -> tuple[Tensor, State]:
    """``fused_layer.run`` as one node of an ONNX graph."""
    T, B = x.shape[:2]
    H = operator.weights[1].shape[1]
    W, R, *biases = (_reordered(operator.name, weight).unsqueeze(0) for weight in operator.weights)
    rows = None if lengths is None else lengths.to(torch.int32)
    attributes: dict[str, Any] = {"hidden_size": H, "direction": "reverse" if reverse else "forward"}
    if operator.name == "gru":
        attributes["linear_before_reset"] = 1
    output, *final = torch.onnx.ops.symbolic_multi_out(
        _NAMES[operator.name],
        [x, W, R, torch.cat(biases, 1) if biases else None, rows, *(leaf.unsqueeze(0) for leaf in state)],
        attributes,
        dtypes=[x.dtype] * (1 + len(state)),
        shapes=[(T, 1, B, H), *((1, B, H) for _ in state)],
    )
    leaves = tuple([leaf.squeeze(0) for leaf in final])
    if lengths is not None:
        # ONNX Runtime ends an empty row with zeros instead of its first state.
        leaves = tuple([torch.where((lengths > 0).unsqueeze(1), end, start) for end, start in zip(leaves, state)])
    return output.squeeze(1), leaves


def _reordered(name: str, weight: Tensor) -> Tensor:
    parts = weight.chunk(len(_GATES[name]))
    return torch.cat([parts[gate] for gate in _GATES[name]])
