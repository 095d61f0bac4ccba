"""Packed sequences through our layers are packed sequences through torch's."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
import torch
from parity import (
    HIDDEN,
    INPUTS,
    LAYERS,
    LENGTHS,
    B,
    Kind,
    T,
    assert_same,
    biases,
    directions,
    dtypes,
    every_layer,
    flat,
    gradients,
    initial,
    normal,
    pair,
    start,
    strided,
)
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence

from unroll import kernels
from unroll import nn as un
from unroll.inspect import trace

on_both = pytest.mark.usefixtures("both_backends")


def pack(x: Tensor, lengths: Sequence[int], *, batch_first: bool, enforce_sorted: bool) -> PackedSequence:
    return pack_padded_sequence(x, torch.tensor(lengths), batch_first=batch_first, enforce_sorted=enforce_sorted)


packed_orders = pytest.mark.parametrize(
    ("lengths", "enforce_sorted"),
    [([7, 5, 3, 1], True), ([7, 5, 3, 1], False), (LENGTHS, False), ([4, 4, 4, 4], False), ([2, 7, 2, 7], False)],
    ids=["sorted-enforced", "sorted", "unsorted", "equal", "ties"],
)


def assert_same_packed_run(theirs: Any, ours: Any, x: Tensor, hx: list[Any], **how: Any) -> None:
    results = []
    for module in (theirs, ours):
        torch.manual_seed(6)
        result = module(pack(x, **how), *hx)
        results.append((result, gradients(module, result, x, *hx), torch.get_rng_state()))
    assert isinstance(results[1][0][0], PackedSequence)
    assert_same(results[1], results[0])


@on_both
@every_layer
@packed_orders
@directions
@initial
@pytest.mark.parametrize(
    ("num_layers", "dropout"), [(1, 0.0), (3, 0.0), (3, 0.4)], ids=["one-layer", "three", "three-dropout"]
)
def test_packed_sequences_are_torchs(
    kind: Kind,
    lengths: list[int],
    enforce_sorted: bool,
    bidirectional: bool,
    given: bool,
    num_layers: int,
    dropout: float,
) -> None:
    theirs, ours = pair(kind, num_layers=num_layers, bidirectional=bidirectional, dropout=dropout)
    hx = [start(kind, ours, B)] if given else []
    how = {"lengths": lengths, "batch_first": False, "enforce_sorted": enforce_sorted}
    assert_same_packed_run(theirs, ours, strided(T, B, INPUTS), hx, **how)


@on_both
@every_layer
@dtypes
@biases
def test_packed_sequences_of_a_batch_first_layer_are_torchs(kind: Kind, dtype: torch.dtype, bias: bool) -> None:
    theirs, ours = pair(kind, num_layers=2, bidirectional=True, batch_first=True, bias=bias, dtype=dtype)
    hx = [start(kind, ours, B, dtype=dtype)]
    how = {"lengths": LENGTHS, "batch_first": True, "enforce_sorted": False}
    assert_same_packed_run(theirs, ours, strided(B, T, INPUTS, dtype=dtype), hx, **how)


@every_layer
@dtypes
def test_rows_of_hx_and_final_states_belong_to_the_callers_rows(kind: Kind, dtype: torch.dtype) -> None:
    """Each row of an unsorted packed batch ends where it ends alone from its own row of hx."""
    _, ours = pair(kind, num_layers=2, bidirectional=True, dtype=dtype)
    x, hx = normal(T, B, INPUTS, dtype=dtype), start(kind, ours, B, dtype=dtype)
    output, final = ours(pack(x, LENGTHS, batch_first=False, enforce_sorted=False), hx)
    padded, lengths = pad_packed_sequence(output)
    assert lengths.tolist() == LENGTHS
    tolerance = 1e-12 if dtype == torch.float64 else 1e-6
    for row, length in enumerate(LENGTHS):
        own = tuple(leaf[:, row : row + 1] for leaf in flat(hx))
        alone, end = ours(x[:length, row : row + 1], own if len(own) > 1 else own[0])
        torch.testing.assert_close(padded[:length, row : row + 1], alone, rtol=0, atol=tolerance)
        for leaf, expected in zip(flat(final), flat(end), strict=True):
            torch.testing.assert_close(leaf[:, row : row + 1], expected, rtol=0, atol=tolerance)


REFERENCE = {**LAYERS, "GRU-before": Kind("GRU", {"reset": "before"})}


@pytest.mark.parametrize("kind", REFERENCE.values(), ids=REFERENCE)
@packed_orders
@directions
def test_packed_sequences_without_torchs_operator_equal_lengths(
    kind: Kind, lengths: list[int], enforce_sorted: bool, bidirectional: bool
) -> None:
    layer = getattr(un, kind.name)(INPUTS, HIDDEN, 2, bidirectional=bidirectional, dtype=torch.float64, **kind.options)
    x, hx = normal(T, B, INPUTS, dtype=torch.float64), start(kind, layer, B, dtype=torch.float64)
    with kernels.use("reference"):
        output, final = layer(pack(x, lengths, batch_first=False, enforce_sorted=enforce_sorted), hx)
    expected, expected_final = layer(x, hx, lengths)
    padded, _ = pad_packed_sequence(output, total_length=T)
    for got, other in zip(flat((padded, final)), flat((expected, expected_final)), strict=True):
        torch.testing.assert_close(got, other, rtol=0, atol=1e-12)


@pytest.mark.parametrize("kind", REFERENCE.values(), ids=REFERENCE)
@directions
@pytest.mark.parametrize("training", [False, True], ids=["eval", "train"])
def test_watching_a_packed_batch_changes_nothing(kind: Kind, bidirectional: bool, training: bool) -> None:
    layer = getattr(un, kind.name)(INPUTS, HIDDEN, 3, bidirectional=bidirectional, dropout=0.4, **kind.options)
    x, hx = normal(T, B, INPUTS), start(kind, layer, B)
    packed = pack(x, LENGTHS, batch_first=False, enforce_sorted=False)
    layer.train(training)
    torch.manual_seed(1)
    plain, rng = layer(packed, hx), torch.get_rng_state()
    torch.manual_seed(1)
    traced = trace(layer, packed, hx)
    assert_same(traced.output, plain)
    assert torch.equal(torch.get_rng_state(), rng)
    padded, _ = pad_packed_sequence(plain[0], batch_first=True)
    top = [t.states["h"] for name, t in traced.layers.items() if name.startswith("l2")]
    mask = traced["l2"].mask
    assert mask.sum(dim=1).tolist() == LENGTHS
    torch.testing.assert_close(torch.cat(top, -1)[mask], padded.detach()[mask], rtol=0, atol=1e-6)


def test_a_packed_sequence_and_lengths_together_are_refused() -> None:
    packed = pack(normal(T, B, INPUTS), LENGTHS, batch_first=False, enforce_sorted=False)
    with pytest.raises(ValueError, match="brings its own lengths"):
        un.GRU(INPUTS, HIDDEN)(packed, None, LENGTHS)
