"""The C++ engine under everything that is built around a layer: packing, dropout, chunks, cells of one's own stack."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from engine_runs import (
    F32,
    F64,
    assert_as_reference,
    derivatives,
    every_kind,
    numbers,
    prepared,
    ragged,
    tensors,
)
from test_laws import Shape, build
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence

from unroll import nn as un
from unroll.kernels import cpu
from unroll.kernels.cpu import layer as engine

T, B, INPUTS, H = 7, 3, 2, 5
SHAPE = Shape(T, B, INPUTS, H)
RAGGED = [5, 0, 7]


@pytest.mark.parametrize("family", [un.RNN, un.LSTM, un.GRU])
@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("enforce_sorted", [False, True])
def test_a_packed_sequence_runs(family: Any, bidirectional: bool, enforce_sorted: bool) -> None:
    layer = family(INPUTS, H, 3, bidirectional=bidirectional, dropout=0.3).double()
    lengths = [7, 7, 3, 1] if enforce_sorted else [3, 7, 1, 7]

    def run() -> list[Tensor]:
        x = torch.randn(T, 4, INPUTS, dtype=F64, requires_grad=True)
        h = torch.randn(6 if bidirectional else 3, 4, H, dtype=F64, requires_grad=True)
        packed = pack_padded_sequence(x, lengths, enforce_sorted=enforce_sorted)
        output, final = layer(packed, (h, h.cos()) if family is un.LSTM else h)
        assert isinstance(output, PackedSequence)
        result = [output.data, *tensors(final)]
        return [*result, *derivatives(result, x, h, *layer.parameters())]

    assert_as_reference(run)


@every_kind
@ragged
@pytest.mark.parametrize("training", [False, True])
def test_dropout_between_layers_and_truncated_chunks(kind: str, is_ragged: bool, training: bool) -> None:
    layer = build(kind, SHAPE, F64, num_layers=3, dropout=0.4, batch_first=True).train(training)
    lengths = torch.tensor(RAGGED) if is_ragged else None

    def run() -> list[Tensor]:
        x = torch.randn(B, T, INPUTS, dtype=F64, requires_grad=True)
        results = tensors([*layer.chunks(x, 3, lengths=lengths)])
        return [*results, *derivatives(results, x, *layer.parameters())]

    assert_as_reference(run)


@pytest.mark.parametrize("cells", [[un.GRUCell], [un.LSTMCell, un.GRUCell, un.RNNCell]], ids=["gru", "mixed"])
@ragged
def test_cells_in_a_recurrent_run_with_options_around_them(cells: list[Any], is_ragged: bool) -> None:
    layer = un.Recurrent([cell(H, H) for cell in cells], bidirectional=True, merge="sum", connection="residual")
    layer = layer.double()

    def run() -> list[Tensor]:
        x = torch.randn(T, B, H, dtype=F64, requires_grad=True)
        result = layer(x, None, RAGGED if is_ragged else None)
        return [*tensors(result), *derivatives(result, x, *layer.parameters())]

    assert_as_reference(run)


@every_kind
def test_one_sequence_without_a_batch_runs(kind: str) -> None:
    layer = build(kind, SHAPE, F64)
    assert_as_reference(lambda: tensors(layer(torch.randn(T, INPUTS, dtype=F64))))


@every_kind
def test_the_engine_and_nothing_else_ran(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []

    class Counted:
        def __getattr__(self, name: str) -> Any:
            calls.append(name)
            return getattr(native, name)

    native = cpu.native()
    monkeypatch.setattr(engine, "native", Counted)
    numbers(*prepared(kind, SHAPE, F32, True, num_layers=2, bidirectional=True))
    assert calls.count("run") == 4  # two layers, there and back, both directions in one call
