"""The contract: one recurrence, written once, as its equation."""

from __future__ import annotations

import inspect
import math
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any, ClassVar, NamedTuple

import torch
from torch import Tensor, nn

from unroll import kernels
from unroll.kernels import Operator, State


class Step(NamedTuple):
    """What one time step gives.

    Attributes:
        output: (batch, output_size), what the next layer reads.
        state: the cell's own NamedTuple, each leaf (batch, …).
        signals: gates and other named inner values, each (batch, …).
    """

    output: Tensor
    state: Any
    signals: Mapping[str, Tensor]


class Layout(NamedTuple):
    """A state's type, and the shape of its leaves after the batch."""

    kind: Any
    shapes: tuple[tuple[int, ...], ...]


class Cell(nn.Module):
    """One recurrence.

    A subclass takes ``input_size`` as its first constructor argument, sets ``input_size`` and
    ``output_size``, and writes two methods::

        def initial_state(self, batch_size, *, device=None, dtype=None) -> State
        def step(self, x, state) -> Step        # x: (batch, input_size)

    ``Recurrent`` then runs it over sequences in layers and directions, ragged or in chunks; nothing but the
    equation belongs here.

    Attributes:
        keep_gate: name of the signal in 0…1 that says how much of the old state is kept, or None.
    """

    keep_gate: ClassVar[str | None] = None
    input_size: int
    output_size: int
    _arguments: tuple[tuple[Any, ...], dict[str, Any]]

    def __new__(cls, *args: Any, **kwargs: Any) -> Cell:
        cell = super().__new__(cls)
        object.__setattr__(cell, "_arguments", (args, kwargs))
        return cell

    def initial_state(
        self, batch_size: int, *, device: torch.device | None = None, dtype: torch.dtype | None = None
    ) -> Any:
        """The state before the first step, each leaf (batch_size, …)."""
        raise NotImplementedError(f"{type(self).__name__} must define initial_state(batch_size, *, device, dtype)")

    def step(self, x: Tensor, state: Any) -> Step:
        """Advance one time step; ``x`` is (batch, input_size)."""
        raise NotImplementedError(f"{type(self).__name__} must define step(x, state) -> Step")

    def operator(self) -> Operator | None:
        """The torch operator that computes the same recurrence, or None."""
        return None

    def like(self, input_size: int) -> Cell:
        """A new cell of the same kind and options for another input width."""
        args, kwargs = self._arguments
        bound = inspect.signature(type(self)).bind(*args, **kwargs)
        bound.arguments["input_size"] = input_size
        return type(self)(*bound.args, **bound.kwargs)

    @cached_property
    def layout(self) -> Layout:
        """What a state of this cell looks like."""
        state = self.initial_state(0, device=torch.device("meta"))
        return Layout(type(state), tuple(tuple(leaf.shape[1:]) for leaf in state))

    def checked_state(self, given: Sequence[Tensor], batch_size: int, name: str) -> Any:
        """``given`` as this cell's state.

        Raises:
            RuntimeError: it has other leaves than the cell's state for ``batch_size`` rows; ``name`` says which.
        """
        kind, shapes = self.layout
        if len(given) != len(shapes) or any(leaf.shape != (batch_size, *own) for leaf, own in zip(given, shapes)):
            expected = ", ".join(str((batch_size, *own)) for own in shapes)
            got = ", ".join(str(tuple(leaf.shape)) for leaf in given)
            raise RuntimeError(f"{type(self).__name__}: Expected {name} of shapes {expected}, got {got}")
        return kind(*given)

    def forward(self, input: Tensor, hx: Tensor | State | None = None) -> Tensor | State:
        """One step as torch's cells take it: ``input`` (batch, input_size) or (input_size), returns the new state.

        A state of one tensor goes in and comes out as that tensor, one of several as a tuple.
        """
        batched = input.dim() == 2
        if not batched and input.dim() != 1:
            raise ValueError(f"{type(self).__name__}: Expected input to be 1D or 2D, got {input.dim()}D instead")
        x = input if batched else input.unsqueeze(0)
        if hx is None:
            given = self.initial_state(x.shape[0], device=x.device, dtype=x.dtype)
        else:
            given = self._given_leaves(hx, batched)
        leaves = kernels.fused_step(self, x, given)
        if leaves is None:
            leaves = self._step_leaves(x, given)
        if not batched:
            leaves = tuple([leaf.squeeze(0) for leaf in leaves])
        return leaves if len(leaves) > 1 else leaves[0]

    def _given_leaves(self, hx: Tensor | State, batched: bool) -> State:
        given, shapes = (hx,) if isinstance(hx, Tensor) else tuple(hx), self.layout.shapes
        if len(given) != len(shapes):
            raise RuntimeError(f"{type(self).__name__}: Expected a state of {len(shapes)} tensors, got {len(given)}")
        for position, (leaf, own) in enumerate(zip(given, shapes)):
            if not 0 <= leaf.dim() - len(own) <= 1:
                name = "hidden" if isinstance(hx, Tensor) else f"hx[{position}]"
                expected = f"{len(own)}D or {len(own) + 1}D"
                raise ValueError(f"{type(self).__name__}: Expected {name} to be {expected}, got {leaf.dim()}D instead")
        return given if batched else tuple([leaf.unsqueeze(0) for leaf in given])

    def _step_leaves(self, x: Tensor, given: Sequence[Tensor]) -> State:
        if x.shape[1] != self.input_size:
            raise RuntimeError(f"input has inconsistent input_size: got {x.shape[1]} expected {self.input_size}")
        return tuple(self.step(x, self.checked_state(given, x.shape[0], "hx")).state)


