"""``PackedSequence`` in, ``PackedSequence`` out, for the layers that take torch's calls."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence, pad_packed_sequence

from unroll.kernels import Operator, torch_op
from unroll.nn.noise import Noise
from unroll.nn.states import Given
from unroll.nn.watch import Call

if TYPE_CHECKING:
    from unroll.nn.classic import Classic

Leaves = tuple[Tensor, ...]
"""A stacked state, each leaf (layers · directions, batch, features), rows in the caller's order."""


def run(layer: Classic, operator: Operator, packed: PackedSequence, state: Leaves) -> tuple[Tensor, Leaves]:
    """The whole stack through torch's packed operator: the output's packed data and the final state."""
    return _operate(operator, packed, state, layer.num_layers, layer.bidirectional, layer.dropout, layer.training)


def run_watched(
    layer: Classic, operator: Operator, packed: PackedSequence, state: Leaves, watcher: Callable[[Call], None]
) -> tuple[Tensor, Leaves]:
    """``run`` layer by layer, each reported to ``watcher``: the same numbers, the same draws of dropout."""
    finals: list[Leaves] = []
    per_layer = len(operator.weights) // layer.num_layers
    for number in range(layer.num_layers):
        if number and layer.dropout:
            packed = packed._replace(data=F.dropout(packed.data, layer.dropout, layer.training))
        own = tuple(leaf[number * layer.directions :][: layer.directions] for leaf in state)
        _report(layer, number, packed, own, watcher)
        alone = operator._replace(weights=operator.weights[number * per_layer :][:per_layer])
        data, final = _operate(alone, packed, own, 1, layer.bidirectional, 0.0, layer.training)
        packed = packed._replace(data=data)
        finals.append(final)
    return packed.data, tuple(torch.cat(leaves) for leaves in zip(*finals))


def run_padded(layer: Classic, packed: PackedSequence, state: Given, noise: Noise | None) -> tuple[Tensor, Given]:
    """Where torch has no operator: padded, run with lengths, packed again.

    By index, because torch's own padding and packing have neither batching rule nor forward derivative.
    """
    data, batch_sizes, order, back = packed
    T, B = len(batch_sizes), int(batch_sizes[0])
    running = torch.arange(B, device=batch_sizes.device) < batch_sizes.unsqueeze(1)
    index = running.flatten().nonzero().squeeze(1).to(data.device)
    x = data.new_zeros(T * B, data.shape[1]).index_copy(0, index, data).unflatten(0, (T, B))
    lengths = running.sum(0).to(data.device)
    if back is not None:
        x, lengths = x.index_select(1, back), lengths.index_select(0, back)
    output, final = layer.run_given(x, state, lengths, noise)
    if order is not None:
        output = output.index_select(1, order)
    return output.flatten(0, 1).index_select(0, index), final


def _operate(
    operator: Operator,
    packed: PackedSequence,
    state: Leaves,
    num_layers: int,
    bidirectional: bool,
    dropout: float,
    training: bool,
) -> tuple[Tensor, Leaves]:
    output, final = torch_op.run(
        operator,
        packed.data,
        _rows(state, packed.sorted_indices),
        batch_sizes=packed.batch_sizes,
        num_layers=num_layers,
        bidirectional=bidirectional,
        dropout=dropout,
        training=training,
    )
    return output, _rows(final, packed.unsorted_indices)


def _report(
    layer: Classic, number: int, packed: PackedSequence, state: Leaves, watcher: Callable[[Call], None]
) -> None:
    x, lengths = pad_packed_sequence(packed)
    for direction, before in enumerate(layer.cell_states(state)):
        cell = layer.cell_at(number, direction)
        watcher(Call(layer, number, direction, cell, x, before, lengths.to(x.device)))


def _rows(state: Leaves, order: Tensor | None) -> Leaves:
    return state if order is None else tuple(leaf.index_select(1, order) for leaf in state)
