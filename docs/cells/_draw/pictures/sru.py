"""The simple recurrent unit: two gates that see their own unit's past, and a highway for the input."""

from _draw.picture import Picture
from _draw.shapes import Box, Edge, Operation, Port, Tap

F, Z, R, SHOW, MIX = 190, 352, 478, 570, 654
C_LINE, MIX_LINE, GATE, SKIP, LOW, X_LINE = 92, 196, 290, 376, 352, 474

picture = Picture(
    name="sru",
    cell="sru",
    heading="SRU, one time step",
    title="Data flow of an SRU in one time step",
    description=(
        "The state c runs along the upper line: the forget gate f multiplies what is kept, then the product of 1 minus "
        "f and z is added. The new c times the gate r, plus 1 minus r times s, is the output h. f, z, r and s read the "
        "input x; f and r also read the old c, each unit its own."
    ),
    width=756,
    height=534,
    nodes=[
        Port("old", 74, C_LINE, "c_{t−1}"),
        Port("x", 74, X_LINE, "x_t"),
        Port("new", 702, C_LINE, "c_t", "right"),
        Port("output", 702, MIX_LINE, "h_t", "right"),
        Tap("c_fork", 104, C_LINE),
        Operation("keep", F, C_LINE, "×"),
        Operation("add", Z, C_LINE, "+"),
        Tap("f_fork", F, MIX_LINE),
        Operation("not_f", 272, MIX_LINE, "1 −", 17),
        Operation("write", Z, MIX_LINE, "×"),
        Tap("c_seen", SHOW, C_LINE),
        Operation("show", SHOW, MIX_LINE, "×"),
        Operation("mix", MIX, MIX_LINE, "+"),
        Box("f", F, GATE, "f_t", "forget σ", "forget"),
        Box("z", Z, GATE, "z_t", "candidate", "candidate"),
        Box("r", R, GATE, "r_t", "reset σ", "output"),
        Tap("r_fork", SHOW, GATE),
        Operation("not_r", SHOW, 334, "1 −", 17),
        Operation("past", SHOW, 388, "×"),
        Box("s", SHOW, 436, "s_t", "", "plain", width=84, height=40),
        Tap("c_to_f", F - 16, LOW),
        Tap("x_to_f", F + 16, X_LINE),
        Tap("x_to_z", Z, X_LINE),
        Tap("x_to_r", R + 16, X_LINE),
    ],
    edges=[
        Edge("c_fork", "r.bottom-16", ((104, LOW), (R - 16, LOW)), "peephole"),
        Edge("c_to_f", "f.bottom-16", kind="peephole"),
        Edge("x", "s.bottom", "hv"),
        Edge("x_to_f", "f.bottom+16"),
        Edge("x_to_z", "z.bottom"),
        Edge("x_to_r", "r.bottom+16"),
        Edge("old", "keep.left", kind="memory"),
        Edge("keep.right", "add.left", kind="memory"),
        Edge("add.right", "new", kind="memory"),
        Edge("f.top", "keep.bottom"),
        Edge("f_fork", "not_f.left"),
        Edge("not_f.right", "write.left"),
        Edge("z.top", "write.bottom"),
        Edge("write.top", "add.bottom"),
        Edge("c_seen", "show.top"),
        Edge("r.right", "r_fork", arrow=False),
        Edge("r_fork", "show.bottom"),
        Edge("r_fork", "not_r.top"),
        Edge("not_r.bottom", "past.top"),
        Edge("s.top", "past.bottom"),
        Edge("past.right", "mix.bottom", "hv"),
        Edge("show.right", "mix.left"),
        Edge("mix.right", "output"),
    ],
    legend="Dashed: the old c of the same unit, times v. Each box has its own weights on x_t.",
)
