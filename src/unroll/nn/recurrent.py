"""Any cell over sequences: everything that is not the equation lives here, once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from unroll import kernels
from unroll.nn.cell import Cell
from unroll.nn.time import Stream, chunks


class Call(NamedTuple):
    """One layer and direction as it ran: enough to replay it."""

    owner: Recurrent
    layer: int
    direction: int
    cell: Cell
    x: Tensor
    state: Any
    lengths: Tensor | None


_watcher: ContextVar[Callable[[Call], None] | None] = ContextVar("unroll_watcher", default=None)


def watcher_in_force() -> Callable[[Call], None] | None:
    """Who watches, if anyone; nobody inside a compiled graph, where dynamo cannot read a context variable."""
    return None if torch.compiler.is_compiling() else _watcher.get()


@contextmanager
def watching(watcher: Callable[[Call], None]) -> Iterator[None]:
    """Report every layer and direction that runs inside the ``with`` block to ``watcher``."""
    token = _watcher.set(watcher)
    try:
        yield
    finally:
        _watcher.reset(token)


class Recurrent(nn.Module):
    r"""Runs a cell over sequences, in layers and directions.

    .. math:: (y_t, s_t) = \mathrm{step}(x_t, s_{t-1}), \qquad t = 1 \dots T

    Layer l reads the outputs of layer l-1, those of both directions joined as [forward; backward].

    Args:
        cell: a cell, which becomes the first layer; further layers and directions are new cells of its kind
            (``cell.like``).
        num_layers: how many layers.
        bidirectional: whether each layer also runs backwards, from each sequence's own end.
        dropout: share of each layer's outputs zeroed in training, the last layer's excepted.
        batch_first: sequences are (batch, T, features) instead of (T, batch, features).

    Shapes:
        - input (T, batch, input_size), or (T, input_size) for one sequence.
        - output (T, batch, directions · output_size).
        - state: one cell state per layer and direction, forward before backward, each leaf (batch, …).

    Example::

        >>> layer = Recurrent(GRUCell(3, 4, reset="before"), num_layers=2, batch_first=True)
        >>> output, state = layer(torch.randn(2, 5, 3), lengths=torch.tensor([5, 0]))
        >>> output.shape, state[1].h.shape
        (torch.Size([2, 5, 4]), torch.Size([2, 4]))
    """

    def __init__(
        self,
        cell: Cell,
        num_layers: int = 1,
        *,
        bidirectional: bool = False,
        dropout: float = 0.0,
        batch_first: bool = False,
    ) -> None:
        super().__init__()
        if num_layers <= 0:
            raise ValueError("num_layers must be greater than zero")
        if isinstance(dropout, bool) or not isinstance(dropout, (int, float)) or not 0 <= dropout <= 1:
            raise ValueError(
                "dropout should be a number in range [0, 1] representing the probability of an element being zeroed"
            )
        self.num_layers, self.bidirectional, self.batch_first = num_layers, bidirectional, batch_first
        self.dropout = float(dropout)
        self._hold(self._make_cells(cell))

    def _make_cells(self, cell: Cell) -> list[Cell]:
        if not isinstance(cell, Cell):
            raise TypeError(f"cell should be a Cell, got: {type(cell).__name__}")
        cells: list[Cell] = []
        width = cell.input_size
        for _ in range(self.num_layers):
            for _ in range(self.directions):
                cells.append(cell.like(width) if cells else cell)
            width = self.directions * cells[-1].output_size
        return cells

    def _hold(self, cells: list[Cell]) -> None:
        self.cells = nn.ModuleList(cells)
        self.input_size = cells[0].input_size
        self.output_size = self.directions * cells[-1].output_size

    @property
    def directions(self) -> int:
        """2 if bidirectional, else 1."""
        return 2 if self.bidirectional else 1

    def cell_at(self, layer: int, direction: int = 0) -> Cell:
        """The cell of a layer (0 first) and direction (0 forward, 1 backward)."""
        return self.cells[layer * self.directions + direction]  # type: ignore[return-value]

    def initial_state(
        self, batch_size: int, *, device: torch.device | None = None, dtype: torch.dtype | None = None
    ) -> tuple[Any, ...]:
        """The state before the first step: one cell state per layer and direction."""
        return tuple(
            self.cell_at(layer, direction).initial_state(batch_size, device=device, dtype=dtype)
            for layer in range(self.num_layers)
            for direction in range(self.directions)
        )

    def forward(
        self, x: Tensor, state: Sequence[Any] | None = None, lengths: Tensor | Sequence[int] | None = None
    ) -> tuple[Tensor, tuple[Any, ...]]:
        """Run over ``x``; ``lengths`` (batch,) gives each sequence's own length, zero allowed.

        Output is zero beyond a sequence's length; the final state is that of its last step.

        Raises:
            ValueError: ``x`` is neither 2-D nor 3-D, or ``lengths`` do not fit it.
            RuntimeError: ``x`` has another width than ``input_size``, or ``state`` another shape than it should.
        """
        x, batched = self._time_major(x)
        given = None if state is None else [s if batched else _unsqueeze(s) for s in state]
        states = self._checked_states(given, x, x.shape[1])
        lengths = self._checked_lengths(lengths, x)
        output, final = self._run(x, states, lengths)
        if not batched:
            return output.squeeze(1), tuple(_squeeze(s) for s in final)
        return (output.transpose(0, 1) if self.batch_first else output), tuple(final)

    def step(self, x: Tensor, state: Sequence[Any] | None = None) -> tuple[Tensor, tuple[Any, ...]]:
        """One time step through all layers: ``x`` (batch, input_size) to output (batch, output_size).

        Dropout between layers acts as in ``forward``. A backward direction has no step: it needs the end first.

        Raises:
            RuntimeError: the layer is bidirectional, ``x`` is not (batch, input_size), or ``state`` has another
                shape than it should.
        """
        if self.bidirectional:
            raise RuntimeError(
                "a bidirectional layer has no step: its backward direction starts at the sequence's end. "
                "Call the layer on the whole sequence, or build it with bidirectional=False."
            )
        if x.dim() != 2 or x.shape[1] != self.input_size:
            raise RuntimeError(f"a step takes (batch, {self.input_size}), got {tuple(x.shape)}")
        states = self._checked_states(state, x, x.shape[0])
        final = []
        for layer, before in enumerate(states):
            x, after = kernels.step(self.cell_at(layer), x, before)
            final.append(after)
            if layer < self.num_layers - 1:
                x = F.dropout(x, self.dropout, self.training)
        return x, tuple(final)

    def chunks(
        self,
        x: Tensor,
        size: int,
        state: Any = None,
        lengths: Tensor | Sequence[int] | None = None,
        *,
        detach: bool = True,
    ) -> Iterator[tuple[Tensor, Any]]:
        """Run over ``x`` in chunks of ``size`` steps, the state carried: truncated BPTT (Williams & Peng 1990).

        Yields output and state of each chunk, as ``forward`` gives them. With ``detach`` no gradient passes
        from one chunk into the one before, so memory is that of a chunk; without, all is as in one run.

        Example::

            >>> for output, state in layer.chunks(x, 35):
            ...     loss(output).backward()

        Raises:
            RuntimeError: the layer is bidirectional.
            ValueError: ``size`` is below 1.
        """
        return chunks(self, x, size, state, lengths, detach=detach)

    def stream(self, batch_size: int) -> Stream:
        """A stream that advances one step at a time; see ``Stream``.

        Raises:
            RuntimeError: the layer is bidirectional.
        """
        return Stream(self, batch_size)

    def _run(self, x: Tensor, states: Sequence[Any], lengths: Tensor | None) -> tuple[Tensor, list[Any]]:
        """``x`` (T, batch, features), time first."""
        if lengths is not None:
            x = zero_padding(x, lengths)
        watcher = watcher_in_force()
        final: list[Any] = []
        for layer in range(self.num_layers):
            outputs = []
            for direction in range(self.directions):
                cell, before = self.cell_at(layer, direction), states[len(final)]
                if watcher is not None:
                    watcher(Call(self, layer, direction, cell, x, before, lengths))
                output, after = kernels.run(cell, x, before, lengths=lengths, reverse=direction == 1)
                outputs.append(output)
                final.append(after)
            x = outputs[0] if len(outputs) == 1 else torch.cat(outputs, dim=-1)
            if self.dropout and layer < self.num_layers - 1:
                x = F.dropout(x, self.dropout, self.training)
        return x, final

    def _time_major(self, x: Tensor) -> tuple[Tensor, bool]:
        if x.dim() not in (2, 3):
            raise ValueError(f"{type(self).__name__}: Expected input to be 2D or 3D, got {x.dim()}D instead")
        self._check_width(x)
        if x.dim() == 2:
            return x.unsqueeze(1), False
        return (x.transpose(0, 1) if self.batch_first else x), True

    def _check_width(self, x: Tensor) -> None:
        if x.shape[-1] != self.input_size:
            raise RuntimeError(
                f"input.size(-1) must be equal to input_size. Expected {self.input_size}, got {x.shape[-1]}"
            )

    def _checked_states(self, state: Sequence[Any] | None, x: Tensor, batch_size: int) -> Sequence[Any]:
        if state is None:
            return self.initial_state(batch_size, device=x.device, dtype=x.dtype)
        count = self.num_layers * self.directions
        if len(state) != count:
            raise RuntimeError(f"Expected {count} states, one per layer and direction, got {len(state)}")
        return [
            self.cell_at(*divmod(position, self.directions)).checked_state(given, batch_size, f"state[{position}]")
            for position, given in enumerate(state)
        ]

    def _checked_lengths(self, lengths: Tensor | Sequence[int] | None, x: Tensor) -> Tensor | None:
        if lengths is None:
            return None
        T, B = x.shape[:2]
        lengths = torch.as_tensor(lengths, device=x.device)
        integers = not (lengths.dtype.is_floating_point or lengths.dtype is torch.bool) or B == 0
        if lengths.dim() != 1 or lengths.shape[0] != B or not integers:
            raise ValueError(
                f"lengths must hold {B} integers, one per sequence, got {tuple(lengths.shape)} {lengths.dtype}"
            )
        if B and (int(lengths.min()) < 0 or int(lengths.max()) > T):
            raise ValueError(
                f"lengths must lie between 0 and the time length {T}, got {int(lengths.min())} to {int(lengths.max())}"
            )
        return lengths.long()

    def extra_repr(self) -> str:
        text = f"num_layers={self.num_layers}"
        for name in ("bidirectional", "dropout", "batch_first"):
            if getattr(self, name):
                text += f", {name}={getattr(self, name)}"
        return text


def zero_padding(x: Tensor, lengths: Tensor) -> Tensor:
    """``x`` (T, batch, features) with zeros beyond each length, so that nothing there reaches a gradient."""
    t = torch.arange(x.shape[0], device=x.device).unsqueeze(1)
    return x.masked_fill((t >= lengths).unsqueeze(-1), 0)


def _unsqueeze(state: Any) -> Any:
    return kernels.map_state(lambda leaf: leaf.unsqueeze(0), state)


def _squeeze(state: Any) -> Any:
    return kernels.map_state(lambda leaf: leaf.squeeze(0), state)
