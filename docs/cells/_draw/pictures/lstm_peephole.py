"""The vanilla LSTM of Greff et al. 2017: every gate also sees the cell state."""

from _draw.pictures.lstm import C_LINE, GATES, drawn
from _draw.shapes import Edge, Tap

_LEVEL = 204
"""Height of the line that brings the old cell state to the forget and input gates."""
_f, _i, _o = (GATES[gate] for gate in "fio")

picture = drawn(
    "lstm-peephole",
    "Vanilla LSTM with peepholes, one time step",
    "Data flow of the vanilla LSTM with peephole connections in one time step",
    "As the LSTM. Dashed lines are the peepholes: the old cell state c also enters the input gate i and the forget "
    "gate f, the new cell state enters the output gate o, each through one weight per unit.",
    [
        Tap("c_before", 100, C_LINE),
        Tap("peep", _f - 30, _LEVEL),
        Tap("c_after", _o, C_LINE),
    ],
    [
        Edge("c_before", "i.top-30", ((100, _LEVEL), (_i - 30, _LEVEL)), "peephole"),
        Edge("peep", "f.top-30", kind="peephole"),
        Edge("c_after", "o.top", kind="peephole"),
    ],
    "Dashed: peepholes, one weight per unit. Each gate has its own weights on what enters it.",
)
