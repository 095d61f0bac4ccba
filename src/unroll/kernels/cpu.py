"""Our own engine on a CPU: a layer in one direction, forward and backward, in C++.

Time is walked in blocks. The product of a block's inputs with W_ih is one large product of torch's; the recurrence
itself is C++, where a thread runs all steps of its rows. In training only the states are kept: on the way back the
gates of a block are computed anew, all its steps at once.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Iterator
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn import Parameter
from torch.utils._python_dispatch import _get_current_dispatch_mode

from unroll.errors import ConfigError
from unroll.kernels import fused_layer, ragged, transforms
from unroll.kernels.operator import Operator, State

KINDS = {"rnn_tanh": 0, "rnn_relu": 1, "lstm": 2, "gru": 3}
GATES = {"rnn_tanh": 1, "rnn_relu": 1, "lstm": 4, "gru": 3}
BLOCK = 1 << 18
"""Numbers in a block's gates: about what a core's cache holds."""
ALONE = 1 << 21
"""Multiplications below which a second thread is not worth its start."""


@functools.cache
def native() -> Any:
    """The C++ core with the engine in it, or None."""
    try:
        from unroll import _native
    except ImportError:
        return None
    return _native if hasattr(_native, "forward") else None


@functools.cache
def instruction_set() -> str:
    """What the engine runs on: the widest set of this machine, or the one ``UNROLL_ISA`` names.

    Raises:
        ConfigError: the machine does not have it.
    """
    offered = list(native().instruction_sets())
    asked = os.environ.get("UNROLL_ISA")
    if asked is not None and asked not in offered:
        raise ConfigError(f"UNROLL_ISA={asked}", expected=f"one of {', '.join(offered)}, which this machine has")
    return asked or offered[0]


def pays(operator: Operator, steps: int, batch: int) -> bool:
    """Whether the engine is faster than torch's operator, by what was measured (``benchmarks/cpu_layers.py``).

    torch's LSTM is oneDNN's and level with it. Of GRU and RNN torch takes every step apart, which costs most where
    steps are many and small; the engine packs the weights first, which few steps do not repay, and computes the gates
    twice in training, which large products feel.
    """
    if operator.name == "lstm" or operator.weights[0].dtype != torch.float32:
        return False
    hidden = operator.weights[1].shape[1]
    if steps < (24 if operator.name == "gru" else 48) + hidden * hidden // 4096:
        return False
    large = operator.name == "gru" and hidden >= 192 and batch * hidden > 8192
    return not (large and torch.is_grad_enabled() and any(w.requires_grad for w in operator.weights))


def takes(operator: Operator, x: Tensor) -> bool:
    """Whether the engine computes this operator for ``x`` (T, batch, features)."""
    weights = operator.weights
    return (
        native() is not None
        and x.dtype in (torch.float32, torch.float64)
        and len(weights) == (4 if operator.has_biases else 2)
        and all(_in_memory(t) and t.dtype == x.dtype for t in (x, *weights))
        and weights[1].shape[1] > 0
        and x.numel() > 0
        and not torch.is_autocast_enabled("cpu")
        and not transforms.in_force()
        and _get_current_dispatch_mode() is None
    )


def _in_memory(tensor: Tensor) -> bool:
    """Whether the numbers lie at an address: a subclass (a fake, a distributed tensor) may hold none."""
    return type(tensor) in (Tensor, Parameter) and tensor.device.type == "cpu" and tensor.layout is torch.strided


def run(
    operator: Operator, x: Tensor, state: State, *, lengths: Tensor | None = None, reverse: bool = False
) -> tuple[Tensor, State]:
    """``fused_layer.run`` by the engine.

    Raises:
        RuntimeError: a weight or a leaf of the state has another shape, dtype or place than ``x`` asks for.
    """
    if reverse and lengths is None:
        output, final = run(operator, x.flip(0), state)
        return output.flip(0), final
    if reverse and lengths is not None:
        index = ragged.reversal(lengths, x.shape[0])
        output, final = run(operator, ragged.taken(x, index), state, lengths=lengths)
        return ragged.taken(output, index), final
    _check(operator, x, state)
    # Here and not inside the function, which knows its inputs again on the way back only as they came.
    x, *leaves = (_dense(t) for t in (x, *state))
    w_ih, w_hh, *biases = operator.weights
    b_ih, b_hh = biases if biases else (w_ih.new_zeros(w_ih.shape[0]),) * 2
    h, c = leaves if operator.name == "lstm" else (*leaves, None)
    keep = torch.is_grad_enabled() and any(t.requires_grad for t in (x, *leaves, *operator.weights))
    output, *final = _Layer.apply(operator.name, lengths, keep, x, h, c, w_ih, w_hh, b_ih, b_hh)
    return output, tuple(final)


def _check(operator: Operator, x: Tensor, state: State) -> None:
    """The engine reads memory by the sizes of ``x`` and W_hh: nothing may be smaller than they say."""
    w_ih, w_hh, *biases = operator.weights
    H = w_hh.shape[-1]
    rows = GATES[operator.name] * H
    wanted: list[tuple[str, Tensor, tuple[int, ...]]] = [("W_ih", w_ih, (rows, x.shape[2])), ("W_hh", w_hh, (rows, H))]
    wanted += [(name, bias, (rows,)) for name, bias in zip(("b_ih", "b_hh"), biases)]
    wanted += [(name, leaf, (x.shape[1], H)) for name, leaf in zip(("h", "c"), state)]
    for name, tensor, shape in wanted:
        if tensor.shape != shape:
            raise RuntimeError(f"Expected {name} of shape {shape}, got {tuple(tensor.shape)}")
        if tensor.dtype != x.dtype or not _in_memory(tensor):
            raise RuntimeError(
                f"Expected {name} in {x.dtype} on a CPU as the input is, got {tensor.dtype} on {tensor.device}"
            )


def _dense(tensor: Tensor) -> Tensor:
    """Every number of ``tensor`` where and as a reader of its memory looks for it."""
    return tensor.contiguous().resolve_neg()


class _Weights(NamedTuple):
    """What the recurrence needs of the weights, contiguous.

    Attributes:
        bias: all that is added to the gates whatever the reset gate does.
        bias_hn: GRU's bias inside its reset product; None elsewhere.
    """

    name: str
    w_ih: Tensor
    w_hh: Tensor
    bias: Tensor
    bias_hn: Tensor | None

    @property
    def hidden(self) -> int:
        return self.w_hh.shape[1]

    def packed(self, few_rows: bool) -> Tensor:
        """W_hh for products with h."""
        H = self.hidden
        return _pack(self.w_hh, H, GATES[self.name], H, few_rows, (H, H * H, 1))

    def packed_back(self, few_rows: bool) -> Tensor:
        """W_hh for products with the gradient of the gates."""
        H = self.hidden
        return _pack(self.w_hh, H, 1, GATES[self.name] * H, few_rows, (1, 0, H))


def _weights(name: str, w_ih: Tensor, w_hh: Tensor, b_ih: Tensor, b_hh: Tensor) -> _Weights:
    w_ih, w_hh = _dense(w_ih), _dense(w_hh)
    if name != "gru":
        return _Weights(name, w_ih, w_hh, b_ih + b_hh, None)
    rz = 2 * w_hh.shape[1]
    return _Weights(name, w_ih, w_hh, torch.cat([b_ih[:rz] + b_hh[:rz], b_ih[rz:]]), _dense(b_hh[rz:]))


def _pack(w: Tensor, units: int, gates: int, inner: int, few_rows: bool, strides: tuple[int, int, int]) -> Tensor:
    core, how = native(), (instruction_set(), w.dtype == torch.float64, units, gates, inner, few_rows)
    packed = w.new_empty(core.packed_size(*how))
    core.pack(*how, _at(w), *strides, _at(packed))
    return packed


class _Plan(NamedTuple):
    """How a call is cut up: blocks of ``steps``, rows over ``threads``."""

    T: int
    batch: int
    steps: int
    threads: int

    @property
    def few_rows(self) -> bool:
        return self.batch < 4 * self.threads

    def blocks(self) -> Iterator[tuple[int, int]]:
        """First step and number of steps of each."""
        return ((begin, min(self.steps, self.T - begin)) for begin in range(0, self.T, self.steps))


def _plan(x: Tensor, name: str, hidden: int) -> _Plan:
    T, B = x.shape[:2]
    gates = GATES[name] * hidden
    threads = min(torch.get_num_threads(), B) if T * B * gates * hidden > ALONE else 1
    return _Plan(T, B, max(1, min(T, BLOCK // (B * gates))), threads)


class _Layer(torch.autograd.Function):
    """One layer over (T, batch, features): output, h after each row's last step and, of an LSTM, c."""

    @staticmethod
    def forward(
        ctx: Any,
        name: str,
        lengths: Tensor | None,
        keep: bool,
        x: Tensor,
        h: Tensor,
        c: Tensor | None,
        w_ih: Tensor,
        w_hh: Tensor,
        b_ih: Tensor,
        b_hh: Tensor,
    ) -> tuple[Tensor, ...]:
        weights = _weights(name, w_ih, w_hh, b_ih, b_hh)
        ends = None if lengths is None else lengths.contiguous()
        y, cells = _forward(weights, x, h, c, ends, keep)
        final: tuple[Tensor, ...] = (_last(y, h, ends),)
        if c is not None and cells is not None:
            final += (_last(cells, c, ends) if keep else cells[0],)
        if keep:
            ctx.save_for_backward(x, h, c, w_ih, w_hh, b_ih, b_hh, y, cells, ends)
            ctx.name = name
        return (y, *final)

    @staticmethod
    def backward(ctx: Any, grad_y: Tensor, grad_h: Tensor, grad_c: Tensor | None = None) -> Any:
        if torch.is_autocast_enabled("cpu"):
            with torch.autocast("cpu", enabled=False):
                return _Layer.backward(ctx, grad_y, grad_h, grad_c)
        x, h, c, w_ih, w_hh, b_ih, b_hh, y, cells, ends = ctx.saved_tensors
        if torch.is_grad_enabled():
            inputs, grads = (x, h, c, w_ih, w_hh, b_ih, b_hh), (grad_y, grad_h, grad_c)
            return (None, None, None, *_differentiably(ctx, inputs, ends, grads))
        weights = _weights(ctx.name, w_ih, w_hh, b_ih, b_hh)
        given = (grad_h,) if grad_c is None else (grad_h, grad_c)
        carried = tuple(grad.clone(memory_format=torch.contiguous_format) for grad in given)
        grads_x = _backward(weights, x, h, c, y, cells, ends, _dense(grad_y), carried)
        grad_x, grad_ih, grad_hh, grad_b_ih, grad_b_hh = grads_x
        grad_c0 = carried[1] if c is not None else None
        return None, None, None, grad_x, carried[0], grad_c0, grad_ih, grad_hh, grad_b_ih, grad_b_hh


