"""What makes a picture wrong, as sentences; an empty list for a right one."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations

from _draw.picture import Picture, Route
from _draw.shapes import Box, Node, Operation, Point, Port, Rect, Tap

WORDS_GAP = 3.0
NODE_GAP = 8.0
BOX_MARGIN = 4.0
EDGE_GAP = 2.5
CARD_MARGIN = 10.0
_TOUCH = 1e-6


def problems(picture: Picture) -> list[str]:
    """Overlaps of words, boxes and lines, lines that miss their ends, anything outside the card."""
    found = [*_words(picture), *_nodes(picture), *_edges(picture), *_forks(picture)]
    return [f"{picture.name}: {problem}" for problem in found]


def _words(picture: Picture) -> Iterator[str]:
    every = list(picture.all_words())
    for (_, a), (_, b) in combinations(every, 2):
        if a.rect.meets(b.rect, WORDS_GAP):
            yield f"'{a.markup}' meets '{b.markup}'"
    for owner, words in every:
        if not picture.rect.holds(words.rect, CARD_MARGIN):
            yield f"'{words.markup}' leaves the card"
        inside = isinstance(owner, Box | Operation)
        if inside and owner is not None and not owner.rect.holds(words.rect, _margin(owner)):
            yield f"'{words.markup}' leaves its box {owner.name}"
        for node in picture.nodes:
            if node is not owner and isinstance(node, Box | Operation | Tap) and words.rect.meets(node.rect, WORDS_GAP):
                yield f"'{words.markup}' meets {node.name}"


def _margin(node: Node) -> float:
    return BOX_MARGIN if isinstance(node, Box) else 0.0


def _nodes(picture: Picture) -> Iterator[str]:
    for a, b in combinations(picture.nodes, 2):
        if a.name == b.name:
            yield f"two nodes are called {a.name}"
        if a.rect.meets(b.rect, NODE_GAP):
            yield f"{a.name} meets {b.name}"
    for node in picture.nodes:
        if not picture.rect.holds(node.rect, CARD_MARGIN):
            yield f"{node.name} leaves the card"


def _edges(picture: Picture) -> Iterator[str]:
    for route in picture.routes:
        name = f"{route.edge.start} → {route.edge.end}"
        for end in (route.start, route.end):
            if not _on_border(end.node, end.point):
                yield f"{name} does not touch the border of {end.node.name}"
        for a, b in route.segments:
            if a == b or (a.x != b.x and a.y != b.y):
                yield f"{name} is neither horizontal nor vertical from {tuple(a)} to {tuple(b)}"
        yield from (f"{name} runs through {what}" for what in _in_the_way(picture, route))
    for one, other in combinations(picture.routes, 2):
        if any(_run_along(s, t) for s in one.segments for t in other.segments):
            yield f"{one.edge.start} → {one.edge.end} runs along {other.edge.start} → {other.edge.end}"


def _on_border(node: Node, point: Point) -> bool:
    if isinstance(node, Tap | Port):
        return point == (node.x, node.y)
    if isinstance(node, Operation):
        return abs((point.x - node.x) ** 2 + (point.y - node.y) ** 2 - node.radius**2) < _TOUCH
    rect = node.rect
    on_side = point.x in (rect.left, rect.right) and rect.top + BOX_MARGIN <= point.y <= rect.bottom - BOX_MARGIN
    on_level = point.y in (rect.top, rect.bottom) and rect.left + BOX_MARGIN <= point.x <= rect.right - BOX_MARGIN
    return on_side or on_level


def _in_the_way(picture: Picture, route: Route) -> Iterator[str]:
    for a, b in route.segments:
        line = Rect(min(a.x, b.x), min(a.y, b.y), max(a.x, b.x), max(a.y, b.y))
        for _, words in picture.all_words():
            if line.meets(words.rect, EDGE_GAP):
                yield f"'{words.markup}'"
        for node in picture.nodes:
            ends = node in (route.start.node, route.end.node)
            if ends and isinstance(node, Box | Operation) and line.meets(node.rect, -_TOUCH):
                yield f"its own end {node.name}"
            if not ends and line.meets(node.rect, 0.0 if isinstance(node, Tap) else EDGE_GAP) and not _fork(node, a, b):
                yield node.name


def _fork(node: Node, a: Point, b: Point) -> bool:
    """A dot on the line is where another one starts."""
    return isinstance(node, Tap) and (a.x == b.x == node.x or a.y == b.y == node.y)


def _run_along(one: tuple[Point, Point], other: tuple[Point, Point]) -> bool:
    """Whether two segments share more than a point."""
    for axis in (0, 1):
        level = 1 - axis
        if one[0][level] == one[1][level] == other[0][level] == other[1][level]:
            low = max(min(one[0][axis], one[1][axis]), min(other[0][axis], other[1][axis]))
            high = min(max(one[0][axis], one[1][axis]), max(other[0][axis], other[1][axis]))
            if high > low:
                return True
    return False


def _forks(picture: Picture) -> Iterator[str]:
    """A dot lies where at least three pieces of line meet; every node is joined to something."""
    for node in picture.nodes:
        arms = sum(_arms(route, node) for route in picture.routes)
        if isinstance(node, Tap) and arms < 3:
            yield f"nothing forks at {node.name}"
        if not isinstance(node, Tap) and arms == 0:
            yield f"no line reaches {node.name}"


def _arms(route: Route, node: Node) -> int:
    arms = (route.start.node is node) + (route.end.node is node)
    if isinstance(node, Tap) and arms == 0:
        through = any(_fork(node, a, b) and min(a, b) < (node.x, node.y) < max(a, b) for a, b in route.segments)
        return 2 * through
    return arms
