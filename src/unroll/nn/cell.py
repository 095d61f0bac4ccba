"""The contract: one recurrence, written once, as its equation."""

from __future__ import annotations

import inspect
import math
from collections.abc import Mapping
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

    def forward(self, x: Tensor, hx: Tensor | State | None = None) -> Tensor | State:
        """One step as torch's cells take it: ``x`` (batch, input) or (input), returns the new state.

        A state of one tensor goes in and comes out as that tensor, one of several as a tuple.
        """
        name = type(self).__name__
        if x.dim() not in (1, 2):
            raise ValueError(f"{name}: Expected input to be 1D or 2D, got {x.dim()}D instead")
        if x.shape[-1] != self.input_size:
            raise RuntimeError(f"input has inconsistent input_size: got {x.shape[-1]} expected {self.input_size}")
        batched = x.dim() == 2
        x = x if batched else x.unsqueeze(0)
        blank = self.initial_state(x.shape[0], device=x.device, dtype=x.dtype)
        state = blank if hx is None else self._given_state(hx, blank, batched)
        leaves = tuple(kernels.step(self, x, state)[1])
        if not batched:
            leaves = tuple(leaf.squeeze(0) for leaf in leaves)
        return leaves[0] if len(leaves) == 1 else leaves

    def _given_state(self, hx: Tensor | State, blank: Any, batched: bool) -> Any:
        given = (hx,) if isinstance(hx, Tensor) else tuple(hx)
        if len(given) != len(blank):
            raise ValueError(f"{type(self).__name__}: expected a state of {len(blank)} tensors, got {len(given)}")
        for position, (leaf, model) in enumerate(zip(given, blank)):
            if leaf.dim() not in (1, 2):
                raise ValueError(
                    f"{type(self).__name__}: Expected hx[{position}] to be 1D or 2D, got {leaf.dim()}D instead"
                )
            shape = tuple(model.shape if batched else model.shape[1:])
            if tuple(leaf.shape) != shape:
                raise RuntimeError(
                    f"{type(self).__name__}: Expected hx[{position}] of shape {shape}, got {tuple(leaf.shape)}"
                )
        return type(blank)(*(given if batched else (leaf.unsqueeze(0) for leaf in given)))


class GatedCell(Cell):
    """Shared by the classic cells: torch's parameters, names and initialisation.

    ``weight_ih`` (gates · hidden, input), ``weight_hh`` (gates · hidden, recurrent), ``bias_ih`` and
    ``bias_hh`` (gates · hidden), all drawn from U(-1/√hidden, 1/√hidden) in this order, as torch draws them.
    """

    gates: ClassVar[int]
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
            if size <= 0:
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
        bound = 1.0 / math.sqrt(self.hidden_size)
        for parameter in self.parameters():
            nn.init.uniform_(parameter, -bound, bound)

    def _weights(self) -> tuple[Tensor, ...]:
        if self.bias_ih is not None and self.bias_hh is not None:
            return (self.weight_ih, self.weight_hh, self.bias_ih, self.bias_hh)
        return (self.weight_ih, self.weight_hh)

    def extra_repr(self) -> str:
        return f"{self.input_size}, {self.hidden_size}" + ("" if self.bias else ", bias=False")
