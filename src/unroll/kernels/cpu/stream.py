"""Layers that advance a step at a time in memory of their own, their weights packed once."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from unroll.kernels.cpu.core import instruction_set, native
from unroll.kernels.cpu.kinds import kind_of
from unroll.kernels.cpu.layer import Call, Direction
from unroll.kernels.cpu.precision import halved
from unroll.kernels.operator import State
from unroll.kernels.program import Program


class Steps:
    """A stack of ``programs`` from ``states``, of the batch, dtype and widths that these have.

    The weights are read once, as they were at ``versions``.

    Attributes:
        taken: the shape of an input, ``given`` that of an output.
        step: from the address of an input to that of an output, both contiguous in ``dtype``.
    """

    def __init__(self, programs: Sequence[Program], states: Sequence[State], width: int) -> None:
        first = states[0][0]
        self.batch, self.dtype = first.shape[0], first.dtype
        self.taken = (self.batch, width)
        self.weights = [weight for program in programs for weight in program.weights.values()]
        self.versions = [weight._version for weight in self.weights]
        self._states: list[tuple[Tensor, ...]] = []
        self._calls: list[Call] = []
        x = first.new_zeros(1, self.batch, width)
        with torch.no_grad():
            for program, state in zip(programs, states):
                x = self._add(program, state, x)
        self.given = (self.batch, x.shape[2])
        cores = [call.core for call in self._calls]
        self._stream = native().stream(instruction_set(), self.dtype is torch.float64, cores)
        self.step = self._stream.step

    def _add(self, program: Program, state: State, x: Tensor) -> Tensor:
        kind = kind_of(program.kind, int(program.numbers.get("without", 0)))
        h, *c = (leaf.detach().clone(memory_format=torch.contiguous_format) for leaf in state)
        y = torch.empty_like(h)
        call = Call(
            Direction(program, kind, False, {}, None), None, x, h, c[0] if c else None, program.weights, y[None]
        )
        call.core.half = int(halved())
        if c:
            call.core.c = c[0].data_ptr()
        self._calls.append(call)
        self._states.append((h, y, *c))
        return y[None]

    @property
    def stale(self) -> bool:
        """Whether a weight was written since they were read."""
        return [weight._version for weight in self.weights] != self.versions

    def put(self, states: Sequence[State]) -> bool:
        """Go on from ``states``; False if they do not fit."""
        place = int(self._stream.odd)
        pairs = [
            pair
            for kept, state in zip(self._states, states)
            for pair in zip((kept[place], *kept[2:]), state, strict=True)
        ]
        if any(leaf.shape != kept.shape or leaf.dtype != kept.dtype or not leaf.is_cpu for kept, leaf in pairs):
            return False
        for kept, leaf in pairs:
            kept.copy_(leaf.detach())
        return True

    def states(self) -> list[State]:
        """Copies of the states as they are now."""
        place = int(self._stream.odd)
        return [(kept[place].clone(), *(c.clone() for c in kept[2:])) for kept in self._states]
