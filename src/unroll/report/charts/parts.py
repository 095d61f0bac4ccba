"""The pieces charts are made of: lines, marks, words at exact places, and labels that do not collide."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import altair as alt

from unroll.report.facts import HOLLOW, PALE, Entry
from unroll.report.style import MUTED, SURFACE, TRUTH

Rows = Sequence[Mapping[str, Any]]


def data(rows: Rows) -> Any:
    return alt.InlineData(values=[dict(r) for r in rows])


def canvas(layers: Iterable[Any], width: int, height: int, pad: tuple[int, int, int, int]) -> Any:
    """Layers on a picture of exactly ``width``; ``pad`` is left, top, right, bottom, as in Vega."""
    left, top, right, bottom = pad
    return alt.layer(*layers).properties(
        width=width - left - right,
        height=height,
        autosize=alt.AutoSizeParams(type="none"),
        padding={"left": left, "top": top, "right": right, "bottom": bottom},
    )


def x_axis(title: str, **options: Any) -> Any:
    return alt.Axis(title=title, titleAnchor="start", titleAlign="left", labelFlush=True, **options)


def y_axis(title: str, left: int, **options: Any) -> Any:
    """A vertical axis whose title stands upright above its labels."""
    return alt.Axis(
        title=title, titleAngle=0, titleAlign="left", titleBaseline="bottom", titleX=-left, titleY=-14, **options
    )


def paint(entry: Entry) -> dict[str, Any]:
    """How a mark of this entry is filled, as fields of a row."""
    return {
        "colour": entry.look.light,
        "fill": SURFACE.light if entry.fill == HOLLOW else entry.look.light,
        "shape": entry.look.mark,
        "opacity": 0.4 if entry.fill == PALE else 1.0,
    }


def pen(entry: Entry) -> dict[str, Any]:
    """How a line of this entry is drawn: the second of a family thinner, the third paler."""
    return {
        "strokeWidth": 1.4 if entry.fill == HOLLOW and not entry.is_baseline else 2.4,
        "opacity": 0.5 if entry.fill == PALE else 1.0,
    }


def marks(rows: Rows, size: int = 110, **place: Any) -> Any:
    """The family's mark at every row; the row carries what ``paint`` gives."""
    return (
        alt.Chart(data(rows))
        .mark_point(opacity=1, strokeWidth=1.8, size=size)
        .encode(
            shape=alt.Shape("shape:N", scale=None),
            stroke=alt.Stroke("colour:N", scale=None),
            fill=alt.Fill("fill:N", scale=None),
            fillOpacity=alt.FillOpacity("opacity:Q", scale=None),
            **place,
        )
    )


def words(rows: Rows, *, size: int = 13, muted: bool = False, bold: bool = False, **options: Any) -> Any:
    """Text from the field ``text``; encodings are told from mark options by their type."""
    place = {k: v for k, v in options.items() if k in ("x", "y")}
    mark = {k: v for k, v in options.items() if k not in place}
    return (
        alt.Chart(data(rows))
        .mark_text(
            fontSize=size,
            fill=MUTED.light if muted else TRUTH.light,
            fontWeight=600 if bold else "normal",
            **({"align": "left", "baseline": "middle"} | mark),
        )
        .encode(text=alt.Text("text:N"), **place)
    )


def rule(*, muted: bool = True, width: float = 1, dash: Sequence[int] = (), **place: Any) -> Any:
    """One straight line from here to there."""
    return (
        alt.Chart(data([{}]))
        .mark_rule(stroke=MUTED.light if muted else TRUTH.light, strokeWidth=width, strokeDash=list(dash))
        .encode(**place)
    )


