"""The gated recurrent unit: reset gate after or before the product, update gate that keeps or writes."""

from _draw.picture import Picture
from _draw.shapes import Box, Edge, Node, Operation, Port, Tap, Words

KEEP, RESET, READ, NEW = 196, 336, 462, 590
H_LINE = 92
LOWERED = 48
"""How much lower all lies where 1 − z stands above z."""


def _rails(low: float, x_line: float) -> tuple[list[Node], list[Edge]]:
    """What is the same in every GRU: the two inputs and the line of the state."""
    nodes = [
        Port("old", 74, H_LINE, "h_{t−1}"),
        Port("x", 74, x_line, "x_t"),
        Port("new", 692, H_LINE, "h_t", "right"),
        Tap("h_fork", 104, H_LINE),
        Operation("keep", KEEP, H_LINE, "×"),
        Operation("add", NEW, H_LINE, "+"),
        Tap("h_to_z", KEEP - 16, low),
        Tap("h_to_r", RESET - 16, low),
        Tap("x_to_z", KEEP + 16, x_line),
        Tap("x_to_r", RESET + 16, x_line),
    ]
    edges = [
        Edge("x", "n.bottom", "hv"),
        *(Edge(f"h_to_{gate}", f"{gate}.bottom-16") for gate in "zr"),
        *(Edge(f"x_to_{gate}", f"{gate}.bottom+16") for gate in "zr"),
        Edge("old", "keep.left", kind="memory"),
        Edge("keep.right", "add.left", kind="memory"),
        Edge("add.right", "new", kind="memory"),
    ]
    return nodes, edges


def _update(update: str, write: float) -> tuple[list[Node], list[Edge]]:
    """How z shares the new state between the old one and the candidate."""
    nodes = [Tap("z_fork", KEEP, write), Operation("write", NEW, write, "×")]
    edges = [Edge("n.top", "write.bottom"), Edge("write.top", "add.bottom")]
    if update == "keep":
        nodes.append(Operation("one_minus", (KEEP + NEW) / 2, write, "1 −", 17))
        edges += [
            Edge("z.top", "keep.bottom"),
            Edge("z_fork", "one_minus.left"),
            Edge("one_minus.right", "write.left"),
        ]
    else:
        nodes.append(Operation("one_minus", KEEP, write - 54, "1 −", 17))
        edges += [
            Edge("z.top", "one_minus.bottom"),
            Edge("one_minus.top", "keep.bottom"),
            Edge("z_fork", "write.left"),
        ]
    return nodes, edges


def _reset(reset: str, low: float) -> list[Edge]:
    """How the old state reaches the product with r."""
    corners = ((104.0, low), (float(READ), low))
    if reset == "before":
        return [Edge("h_fork", "read.bottom", corners)]
    return [Edge("h_fork", "W_hn.bottom", corners), Edge("W_hn.top", "read.bottom")]


def drawn(name: str, heading: str, reset: str, update: str) -> Picture:
    """The GRU with the options of its cell."""
    down = 0 if update == "keep" else LOWERED
    write, gate, low, x_line = 172 + down, 262 + down, 376 + down, 412 + down
    (rail_nodes, rail_edges), (update_nodes, update_edges) = _rails(low, x_line), _update(update, write)
    kept, written = ("z", "1 minus z") if update == "keep" else ("k, which is 1 minus z,", "z")
    read = "W hn times the old h" if reset == "after" else "the old h itself"
    weights = (
        "z and r have their own weights on h and x, n on x."
        if reset == "after"
        else "Each gate has its own weights on what enters it."
    )
    return Picture(
        name,
        "gru",
        heading,
        f"Data flow of a {heading.replace(', one', ' in one')}",
        f"The state h runs along the upper line: {kept} multiplies what is kept, then the product of {written} and the "
        f"candidate n is added. The update gate z and the reset gate r read the old h and the input x. r multiplies "
        f"{read}, and the candidate reads that product and x.",
        750,
        486 + down,
        [
            *rail_nodes,
            *update_nodes,
            Box("z", KEEP, gate, "z_t", "update σ", "forget" if update == "keep" else "input"),
            Box("r", RESET, gate, "r_t", "reset σ", "output"),
            Operation("read", READ, gate, "×"),
            Box("n", NEW, gate, "n_t", "candidate tanh", "candidate"),
            *([Box("W_hn", READ, gate + 62, "W_{hn}", width=76, height=36)] if reset == "after" else []),
        ],
        [
            *_reset(reset, low),
            *rail_edges,
            *update_edges,
            Edge("r.right", "read.left"),
            Edge("read.right", "n.left"),
        ],
        [] if update == "keep" else [Words(KEEP + 24, 128, "k_t", 18, "symbol")],
        f"{weights} × and + act element by element.",
    )


picture = drawn("gru", "GRU, one time step", "after", "keep")
reset_before = drawn("gru-reset-before", "GRU with reset before the product, one time step", "before", "keep")
writes = drawn("gru-write", "GRU whose update gate writes, one time step", "after", "write")
