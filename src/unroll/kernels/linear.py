"""``unroll::linear_recurrence``: h_t = a_t ⊙ h_{t-1} + b_t as one operator, which later cells are built on.

On a CPU it is C++, elsewhere a loop over torch's operators with the same results. Nothing is taken apart into
logarithms or products of many factors, so any sign of ``a`` is exact.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from unroll.errors import ConfigError
from unroll.kernels import recur
from unroll.kernels.differentiable import differentiable
from unroll.kernels.recur import Walk


def linear_recurrence(
    a: Tensor, b: Tensor, h0: Tensor | None = None, *, resets: Tensor | None = None, reverse: bool = False
) -> Tensor:
    r"""A linear recurrence in which every number has its own state.

    .. math:: h_t = a_t \odot h_{t-1} + b_t, \qquad t = 1 \dots T

    where :math:`h_0` is ``h0``, or 0. LRU, S5, RG-LRU and QRNN are this recurrence (Orvieto et al. 2023,
    arXiv:2303.06349, eq. 1; Bradbury et al. 2017, arXiv:1611.01576, eq. 3-5).

    Args:
        a: (T, batch, …) as ``b``, or with 1 in place of any of its sizes: one for all steps, rows or features. Where it
            is shared by steps or rows, as by ``expand`` too, it is read where it lies and never multiplied in memory.
        b: (T, batch, …), of any strides.
        h0: (batch, …), the state before the first step.
        resets: bool (T, batch). Where it is True the state is 0 before that step: h_t = b_t, whatever a_t and the
            state were.
        reverse: walk from the last step to the first, h_t = a_t ⊙ h_{t+1} + b_t, with ``h0`` behind the last one.

    Returns:
        h (T, batch, …), contiguous. T and the batch may be 0.

    Derivatives of any order with respect to ``a``, ``b`` and ``h0``: the gradient is the same recurrence, walked the
    other way. The numbers do not depend on ``torch.get_num_threads()``.

    Raises:
        ConfigError: shapes do not fit, dtypes or devices differ, or the dtype is an integer. C++ takes float32,
            float64, complex64 and complex128 on a CPU, the loop all else.

    Example::

        >>> a, b = torch.full((1, 1, 1), -0.5), torch.ones(4, 2, 3)
        >>> linear_recurrence(a, b)[:, 0, 0]
        tensor([1.0000, 0.5000, 0.7500, 0.6250])
    """
    check(a, b, h0, resets)
    result: Tensor = _recurrence(a, b, h0, resets, reverse)
    return result


def adjoint(a: Tensor, g: Tensor, resets: Tensor | None, reverse: bool) -> Tensor:
    """The gradient of ``b``, given ``g`` that of h: d_t = g_t + conj(a_{t+1}) d_{t+1}, walked against ``reverse``.

    d reaches step t from the step after it, unless that one was reset. ``a`` is as ``linear_recurrence`` takes it.
    """
    result: Tensor = _adjoint(a, g, resets, reverse)
    return result


def check(a: Tensor, b: Tensor, h0: Tensor | None, resets: Tensor | None) -> None:
    """Raises ConfigError unless the arguments fit one another."""
    if b.dim() < 2:
        raise ConfigError(f"linear_recurrence: b of shape {tuple(b.shape)}", expected="(T, batch, …)")
    if not (b.is_floating_point() or b.is_complex()):
        raise ConfigError(f"linear_recurrence: b in {b.dtype}", expected="a floating-point or complex dtype")
    if a.dim() != b.dim() or any(own != whole and own != 1 for own, whole in zip(a.shape, b.shape)):
        raise ConfigError(
            f"linear_recurrence: a of shape {tuple(a.shape)}",
            expected=f"{tuple(b.shape)} as b, with 1 in place of any size",
        )
    recur.check_kind("linear_recurrence: a", a, b)
    if h0 is not None:
        recur.check_fits("linear_recurrence: h0", h0, b.shape[1:], b)
    recur.check_resets("linear_recurrence", resets, b)


def previous(h: Tensor, first: Tensor | None, reverse: bool = False) -> Tensor:
    """The state before each step, ``first`` or 0 before the first one walked."""
    if not h.shape[0]:
        return h
    start = torch.zeros_like(h[:1]) if first is None else first.unsqueeze(0)
    return torch.cat([h[1:], start]) if reverse else torch.cat([start, h[:-1]])


def unless_reset(values: Tensor, resets: Tensor | None) -> Tensor:
    """``values`` (T, batch, …), 0 where the state before the step counts for nothing."""
    if resets is None:
        return values
    return values.masked_fill(resets.view(*resets.shape, *[1] * (values.dim() - 2)), 0)


def to_first(values: Tensor, resets: Tensor | None, reverse: bool = False) -> Tensor:
    """Of ``values`` (T, batch, …), which reach the state before each step, those of the first step walked."""
    if not values.shape[0]:
        return values.sum(0)
    first = slice(-1, None) if reverse else slice(0, 1)
    return unless_reset(values[first], None if resets is None else resets[first]).squeeze(0)


@torch.library.custom_op(
    "unroll::linear_recurrence",
    mutates_args=(),
    schema="(Tensor a, Tensor b, Tensor? h0, Tensor? resets, bool reverse) -> Tensor",
)
def _forward(a: Tensor, b: Tensor, h0: Tensor | None, resets: Tensor | None, reverse: bool) -> Tensor:
    check(a, b, h0, resets)
    return recur.run("linear", a, b, h0, resets, Walk(reverse))


@torch.library.custom_op(
    "unroll::linear_recurrence_adjoint",
    mutates_args=(),
    schema="(Tensor a, Tensor g, Tensor? resets, bool reverse) -> Tensor",
)
def _backward(a: Tensor, g: Tensor, resets: Tensor | None, reverse: bool) -> Tensor:
    check(a, g, None, resets)
    return recur.run("linear", a, g, None, resets, Walk(not reverse, late=True, conjugate=a.is_complex()))


@_forward.register_fake
def _(a: Tensor, b: Tensor, h0: Tensor | None, resets: Tensor | None, reverse: bool) -> Tensor:
    check(a, b, h0, resets)
    return b.new_empty(b.shape)


@_backward.register_fake
def _(a: Tensor, g: Tensor, resets: Tensor | None, reverse: bool) -> Tensor:
    check(a, g, None, resets)
    return g.new_empty(g.shape)


def _grad_a(a: Tensor, before: Tensor, after: Tensor, resets: Tensor | None) -> Tensor:
    """a_t joins the state before step t and what comes back from after it."""
    return unless_reset(before.conj() * after, resets).sum_to_size(a.shape)


def _keep_forward(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    a, _, h0, resets, ctx.reverse = inputs
    ctx.save_for_backward(a, h0, resets, output)


def _differentiate_forward(ctx: Any, g: Tensor) -> tuple[Any, ...]:
    a, h0, resets, h = ctx.saved_tensors
    d = adjoint(a, g, resets, ctx.reverse)
    a_needed, _, h0_needed, *_ = ctx.needs_input_grad
    grad_a = _grad_a(a, previous(h, h0, ctx.reverse), d, resets) if a_needed else None
    grad_h0 = None
    if h0 is not None and h0_needed:
        last = slice(-1, None) if ctx.reverse else slice(0, 1)
        grad_h0 = to_first(a[last].conj() * d[last], None if resets is None else resets[last])
    return grad_a, d, grad_h0, None, None


def _keep_backward(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    a, _, resets, ctx.reverse = inputs
    ctx.save_for_backward(a, resets, output)


def _differentiate_backward(ctx: Any, g: Tensor) -> tuple[Any, ...]:
    """The adjoint's adjoint is the recurrence itself."""
    a, resets, d = ctx.saved_tensors
    y = linear_recurrence(a, g, resets=resets, reverse=ctx.reverse)
    grad_a = _grad_a(a, previous(y, None, ctx.reverse), d, resets) if ctx.needs_input_grad[0] else None
    return grad_a, y, None, None