def spread(targets: Sequence[float], gap: float, low: float, high: float) -> list[float]:
    """Places as near to ``targets`` as labels ``gap`` apart allow, between ``low`` and ``high``.

    Neighbours that are too close are pooled around their mean, which moves the fewest labels the least.
    """
    order = sorted(range(len(targets)), key=lambda i: (targets[i], i))
    pools: list[tuple[float, int]] = []  # (centre, how many)
    for i in order:
        pools.append((min(max(targets[i], low), high), 1))
        while len(pools) > 1 and pools[-1][0] - pools[-2][0] < gap * (pools[-1][1] + pools[-2][1]) / 2:
            (a, n), (b, m) = pools[-2], pools[-1]
            centre = (a * n + b * m) / (n + m)
            half = gap * (n + m - 1) / 2
            pools[-2:] = [(max(min(centre, high - half), low + half), n + m)]
    places = [0.0] * len(targets)
    position = 0
    for centre, size in pools:
        for k in range(size):
            places[order[position]] = centre + gap * (k - (size - 1) / 2)
            position += 1
    return places


def nice(low: float, high: float, pad: float = 0.06) -> tuple[float, float]:
    """A domain a little wider than its data, never empty."""
    margin = (high - low) * pad or abs(high) * 0.1 or 1.0
    return low - margin, high + margin


def pixel(value: float, domain: tuple[float, float], height: float, log: bool = False) -> float:
    """Where ``value`` lies on a vertical axis of ``height`` pixels."""
    low, high, at = (math.log(v) for v in (*domain, value)) if log else (*domain, value)
    return height * (1 - (at - low) / (high - low))


def log_ticks(domain: tuple[float, float], most: int = 7) -> list[float]:
    """Round values on a logarithmic axis, as many as fit and evenly chosen within a decade."""
    decades = range(math.floor(math.log10(domain[0])), math.ceil(math.log10(domain[1])) + 1)
    ticks: list[float] = []
    for mantissas in (
        (1,),
        (1, 3),
        (1, 2, 5),
        (1, 2, 3, 5, 7),
        tuple(range(1, 10)),
        (1, 1.2, 1.5, 2, 2.5, 3, 4, 5, 6, 8),
    ):
        found = [float(f"{m}e{d}") for d in decades for m in mantissas]
        inside = [t for t in found if domain[0] <= t <= domain[1]]
        if len(inside) <= most or not ticks:
            ticks = inside
    return ticks


def thinned(count: int, most: int) -> list[int]:
    """At most ``most`` + 1 indices of ``count``, the first and last among them."""
    step = max(1, math.ceil(count / most))
    return sorted({*range(0, count, step), *([count - 1] if count else [])})


def label_room(names: Sequence[str], narrow: bool) -> int:
    """Pixels to keep free right of a plot for names beside its lines."""
    return min(122 if narrow else 190, 36 + round(7.8 * max(map(len, names))))


@dataclass(frozen=True)
class Ending:
    """Where a line ends on the right, and who it belongs to: an entry, or plain words."""

    who: Entry | str
    x: Any
    y: float
    top: float  # the same height in pixels


def end_labels(endings: Sequence[Ending], width: int, height: int, x: Any, y: Any, letters: int) -> list[Any]:
    """Names right of the plot, each with its mark and a hairline from the end of its own line.

    ``x`` and ``y`` are the encodings of the plot; ``letters`` is how many fit beside it.
    """
    layers = []
    for ending, top in zip(endings, spread([e.top for e in endings], 19, 4, height - 4)):
        lead = alt.Chart(data([{"x": ending.x, "y": ending.y}])).mark_rule(
            strokeWidth=0.8, stroke=MUTED.light, opacity=0.5
        )
        layers.append(lead.encode(x=x, y=y, x2=alt.X2Value(width + 8), y2=alt.Y2Value(top)))
        name = ending.who if isinstance(ending.who, str) else ending.who.short(letters)
        layers.append(words([{"text": name}], x=alt.XValue(width + 24), y=alt.YValue(top)))
        if not isinstance(ending.who, str):
            layers.append(marks([paint(ending.who)], 90, x=alt.XValue(width + 14), y=alt.YValue(top)))
    return layers
