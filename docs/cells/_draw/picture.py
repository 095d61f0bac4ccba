"""A picture as a declaration, and the geometry that follows from it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

from _draw import text
from _draw.shapes import Edge, Node, Point, Rect, Words

_END = re.compile(r"(?P<node>\w+)(?:\.(?P<side>\w+?))?(?P<offset>[+-]\d+)?$")


class End(NamedTuple):
    """Where an edge starts or ends."""

    node: Node
    side: str
    point: Point


class Route(NamedTuple):
    """An edge with its corners."""

    edge: Edge
    start: End
    end: End
    points: list[Point]

    @property
    def segments(self) -> list[tuple[Point, Point]]:
        return list(zip(self.points, self.points[1:]))


@dataclass(frozen=True)
class Picture:
    """One SVG file.

    Attributes:
        name: of the file, without its suffix.
        cell: key of the cell whose colour and mark it carries, or "".
        heading: a few words in the upper left corner.
        title, description: what a reader who does not see it is told.
        nodes, edges: what is drawn. A later edge passes over an earlier one.
        notes: further words; ``legend`` is the line below everything.
    """

    name: str
    cell: str
    heading: str
    title: str
    description: str
    width: float
    height: float
    nodes: Sequence[Node]
    edges: Sequence[Edge]
    notes: Sequence[Words] = ()
    legend: str = ""

    @property
    def rect(self) -> Rect:
        return Rect(0, 0, self.width, self.height)

    @cached_property
    def by_name(self) -> dict[str, Node]:
        return {node.name: node for node in self.nodes}

    def end_of(self, place: str) -> End:
        found = _END.match(place)
        if found is None or found["node"] not in self.by_name:
            raise KeyError(f"{self.name}: no node for {place!r}")
        node = self.by_name[found["node"]]
        side = found["side"] or ""
        return End(node, side, node.side(side, float(found["offset"] or 0)))

    @cached_property
    def routes(self) -> list[Route]:
        return [self._route(edge) for edge in self.edges]

    def _route(self, edge: Edge) -> Route:
        start, end = self.end_of(edge.start), self.end_of(edge.end)
        a, b = start.point, end.point
        if isinstance(edge.bend, str):
            corners = {"": [], "hv": [Point(b.x, a.y)], "vh": [Point(a.x, b.y)]}[edge.bend]
        else:
            corners = [Point(x, y) for x, y in edge.bend]
        return Route(edge, start, end, [a, *corners, b])

    @property
    def free_words(self) -> list[Words]:
        """Words that stand in no box."""
        words = list(self.notes)
        if self.heading:
            words.append(Words(44 if self.cell else 24, 30, self.heading, 16, "heading", "start"))
        if self.legend:
            words.append(Words(24, self.height - 24, self.legend, 12.5, "caption", "start"))
        return words

    def all_words(self) -> Iterator[tuple[Node | None, Words]]:
        """Every line of text, with the node that it belongs to."""
        for node in self.nodes:
            for words in node.words():
                yield node, words
        for words in self.free_words:
            yield None, words

    @property
    def labels(self) -> set[str]:
        """Every line of text as a reader sees it."""
        return {"".join(piece.text for piece in text.pieces(words.markup)) for _, words in self.all_words()}
