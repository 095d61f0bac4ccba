"""A learned initial state."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from unroll.nn.cell import Cell


class LearnedStart(nn.Module):
    """The state before the first step as a parameter, one per layer and direction, 0 until it is trained.

    Parameters ``h_0_l0``, ``c_0_l0_reverse``, … have the shape of one row of the state and serve every row.
    """

    def __init__(self, cells: list[Cell], directions: int) -> None:
        super().__init__()
        self._names: list[list[str]] = []
        for position, cell in enumerate(cells):
            layer, direction = divmod(position, directions)
            suffix = f"_0_l{layer}" + ("_reverse" if direction else "")
            kind, shapes = cell.layout
            like = next(cell.parameters(), torch.empty(0))
            self._names.append([name + suffix for name in kind._fields])
            for name, shape in zip(self._names[-1], shapes):
                self.register_parameter(name, nn.Parameter(like.new_zeros(shape)))

    def reset_parameters(self) -> None:
        """Back to 0."""
        for parameter in self.parameters():
            nn.init.zeros_(parameter)

    def rows(self, position: int, blank: Any) -> Any:
        """The start of layer and direction number ``position``, with the rows, dtype and device of ``blank``."""
        leaves: list[Tensor] = [getattr(self, name) for name in self._names[position]]
        return type(blank)(*(own.to(leaf).expand_as(leaf) for own, leaf in zip(leaves, blank)))
