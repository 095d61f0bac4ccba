"""Runs the recurrences in which every unit reads only itself: in C++ on a CPU, elsewhere as a loop of torch's."""

from __future__ import annotations

import functools
from typing import Any, NamedTuple

import torch
from torch import Tensor

from unroll.errors import ConfigError
from unroll.kernels import cpu
from unroll.kernels.operator import rows

TYPES = {torch.float32: 0, torch.float64: 1, torch.complex64: 2, torch.complex128: 3}
"""What the C++ core computes in."""
KINDS = {"linear": 0, "relu": 1, "tanh": 2, "sru": 3}
ALONE = 1 << 22
"""Products per thread below which another one is not worth its start: the recurrence waits for memory, not for them."""
COST = {"linear": 1, "relu": 1, "tanh": 16, "sru": 32}
"""How many of those a number takes."""


class Walk(NamedTuple):
    """How the steps are walked.

    Attributes:
        reverse: from the last to the first.
        late: a step takes ``a`` and ``resets`` of the one walked before it; the first one its ``b`` alone.
        conjugate: take the conjugate of ``a``.
    """

    reverse: bool = False
    late: bool = False
    conjugate: bool = False


FORWARD = Walk()


def run(kind: str, a: Tensor, b: Tensor, first: Tensor | None, resets: Tensor | None, walk: Walk = FORWARD) -> Tensor:
    """h_t = act(a_t ⊙ h_{t-1} + b_t); ``a`` is as ``b`` (T, batch, …) or 1 wide where it is shared."""
    if not takes(b):
        return _loop(kind, a, b, first, resets, walk)
    state = b.new_empty(b.shape)
    if state.numel():
        a, b, first, resets = _lines(a, b.shape[2:]), _lines(b, b.shape[2:]), _dense(first), _dense(resets)
        _recur(kind, walk, a, b, None, first, resets, state, None)
    return state


def run_sru(
    gates: Tensor, v: Tensor, skip: Tensor, first: Tensor | None, resets: Tensor | None
) -> tuple[Tensor, Tensor]:
    """h and c of an SRU from x̃, p, q side by side in ``gates`` (T, batch, 3 H), v_f and v_r in ``v`` (2, H)."""
    if not takes(gates):
        return _loop_sru(gates, v, skip, first, resets)
    c, h = (gates.new_empty(skip.shape) for _ in range(2))
    if h.numel():
        gates, skip = _lines(gates, gates.shape[2:]), _lines(skip, skip.shape[2:])
        first, resets = _dense(first), _dense(resets)
        _recur("sru", FORWARD, v.contiguous().unsqueeze(0), gates, skip, first, resets, c, h)
    return h, c


@functools.cache
def native() -> Any:
    """The C++ core with the recurrences in it, or None."""
    core = cpu.native()
    return core if hasattr(core, "recur") else None


def takes(tensor: Tensor) -> bool:
    """Whether the C++ core computes in this dtype and place."""
    return native() is not None and tensor.device.type == "cpu" and tensor.dtype in TYPES


def check_fits(what: str, tensor: Tensor, shape: tuple[int, ...], like: Tensor) -> None:
    """Raises ConfigError unless ``tensor`` has this shape, and the dtype and device of ``like``."""
    if tuple(tensor.shape) != tuple(shape):
        raise ConfigError(f"{what} of shape {tuple(tensor.shape)}", expected=f"shape {tuple(shape)}")
    check_kind(what, tensor, like)


def check_kind(what: str, tensor: Tensor, like: Tensor) -> None:
    """Raises ConfigError unless ``tensor`` has the dtype and device of ``like``."""
    if tensor.dtype != like.dtype or tensor.device != like.device:
        raise ConfigError(
            f"{what} in {tensor.dtype} on {tensor.device}",
            expected=f"{like.dtype} on {like.device}, as what it is computed with",
        )


def check_resets(what: str, resets: Tensor | None, like: Tensor) -> None:
    """Raises ConfigError unless ``resets`` are bool (T, batch) beside ``like`` (T, batch, …)."""
    if resets is None:
        return
    if resets.dtype != torch.bool or tuple(resets.shape) != tuple(like.shape[:2]) or resets.device != like.device:
        raise ConfigError(
            f"{what}: resets of shape {tuple(resets.shape)} in {resets.dtype} on {resets.device}",
            expected=f"torch.bool of shape {tuple(like.shape[:2])} on {like.device}",
        )