def _differentiably(ctx: Any, inputs: tuple[Any, ...], ends: Tensor | None, grads: tuple[Any, ...]) -> list[Any]:
    """The gradient as something to differentiate again, by torch's operator."""
    needs = ctx.needs_input_grad[3:]
    with torch.enable_grad():
        # As views: one input may be another, or be made of it, and each is to have its own share alone.
        inputs = tuple(t.view_as(t) if needed else t for t, needed in zip(inputs, needs))
        x, h, c, *weights = inputs
        state = (h,) if c is None else (h, c)
        output, final = fused_layer.run(Operator(ctx.name, tuple(weights), True), x, state, lengths=ends)
        results = [output, *final]
        wanted = [t for t, needed in zip(inputs, needs) if needed]
        found = iter(torch.autograd.grad(results, wanted, grads[: len(results)], create_graph=True, allow_unused=True))
    return [next(found) if needed else None for needed in needs]


def _last(steps: Tensor, start: Tensor, lengths: Tensor | None) -> Tensor:
    """A copy of the value after each row's last step, ``start`` where there is none."""
    if lengths is None:
        return steps[-1].clone()
    last = (lengths - 1).clamp(min=0).view(1, -1, 1).expand(1, -1, steps.shape[-1])
    return torch.where((lengths > 0).unsqueeze(1), steps.gather(0, last).squeeze(0), start)


