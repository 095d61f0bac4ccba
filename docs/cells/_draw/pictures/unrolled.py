"""One cell with a loop is the same cell once per time step."""

from _draw.picture import Picture
from _draw.shapes import Box, Edge, Port, Tap, Words

LINE, LOW = 168, 246
STEPS = {"1": 304, "2": 408, "3": 512, "T": 674}


def _cell(name: str, x: float) -> Box:
    return Box(name, x, LINE, "cell", style="upright", width=68, height=64)


picture = Picture(
    name="unrolled",
    cell="",
    heading="A recurrence, unrolled in time",
    title="A recurrent cell with its loop, and the same cell unrolled over the time steps 1 to T",
    description=(
        "Left, a cell that reads x of step t and its own state h of step t minus 1. Right, the same cell drawn once "
        "per time step from 1 to T: each step hands its state to the next one and gives it as output. The gradient "
        "goes back along the same line, from step T to step 1."
    ),
    width=750,
    height=342,
    nodes=[
        _cell("folded", 106),
        Tap("loop", 106, 110),
        Port("h", 106, 84, "h_t", "above"),
        Port("x", 106, LOW, "x_t", "below"),
        Port("h0", 240, LINE - 12, "h_0", "left"),
        *(_cell(f"step{t}", x) for t, x in STEPS.items()),
        Box("more", 593, LINE, "…", role="blank", width=28, height=64),
        *(Port(f"h{t}", x, 84, f"h_{t}", "above") for t, x in STEPS.items()),
        *(Port(f"x{t}", x, LOW, f"x_{t}", "below") for t, x in STEPS.items()),
    ],
    edges=[
        Edge("x", "folded.bottom"),
        Edge("folded.top", "h"),
        Edge("loop", "folded.left", ((44, 110), (44, LINE)), "memory"),
        *(Edge(f"x{t}", f"step{t}.bottom") for t in STEPS),
        *(Edge(f"step{t}.top", f"h{t}") for t in STEPS),
        Edge("h0", "step1.left-12", kind="memory"),
        *(
            Edge(f"{a}.right-12", f"{b}.left-12", kind="memory")
            for a, b in (("step1", "step2"), ("step2", "step3"), ("step3", "more"), ("more", "stepT"))
        ),
        *(
            Edge(f"{b}.left+14", f"{a}.right+14", kind="gradient")
            for a, b in (("step1", "step2"), ("step2", "step3"), ("step3", "more"), ("more", "stepT"))
        ),
    ],
    notes=[Words(184, LINE, "=", 24, "upright")],
    legend="Every cell has the same weights. Thick: the state, forwards. Dashed: its gradient, backwards.",
)
