"""What runs a recurrence: torch's fused operators where they compute the same thing, else the step loop.

``use("reference")`` forces a backend, for tests and measurements, and so does the environment variable
``UNROLL_BACKEND`` where no ``use`` is in force. ``recording()`` tells which one ran.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import torch
from torch import Tensor

from unroll.errors import ConfigError, did_you_mean
from unroll.kernels import cpu, fused_layer, graph_op, onnx_op, reference, scan, sequence, torch_op, transforms
from unroll.kernels.captured import Captured, of_engine, of_loop
from unroll.kernels.cpu.precision import bfloat16_weights
from unroll.kernels.cpu.stream import Steps
from unroll.kernels.noise import QUIET, StepNoise
from unroll.kernels.operator import Fusable, Operator, Recurrence, State, StepLike, map_state, rows
from unroll.kernels.program import Program
from unroll.kernels.recording import heard, note, recording

BACKENDS = ("auto", "torch", "cpu", "reference")
Keep = Callable[[Captured | None], None]
"""Is given what each direction held inside; None where the cell's signals are not the engine's."""
_forced: ContextVar[str | None] = ContextVar("unroll_backend", default=None)
forced = _forced.get
"""What the innermost ``use`` says, or None; ``backend`` for a stream's step, where a microsecond counts."""

__all__ = [
    "BACKENDS",
    "QUIET",
    "Captured",
    "Fusable",
    "Operator",
    "Program",
    "Recurrence",
    "State",
    "StepLike",
    "StepNoise",
    "Steps",
    "backend",
    "bfloat16_weights",
    "captured_again",
    "forced",
    "fused",
    "fused_step",
    "heard",
    "map_state",
    "note",
    "recording",
    "reference",
    "rows",
    "run",
    "run_both",
    "stacked",
    "step",
    "step_by_hand",
    "steps",
    "torch_op",
    "use",
]


@contextmanager
def use(name: str) -> Iterator[None]:
    """Force a backend inside the ``with`` block.

    ``"auto"`` chooses, ``"torch"`` insists on torch's operator and raises where there is none, ``"cpu"`` insists on
    unroll's own engine for layers, ``"reference"`` loops over ``step``.
    """
    token = _forced.set(_known(name, f"unknown backend {name!r}"))
    try:
        yield
    finally:
        _forced.reset(token)


def backend() -> str:
    """The backend in force: what the innermost ``use`` says, else ``UNROLL_BACKEND``, else "auto".

    Raises:
        ConfigError: ``UNROLL_BACKEND`` names none.
    """
    # Dynamo cannot trace a context variable; a compiled graph runs what is chosen.
    return "auto" if torch.compiler.is_compiling() else _forced.get() or _from_environment()


@functools.cache
def _from_environment() -> str:
    asked = os.environ.get("UNROLL_BACKEND") or "auto"
    return _known(asked, f"UNROLL_BACKEND={asked}")


def _known(name: str, told: str) -> str:
    if name not in BACKENDS:
        raise ConfigError(f"{told}.{did_you_mean(name, BACKENDS)}", expected=f"one of {', '.join(BACKENDS)}")
    return name


def stacked(
    stack: Fusable, kind: str, hidden: int, x: Tensor, shape: Sequence[int], *, projected: bool
) -> Operator | None:
    """``fused`` for a whole stack of ``kind`` in one call; None where its layers are to run one by one, by our engine.

    ``x`` holds the numbers of ``shape`` (T, batch, …) in any layout.
    """
    name = backend()
    if name == "cpu" or (name == "auto" and cpu.pays(kind, x, hidden, shape, projected=projected)):
        return None
    return fused(stack)


def _program(
    cell: Recurrence, x: Tensor, state: State, noise: StepNoise | None = None, always: bool = False
) -> Program | None:
    """What our engine is to run of ``cell`` over ``x`` (T, batch, features); None where another runs it.

    ``always`` also where torch's operator is the faster.
    """
    name = backend()
    if name not in ("auto", "cpu") or torch.compiler.is_compiling():
        return None
    program = None if transforms.needs_reference() else cell.program(noise is not None)
    if program is None:
        return None
    if name == "cpu":
        return program if cpu.takes(program, x) else None
    hidden = program.weights["weight_hh"].shape[1]
    pays = always or cpu.pays(program.kind, x, hidden, x.shape)
    return program if pays and cpu.takes(program, x, state) else None


def run_both(
    cells: Sequence[Recurrence],
    xs: Sequence[Tensor],
    states: Sequence[Any],
    *,
    lengths: Tensor | None,
    noises: Sequence[StepNoise | None],
    keep: Keep | None = None,
) -> tuple[Tensor, list[Any]] | None:
    """The directions of one layer in one call of our engine: outputs side by side, and final states; else None.

    ``keep`` is called for each direction.
    """
    runs = []
    for direction, (cell, x, state, noise) in enumerate(zip(cells, xs, states, noises)):
        program = _program(cell, x, tuple(state), noise)
        if program is None:
            return None
        runs.append(cpu.Run(program, x, tuple(state), direction == 1, noise))
    try:
        return _by_engine(cells, runs, states, lengths, keep)
    except cpu.MisfitError:
        if backend() == "cpu":
            raise
        return None  # torch has words of its own for it