def _forward(
    weights: _Weights, x: Tensor, h: Tensor, c: Tensor | None, lengths: Tensor | None, keep: bool
) -> tuple[Tensor, Tensor | None]:
    """Output, and c after every step (T, batch, H), or after the last (1, batch, H) unless ``keep``."""
    plan, H = _plan(x, weights.name, weights.hidden), weights.hidden
    packed = weights.packed(plan.few_rows)
    y = x.new_empty(plan.T, plan.batch, H) if lengths is None else x.new_zeros(plan.T, plan.batch, H)
    cells = None
    if c is not None:
        cells = torch.empty_like(y) if keep else c.clone().unsqueeze(0)
    for begin, steps in plan.blocks():
        gates = torch.addmm(weights.bias, x[begin : begin + steps].flatten(0, 1), weights.w_ih.t())
        left = None if lengths is None else lengths - begin
        before, own = None, None
        if c is not None and cells is not None:
            own = cells[begin] if keep else cells[0]
            before = own if not keep else cells[begin - 1] if begin else c
        native().forward(
            instruction_set(),
            x.dtype == torch.float64,
            KINDS[weights.name],
            steps,
            plan.batch,
            H,
            plan.threads,
            _at(left),
            _at(gates),
            _at(weights.bias_hn),
            _at(y[begin - 1] if begin else h),
            _at(y[begin]),
            _at(before),
            _at(own),
            plan.batch * H if keep else 0,
            _at(packed),
        )
    return y, cells


