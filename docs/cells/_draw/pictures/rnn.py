"""Elman's recurrence."""

from _draw.picture import Picture
from _draw.shapes import Box, Edge, Operation, Port, Words

picture = Picture(
    name="rnn",
    cell="rnn",
    heading="RNN, one time step",
    title="Data flow of an Elman RNN in one time step",
    description=(
        "The old state h of step t minus 1 passes through the matrix W hh, the input x of step t through W ih. Their "
        "sum with the bias b is the pre-activation a; tanh, or ReLU, of it is the new state h of step t."
    ),
    width=740,
    height=322,
    nodes=[
        Port("old", 74, 142, "h_{t−1}"),
        Port("x", 74, 236, "x_t"),
        Port("b", 344, 80, "b", "above"),
        Port("new", 666, 142, "h_t", "right"),
        Box("W_hh", 190, 142, "W_{hh}", width=84, height=44),
        Box("W_ih", 190, 236, "W_{ih}", width=84, height=44),
        Operation("sum", 344, 142, "+"),
        Box("phi", 520, 142, "tanh", "or ReLU", role="candidate"),
    ],
    edges=[
        Edge("old", "W_hh.left", kind="memory"),
        Edge("W_hh.right", "sum.left"),
        Edge("x", "W_ih.left"),
        Edge("W_ih.right", "sum.bottom", "hv"),
        Edge("b", "sum.top"),
        Edge("sum.right", "phi.left"),
        Edge("phi.right", "new", kind="memory"),
    ],
    notes=[Words(413, 126, "a_t", 18, "symbol")],
    legend="W boxes multiply by a matrix. + is a sum, element by element. The output of the step is h_t.",
)
