"""What a picture is made of: nodes at positions, edges between their sides, words."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from _draw import text

BOLD = 1.1
"""How much wider a heading is than the same words in regular weight."""


class Point(NamedTuple):
    x: float
    y: float


class Rect(NamedTuple):
    left: float
    top: float
    right: float
    bottom: float

    def meets(self, other: Rect, gap: float = 0.0) -> bool:
        """Whether the two come closer than ``gap``."""
        return (
            self.left < other.right + gap
            and other.left < self.right + gap
            and self.top < other.bottom + gap
            and other.top < self.bottom + gap
        )

    def holds(self, other: Rect, margin: float = 0.0) -> bool:
        return (
            self.left + margin <= other.left
            and self.top + margin <= other.top
            and other.right <= self.right - margin
            and other.bottom <= self.bottom - margin
        )


@dataclass(frozen=True)
class Words:
    """A line of text. ``x`` is its middle, start or end as ``anchor`` says; ``y`` its vertical centre."""

    x: float
    y: float
    markup: str
    size: float
    style: str = "caption"
    anchor: str = "middle"

    @property
    def baseline(self) -> float:
        return self.y + 0.35 * self.size

    @property
    def rect(self) -> Rect:
        width = text.width(self.markup, self.size) * (BOLD if self.style == "heading" else 1)
        left = self.x - {"start": 0.0, "middle": width / 2, "end": width}[self.anchor]
        top, bottom = self.baseline - text.ASCENT * self.size, self.baseline + text.DESCENT * self.size
        return Rect(left, top, left + width, bottom)


@dataclass(frozen=True)
class Node:
    """Something at (x, y) that edges start from and end at."""

    name: str
    x: float
    y: float

    @property
    def half(self) -> tuple[float, float]:
        """Half its width and height."""
        return 0.0, 0.0

    @property
    def rect(self) -> Rect:
        wide, high = self.half
        return Rect(self.x - wide, self.y - high, self.x + wide, self.y + high)

    def side(self, side: str, offset: float = 0.0) -> Point:
        """The middle of a side, moved along it by ``offset``; the centre without a side."""
        wide, high = self.half
        return {
            "": Point(self.x, self.y),
            "top": Point(self.x + offset, self.y - high),
            "bottom": Point(self.x + offset, self.y + high),
            "left": Point(self.x - wide, self.y + offset),
            "right": Point(self.x + wide, self.y + offset),
        }[side]

    def words(self) -> list[Words]:
        return []


@dataclass(frozen=True)
class Box(Node):
    """A gate, an activation or a matrix: a symbol, and a word below it that says what it does."""

    label: str = ""
    caption: str = ""
    role: str = "plain"
    style: str = "symbol"
    width: float = 112
    height: float = 54

    @property
    def half(self) -> tuple[float, float]:
        return self.width / 2, self.height / 2

    @property
    def size(self) -> float:
        return 18 if self.style == "symbol" else 14

    def words(self) -> list[Words]:
        if not self.caption:
            return [Words(self.x, self.y, self.label, self.size, self.style)]
        return [
            Words(self.x, self.y - 9, self.label, self.size, self.style),
            Words(self.x, self.y + 14, self.caption, 12.5, "caption"),
        ]


@dataclass(frozen=True)
class Operation(Node):
    """A small circle: ``"×"`` product, ``"+"`` sum, ``"‖"`` joining, or words such as ``"1 −"``."""

    sign: str = "×"
    radius: float = 14

    @property
    def half(self) -> tuple[float, float]:
        return self.radius, self.radius

    def words(self) -> list[Words]:
        return [] if self.sign in "×+‖" else [Words(self.x, self.y, self.sign, 13, "upright")]


@dataclass(frozen=True)
class Tap(Node):
    """A dot where a line forks."""


@dataclass(frozen=True)
class Port(Node):
    """The end of a line at the border of the picture, named on the ``at`` side of it."""

    label: str = ""
    at: str = "left"

    def words(self) -> list[Words]:
        size = 18
        return [
            {
                "left": Words(self.x - 7, self.y, self.label, size, "symbol", "end"),
                "right": Words(self.x + 7, self.y, self.label, size, "symbol", "start"),
                "above": Words(self.x, self.y - 18, self.label, size, "symbol"),
                "below": Words(self.x, self.y + 16, self.label, size, "symbol"),
            }[self.at]
        ]


@dataclass(frozen=True)
class Edge:
    """A line from one node to another, made of horizontal and vertical pieces.

    ``start`` and ``end`` name a node, a side and an offset along it: ``"f.top"``, ``"f.bottom-16"``, ``"fork"``.
    ``bend`` is ``"hv"`` (first horizontally), ``"vh"``, or the corners themselves; without it the line is straight.
    ``kind``: ``memory`` (what a step carries to the next), ``flow``, ``input``, ``peephole`` or ``gradient``.
    """

    start: str
    end: str
    bend: str | tuple[tuple[float, float], ...] = ""
    kind: str = "flow"
    arrow: bool = True
