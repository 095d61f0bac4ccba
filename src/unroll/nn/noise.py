"""The noise of a whole stack, drawn beforehand: what makes a training run repeatable step by step, chunk by chunk."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

import torch
from torch import Tensor

from unroll.kernels import StepNoise
from unroll.nn.cell import Cell


class LayerNoise(NamedTuple):
    """One layer in one direction.

    Attributes:
        input: mask of x_t, (batch, input_size), the same at every step; or None.
        weights: masks by parameter name, the same at every step and for every row.
        cell: what the cell's own ``draw`` gave; or None.
    """

    input: Tensor | None
    weights: Mapping[str, Tensor]
    cell: StepNoise | None

    def applied(self, cell: Cell, x: Tensor) -> tuple[Cell, Tensor]:
        """The cell with its weights masked, and ``x`` (…, batch, features) with its mask."""
        if self.weights:
            cell = cell.with_parameters({name: getattr(cell, name) * m for name, m in self.weights.items()})
        return cell, x if self.input is None else x * self.input


class Noise(NamedTuple):
    """Drawn by ``Recurrent.draw``, given to ``forward`` and ``step`` as ``noise=``.

    Attributes:
        cells: one ``LayerNoise`` per layer and direction, forward before backward.
        between: masks of the dropout between layers, each (T, batch, features); empty without dropout.

    Example::

        >>> noise = layer.draw(T, B)
        >>> y, state = layer(x, noise=noise)
        >>> first, state = layer(x[:3], noise=noise.narrow(0, 3))         # the same numbers again
        >>> rest, state = layer(x[3:], state, noise=noise.narrow(3, T - 3))
    """

    cells: tuple[LayerNoise, ...]
    between: tuple[Tensor, ...]

    def check(self, cells: int, T: int, batch_size: int) -> None:
        """That this was drawn for a stack of ``cells`` layers and directions, ``T`` steps and ``batch_size`` rows.

        Raises:
            RuntimeError: it was not.
        """
        own = len(self.cells)
        if own != cells:
            raise RuntimeError(f"Expected noise for {cells} layers and directions, got {own}: draw it from this layer")
        held = [drawn.input for drawn in self.cells if drawn.input is not None]
        steps = list(self.between)
        for drawn in self.cells:
            if drawn.cell is not None:
                held += drawn.cell.held.values()
                steps += drawn.cell.steps.values()
        for mask, expected in (*((m, (batch_size,)) for m in held), *((m, (T, batch_size)) for m in steps)):
            if tuple(mask.shape[: len(expected)]) != expected:
                raise RuntimeError(
                    f"Expected noise for {T} steps and {batch_size} rows, got a mask of {tuple(mask.shape)}: "
                    f"draw(T={T}, batch_size={batch_size}), or narrow() and rows() of what was drawn"
                )

    def narrow(self, begin: int, length: int) -> Noise:
        """The noise of ``length`` steps from ``begin`` on."""
        return self._mapped(lambda mask: mask, lambda mask: mask.narrow(0, begin, length))

    def rows(self, index: slice | Tensor) -> Noise:
        """The noise of some rows of the batch. A weight's mask is that of all rows."""
        return self._mapped(lambda mask: mask[index], lambda mask: mask[:, index])

    def _mapped(self, held: Callable[[Tensor], Tensor], steps: Callable[[Tensor], Tensor]) -> Noise:
        cells = tuple(
            LayerNoise(
                None if own.input is None else held(own.input),
                own.weights,
                None if own.cell is None else own.cell.map(held, steps),
            )
            for own in self.cells
        )
        return Noise(cells, tuple(steps(mask) for mask in self.between))


def blank_rows(cell: Cell, batch_size: int, device: torch.device | None, dtype: torch.dtype | None) -> Tensor:
    """An input of ``cell`` (batch_size, input_size) as far as shape, dtype and device go."""
    like = next(cell.parameters(), torch.empty(0))
    return torch.empty(
        batch_size, cell.input_size, device=like.device if device is None else device, dtype=dtype or like.dtype
    )
