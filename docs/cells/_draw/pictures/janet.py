"""JANET: an LSTM with the forget gate alone."""

from _draw.picture import Picture
from _draw.shapes import Box, Edge, Operation, Port, Tap

S, WRITES, NEW = 196, 372, 560
H_LINE, GATE, LINEAR, LOW, X_LINE = 92, 196, 306, 390, 428

picture = Picture(
    name="janet",
    cell="janet",
    heading="JANET, one time step",
    title="Data flow of JANET in one time step",
    description=(
        "The state h runs along the upper line: the forget gate f, the sigmoid of s, multiplies what is kept, then the "
        "product of 1 minus the sigmoid of s minus beta and the candidate g is added. s and g read the old h and the "
        "input x."
    ),
    width=750,
    height=500,
    nodes=[
        Port("old", 74, H_LINE, "h_{t−1}"),
        Port("x", 74, X_LINE, "x_t"),
        Port("new", 692, H_LINE, "h_t", "right"),
        Tap("h_fork", 104, H_LINE),
        Operation("keep", S, H_LINE, "×"),
        Operation("add", NEW, H_LINE, "+"),
        Operation("write", NEW, GATE, "×"),
        Box("f", S, GATE, "f_t", "forget σ", "forget"),
        Box("i", WRITES, GATE, "1 − σ(s_t − β)", "input", "input", width=148),
        Box("s", S, LINEAR, "s_t", "linear"),
        Box("g", NEW, LINEAR, "g_t", "candidate tanh", "candidate"),
        Tap("h_to_s", S - 16, LOW),
        Tap("x_to_s", S + 16, X_LINE),
    ],
    edges=[
        Edge("h_fork", "g.bottom-16", ((104, LOW), (NEW - 16, LOW))),
        Edge("x", "g.bottom+16", "hv"),
        Edge("h_to_s", "s.bottom-16"),
        Edge("x_to_s", "s.bottom+16"),
        Edge("old", "keep.left", kind="memory"),
        Edge("keep.right", "add.left", kind="memory"),
        Edge("add.right", "new", kind="memory"),
        Edge("s.top", "f.bottom"),
        Edge("s.right", "i.bottom", "hv"),
        Edge("f.top", "keep.bottom"),
        Edge("i.right", "write.left"),
        Edge("g.top", "write.bottom"),
        Edge("write.top", "add.bottom"),
    ],
    legend="s and g have their own weights on what enters them. × and + act element by element.",
)
