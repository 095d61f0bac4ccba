"""Layers and directions around any cell."""

from _draw.picture import Picture
from _draw.shapes import Box, Edge, Operation, Port, Tap

LINE, UP, DOWN = 150, 102, 198


def _direction(name: str, x: float, y: float, label: str, caption: str) -> Box:
    return Box(name, x, y, label, caption, style="upright", width=116, height=56)


picture = Picture(
    name="stacked-bidirectional",
    cell="",
    heading="Two layers, both directions",
    title="Two bidirectional layers stacked",
    description=(
        "The input goes to layer 0 forwards, l0, and backwards, l0_reverse. Their outputs, joined along the features, "
        "pass dropout and go to layer 1 in both directions, l1 and l1_reverse, whose joined outputs are the output."
    ),
    width=750,
    height=296,
    nodes=[
        Port("x", 52, LINE, "x_t"),
        Tap("to_0", 84, LINE),
        _direction("l0", 174, UP, "l0", "t = 1 → T"),
        _direction("l0r", 174, DOWN, r"l0\_reverse", "t = T → 1"),
        Operation("join_0", 284, LINE, "‖"),
        Box("dropout", 366, LINE, "dropout", style="upright", width=88, height=40),
        Tap("to_1", 444, LINE),
        _direction("l1", 534, UP, "l1", "t = 1 → T"),
        _direction("l1r", 534, DOWN, r"l1\_reverse", "t = T → 1"),
        Operation("join_1", 644, LINE, "‖"),
        Port("y", 700, LINE, "y_t", "right"),
    ],
    edges=[
        Edge("x", "to_0", arrow=False),
        Edge("to_0", "l0.left", "vh"),
        Edge("to_0", "l0r.left", "vh"),
        Edge("l0.right", "join_0.top", "hv"),
        Edge("l0r.right", "join_0.bottom", "hv"),
        Edge("join_0.right", "dropout.left"),
        Edge("dropout.right", "to_1", arrow=False),
        Edge("to_1", "l1.left", "vh"),
        Edge("to_1", "l1r.left", "vh"),
        Edge("l1.right", "join_1.top", "hv"),
        Edge("l1r.right", "join_1.bottom", "hv"),
        Edge("join_1.right", "y"),
    ],
    legend="‖ joins [forward; backward] along the features. Names are those of unroll.trace.",
)
