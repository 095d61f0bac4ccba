"""``unroll::indrnn`` and ``unroll::sru``: recurrences that are not linear, but in which every unit reads only itself.

∂h_t/∂h_{t-1} is then a number per unit, and the gradient a linear recurrence; so derivatives of any order are those
of ``linear_recurrence``.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from unroll.errors import ConfigError
from unroll.kernels import recur
from unroll.kernels.differentiable import differentiable
from unroll.kernels.linear import adjoint, previous, to_first, unless_reset

NONLINEARITIES = ("relu", "tanh")


def indrnn(
    w: Tensor, u: Tensor, h0: Tensor | None = None, *, resets: Tensor | None = None, nonlinearity: str = "relu"
) -> Tensor:
    r"""The recurrence of an IndRNN (Li et al. 2018, arXiv:1803.04831, eq. 2).

    .. math:: h_t = \mathrm{act}(w_t + u \odot h_{t-1})

    Args:
        w: (T, batch, hidden), what the input gives.
        u: (hidden).
        h0: (batch, hidden), the state before the first step; 0 if None.
        resets: bool (T, batch): the state is 0 before these steps.
        nonlinearity: ``"relu"`` or ``"tanh"``.

    Returns:
        h (T, batch, hidden).

    Raises:
        ConfigError: a shape, dtype or device does not fit, or the nonlinearity is another.

    Example::

        >>> indrnn(torch.ones(3, 1, 1), torch.tensor([2.0]))[:, 0, 0]
        tensor([1., 3., 7.])
    """
    result: Tensor = _indrnn(w, u, h0, resets, nonlinearity)
    return result


def sru(
    gates: Tensor,
    v_f: Tensor,
    v_r: Tensor,
    skip: Tensor,
    c0: Tensor | None = None,
    *,
    resets: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    r"""The recurrence of an SRU (Lei et al. 2018, arXiv:1709.02755, eq. 1-4).

    .. math::
        f_t &= \sigma(p_t + v_f \odot c_{t-1}) \\
        c_t &= f_t \odot c_{t-1} + (1 - f_t) \odot \tilde x_t \\
        r_t &= \sigma(q_t + v_r \odot c_{t-1}) \\
        h_t &= r_t \odot c_t + (1 - r_t) \odot s_t

    Args:
        gates: (T, batch, 3 · hidden), x̃, p and q side by side.
        v_f, v_r: (hidden).
        skip: s, (T, batch, hidden), what passes the recurrence by.
        c0: (batch, hidden), the state before the first step; 0 if None.
        resets: bool (T, batch): the state is 0 before these steps.

    Returns:
        h and c, (T, batch, hidden) each.

    Raises:
        ConfigError: a shape, dtype or device does not fit.

    Example::

        >>> h, c = sru(torch.randn(5, 2, 12), torch.ones(4), torch.ones(4), torch.randn(5, 2, 4))
    """
    h, c = _sru(gates, v_f, v_r, skip, c0, resets)
    return h, c


def _check_indrnn(w: Tensor, u: Tensor, h0: Tensor | None, resets: Tensor | None, nonlinearity: str) -> None:
    if nonlinearity not in NONLINEARITIES:
        raise ConfigError(f"indrnn: nonlinearity {nonlinearity!r}", expected=f"one of {', '.join(NONLINEARITIES)}")
    _check_series("indrnn: w", w)
    recur.check_fits("indrnn: u", u, w.shape[2:], w)
    if h0 is not None:
        recur.check_fits("indrnn: h0", h0, w.shape[1:], w)
    recur.check_resets("indrnn", resets, w)


def _check_sru(gates: Tensor, v_f: Tensor, v_r: Tensor, skip: Tensor, c0: Tensor | None, resets: Tensor | None) -> None:
    _check_series("sru: skip", skip)
    T, B, H = skip.shape
    recur.check_fits("sru: gates", gates, (T, B, 3 * H), skip)
    recur.check_fits("sru: v_f", v_f, (H,), skip)
    recur.check_fits("sru: v_r", v_r, (H,), skip)
    if c0 is not None:
        recur.check_fits("sru: c0", c0, (B, H), skip)
    recur.check_resets("sru", resets, skip)


def _check_series(what: str, tensor: Tensor) -> None:
    if tensor.dim() != 3 or not tensor.is_floating_point():
        raise ConfigError(
            f"{what} of shape {tuple(tensor.shape)} in {tensor.dtype}",
            expected="(T, batch, hidden) in a real floating-point dtype",
        )


@torch.library.custom_op(
    "unroll::indrnn",
    mutates_args=(),
    schema="(Tensor w, Tensor u, Tensor? h0, Tensor? resets, str nonlinearity) -> Tensor",
)
def _indrnn_op(w: Tensor, u: Tensor, h0: Tensor | None, resets: Tensor | None, nonlinearity: str) -> Tensor:
    _check_indrnn(w, u, h0, resets, nonlinearity)
    return recur.run(nonlinearity, u.view(1, 1, -1), w, h0, resets)


@_indrnn_op.register_fake
def _(w: Tensor, u: Tensor, h0: Tensor | None, resets: Tensor | None, nonlinearity: str) -> Tensor:
    _check_indrnn(w, u, h0, resets, nonlinearity)
    return w.new_empty(w.shape)


def _keep_indrnn(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    _, u, h0, resets, ctx.nonlinearity = inputs
    ctx.save_for_backward(u, h0, resets, output)


def _differentiate_indrnn(ctx: Any, g: Tensor) -> tuple[Any, ...]:
    u, h0, resets, h = ctx.saved_tensors
    # What is not above 0 passes no gradient, NaN does: as torch's relu.
    slope = 1 - h * h if ctx.nonlinearity == "tanh" else torch.ones_like(h).masked_fill(h <= 0, 0)
    d = adjoint(slope * u, g, resets, False)
    d_w = d * slope
    _, u_needed, h0_needed, *_ = ctx.needs_input_grad
    grad_u = unless_reset(d_w * previous(h, h0), resets).sum((0, 1)) if u_needed else None
    grad_h0 = to_first(d_w * u, resets) if h0 is not None and h0_needed else None
    return d_w, grad_u, grad_h0, None, None


_indrnn = differentiable(_indrnn_op, _keep_indrnn, _differentiate_indrnn)


@torch.library.custom_op(
    "unroll::sru",
    mutates_args=(),
    schema="(Tensor gates, Tensor v_f, Tensor v_r, Tensor skip, Tensor? c0, Tensor? resets) -> (Tensor, Tensor)",
)
def _sru_op(
    gates: Tensor, v_f: Tensor, v_r: Tensor, skip: Tensor, c0: Tensor | None, resets: Tensor | None
) -> tuple[Tensor, Tensor]:
    _check_sru(gates, v_f, v_r, skip, c0, resets)
    return recur.run_sru(gates, torch.stack([v_f, v_r]), skip, c0, resets)


@_sru_op.register_fake
def _(
    gates: Tensor, v_f: Tensor, v_r: Tensor, skip: Tensor, c0: Tensor | None, resets: Tensor | None
) -> tuple[Tensor, Tensor]:
    _check_sru(gates, v_f, v_r, skip, c0, resets)
    return skip.new_empty(skip.shape), skip.new_empty(skip.shape)


def _keep_sru(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor]) -> None:
    gates, v_f, v_r, skip, c0, resets = inputs
    ctx.save_for_backward(gates, v_f, v_r, skip, c0, resets, output[1])


def _differentiate_sru(ctx: Any, grad_h: Tensor, grad_c: Tensor) -> tuple[Any, ...]:
    gates, v_f, v_r, skip, c0, resets, c = ctx.saved_tensors
    x, p, q = gates.chunk(3, -1)
    before = unless_reset(previous(c, c0), resets)
    f, r = (p + v_f * before).sigmoid(), (q + v_r * before).sigmoid()
    d_q = grad_h * (c - skip) * r * (1 - r)
    # c_t is seen by h_t and, through r, by h_{t+1}.
    through_r = unless_reset(d_q * v_r, resets)
    opening = (before - x) * f * (1 - f)
    slope = f + opening * v_f
    d = adjoint(slope, grad_c + grad_h * r + previous(through_r, None, reverse=True), resets, False)
    d_p = d * opening
    grad_gates = torch.cat([d * (1 - f), d_p, d_q], -1)
    grad_c0 = to_first(d * slope + through_r, resets) if c0 is not None and ctx.needs_input_grad[4] else None
    grad_v_f, grad_v_r = ((own * before).sum((0, 1)) for own in (d_p, d_q))
    return grad_gates, grad_v_f, grad_v_r, grad_h * (1 - r), grad_c0, None


_sru = differentiable(_sru_op, _keep_sru, _differentiate_sru)