def _members(tensor: Tensor, dim: int | None, size: int, at: int) -> Tensor:
    """``tensor`` with the members of a ``vmap`` as a dimension of its own at ``at``."""
    if dim is None:
        shape = [*tensor.shape[:at], size, *tensor.shape[at:]]
        return tensor.unsqueeze(at).expand(shape)
    return tensor.movedim(dim, at)


def _into_batch(
    size: int, dims: tuple[Any, ...], a: Tensor, b: Tensor, h0: Tensor | None, resets: Tensor | None
) -> tuple[Tensor, Tensor, Tensor | None, Tensor | None]:
    """The members of a ``vmap`` as further rows of the batch."""
    b = _members(b, dims[1], size, 1)
    if dims[0] is not None or a.shape[1] != 1:
        a = _members(a, dims[0], size, 1)
        a = a.expand(a.shape[0], *b.shape[1:3], *a.shape[3:]).flatten(1, 2)
    if h0 is not None:
        h0 = _members(h0, dims[2], size, 0).flatten(0, 1)
    if resets is not None:
        resets = _members(resets, dims[3], size, 1).flatten(1, 2)
    return a, b.flatten(1, 2), h0, resets


def _forward_of_members(info: Any, dims: tuple[Any, ...], *arguments: Any) -> tuple[Tensor, int]:
    *tensors, reverse = arguments
    h = _recurrence(*_into_batch(info.batch_size, dims, *tensors), reverse)
    return h.unflatten(1, (info.batch_size, -1)), 1


def _backward_of_members(info: Any, dims: tuple[Any, ...], *arguments: Any) -> tuple[Tensor, int]:
    a, g, resets, reverse = arguments
    a, g, _, resets = _into_batch(info.batch_size, (dims[0], dims[1], None, dims[2]), a, g, None, resets)
    return _adjoint(a, g, resets, reverse).unflatten(1, (info.batch_size, -1)), 1


_recurrence = differentiable(_forward, _keep_forward, _differentiate_forward, _forward_of_members)
_adjoint = differentiable(_backward, _keep_backward, _differentiate_backward, _backward_of_members)
