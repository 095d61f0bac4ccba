"""Our own engine on a CPU: layers forward and backward in C++, chosen where it is the faster."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import Parameter
from torch.utils._python_dispatch import _get_current_dispatch_mode

from unroll.kernels import transforms
from unroll.kernels.cpu import layer, rule
from unroll.kernels.cpu.core import instruction_set, native
from unroll.kernels.cpu.kinds import KINDS, Kind, kind_of
from unroll.kernels.cpu.layer import Direction, Layer, Plan
from unroll.kernels.noise import StepNoise
from unroll.kernels.operator import State
from unroll.kernels.program import Program

__all__ = [
    "KINDS",
    "Inside",
    "Kind",
    "MisfitError",
    "Run",
    "instruction_set",
    "kind_of",
    "native",
    "pays",
    "rule",
    "run",
    "run_all",
    "takes",
]


class Run(NamedTuple):
    """One layer in one direction over ``x`` (T, batch, features) from ``state``, leaves (batch, …)."""

    program: Program
    x: Tensor
    state: State
    reverse: bool = False
    noise: StepNoise | None = None


class Inside(NamedTuple):
    """What a run held after every step, without a graph.

    Attributes:
        gates: by the names of ``Kind.signals``, (T, batch, hidden), 0 where a row has ended.
        cells: c (T, batch, hidden), where there is one; it says nothing where a row has ended.
    """

    gates: Mapping[str, Tensor]
    cells: Tensor | None


class MisfitError(RuntimeError):
    """A weight, a state or a mask has another shape, dtype or place than the input asks for."""


def pays(kind: str, x: Tensor, hidden: int, shape: Sequence[int], *, projected: bool = False) -> bool:
    """Whether the engine is there for the numbers of ``x``, and faster than what else would run ``kind``; see ``rule``.

    ``shape`` is (T, batch, …).
    """
    if native() is None or not x.is_cpu or x.dtype not in _DTYPES or not shape[0] * shape[1]:
        return False
    if torch.is_autocast_enabled("cpu"):
        return False
    # torch computes a projection step by step.
    return projected or rule.pays(kind, x.dtype, hidden, *shape[:2], training=torch.is_grad_enabled())


def takes(program: Program, x: Tensor, state: State = ()) -> bool:
    """Whether the engine computes this program for ``x`` (T, batch, features) from ``state``."""
    return (
        native() is not None
        and x.dtype in _DTYPES
        and all(_in_memory(t) and t.dtype == x.dtype for t in (x, *state, *program.weights.values()))
        and program.weights["weight_hh"].numel() > 0
        and x.numel() > 0
        and not torch.is_autocast_enabled("cpu")
        and not transforms.in_force()
        and _get_current_dispatch_mode() is None
    )


def _in_memory(tensor: Tensor) -> bool:
    """Whether the numbers lie at an address: a subclass (a fake, a distributed tensor) may hold none."""
    return type(tensor) in (Tensor, Parameter) and tensor.is_cpu and tensor.layout is torch.strided


def run(
    program: Program,
    x: Tensor,
    state: State,
    *,
    lengths: Tensor | None = None,
    reverse: bool = False,
    noise: StepNoise | None = None,
) -> tuple[Tensor, State]:
    """``fused_layer.run`` by the engine.

    Raises:
        MisfitError: a weight, a leaf of the state or a mask has another shape, dtype or place than ``x`` asks for.
    """
    output, (final,), _ = run_all([Run(program, x, state, reverse, noise)], lengths)
    return output, final


def run_all(
    runs: Sequence[Run], lengths: Tensor | None = None, *, capture: bool = False
) -> tuple[Tensor, list[State], list[Inside]]:
    """Several directions of one layer in one call.

    Returns:
        outputs side by side (T, batch, features), the final state of each run and, with ``capture``, what it held
        inside.
    """
    directions, tensors = [], []
    for one in runs:
        kind = kind_of(one.program.kind, int(one.program.numbers.get("without", 0)))
        direction = Direction(one.program, kind, one.reverse, _masks(one.noise), one.noise)
        _check(direction, one)
        directions.append(direction)
        tensors += [one.x, *one.state, *one.program.weights.values()]
    train = torch.is_grad_enabled() and any(t.requires_grad for t in tensors)
    plan = Plan(tuple(directions), None if lengths is None else lengths.contiguous(), train, capture)
    output, *rest = Layer.apply(plan, *tensors) if train else layer.run(plan, tensors)[0]
    finals = []
    for direction in directions:
        finals.append(tuple(rest[: direction.leaves]))
        rest = rest[direction.leaves :]
    kinds, seen = [one.kind for one in directions if capture], iter(rest)
    return output, finals, [Inside(kind.named(next(seen)), next(seen) if kind.cells else None) for kind in kinds]


def _masks(noise: StepNoise | None) -> dict[str, Tensor]:
    return {} if noise is None else {**noise.held, **noise.steps}


_DTYPES = (torch.float32, torch.float64)
_ROWS = ("bias_ih", "bias_hh", "gain_ih", "gain_hh")
_UNITS = ("weight_ci", "weight_cf", "weight_co", "gain_c", "bias_c")


def _check(direction: Direction, one: Run) -> None:
    """The engine reads memory by the sizes of ``x`` and the weights: nothing may be smaller than they say."""
    weights, x, gates = one.program.weights, one.x, direction.kind.gates
    (rows, P), (T, B, features) = weights["weight_hh"].shape, x.shape
    H = rows // gates
    if rows != gates * H or (P != H and "weight_hr" not in weights):
        raise MisfitError(f"Expected weight_hh of {gates} gates of one size, got {(rows, P)}")
    for name, weight in weights.items():
        if name in _ROWS:
            _fits(name, weight, (rows,), x)
        elif name in _UNITS:
            _fits(name, weight, (H,), x)
        else:
            _fits(name, weight, {"weight_ih": (rows, features), "weight_hr": (P, H)}.get(name, (rows, P)), x)
    for name, leaf, width in zip("hc", one.state, (P, H)):
        _fits(name, leaf, (B, width), x)
    for name, mask in direction.masks.items():
        _fits(name, mask, {"h": (B, P), "zoneout_h": (T, B, P)}.get(name, (T, B, H)), x)


def _fits(name: str, tensor: Tensor, shape: tuple[int, ...], x: Tensor) -> None:
    if tensor.shape != shape:
        raise MisfitError(f"Expected {name} of shape {shape}, got {tuple(tensor.shape)}")
    if tensor.dtype is not x.dtype or not _in_memory(tensor):
        raise MisfitError(
            f"Expected {name} in {x.dtype} on a CPU as the input is, got {tensor.dtype} on {tensor.device}"
        )
