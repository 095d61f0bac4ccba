"""The quasi-recurrent network: gates from two inputs, and a pooling over time."""

from collections.abc import Sequence

from _draw.picture import Picture
from _draw.shapes import Box, Edge, Node, Operation, Port, Tap

F, I, Z, O = 172, 296, 420, 544  # noqa: E741 - the gates' own names
ADD, SHOW = 358, 642
C_LINE, WRITE, GATE, OLD_LINE, X_LINE = 92, 172, 250, 338, 376


def drawn(
    name: str,
    heading: str,
    title: str,
    writes: str,
    gates: dict[str, int],
    nodes: Sequence[Node],
    edges: Sequence[Edge],
) -> Picture:
    """fo-pooling, with what decides how much of z is written."""
    read = "".join(gates)
    every: list[Node] = [
        Port("c_old", 74, C_LINE, "c_{t−1}"),
        Port("x_old", 74, OLD_LINE, "x_{t−1}"),
        Port("x", 74, X_LINE, "x_t"),
        Port("c_new", 692, C_LINE, "c_t", "right"),
        Port("h_new", 692, GATE, "h_t", "right"),
        Port("x_new", 692, X_LINE, "x_t", "right"),
        Operation("keep", F, C_LINE, "×"),
        Operation("add", ADD, C_LINE, "+"),
        Operation("write", ADD, WRITE, "×"),
        Tap("c_fork", SHOW, C_LINE),
        Operation("show", SHOW, GATE, "×"),
        Box("f", F, GATE, "f_t", "forget σ", "forget"),
        Box("z", Z, GATE, "z_t", "candidate tanh", "candidate"),
        Box("o", O, GATE, "o_t", "output σ", "output"),
        *(Tap(f"old_to_{gate}", x - 16, OLD_LINE) for gate, x in gates.items() if gate != "o"),
        *(Tap(f"x_to_{gate}", x + 16, X_LINE) for gate, x in gates.items()),
        *nodes,
    ]
    lines = [
        Edge("x_old", "old_to_z", kind="memory", arrow=False),
        Edge("old_to_z", "o.bottom-16", "hv"),
        Edge("x", "x_to_o", arrow=False),
        Edge("x_to_o", "x_new", kind="memory"),
        *(Edge(f"old_to_{gate}", f"{gate}.bottom-16") for gate in read if gate != "o"),
        *(Edge(f"x_to_{gate}", f"{gate}.bottom+16") for gate in read),
        Edge("c_old", "keep.left", kind="memory"),
        Edge("keep.right", "add.left", kind="memory"),
        Edge("add.right", "c_new", kind="memory"),
        Edge("f.top", "keep.bottom"),
        Edge("z.top", "write.right", "vh"),
        Edge("write.top", "add.bottom"),
        Edge("c_fork", "show.top"),
        Edge("o.right", "show.left"),
        Edge("show.right", "h_new"),
        *edges,
    ]
    description = (
        "The state c runs along the upper line: the forget gate f multiplies what is kept, then the product of "
        f"{writes} and the candidate z is added. The new c times the output gate o is the output h. All gates read the "
        "input x of this step and of the one before, and no state."
    )
    legend = "Each gate has its own weights on the two inputs. × and + act element by element."
    return Picture(name, "qrnn", heading, title, description, 750, 450, every, lines, legend=legend)


picture = drawn(
    "qrnn",
    "QRNN with fo-pooling, one time step",
    "Data flow of a QRNN with fo-pooling in one time step",
    "1 minus f",
    {"f": F, "z": Z, "o": O},
    [Tap("f_fork", F, WRITE), Operation("not_f", 264, WRITE, "1 −", 17)],
    [Edge("f_fork", "not_f.left"), Edge("not_f.right", "write.left")],
)
ifo = drawn(
    "qrnn-ifo",
    "QRNN with ifo-pooling, one time step",
    "Data flow of a QRNN with ifo-pooling in one time step",
    "the input gate i",
    {"f": F, "i": I, "z": Z, "o": O},
    [Box("i", I, GATE, "i_t", "input σ", "input")],
    [Edge("i.top", "write.left", "vh")],
)