_WITHOUT_BIAS = ("weight_ih", "weight_hh")
_WITH_BIAS = (*_WITHOUT_BIAS, "bias_ih", "bias_hh")


class GatedCell(Cell):
    """Shared by the classic cells: torch's parameters, names and initialisation.

    ``weight_ih`` (gates · hidden, input), ``weight_hh`` (gates · hidden, recurrent), ``bias_ih`` and
    ``bias_hh`` (gates · hidden), all drawn from U(-1/√hidden, 1/√hidden) in this order, as torch draws them.
    """

    gates: ClassVar[int]
    gate_names: ClassVar[tuple[str, ...]]
    hidden_size: int
    bias: bool
    bias_ih: Tensor | None
    bias_hh: Tensor | None

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        *,
        recurrent_size: int | None = None,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        for name, size in (("input_size", input_size), ("hidden_size", hidden_size)):
            if not isinstance(size, int):
                raise TypeError(f"{name} should be of type int, got: {type(size).__name__}")
            if size < 0:
                raise ValueError(f"{name} must be greater than zero")
        self.input_size, self.hidden_size, self.bias = input_size, hidden_size, bias
        self.output_size = recurrent_size or hidden_size
        rows = self.gates * hidden_size
        make = {"device": device, "dtype": dtype}
        self.weight_ih = nn.Parameter(torch.empty(rows, input_size, **make))
        self.weight_hh = nn.Parameter(torch.empty(rows, self.output_size, **make))
        for name in ("bias_ih", "bias_hh"):
            self.register_parameter(name, nn.Parameter(torch.empty(rows, **make)) if bias else None)

    def reset_parameters(self) -> None:
        """Draw every parameter anew from U(-1/√hidden, 1/√hidden)."""
        bound = 1.0 / math.sqrt(self.hidden_size) if self.hidden_size else 0.0
        for parameter in self.parameters():
            nn.init.uniform_(parameter, -bound, bound)

    def _weights(self) -> tuple[Tensor, ...]:
        names = _WITH_BIAS if self.bias else _WITHOUT_BIAS
        try:
            return tuple([self._parameters[name] for name in names])  # type: ignore[misc]
        except KeyError:  # one is computed: parametrised, or set as a plain tensor
            return tuple([getattr(self, name) for name in names])

    def extra_repr(self) -> str:
        return f"{self.input_size}, {self.hidden_size}" + ("" if self.bias else ", bias=False")
