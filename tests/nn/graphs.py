"""What the tests of compiled and exported layers share: cases, shapes, comparison."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from unroll import nn as un

INPUTS, HIDDEN = 3, 4

CLASSICS: dict[str, Callable[..., un.Recurrent]] = {
    "RNN": un.RNN,
    "RNN-relu": lambda *a, **k: un.RNN(*a, nonlinearity="relu", **k),
    "LSTM": un.LSTM,
    "LSTM-proj": lambda *a, **k: un.LSTM(*a, proj_size=2, **k),
    "LSTM-nobias": lambda *a, **k: un.LSTM(*a, bias=False, **k),
    "GRU": un.GRU,
}
"""What torch has an operator for."""

OPTIONS: dict[str, Callable[[], un.Recurrent]] = {
    "layer norm, zoneout": lambda: un.LSTM(INPUTS, HIDDEN, layer_norm=True, zoneout=(0.3, 0.2)),
    "peepholes, projection": lambda: un.LSTM(INPUTS, HIDDEN, peepholes=True, proj_size=2),
    "recurrent and input dropout": lambda: un.GRU(INPUTS, HIDDEN, recurrent_dropout=0.4, input_dropout=0.3),
    "weight dropout": lambda: un.LSTM(INPUTS, HIDDEN, 2, weight_dropout=0.5, dropout=0.3),
    "highway, learned start": lambda: un.RNN(INPUTS, HIDDEN, 2, connection="highway", learn_initial_state=True),
    "residual, clip": lambda: un.GRU(INPUTS, HIDDEN, 3, connection="residual", clip=0.2),
    "sum, gates": lambda: un.GRU(INPUTS, HIDDEN, bidirectional=True, merge="sum", gate_activation="hard_sigmoid"),
    "widths": lambda: un.LSTM(INPUTS, [4, 2], bidirectional=True, merge="product"),
    "mixed cells": lambda: un.Recurrent([un.MGUCell(INPUTS, HIDDEN), un.LSTMCell(HIDDEN, 2)], learn_initial_state=True),
}


def leaves(result: Any) -> list[Tensor]:
    """Every tensor of a result, however its tuples are nested."""
    return [result] if isinstance(result, Tensor) else [leaf for part in result for leaf in leaves(part)]


def difference(got: Any, expected: Any) -> float:
    """The largest, relative to the largest number where that is above 1; shapes and dtypes are to be equal."""
    pairs = list(zip(leaves(got), leaves(expected), strict=True))
    assert [a.shape for a, _ in pairs] == [b.shape for _, b in pairs]
    assert [a.dtype for a, _ in pairs] == [b.dtype for _, b in pairs]
    filled = [(a.detach(), b.detach()) for a, b in pairs if b.numel()]
    return max((float((a - b).abs().max() / b.abs().max().clamp(min=1)) for a, b in filled), default=0.0)


def gradients(result: Any, inputs: list[Tensor]) -> list[Tensor]:
    """Of a loss that weighs every number of ``result`` differently, zeros where it does not depend on an input."""
    generator = torch.Generator().manual_seed(11)
    parts = [(leaf * torch.randn(leaf.shape, generator=generator, dtype=leaf.dtype)).sum() for leaf in leaves(result)]
    return list(torch.autograd.grad(torch.stack(parts).sum(), inputs, materialize_grads=True, allow_unused=True))


def sequence(layer: un.Recurrent, T: int, B: int, dtype: torch.dtype = torch.float32) -> Tensor:
    """An input in the layer's layout, other numbers for other shapes."""
    x = torch.randn(T, B, INPUTS, generator=torch.Generator().manual_seed(100 * T + B), dtype=dtype)
    return x.transpose(0, 1).contiguous() if layer.batch_first else x


def ragged(T: int, B: int) -> Tensor:
    """Lengths in 0…T, an empty row and a full one among them where there are enough."""
    lengths = torch.randint(0, T + 1, (B,), generator=torch.Generator().manual_seed(T + B))
    lengths[-1], lengths[0] = 0, T
    return lengths
