"""``PackedSequence`` in, ``PackedSequence`` out, for the layers that take torch's calls."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence, pad_packed_sequence

from unroll.kernels import Operator
from unroll.nn import stack
from unroll.nn.noise import Noise
from unroll.nn.stack import Leaves
from unroll.nn.states import Given
from unroll.nn.watch import Call

if TYPE_CHECKING:
    from unroll.nn.classic import Classic


def run(
    layer: Classic,
    operator: Operator,
    packed: PackedSequence,
    state: Leaves,
    watcher: Callable[[Call], None] | None,
) -> tuple[Tensor, Leaves]:
    """Through torch's packed operator: the output's packed data and the final state, each layer reported if watched."""
    data, batch_sizes, order, back = packed

    def report(number: int, data: Tensor, before: Leaves) -> None:
        assert watcher is not None
        x, lengths = pad_packed_sequence(packed._replace(data=data))
        for direction, own in enumerate(layer.cell_states(_rows(before, back))):
            cell = layer.cell_at(number, direction)
            watcher(Call(layer, number, direction, cell, x, own, lengths.to(x.device)))

    sorted_state = _rows(state, order)
    if watcher is None:
        output, final = stack.run(layer, operator, data, sorted_state, batch_sizes)
    else:
        output, final = stack.run_watched(layer, operator, data, sorted_state, report, batch_sizes)
    return output, _rows(final, back)


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


def _rows(state: Leaves, order: Tensor | None) -> Leaves:
    return state if order is None else tuple(leaf.index_select(1, order) for leaf in state)
