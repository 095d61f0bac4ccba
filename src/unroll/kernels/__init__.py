"""What runs a recurrence: torch's fused operators where they compute the same thing, else the step loop.

``use("reference")`` forces a backend, for tests and measurements.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from functools import partial
from typing import Any

import torch
from torch import Tensor

from unroll.errors import ConfigError, did_you_mean
from unroll.kernels import cpu, fused_layer, graph_op, onnx_op, reference, scan, sequence, torch_op, transforms
from unroll.kernels.noise import QUIET, StepNoise
from unroll.kernels.operator import Fusable, Operator, Recurrence, State, StepLike, map_state, rows

BACKENDS = ("auto", "torch", "cpu", "reference")
_forced: ContextVar[str] = ContextVar("unroll_backend", default="auto")

__all__ = [
    "BACKENDS",
    "QUIET",
    "Fusable",
    "Operator",
    "Recurrence",
    "State",
    "StepLike",
    "StepNoise",
    "backend",
    "fused",
    "fused_step",
    "map_state",
    "reference",
    "rows",
    "run",
    "stacked",
    "step",
    "step_by_hand",
    "torch_op",
    "use",
]


@contextmanager
def use(name: str) -> Iterator[None]:
    """Force a backend inside the ``with`` block.

    ``"auto"`` chooses, ``"torch"`` insists on torch's operator and raises where there is none, ``"cpu"`` insists on
    unroll's own engine for layers, ``"reference"`` loops over ``step``.
    """
    if name not in BACKENDS:
        raise ConfigError(
            f"unknown backend {name!r}.{did_you_mean(name, BACKENDS)}",
            expected=f"one of {', '.join(BACKENDS)}",
        )
    token = _forced.set(name)
    try:
        yield
    finally:
        _forced.reset(token)


def backend() -> str:
    """The backend in force: "auto" unless ``use`` says otherwise."""
    # Dynamo cannot trace a context variable; a compiled graph runs what is chosen.
    return "auto" if torch.compiler.is_compiling() else _forced.get()


def stacked(cell: Fusable, x: Tensor, T: int, batch: int) -> Operator | None:
    """``fused`` for a whole stack in one call; None where its layers are to run one by one.

    ``x`` holds the numbers of ``T`` steps of ``batch`` rows in any layout.
    """
    if backend() == "cpu":
        return None
    operator = fused(cell)
    return None if operator is not None and _own_engine(operator, x, T, batch) else operator


def _own_engine(operator: Operator, x: Tensor, T: int, batch: int) -> bool:
    forced = backend()
    if forced not in ("auto", "cpu") or torch.compiler.is_compiling():
        return False
    return forced == "cpu" or (cpu.pays(operator, T, batch) and cpu.takes(operator, x))


def fused(cell: Fusable) -> Operator | None:
    """The torch operator to run ``cell`` with, or None for the step loop.

    Raises:
        ConfigError: ``use("torch")`` is in force and there is none.
    """
    forced = backend()
    if forced == "reference":
        return None
    transformed = transforms.needs_reference()
    operator = None if transformed else cell.operator()
    if operator is None and forced in ("torch", "cpu"):
        raise _no_operator(cell, "a vmap or forward-mode derivative of " if transformed else "")
    return operator


def step(cell: Recurrence, x: Tensor, state: Any, noise: StepNoise | None = None) -> tuple[Tensor, Any]:
    """One step of one layer: output and new state, with torch's cell operator where it computes the same."""
    leaves = None if noise is not None else fused_step(cell, x, state)
    _check_noise(cell, noise)
    if leaves is None:
        taken = step_by_hand(cell, x, state, noise)
        return taken.output, taken.state
    return leaves[0], type(state)(*leaves)


def fused_step(cell: Recurrence, x: Tensor, leaves: Sequence[Tensor]) -> tuple[Tensor, ...] | None:
    """One step by torch's cell operator, which checks every shape: the new state's leaves, or None without one."""
    operator = fused(cell)
    stepped = torch_op.cell_step(operator, x, leaves) if operator is not None else None
    if stepped is None and backend() == "torch":
        raise _no_operator(cell, "one step of ")
    return stepped


def run(
    cell: Recurrence,
    x: Tensor,
    state: Any,
    *,
    lengths: Tensor | None,
    reverse: bool,
    noise: StepNoise | None = None,
) -> tuple[Tensor, Any]:
    """One layer in one direction over ``x`` (T, batch, features); see ``reference.run``."""
    how: dict[str, Any] = {"lengths": lengths, "reverse": reverse}
    captured = torch.compiler.is_compiling()
    if noise is None and backend() in ("auto", "cpu"):
        whole = sequence.run(cell, x, state, **how, always=captured or backend() == "cpu")
        if whole is not None:
            return whole
    operator = None if noise is not None else fused(cell)
    _check_noise(cell, noise)
    if x.shape[0] == 0:
        return reference.run(cell, x, state, **how, noise=noise)
    engine = _engine_in_graph(operator, x) if captured else _engine(cell, operator, x)
    if engine is None:
        loop: Any = scan if captured else reference
        return loop.run(cell, x, state, **how, noise=noise)
    output, final = engine.run(operator, x, tuple(state), **how)
    return output, type(state)(*final)


def _engine(cell: Fusable, operator: Operator | None, x: Tensor) -> Any:
    """What runs a layer that is ``operator``; None for the step loop."""
    if operator is None or x.shape[1] == 0:
        return None
    if backend() == "cpu" and not cpu.takes(operator, x):
        raise ConfigError(
            f"the CPU engine does not run {type(cell).__name__} as it is set up, or not here",
            expected="RNN, LSTM or GRU without projection, in float32 or float64 on a CPU, outside of torch.func",
            fix="Use the backend 'auto' for it",
        )
    return cpu if _own_engine(operator, x, *x.shape[:2]) else fused_layer


def _engine_in_graph(operator: Operator | None, x: Tensor) -> Any:
    """The same where a graph is captured; None for ``scan``."""
    if operator is None:
        return None
    if hasattr(torch.compiler, "is_exporting") and torch.compiler.is_exporting():  # torch 2.7 and later
        return onnx_op if onnx_op.fits(operator, x) else None
    return graph_op if x.shape[1] else None


def _check_noise(cell: Fusable, noise: StepNoise | None) -> None:
    """No operator of torch takes masks."""
    if noise is not None and backend() == "torch":
        raise _no_operator(cell, "the noise of ")


step_by_hand = partial(reference.take, t=0)
"""One step by its equation; the masks are those of one step."""


def _no_operator(cell: Fusable, part: str) -> ConfigError:
    return ConfigError(
        f"torch has no operator for {part}{type(cell).__name__} as it is set up",
        fix="Use the backend 'auto' or 'reference' for it",
    )
