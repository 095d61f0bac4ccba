"""How often a classifier is right beside how sure it says it is: a reliability diagram (Guo et al. 2017, figure 1)."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import altair as alt

from unroll.report import facts
from unroll.report import format as fmt
from unroll.report.charts.figure import Figure, Table, figure
from unroll.report.charts.parts import canvas, data, marks, paint, words, x_axis, y_axis
from unroll.report.facts import Entry, Result
from unroll.report.style import MUTED

Z = 1.96
"""Of a 95 % interval."""


def calibration(result: Result, table: Mapping[str, Any]) -> Figure | None:
    """The bins of ``table["drawn"]``; the table itself stands behind it. ``None`` where its candidate is not known."""
    drawn = table["drawn"]
    entry = next((e for e in facts.candidates(result) if e.name == drawn["name"]), None)
    if entry is None or not drawn["bins"]:
        return None
    bins = [_Bin(**own) for own in drawn["bins"]]
    told = "; ".join(f"{100 * b.sure:.0f} % given, {100 * b.right:.0f} % right of {fmt.count(b.count)}" for b in bins)
    return figure(
        "calibration-figure",
        fmt.clean(table["title"]),
        f"Share of right answers of {entry.label} by the probability it gave to them: {told}.",
        f"Mark: the test {fmt.clean(drawn['what'])} whose class got about this probability, with the 95 % interval of "
        "their share of right answers (Wilson); below, how many they are. Grey line: as often right as it says.",
        Table(table["head"], table["rows"], str(table["note"])),
        lambda width: _plot(entry, bins, width),
    )


class _Bin:
    """Examples whose class got a like probability: how many, the mean of it, and the share that is right."""

    def __init__(self, count: int, sure: float, right: float) -> None:
        self.count, self.sure, self.right = count, sure, right

    def interval(self) -> tuple[float, float]:
        """Of the share of right answers, 95 % (Wilson 1927)."""
        n, p = self.count, self.right
        centre, spread = p + Z * Z / (2 * n), Z * math.sqrt(p * (1 - p) / n + Z * Z / (4 * n * n))
        return tuple((centre + sign * spread) / (1 + Z * Z / n) for sign in (-1, 1))  # type: ignore[return-value]


def _plot(entry: Entry, bins: Sequence[_Bin], width: int) -> Any:
    narrow = width < 600
    pad = (52, 40, 20, 74) if narrow else (60, 40, 320, 74)
    height = 280 if narrow else 360
    first, least = (
        math.floor(10 * low) / 10 for low in (min(b.sure for b in bins), min(b.interval()[0] for b in bins))
    )
    shown = {"labelExpr": "format(100 * datum.value, '.0f') + ' %'", "tickCount": 5 if narrow else 8}
    axis = x_axis("probability given to the class it was taken for", **shown, titlePadding=34)
    x = alt.X("x:Q", scale=alt.Scale(domain=[first, 1], nice=False, zero=False), axis=axis)
    axis = y_axis("share that is right", pad[0], **shown)
    y = alt.Y("y:Q", scale=alt.Scale(domain=[least, 1], nice=False, zero=False), axis=axis)
    line = [{"x": v, "y": v} for v in (max(first, least), 1.0)]
    even = alt.Chart(data(line)).mark_line(stroke=MUTED.light, strokeWidth=1, strokeDash=[5, 4])
    layers: list[Any] = [even.encode(x=x, y=y)]
    spans = [{"x": b.sure, "y": b.interval()[0], "top": b.interval()[1]} for b in bins]
    bars = alt.Chart(data(spans)).mark_rule(strokeWidth=3, opacity=0.45, stroke=entry.look.light)
    layers.append(bars.encode(x=x, y=y, y2="top:Q"))
    layers.append(marks([{"x": b.sure, "y": b.right, **paint(entry)} for b in bins], 100, x=x, y=y))
    inner = width - pad[0] - pad[2]
    counts = [{"x": b.sure, "text": fmt.count(b.count)} for b in _apart(bins, first, inner)]
    layers.append(words(counts, size=11, muted=True, x=x, y=alt.YValue(height + 32), align="center"))
    return canvas(layers, width, height, pad)


def _apart(bins: Sequence[_Bin], first: float, inner: int) -> list[_Bin]:
    """Those whose counts have room beside each other, from the surest down."""
    kept: list[_Bin] = []
    for own in reversed(bins):
        room = 7 * len(fmt.count(own.count)) + 10
        if not kept or (kept[-1].sure - own.sure) / (1 - first) * inner >= room:
            kept.append(own)
    return kept