def _backward(
    weights: _Weights,
    x: Tensor,
    h: Tensor,
    c: Tensor | None,
    y: Tensor,
    cells: Tensor | None,
    lengths: Tensor | None,
    grad_y: Tensor,
    carried: tuple[Tensor, ...],
) -> tuple[Tensor, ...]:
    """Gradients of x, W_ih, W_hh, b_ih, b_hh; ``carried``, those of the last state, become those of the first."""
    name, H, plan = weights.name, weights.hidden, _plan(x, weights.name, weights.hidden)
    gated = name in ("lstm", "gru")
    packed, back = weights.packed(False) if gated else None, weights.packed_back(plan.few_rows)
    grad_x, rows = torch.empty_like(x), GATES[name] * H
    grad_ih, grad_hh = torch.zeros_like(weights.w_ih), torch.zeros_like(weights.w_hh)
    grad_b_ih, grad_b_hh = x.new_zeros(rows), x.new_zeros(rows)
    for begin, steps in reversed(list(plan.blocks())):
        inputs = x[begin : begin + steps].flatten(0, 1)
        gates = _block_gates(weights, inputs, gated)
        h_gates = x.new_zeros(steps * plan.batch, rows) if name == "gru" else None
        first = y[begin - 1] if begin else h
        left = None if lengths is None else lengths - begin
        native().backward(
            instruction_set(),
            x.dtype == torch.float64,
            KINDS[name],
            steps,
            plan.batch,
            H,
            plan.threads,
            _at(left),
            _at(gates),
            _at(h_gates),
            _at(weights.bias_hn),
            _at(first),
            _at(y[begin]),
            _at(None if cells is None else cells[begin - 1] if begin else c),
            _at(None if cells is None else cells[begin]),
            _at(grad_y[begin]),
            _at(carried[0]),
            _at(carried[1] if len(carried) > 1 else None),
            _at(packed),
            _at(back),
        )
        if lengths is not None:
            ended = torch.arange(begin, begin + steps, device=x.device).unsqueeze(1) >= lengths
            gates.masked_fill_(ended.flatten().unsqueeze(1), 0)
        from_h = gates if h_gates is None else h_gates
        grad_hh.addmm_(from_h[: plan.batch].t(), first)
        if steps > 1:
            grad_hh.addmm_(from_h[plan.batch :].t(), y[begin : begin + steps - 1].flatten(0, 1))
        grad_ih.addmm_(gates.t(), inputs)
        torch.mm(gates, weights.w_ih, out=grad_x[begin : begin + steps].flatten(0, 1))
        grad_b_ih += gates.sum(0)
        grad_b_hh += from_h.sum(0)
    return grad_x, grad_ih, grad_hh, grad_b_ih, grad_b_hh


def _block_gates(weights: _Weights, inputs: Tensor, gated: bool) -> Tensor:
    """What a block's inputs give the gates, for the gates to be computed anew; space for their gradient."""
    if gated:
        return torch.addmm(weights.bias, inputs, weights.w_ih.t())
    return inputs.new_empty(inputs.shape[0], weights.w_ih.shape[0])


def _at(tensor: Tensor | None) -> int:
    """Where a contiguous tensor begins in memory; 0 for none. The caller keeps the tensor."""
    if tensor is None:
        return 0
    if not tensor.is_contiguous():
        raise AssertionError("the engine was handed a tensor that is not contiguous")
    return tensor.data_ptr()
