"""Long short-term memory, with or without peepholes."""

from collections.abc import Sequence

from _draw.picture import Picture
from _draw.shapes import Box, Edge, Node, Operation, Port, Tap

GATES = {"f": 172, "i": 296, "g": 420, "o": 544}
C_LINE, WRITE, GATE, H_LINE, X_LINE = 92, 172, 250, 338, 376

_nodes: list[Node] = [
    Port("c_old", 74, C_LINE, "c_{t−1}"),
    Port("h_old", 74, H_LINE, "h_{t−1}"),
    Port("x", 74, X_LINE, "x_t"),
    Port("c_new", 692, C_LINE, "c_t", "right"),
    Port("h_new", 692, H_LINE, "h_t", "right"),
    Operation("keep", GATES["f"], C_LINE, "×"),
    Operation("add", 358, C_LINE, "+"),
    Operation("write", 358, WRITE, "×"),
    Tap("c_fork", 642, C_LINE),
    Box("squash", 642, 160, "tanh", width=64, height=40),
    Operation("show", 642, GATE, "×"),
    Box("f", GATES["f"], GATE, "f_t", "forget σ", "forget"),
    Box("i", GATES["i"], GATE, "i_t", "input σ", "input"),
    Box("g", GATES["g"], GATE, "g_t", "candidate tanh", "candidate"),
    Box("o", GATES["o"], GATE, "o_t", "output σ", "output"),
]
_forks: list[Node] = [
    *(Tap(f"h_to_{gate}", x - 16, H_LINE) for gate, x in GATES.items() if gate != "o"),
    *(Tap(f"x_to_{gate}", x + 16, X_LINE) for gate, x in GATES.items() if gate != "o"),
]
_edges = [
    Edge("h_old", "h_to_g", kind="memory", arrow=False),
    Edge("h_to_g", "o.bottom-16", "hv"),
    Edge("x", "o.bottom+16", "hv"),
    *(Edge(f"h_to_{gate}", f"{gate}.bottom-16") for gate in "fig"),
    *(Edge(f"x_to_{gate}", f"{gate}.bottom+16") for gate in "fig"),
    Edge("c_old", "keep.left", kind="memory"),
    Edge("keep.right", "add.left", kind="memory"),
    Edge("add.right", "c_new", kind="memory"),
    Edge("f.top", "keep.bottom"),
    Edge("i.top", "write.left", "vh"),
    Edge("g.top", "write.right", "vh"),
    Edge("write.top", "add.bottom"),
    Edge("c_fork", "squash.top"),
    Edge("squash.bottom", "show.top"),
    Edge("o.right", "show.left"),
    Edge("show.bottom", "h_new", "vh", "memory"),
]
LEGEND = "Each gate has its own weights on what enters it. × and + act element by element."


def drawn(
    name: str,
    heading: str,
    title: str,
    description: str,
    nodes: Sequence[Node] = (),
    edges: Sequence[Edge] = (),
    legend: str = LEGEND,
) -> Picture:
    """The LSTM, with more nodes and edges if any."""
    every = [*_nodes, *_forks, *nodes]
    return Picture(name, "lstm", heading, title, description, 750, 450, every, [*_edges, *edges], legend=legend)


picture = drawn(
    "lstm",
    "LSTM, one time step",
    "Data flow of an LSTM in one time step",
    "The cell state c runs along the upper line: the forget gate f multiplies what is kept, then the product of input "
    "gate i and candidate g is added. The tanh of the new c, multiplied by the output gate o, is the new state h on "
    "the lower line. All four gates read the old h and the input x.",
)
