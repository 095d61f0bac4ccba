"""``unroll::fused_layer``: a layer by torch's operator or our engine as a single node of a compiled graph.

Traced, torch's recurrent operators fall apart into T steps, and inductor's code for ``scan`` is slower than they are.
As a node of its own a layer runs in a compiled graph what it runs without; on the way back it is run once more. An
exported program holds ``scan`` instead, so that it can be loaded where unroll is not installed.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor

from unroll.kernels import cpu, fused_layer
from unroll.kernels.operator import Operator, State
from unroll.kernels.program import of_operator


def run(
    operator: Operator, x: Tensor, state: State, *, lengths: Tensor | None = None, reverse: bool = False
) -> tuple[Tensor, State]:
    """``fused_layer.run`` as one node, in autocast's dtype where that is in force, as cuDNN and oneDNN take it."""
    name, weights, has_biases = operator
    device = x.device.type
    if torch.is_autocast_enabled(device) and x.dtype != torch.float64:
        dtype = torch.get_autocast_dtype(device)
        x, state, weights = x.to(dtype), tuple(t.to(dtype) for t in state), tuple(t.to(dtype) for t in weights)
    output, *final = _layer(x, list(state), list(weights), lengths, name, has_biases, reverse)
    return output, tuple(final)


def _engine(operator: Operator, x: Tensor) -> Any:
    program = of_operator(operator)
    if program is None or not (
        cpu.pays(program.kind, program.weights["weight_hh"], *x.shape[:2]) and cpu.takes(program, x)
    ):
        return partial(fused_layer.run, operator)
    return partial(cpu.run, program)


def _run(
    x: Tensor,
    state: Sequence[Tensor],
    weights: Sequence[Tensor],
    lengths: Tensor | None,
    name: str,
    has_biases: bool,
    reverse: bool,
) -> list[Tensor]:
    operator = Operator(name, tuple(weights), has_biases)
    output, final = _engine(operator, x)(x, tuple(state), lengths=lengths, reverse=reverse)
    return [output, *final]


_ARGUMENTS = "Tensor x, Tensor[] state, Tensor[] weights, Tensor? lengths, str name, bool has_biases, bool reverse"


@torch.library.custom_op("unroll::fused_layer", mutates_args=(), schema=f"({_ARGUMENTS}) -> Tensor[]")
def _layer(x: Tensor, state: Sequence[Tensor], weights: Sequence[Tensor], *how: Any) -> list[Tensor]:
    return [leaf.contiguous() for leaf in _run(x, state, weights, *how)]


@_layer.register_fake
def _(x: Tensor, state: Sequence[Tensor], weights: Sequence[Tensor], *how: Any) -> list[Tensor]:
    output = x.new_empty(x.shape[0], x.shape[1], weights[1].shape[1])
    return [output, *(leaf.new_empty(leaf.shape) for leaf in state)]


@torch.library.custom_op(
    "unroll::fused_layer_backward",
    mutates_args=(),
    schema=f"(Tensor[] gradients, bool[] needed, {_ARGUMENTS}) -> Tensor[]",
)
def _layer_backward(
    gradients: Sequence[Tensor],
    needed: Sequence[bool],
    x: Tensor,
    state: Sequence[Tensor],
    weights: Sequence[Tensor],
    *how: Any,
) -> list[Tensor]:
    # An operator runs below autograd; its layer is run again above it.
    above = torch._C._SetExcludeDispatchKeyGuard(torch._C.DispatchKey.AutogradFunctionality, False)
    with above, torch.enable_grad():
        x, *leaves = inputs = [t.detach().requires_grad_(own) for t, own in zip((x, *state, *weights), needed)]
        results = _run(x, leaves[: len(state)], leaves[len(state) :], *how)
        wanted = [t for t, own in zip(inputs, needed) if own]
        found = torch.autograd.grad(results, wanted, list(gradients), materialize_grads=True)
    return [gradient.contiguous() for gradient in found]


@_layer_backward.register_fake
def _(
    gradients: Sequence[Tensor],
    needed: Sequence[bool],
    x: Tensor,
    state: Sequence[Tensor],
    weights: Sequence[Tensor],
    *how: Any,
) -> list[Tensor]:
    return [t.new_empty(t.shape) for t, own in zip((x, *state, *weights), needed) if own]


def _keep(ctx: Any, inputs: tuple[Any, ...], output: Sequence[Tensor]) -> None:
    x, state, weights, lengths, *ctx.how = inputs
    ctx.leaves = len(state)
    ctx.save_for_backward(x, *state, *weights, lengths)


def _differentiate(ctx: Any, gradients: Sequence[Tensor | None]) -> tuple[Any, ...]:
    x, *rest, lengths = ctx.saved_tensors
    state, weights = rest[: ctx.leaves], rest[ctx.leaves :]
    blank = [x.new_zeros(x.shape[0], x.shape[1], weights[1].shape[1]), *(torch.zeros_like(leaf) for leaf in state)]
    known = [zero if gradient is None else gradient for gradient, zero in zip(gradients, blank)]
    x_needed, state_needed, weights_needed, *_ = ctx.needs_input_grad
    needed = [x_needed, *state_needed, *weights_needed]
    found = iter(_layer_backward(known, needed, x, state, weights, lengths, *ctx.how))
    each = [next(found) if wanted else None for wanted in needed]
    return each[0], each[1 : 1 + ctx.leaves], each[1 + ctx.leaves :], None, None, None, None


_layer.register_autograd(_differentiate, setup_context=_keep)
