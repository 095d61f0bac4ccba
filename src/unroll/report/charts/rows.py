"""Charts with one row per entry: its name on the left, or above where there is no room, its figures on the right."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import altair as alt

from unroll.report.charts.parts import canvas, data, rule, words
from unroll.report.facts import Entry
from unroll.report.style import GRID


@dataclass(frozen=True)
class Layout:
    """Pixels of a row chart. In a narrow one the name and the figures stand on a line above the marks."""

    entries: Sequence[Entry]
    width: int
    right: int = 190
    top: int = 26
    bottom: int = 48

    @property
    def narrow(self) -> bool:
        return self.width < 600

    @property
    def left(self) -> int:
        """Room for the longest name."""
        return min(236, 30 + round(7.6 * max(len(e.label) for e in self.entries)))

    @property
    def step(self) -> int:
        return 52 if self.narrow else 36

    @property
    def height(self) -> int:
        return self.step * len(self.entries)

    @property
    def pad(self) -> tuple[int, int, int, int]:
        return (10, self.top, 10, self.bottom) if self.narrow else (self.left, self.top, self.right, self.bottom)

    @property
    def inner(self) -> int:
        return self.width - self.pad[0] - self.pad[2]

    def middle(self, row: int) -> float:
        """The height of the marks of a row."""
        return self.step * row + (self.step - 13 if self.narrow else self.step / 2)

    @property
    def y(self) -> Any:
        """Rows carry their height in pixels as ``y``."""
        return alt.Y("y:Q", scale=alt.Scale(domain=[0, self.height], range=[0, self.height], nice=False), axis=None)


def frame(layout: Layout, figures: Sequence[str], first_baseline: int | None) -> list[Any]:
    """Names, figures and the line that sets the baselines apart."""
    lift = 24 if layout.narrow else 0
    names, right = [], []
    for i, entry in enumerate(layout.entries):
        at = layout.middle(i) - lift
        names.append({"y": at, "text": entry.short(26 if layout.narrow else 28), "quiet": entry.is_baseline})
        right.append({"y": at, "text": figures[i]})
    loud, quiet = [n for n in names if not n["quiet"]], [n for n in names if n["quiet"]]
    edge = alt.XValue(0 if layout.narrow else -layout.left)
    layers = [words(loud, x=edge, y=layout.y, bold=True), words(quiet, x=edge, y=layout.y)]
    outer = layout.inner if layout.narrow else layout.inner + layout.right
    layers.append(words(right, x=alt.XValue(outer), y=layout.y, align="right"))
    if first_baseline:
        start = 0 if layout.narrow else -layout.left
        layers.append(
            alt.Chart(data([{"y": layout.step * first_baseline}]))
            .mark_rule(stroke=GRID.light, strokeWidth=1.5)
            .encode(y=layout.y, x=alt.XValue(start), x2=alt.X2Value(outer))
        )
    return layers


def guide(layout: Layout, text: str, at: Any, dash: Sequence[int], align: str = "center") -> list[Any]:
    """A named vertical line. Where names stand above the marks it is cut so as not to strike them out."""
    name = words([{"text": text}], size=12, muted=True, x=at, y=alt.YValue(-12), align=align)
    if not layout.narrow:
        return [rule(x=at, y=alt.YValue(0), y2=alt.Y2Value(layout.height), dash=dash), name]
    tops = [layout.middle(i) for i in range(len(layout.entries))]
    return [name, *(rule(x=at, y=alt.YValue(t - 11), y2=alt.Y2Value(t + 11), dash=dash) for t in tops)]


def picture(layers: Sequence[Any], layout: Layout) -> Any:
    return canvas(layers, layout.width, layout.height, layout.pad)
