"""A small Transformer encoder and its states, as the tests of it share them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
import torch
from torch import Tensor

from models.comparing import drawn, normal
from unroll.models import KeyValueState, TransformerEncoder

B, T, INPUTS, D, HEADS, LAYERS, INNER = 5, 7, 3, 8, 2, 2, 11
LENGTHS = [7, 0, 1, 4, 6]

norms = pytest.mark.parametrize("norm_first", [False, True], ids=["norm-after", "norm-first"])
both = pytest.mark.parametrize("causal", [False, True], ids=["whole", "causal"])
layouts = pytest.mark.parametrize("batch_first", [False, True], ids=["time-first", "batch-first"])
ragged = pytest.mark.parametrize("lengths", [None, LENGTHS], ids=["full", "ragged"])


def build(**options: Any) -> TransformerEncoder:
    torch.manual_seed(2)
    given = {"num_layers": LAYERS, "num_heads": HEADS, "feedforward_size": INNER, "batch_first": True} | options
    layer = drawn(TransformerEncoder(given.pop("input_size", INPUTS), given.pop("d_model", D), **given))
    assert isinstance(layer, TransformerEncoder)
    return layer


def leaves(state: Sequence[KeyValueState]) -> list[Tensor]:
    """The leaves that have gradients."""
    return [leaf for s in state for leaf in (s.keys, s.values)]


def ages(state: Sequence[KeyValueState]) -> list[list[int]]:
    return [s.length.tolist() for s in state]


def started(layer: TransformerEncoder) -> tuple[KeyValueState, ...]:
    """A state in which rows have had 2, 0, 3, 1 and 3 steps, its leaves in need of a gradient."""
    with torch.no_grad():
        _, state = layer(normal(B, 3, INPUTS, seed=5), lengths=[2, 0, 3, 1, 3])
    return tuple(KeyValueState(s.keys.requires_grad_(), s.values.requires_grad_(), s.length) for s in state)
