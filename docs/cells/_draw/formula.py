"""Shapes and counts as formulas in I and H, found by building the cell at several sizes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from math import gcd
from typing import NamedTuple

import torch

from unroll.nn import CellEntry

_SIZES = ((5, 7), (6, 7), (5, 8), (11, 13))
"""(I, H): three to solve for a dimension, one to check it."""


class Dimension(NamedTuple):
    """a·I + b·H + c."""

    inputs: int
    hidden: int
    constant: int

    def at(self, inputs: int, hidden: int) -> int:
        return self.inputs * inputs + self.hidden * hidden + self.constant

    @property
    def terms(self) -> Formula:
        return Formula({(1, 0): self.inputs, (0, 1): self.hidden, (0, 0): self.constant})

    def __str__(self) -> str:
        return str(self.terms)


class Formula(Counter[tuple[int, int]]):
    """A polynomial: the coefficient of I^p · H^q under (p, q)."""

    def times(self, other: Mapping[tuple[int, int], int]) -> Formula:
        product = Formula()
        for (p, q), a in self.items():
            for (r, s), b in other.items():
                product[p + r, q + s] += a * b
        return product

    def __str__(self) -> str:
        """The common factor in front: ``4·H·(I + H + 2)``."""
        terms = {powers: n for powers, n in sorted(self.items(), key=_order) if n}
        if not terms:
            return "0"
        number, p, q = gcd(*terms.values()), min(p for p, _ in terms), min(q for _, q in terms)
        left = [_term(n // number, (r - p, s - q)) for (r, s), n in terms.items()]
        if len(left) == 1:
            return _term(number, (p, q))
        inside = " + ".join(left)
        return f"{_term(number, (p, q))}·({inside})" if (number, p, q) != (1, 0, 0) else inside


def _order(term: tuple[tuple[int, int], int]) -> tuple[int, int]:
    (p, q), _ = term
    return -(p + q), -p


def _term(number: int, powers: tuple[int, int]) -> str:
    p, q = powers
    factors = [str(number)] if number != 1 or not p + q else []
    return "·".join(factors + ["H" + "²" * (q == 2)] * (q > 0) + ["I"] * p)


def shapes(entry: CellEntry) -> dict[str, tuple[Dimension, ...]]:
    """Every parameter of a cell by name, its dimensions in I and H.

    Raises:
        ValueError: a dimension is not of the form a·I + b·H + c.
    """
    a, b, c, check = (_measured(entry, *size) for size in _SIZES)
    found: dict[str, tuple[Dimension, ...]] = {}
    for name in a:
        found[name] = tuple(_solved(*sizes) for sizes in zip(a[name], b[name], c[name]))
        if tuple(d.at(*_SIZES[3]) for d in found[name]) != check[name]:
            raise ValueError(f"{entry.name}: the shape of {name} is not linear in I and H")
    return found


def _solved(base: int, one_more_input: int, one_more_hidden: int) -> Dimension:
    inputs, hidden = one_more_input - base, one_more_hidden - base
    return Dimension(inputs, hidden, base - inputs * _SIZES[0][0] - hidden * _SIZES[0][1])


def _measured(entry: CellEntry, inputs: int, hidden: int) -> dict[str, tuple[int, ...]]:
    return {name: tuple(p.shape) for name, p in entry.make(inputs, hidden).named_parameters()}


def count(shape: Iterable[Dimension]) -> Formula:
    """How many numbers a tensor of this shape holds."""
    product = Formula({(0, 0): 1})
    for dimension in shape:
        product = product.times(dimension.terms)
    return product


def total(entry: CellEntry) -> Formula:
    """How many parameters the cell has."""
    whole = Formula()
    for shape in shapes(entry).values():
        whole.update(count(shape))
    return whole


class Numbers(NamedTuple):
    """Numbers per step: what is carried to the next step, and what the step computes on its way."""

    state: dict[str, Dimension]
    signals: dict[str, Dimension]


def numbers(entry: CellEntry) -> Numbers:
    """What one step of a cell leaves, as multiples of I and H."""
    sized = [_left_by(entry, *size) for size in _SIZES[:3]]
    state, signals = (
        {name: _solved(*(own[part][name] for own in sized)) for name in sized[0][part]} for part in (0, 1)
    )
    return Numbers(state, signals)


def _left_by(entry: CellEntry, inputs: int, hidden: int) -> tuple[dict[str, int], dict[str, int]]:
    cell = entry.make(inputs, hidden)
    with torch.no_grad():
        step = cell.step(torch.zeros(1, inputs), cell.initial_state(1))
    state = {name: leaf.numel() for name, leaf in zip(step.state._fields, step.state)}
    return state, {name: signal.numel() for name, signal in step.signals.items()}