def _by_engine(
    cells: Sequence[Recurrence],
    runs: Sequence[cpu.Run],
    states: Sequence[Any],
    lengths: Tensor | None,
    keep: Keep | None,
) -> tuple[Tensor, list[Any]]:
    output, finals, insides = cpu.run_all(runs, lengths, capture=keep is not None)
    for _ in runs:
        note("cpu")
    ends = [type(state)(*final) for state, final in zip(states, finals)]
    if keep is not None:
        outputs = output.split([end[0].shape[-1] for end in ends], -1)
        for cell, one, inside, part, state, end in zip(cells, runs, insides, outputs, states, ends):
            keep(of_engine(cell, inside, part, state, end, lengths, one.reverse))
    return output, ends


def steps(cells: Sequence[Recurrence], states: Sequence[Any], width: int) -> Steps | None:
    """A stack that our engine advances a step at a time from ``states``; None where it cannot run one of the cells."""
    if backend() not in ("auto", "cpu") or transforms.needs_reference():
        return None
    programs = []
    for cell, state in zip(cells, states):
        program = cell.program()
        if program is None or not all(cpu.takes(program, leaf) for leaf in state):
            return None
        programs.append(program)
    return Steps(programs, [tuple(state) for state in states], width)


def fused(cell: Fusable) -> Operator | None:
    """The torch operator to run ``cell`` with, or None for the step loop.

    Raises:
        ConfigError: ``use("torch")`` is in force and there is none.
    """
    name = backend()
    if name == "reference":
        return None
    transformed = transforms.needs_reference()
    operator = None if transformed else cell.operator()
    if operator is None and name == "torch":
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
    if stepped is not None:
        note("torch")
    elif backend() == "torch":
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
    keep: Keep | None = None,
) -> tuple[Tensor, Any]:
    """One layer in one direction over ``x`` (T, batch, features); see ``reference.run``.

    ``keep`` is called where our engine runs it.
    """
    how: dict[str, Any] = {"lengths": lengths, "reverse": reverse}
    captured = torch.compiler.is_compiling()
    program = _program(cell, x, tuple(state), noise)
    if program is not None:
        try:
            one = cpu.Run(program, x, tuple(state), reverse, noise)
            output, (final,) = _by_engine([cell], [one], [state], lengths, keep)
            return output, final
        except cpu.MisfitError:
            if backend() == "cpu":
                raise  # elsewhere torch has words of its own for it
    if noise is None and backend() in ("auto", "cpu"):
        whole = sequence.run(cell, x, state, **how, always=captured or backend() == "cpu")
        if whole is not None:
            note("sequence")
            return whole
    if backend() == "cpu" and x.numel() and not captured:
        raise ConfigError(
            f"the CPU engine does not run {type(cell).__name__} as it is set up, or not here",
            expected=f"one of {', '.join(cpu.KINDS)} in float32 or float64 on a CPU, outside of torch.func",
            fix="Use the backend 'auto' for it",
        )
    operator = None if noise is not None else fused(cell)
    _check_noise(cell, noise)
    if x.shape[0] == 0:
        return reference.run(cell, x, state, **how, noise=noise)
    engine = _engine_in_graph(operator, x) if captured else _engine(operator, x)
    note("reference" if engine is None else "torch")
    if engine is None:
        loop: Any = scan if captured else reference
        return loop.run(cell, x, state, **how, noise=noise)
    output, final = engine.run(operator, x, tuple(state), **how)
    return output, type(state)(*final)


@torch.no_grad()
def captured_again(
    cell: Recurrence, x: Tensor, state: Any, *, lengths: Tensor | None, reverse: bool, noise: StepNoise | None
) -> Captured:
    """What a layer that ran otherwise held inside: once more by our engine where it takes it, else by the loop."""
    program = _program(cell, x, tuple(state), noise, always=True)
    found: list[Captured | None] = []
    if program is not None:
        one = cpu.Run(program, x, tuple(state), reverse, noise)
        _by_engine([cell], [one], [state], lengths, found.append)
    if found and found[0] is not None:
        return found[0]
    return of_loop(cell, x, state, lengths=lengths, reverse=reverse, noise=noise)


def _engine(operator: Operator | None, x: Tensor) -> Any:
    """What runs a layer that is ``operator``; None for the step loop."""
    return None if operator is None or x.shape[1] == 0 else fused_layer


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


def step_by_hand(cell: Recurrence, x: Tensor, state: Any, noise: StepNoise | None) -> StepLike:
    """One step by its equation; the masks are those of one step."""
    note("reference")
    return reference.take(cell, x, state, noise, 0)


def _no_operator(cell: Fusable, part: str) -> ConfigError:
    return ConfigError(
        f"torch has no operator for {part}{type(cell).__name__} as it is set up",
        fix="Use the backend 'auto' or 'reference' for it",
    )
