"""The minimal gated unit: one gate that reads, writes and, as 1 − f, keeps."""

from _draw.picture import Picture
from _draw.shapes import Box, Edge, Operation, Port, Tap, Words

F, READ, NEW = 224, 410, 580
H_LINE, KEEP, WRITE, GATE, LOW, X_LINE = 92, 166, 220, 306, 388, 426

picture = Picture(
    name="mgu",
    cell="mgu",
    heading="Minimal gated unit, one time step",
    title="Data flow of a minimal gated unit in one time step",
    description=(
        "The state h runs along the upper line: k, which is 1 minus the gate f, multiplies what is kept, then the "
        "product of f and the candidate n is added. The gate reads the old h and the input x; the candidate reads x "
        "and the product of f and the old h."
    ),
    width=750,
    height=498,
    nodes=[
        Port("old", 74, H_LINE, "h_{t−1}"),
        Port("x", 74, X_LINE, "x_t"),
        Port("new", 692, H_LINE, "h_t", "right"),
        Tap("h_fork", 104, H_LINE),
        Operation("keep", F, H_LINE, "×"),
        Operation("add", NEW, H_LINE, "+"),
        Operation("one_minus", F, KEEP, "1 −", 17),
        Tap("f_fork", F, WRITE),
        Operation("write", NEW, WRITE, "×"),
        Box("f", F, GATE, "f_t", "forget σ", "forget"),
        Operation("read", READ, GATE, "×"),
        Box("n", NEW, GATE, "n_t", "candidate tanh", "candidate"),
        Tap("h_to_f", F - 16, LOW),
        Tap("x_to_f", F + 16, X_LINE),
    ],
    edges=[
        Edge("h_fork", "read.bottom", ((104, LOW), (READ, LOW))),
        Edge("x", "n.bottom", "hv"),
        Edge("h_to_f", "f.bottom-16"),
        Edge("x_to_f", "f.bottom+16"),
        Edge("old", "keep.left", kind="memory"),
        Edge("keep.right", "add.left", kind="memory"),
        Edge("add.right", "new", kind="memory"),
        Edge("f.top", "one_minus.bottom"),
        Edge("one_minus.top", "keep.bottom"),
        Edge("f_fork", "write.left"),
        Edge("f.right", "read.left"),
        Edge("read.right", "n.left"),
        Edge("n.top", "write.bottom"),
        Edge("write.top", "add.bottom"),
    ],
    notes=[Words(248, 128, "k_t", 18, "symbol")],
    legend="Each box has its own weights on what enters it. × and + act element by element.",
)
