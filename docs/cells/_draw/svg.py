"""A picture as SVG that reads on white and on dark pages alike: it brings its own card."""

from __future__ import annotations

from html import escape

from _draw import text
from _draw.picture import Picture, Route
from _draw.shapes import Box, Node, Operation, Point, Port, Tap, Words
from unroll.report.style import GRID, MUTED, SURFACE, TRUTH, look_of

ROLES = {
    "forget": ("#E8E7FB", "#5A54C4", "#2A2952", "#A29EF4"),
    "input": ("#DDF1E7", "#147A58", "#15382C", "#52C79E"),
    "output": ("#FCE9D4", "#B85F0B", "#42290E", "#F0A052"),
    "candidate": ("#ECEEF1", "#6B7280", "#2B313A", "#9CA3AF"),
    "plain": ("#FFFFFF", "#8A93A1", "#14171C", "#7C8694"),
    "blank": ("none", "none", "none", "none"),
}
"""Fill and line of a box, light then dark. A box says in words what its colour says."""

LINES = {"memory": 3.2, "flow": 1.7, "input": 1.7, "peephole": 1.7, "gradient": 1.7}
DASHES = {"peephole": "5 4", "gradient": "5 4"}
HALO = 6.0
"""The gap that a line leaves in one that it crosses."""
CORNER = 8.0
ARROW = (9.0, 4.0)
"""Length and half width of an arrowhead."""

SANS = "system-ui,-apple-system,'Segoe UI','Liberation Sans',sans-serif"
SERIF = "'STIX Two Text','Cambria Math',Cambria,'Times New Roman','Liberation Serif',serif"


def svg(picture: Picture) -> str:
    """The whole file."""
    w, h = f"{picture.width:g}", f"{picture.height:g}"
    name = picture.name
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {w} {h}" width="{w}" height="{h}" role="img"'
        f' aria-labelledby="{name}-title {name}-desc">',
        f'<title id="{name}-title">{escape(picture.title)}</title>',
        f'<desc id="{name}-desc">{escape(picture.description)}</desc>',
        f"<style>{_stylesheet(picture)}</style>",
        f'<rect class="card" x=".5" y=".5" width="{picture.width - 1:g}" height="{picture.height - 1:g}" rx="14"/>',
        *(_mark(picture) if picture.cell else []),
        *(line for route in _in_order(picture) for line in _edge(route)),
        *(line for node in picture.nodes for line in _node(node)),
        *(_words(words) for _, words in picture.all_words()),
        "</svg>",
    ]
    return "\n".join(lines) + "\n"


def _stylesheet(picture: Picture) -> str:
    look = look_of(picture.cell)
    own = (look.light, look.dark) if picture.cell else (TRUTH.light, TRUTH.dark)
    light, dark = (_colours(scheme, own[scheme]) for scheme in (0, 1))
    words = (
        f"text{{font-family:{SANS}}}.symbol{{font-family:{SERIF};font-style:italic}}.up{{font-style:normal}}"
        ".heading{font-weight:600}path{fill:none}"
    )
    return f"{words}{light}@media (prefers-color-scheme:dark){{{dark}}}"


def _colours(scheme: int, own: str) -> str:
    def pick(look: object) -> str:
        return str(getattr(look, ("light", "dark")[scheme]))

    ink, paper = pick(TRUTH), pick(SURFACE)
    rules = [
        f".card{{fill:{paper};stroke:{pick(GRID)}}}.halo{{stroke:{paper}}}",
        f"text{{fill:{ink}}}.caption{{fill:{pick(MUTED)}}}",
        f".line,.sign{{stroke:{ink}}}.head,.tap{{fill:{ink}}}.op{{fill:{paper};stroke:{ink}}}",
        f".memory{{stroke:{own}}}.head.memory,.mark{{fill:{own};stroke:none}}",
    ]
    for role, colours in ROLES.items():
        fill, line = colours[2 * scheme : 2 * scheme + 2]
        rules.append(f".{role}{{fill:{fill};stroke:{line}}}")
    return "".join(rules)


def _mark(picture: Picture) -> list[str]:
    return [f'<path class="mark" transform="translate(30 30) scale(7)" d="{look_of(picture.cell).mark}"/>']


