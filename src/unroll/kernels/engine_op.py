"""``unroll::engine_layer``: our own engine in a compiled graph that is to be differentiated.

The way back needs the states, which come out anyway, so that nothing is run twice as in ``graph_op``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from unroll.kernels import cpu, ragged
from unroll.kernels.operator import Operator, State

_BUILT = cpu.native() is not None


def fits(operator: Operator, x: Tensor, state: State) -> bool:
    """Whether the engine can compute this operator and a gradient is asked for."""
    tensors = (x, *state, *operator.weights)
    return (
        _BUILT
        and torch.is_grad_enabled()
        and any(t.requires_grad for t in tensors)
        and len(operator.weights) == (4 if operator.has_biases else 2)
        and x.dtype in (torch.float32, torch.float64)
        and all(t.device.type == "cpu" and t.dtype == x.dtype for t in tensors)
    )


def run(
    operator: Operator, x: Tensor, state: State, *, lengths: Tensor | None = None, reverse: bool = False
) -> tuple[Tensor, State]:
    """``cpu.run`` as one node."""
    index = ragged.reversal(lengths, x.shape[0]) if reverse and lengths is not None else None
    if reverse:
        x = x.flip(0) if index is None else ragged.taken(x, index)
    w_ih, w_hh, *biases = operator.weights
    b_ih, b_hh = biases if biases else (w_ih.new_zeros(w_ih.shape[0]),) * 2
    h, c = state if operator.name == "lstm" else (state[0], None)
    output, *final = _layer(x, h, c, w_ih, w_hh, b_ih, b_hh, lengths, operator.name)
    if reverse:
        output = output.flip(0) if index is None else ragged.taken(output, index)
    return output, tuple(final[: len(state)])


_ARGUMENTS = (
    "Tensor x, Tensor h, Tensor? c, Tensor w_ih, Tensor w_hh, Tensor b_ih, Tensor b_hh, Tensor? lengths, str name"
)


@torch.library.custom_op("unroll::engine_layer", mutates_args=(), schema=f"({_ARGUMENTS}) -> Tensor[]")
def _layer(x: Tensor, h: Tensor, c: Tensor | None, *rest: Any) -> list[Tensor]:
    """Output, h_n and, of an LSTM, c_n and c after every step."""
    *weights, lengths, name = rest
    y, final, cells = cpu.forward(name, _ends(lengths), True, cpu.dense(x), *_state(h, c), *weights)
    return [y, *final] if cells is None else [y, *final, cells]


@_layer.register_fake
def _(x: Tensor, h: Tensor, c: Tensor | None, *rest: Any) -> list[Tensor]:
    T, B, H = x.shape[0], x.shape[1], h.shape[1]
    leaves = [x.new_empty(T, B, H), x.new_empty(B, H)]
    return leaves if c is None else [*leaves, x.new_empty(B, H), x.new_empty(T, B, H)]


@torch.library.custom_op(
    "unroll::engine_layer_backward",
    mutates_args=(),
    schema=f"(Tensor[] gradients, Tensor y, Tensor? cells, {_ARGUMENTS}) -> Tensor[]",
)
def _layer_backward(
    gradients: Sequence[Tensor], y: Tensor, cells: Tensor | None, x: Tensor, h: Tensor, c: Tensor | None, *rest: Any
) -> list[Tensor]:
    *weights, lengths, name = rest
    known = (tuple(gradients), y, cells, cpu.dense(x), *_state(h, c))
    return [gradient for gradient in cpu.backward(name, _ends(lengths), *known, *weights) if gradient is not None]


@_layer_backward.register_fake
def _(
    gradients: Sequence[Tensor], y: Tensor, cells: Tensor | None, x: Tensor, h: Tensor, c: Tensor | None, *rest: Any
) -> list[Tensor]:
    return [t.new_empty(t.shape) for t in (x, h, c, *rest[:-2]) if t is not None]


def _ends(lengths: Tensor | None) -> Tensor | None:
    return None if lengths is None else lengths.contiguous()


def _state(h: Tensor, c: Tensor | None) -> tuple[Tensor, Tensor | None]:
    return cpu.dense(h), None if c is None else cpu.dense(c)


def _keep(ctx: Any, inputs: tuple[Any, ...], output: Sequence[Tensor]) -> None:
    *tensors, ctx.name = inputs
    ctx.save_for_backward(output[0], output[3] if len(output) > 3 else None, *tensors)


def _differentiate(ctx: Any, gradients: Sequence[Tensor | None]) -> tuple[Any, ...]:
    y, cells, x, h, c, *rest = ctx.saved_tensors
    blank = [torch.zeros_like(y), torch.zeros_like(h), *([] if c is None else [torch.zeros_like(c)])]
    known = [zero if gradient is None else gradient for gradient, zero in zip(gradients, blank)]
    found = _layer_backward(known, y, cells, x, h, c, *rest, ctx.name)
    if c is None:
        found = [*found[:2], None, *found[2:]]
    return *found, None, None


_layer.register_autograd(_differentiate, setup_context=_keep)
