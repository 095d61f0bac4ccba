"""What our engine is told of a recurrence."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from torch import Tensor

from unroll.kernels.operator import Operator

_TORCH_NAMES = ("weight_ih", "weight_hh")
_BIASES = ("bias_ih", "bias_hh")


class Program(NamedTuple):
    """A layer in one direction as the engine runs it.

    Attributes:
        kind: one of ``cpu.KINDS``.
        weights: by the cell's names, ``weight_ih`` and ``weight_hh`` always among them.
        numbers: what else the equation holds: ``clip``, ``eps``, ``beta``, ``rate_h``, ``rate_c``, ``without``.
        cell: whose equation it is, for second derivatives; None for one of torch's operators.
    """

    kind: str
    weights: Mapping[str, Tensor]
    numbers: Mapping[str, float] = {}
    cell: Any = None


def of_operator(operator: Operator) -> Program | None:
    """The program that equals torch's operator; None for one with a projection or with several layers."""
    names = (*_TORCH_NAMES, *_BIASES) if operator.has_biases else _TORCH_NAMES
    if len(operator.weights) != len(names):
        return None
    return Program(operator.name, dict(zip(names, operator.weights)))