def _in_order(picture: Picture) -> list[Route]:
    """What a step carries lies below, so that every other line passes over it."""
    return sorted(picture.routes, key=lambda route: route.edge.kind != "memory")


def _edge(route: Route) -> list[str]:
    edge, width = route.edge, LINES[route.edge.kind]
    points = _shortened(route.points) if edge.arrow else route.points
    d = _path(points)
    dash = f' stroke-dasharray="{DASHES[edge.kind]}"' if edge.kind in DASHES else ""
    drawn = [
        f'<path class="halo" d="{d}" stroke-width="{width + HALO:g}"/>',
        f'<path class="line {edge.kind}" d="{d}" stroke-width="{width:g}"{dash}/>',
    ]
    if edge.arrow:
        drawn.append(f'<path class="head {edge.kind}" d="{_head(route)}"/>')
    return drawn


def _shortened(points: list[Point]) -> list[Point]:
    """The line ends inside its arrowhead, so that it does not show beside the tip."""
    (ax, ay), (bx, by) = points[-2:]
    length = abs(bx - ax) + abs(by - ay)
    share = (length - ARROW[0] + 1) / length
    return [*points[:-1], Point(ax + (bx - ax) * share, ay + (by - ay) * share)]


def _head(route: Route) -> str:
    (ax, ay), (bx, by) = route.points[-2:]
    length = abs(bx - ax) + abs(by - ay)
    ux, uy = (bx - ax) / length, (by - ay) / length
    long, half = ARROW
    if route.edge.kind == "memory":
        long, half = long + 2, half + 1.5
    x, y = bx - long * ux, by - long * uy
    return f"M{bx:g},{by:g}L{x - half * uy:g},{y + half * ux:g}L{x + half * uy:g},{y - half * ux:g}Z"


def _path(points: list[Point]) -> str:
    parts = [f"M{points[0].x:g},{points[0].y:g}"]
    for before, corner, after in zip(points, points[1:], points[2:]):
        a, b = _towards(corner, before), _towards(corner, after)
        parts.append(f"L{a.x:g},{a.y:g}Q{corner.x:g},{corner.y:g} {b.x:g},{b.y:g}")
    parts.append(f"L{points[-1].x:g},{points[-1].y:g}")
    return "".join(parts)


def _towards(corner: Point, other: Point) -> Point:
    """A point near the corner on its way to ``other``: where the rounding begins."""
    length = abs(other.x - corner.x) + abs(other.y - corner.y)
    share = min(CORNER, length / 2) / length
    return Point(corner.x + (other.x - corner.x) * share, corner.y + (other.y - corner.y) * share)


def _node(node: Node) -> list[str]:
    if isinstance(node, Box):
        r = node.rect
        return [
            f'<rect class="{node.role}" x="{r.left:g}" y="{r.top:g}" width="{node.width:g}" height="{node.height:g}"'
            ' rx="9" stroke-width="1.6"/>'
        ]
    if isinstance(node, Operation):
        circle = f'<circle class="op" cx="{node.x:g}" cy="{node.y:g}" r="{node.radius:g}" stroke-width="1.6"/>'
        return [circle, *_sign(node)]
    if isinstance(node, Tap):
        return [f'<circle class="tap" cx="{node.x:g}" cy="{node.y:g}" r="4"/>']
    assert isinstance(node, Port)
    return []


def _sign(node: Operation) -> list[str]:
    strokes = {
        "×": "M-4.5,-4.5L4.5,4.5M-4.5,4.5L4.5,-4.5",
        "+": "M-6,0L6,0M0,-6L0,6",
        "‖": "M-3,-6L-3,6M3,-6L3,6",
    }.get(node.sign)
    if strokes is None:
        return []
    return [f'<path class="sign" transform="translate({node.x:g} {node.y:g})" d="{strokes}" stroke-width="1.8"/>']


def _words(words: Words) -> str:
    return (
        f'<text class="{words.style}" x="{words.x:g}" y="{words.baseline:.1f}" font-size="{words.size:g}"'
        f' text-anchor="{words.anchor}">{text.spans(words.markup)}</text>'
    )
