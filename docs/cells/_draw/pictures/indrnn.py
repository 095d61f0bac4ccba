"""Every unit remembers for itself."""

from _draw.picture import Picture
from _draw.shapes import Box, Edge, Operation, Port, Words

picture = Picture(
    name="indrnn",
    cell="indrnn",
    heading="IndRNN, one time step",
    title="Data flow of an IndRNN in one time step",
    description=(
        "The old state h of step t minus 1 is multiplied element by element by the weights u, one per unit. Added to "
        "W x of step t and the bias b it is the pre-activation a; ReLU of it is the new state h of step t."
    ),
    width=740,
    height=322,
    nodes=[
        Port("old", 74, 142, "h_{t−1}"),
        Port("x", 74, 236, "x_t"),
        Port("u", 190, 80, "u", "above"),
        Port("b", 344, 80, "b", "above"),
        Port("new", 666, 142, "h_t", "right"),
        Operation("keep", 190, 142, "×"),
        Box("W", 190, 236, "W", width=84, height=44),
        Operation("sum", 344, 142, "+"),
        Box("relu", 520, 142, "ReLU", "activation", role="candidate"),
    ],
    edges=[
        Edge("old", "keep.left", kind="memory"),
        Edge("u", "keep.top"),
        Edge("keep.right", "sum.left"),
        Edge("x", "W.left"),
        Edge("W.right", "sum.bottom", "hv"),
        Edge("b", "sum.top"),
        Edge("sum.right", "relu.left"),
        Edge("relu.right", "new", kind="memory"),
    ],
    notes=[Words(413, 126, "a_t", 18, "symbol")],
    legend="W multiplies by a matrix. × and + act element by element. The output of the step is h_t.",
)
