"""The contract: one recurrence, written once, as its equation."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from unroll import kernels
from unroll.kernels import Operator, Program, State, StepNoise
from unroll.kernels.program import of_operator


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

    A cell that draws noise in training defines ``draw`` and takes the masks of a step as a third argument,
    ``step(x, state, noise)``, so that a run can be repeated exactly.

    Attributes:
        keep_gate: name of the signal in 0…1 that says how much of the old state is kept, or None.
    """

    keep_gate: str | None = None
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

    def program(self, noisy: bool = False) -> Program | None:
        """What our CPU engine is told to run this, ``noisy`` with the masks of ``draw``; None if it cannot."""
        operator = None if noisy else self.operator()
        return None if operator is None else of_operator(operator)

    def sequence(self, x: Tensor, state: Any, resets: Tensor | None) -> tuple[Tensor, Any] | None:
        """All steps at once, where they need not be taken one by one; None: they do.

        Args:
            x: (T, batch, input_size), T and batch above 0.
            state: the state before the first step.
            resets: bool (T, batch), where the state is taken as 0 before a step; or None.

        Returns:
            output (T, batch, output_size), and the state after every step, each leaf (T, batch, …).
        """
        return None

    def signals_of(self, gates: Mapping[str, Tensor]) -> Mapping[str, Tensor] | None:
        """The signals of a step from the gates that our engine keeps, by name and of any shape; None: not from them."""
        return None

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        for name in ("operator", "program", "sequence", "signals_of"):
            # A new equation, or operator: what an ancestor says of its own no longer holds.
            new = "step" in cls.__dict__ or (name == "program" and "operator" in cls.__dict__)
            if new and name not in cls.__dict__:
                setattr(cls, name, Cell.__dict__[name])

    @property
    def draws(self) -> bool:
        """Whether a training step takes noise."""
        return type(self).draw is not Cell.draw

    def draw(self, T: int, x: Tensor) -> StepNoise | None:
        """The masks of ``T`` training steps for the rows, dtype and device of ``x`` (batch, …); None: it draws none."""
        return None

    def like(self, input_size: int) -> Cell:
        """A new cell of the same kind and options for another input width."""
        args, kwargs = self._arguments
        bound = inspect.signature(type(self)).bind(*args, **kwargs)
        bound.arguments["input_size"] = input_size
        return type(self)(*bound.args, **bound.kwargs)

    def with_parameters(self, own: Mapping[str, Tensor]) -> Cell:
        """This cell with other parameters of the same names, or tensors computed from them; itself unchanged."""
        cell = Cell.__new__(type(self))
        cell.__dict__.update(self.__dict__, _parameters={**self._parameters, **own})
        return cell

    @property
    def layout(self) -> Layout:
        """What a state of this cell looks like."""
        # Kept by hand: the lock of Python 3.11's cached_property stops torch.compile.
        known: Layout | None = self.__dict__.get("_layout")
        if known is None:
            state = self.initial_state(0, device=torch.device("meta"))
            known = self.__dict__["_layout"] = Layout(type(state), tuple(tuple(leaf.shape[1:]) for leaf in state))
        return known

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
        noise = self.draw(1, x) if self.training and self.draws else None
        leaves = kernels.fused_step(self, x, given) if noise is None else None
        if leaves is None:
            leaves = self._step_leaves(x, given, noise)
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

    def _step_leaves(self, x: Tensor, given: Sequence[Tensor], noise: StepNoise | None) -> State:
        if x.shape[1] != self.input_size:
            raise RuntimeError(f"input has inconsistent input_size: got {x.shape[1]} expected {self.input_size}")
        return tuple(kernels.step_by_hand(self, x, self.checked_state(given, x.shape[0], "hx"), noise).state)
