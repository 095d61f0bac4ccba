"""The look of a cell family: one colour in light, one in dark, one mark. Fixed for ever.

A family is found by the prefix of the cell's key. A cell that no prefix knows is drawn as ``other``: brown with a
hexagon, so that a user's own cell is never mistaken for a family it does not belong to.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Look:
    """How one thing is drawn everywhere. ``mark`` is an SVG path within -1 … 1, ``dash`` empty for solid."""

    name: str
    light: str
    dark: str
    mark: str = ""
    dash: tuple[int, ...] = ()


CIRCLE = "M-.9,0A.9,.9,0,1,1,.9,0A.9,.9,0,1,1,-.9,0Z"
SQUARE = "M-.8,-.8H.8V.8H-.8Z"
TRIANGLE = "M0,-1L1,.8H-1Z"
DIAMOND = "M0,-1.1L.9,0L0,1.1L-.9,0Z"
CROSS = "M-.35,-1H.35V-.35H1V.35H.35V1H-.35V.35H-1V-.35H-.35Z"
STAR = "M0,-1.1L.29,-.35L1.1,-.32L.46,.17L.68,.93L0,.49L-.68,.93L-.46,.17L-1.1,-.32L-.29,-.35Z"
HEXAGON = "M-.5,-.87H.5L1,0L.5,.87H-.5L-1,0Z"

RNN = Look("rnn", "#E69F00", "#F0B429", CIRCLE)
LSTM = Look("lstm", "#0072B2", "#4BA3E3", SQUARE)
GRU = Look("gru", "#009E73", "#35C79A", TRIANGLE)
TRANSFORMER = Look("transformer", "#CC79A7", "#E59AC4", DIAMOND)
STATE_SPACE = Look("state-space", "#56B4E9", "#7CC8F2", CROSS)
CONTINUOUS = Look("continuous", "#D55E00", "#FF8A4C", STAR)
OTHER = Look("other", "#7A5C3E", "#C9A27E", HEXAGON)
BASELINE = Look("baseline", "#6B7280", "#9CA3AF", CIRCLE, (5, 4))
CONTROL = Look("control", "#9CA3AF", "#9CA3AF")
TRUTH = Look("truth", "#111827", "#F3F4F6")

# Not data: the paper, the words and the grid of a chart.
SURFACE = Look("surface", "#FFFFFF", "#14171C")
MUTED = Look("muted", "#4B5563", "#B4BCC8")
GRID = Look("grid", "#E5E7EB", "#2A3038")

# Magnitudes, on cividis: little is near the paper, much is far from it, in the light and in the dark.
_CIVIDIS = (
    "#00224E", "#123570", "#3B496C", "#575D6D", "#707173", "#8A8678", "#A59C74", "#C3B369", "#E1CC55", "#FEE838",
)  # fmt: skip
HEAT = tuple(
    Look(f"heat-{k}", light, dark) for k, (light, dark) in enumerate(zip(reversed(_CIVIDIS), _CIVIDIS, strict=True))
)
HEAT_INK = (Look("ink-on-little", "#0B0F14", "#F7F8FA"), Look("ink-on-much", "#F9FAFB", "#0C1015"))

CONTROL_OPACITY = 0.25

LOOKS = (
    RNN, LSTM, GRU, TRANSFORMER, STATE_SPACE, CONTINUOUS, OTHER,
    BASELINE, CONTROL, TRUTH, SURFACE, MUTED, GRID, *HEAT, *HEAT_INK,
)  # fmt: skip

_PREFIXES: tuple[tuple[str, Look], ...] = (
    ("rnn", RNN), ("elman", RNN), ("indrnn", RNN),
    ("lstm", LSTM), ("mlstm", LSTM), ("slstm", LSTM), ("xlstm", LSTM),
    ("gru", GRU), ("mingru", GRU), ("mgu", GRU),
    ("transformer", TRANSFORMER), ("attention", TRANSFORMER),
    ("mamba", STATE_SPACE), ("rwkv", STATE_SPACE), ("s4", STATE_SPACE), ("s5", STATE_SPACE),
    ("lru", STATE_SPACE), ("ssm", STATE_SPACE), ("linear", STATE_SPACE), ("retnet", STATE_SPACE),
    ("rglru", STATE_SPACE), ("hgrn", STATE_SPACE), ("gla", STATE_SPACE), ("delta", STATE_SPACE),
    ("sru", STATE_SPACE), ("qrnn", STATE_SPACE),
    ("ltc", CONTINUOUS), ("cfc", CONTINUOUS), ("ode", CONTINUOUS), ("liquid", CONTINUOUS),
    ("ctrnn", CONTINUOUS), ("continuous", CONTINUOUS),
)  # fmt: skip


def look_of(cell: str | None) -> Look:
    """The look of a cell by the prefix of its key, such as ``gru_reset_before``."""
    key = (cell or "").lower().replace("-", "_")
    return next((look for prefix, look in _PREFIXES if key.startswith(prefix)), OTHER)