def _recur(
    kind: str,
    walk: Walk,
    a: Tensor,
    b: Tensor,
    skip: Tensor | None,
    first: Tensor | None,
    resets: Tensor | None,
    state: Tensor,
    output: Tensor | None,
) -> None:
    """Tensors (T, batch, features) whose features lie side by side, and dense ones: the core reads by these sizes."""
    T, B = state.shape[:2]
    features = state.shape[2:].numel()
    if resets is None and skip is None and _joined(B, a, b):
        # Rows that lie side by side are one long row.
        B, features = 1, B * features
    work = T * B * features * COST[kind] * (2 if b.is_complex() else 1)
    threads = min(torch.get_num_threads(), max(1, work // ALONE))
    native().recur(
        cpu.instruction_set(),
        KINDS[kind],
        TYPES[b.dtype],
        (T, B, features),
        threads,
        tuple(walk),
        _array(a),
        _array(b),
        _array(skip),
        _address(first),
        _address(resets),
        _address(state),
        _address(output),
    )


def _lines(tensor: Tensor, features: torch.Size) -> Tensor:
    """(T or 1, batch or 1, features) with the features side by side, copied only where they are not."""
    for dim in (0, 1):
        if tensor.shape[dim] > 1 and tensor.stride(dim) == 0:
            tensor = tensor.narrow(dim, 0, 1)
    tensor = tensor.expand(*tensor.shape[:2], *features).reshape(*tensor.shape[:2], features.numel())
    tensor = tensor.resolve_conj().resolve_neg()
    return tensor if tensor.shape[2] == 1 or tensor.stride(2) == 1 else tensor.contiguous()


def _dense(tensor: Tensor | None) -> Tensor | None:
    return None if tensor is None else tensor.resolve_conj().resolve_neg().contiguous()


def _joined(B: int, *tensors: Tensor) -> bool:
    """Whether all ``B`` rows of a step lie side by side in every tensor (T, batch, features)."""
    return all(t.shape[1] == B and (B == 1 or t.stride(1) == t.shape[2]) for t in tensors)


def _array(tensor: Tensor | None) -> tuple[int, int, int]:
    """Where it begins, and its strides of a step and of a row; 0 for what all share."""
    if tensor is None:
        return 0, 0, 0
    step, row = (stride if size > 1 else 0 for size, stride in zip(tensor.shape[:2], tensor.stride()[:2]))
    return tensor.data_ptr(), step, row


def _address(tensor: Tensor | None) -> int:
    if tensor is None:
        return 0
    if not tensor.is_contiguous():
        raise AssertionError("the core was handed a tensor that is not contiguous")
    return tensor.data_ptr()


def _activated(kind: str, h: Tensor) -> Tensor:
    return {"linear": lambda: h, "relu": h.relu, "tanh": h.tanh}[kind]()


def _steps(T: int, walk: Walk) -> list[tuple[int, int]]:
    """Each step in the order of the walk, and the one whose ``a`` and ``resets`` it takes."""
    order = list(range(T))[:: -1 if walk.reverse else 1]
    return [(t, order[max(s - 1, 0)] if walk.late else t) for s, t in enumerate(order)]


def _loop(kind: str, a: Tensor, b: Tensor, first: Tensor | None, resets: Tensor | None, walk: Walk) -> Tensor:
    state = torch.empty_like(b, memory_format=torch.contiguous_format)
    before = None if walk.late else first
    a = a.conj_physical() if walk.conjugate else a  # a lazy conjugate is not resolved below autograd
    for t, at in _steps(b.shape[0], walk):
        h = b[t]
        if before is not None:
            h = a[at if a.shape[0] > 1 else 0] * before + h
        if resets is not None:
            h = torch.where(rows(resets[at], h), b[t], h)
        before = state[t] = _activated(kind, h)
    return state


def _loop_sru(
    gates: Tensor, v: Tensor, skip: Tensor, first: Tensor | None, resets: Tensor | None
) -> tuple[Tensor, Tensor]:
    h, c = (torch.empty_like(skip, memory_format=torch.contiguous_format) for _ in range(2))
    before = skip.new_zeros(skip.shape[1:]) if first is None else first
    for t, (x, p, q) in enumerate(zip(*gates.chunk(3, -1))):
        if resets is not None:
            before = before.masked_fill(rows(resets[t], before), 0)
        f, r = (p + v[0] * before).sigmoid(), (q + v[1] * before).sigmoid()
        before = c[t] = x + f * (before - x)
        h[t] = skip[t] + r * (before - skip[t])
    return h, c
