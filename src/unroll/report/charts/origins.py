"""The score at every origin of a backtest, the network beside the baselines."""

from __future__ import annotations

from typing import Any

import altair as alt

from unroll.report import facts
from unroll.report import format as fmt
from unroll.report.charts.figure import Figure, Table, figure
from unroll.report.charts.parts import (
    Ending,
    canvas,
    data,
    end_labels,
    label_room,
    marks,
    nice,
    paint,
    pen,
    pixel,
    x_axis,
    y_axis,
)
from unroll.report.facts import Entry, Result

FAR = 3.0
"""A baseline whose mean is so many times that of the network would press the others together: it is in the table."""


def origins(result: Result) -> Figure | None:
    """``None`` where nothing has a score."""
    metric = facts.metric_of(result)
    everyone = [e for e in facts.entries(result) if e.mean is not None]
    if not everyone:
        return None
    nearest = min(e.mean or 0.0 for e in everyone)
    shown = [e for e in everyone if not e.is_baseline or (e.mean or 0.0) <= FAR * max(nearest, 1e-12)]
    left = [e.label for e in everyone if e not in shown]
    told = "; ".join(f"{e.label} {', '.join(fmt.significant(v) for v in _values(result, e))}" for e in shown)
    return figure(
        "origins-figure",
        finding(result),
        f"{metric} at each origin, oldest first, lower is better: {told}.",
        f"Mark: {metric} of the forecasts from one origin. Dashed: baselines."
        + (f" Too far off to draw: {fmt.listing(left)}." if left else ""),
        table(result),
        lambda width: _plot(result, shown, width),
    )


def finding(result: Result) -> str:
    """At how many origins the network was ahead of the best baseline, and where it was worst."""
    own, metric = facts.candidates(result)[0], facts.metric_of(result)
    values = [(v, k) for k, v in enumerate(_values(result, own)) if v is not None]
    if not values:
        return f"{own.named} has no {metric} at any origin"
    worst = max(values)
    where = f"it is worst from {label(result, worst[1])} on, {fmt.significant(worst[0])} {metric}"
    gap = result["answer"].get("difference")
    if gap is None:
        return f"{own.named}: {where}"
    return f"{own.named} is ahead of {gap['baseline']} at {gap['ahead']} of {gap['of']} origins; {where}"


def label(result: Result, k: int) -> str:
    """The time of an origin, or its number where series differ in time."""
    origin = result["origins"][k]
    return fmt.clean(origin["time"]) if origin["time"] is not None else f"origin {origin['origin']}"


def table(result: Result) -> Table:
    every = facts.entries(result)
    rows = [
        [label(result, k), origin["fit"], *(_values(result, e)[k] for e in every)]
        for k, origin in enumerate(result["origins"])
    ]
    return Table(["from", "training", *(e.label for e in every)], rows)


def _values(result: Result, entry: Entry) -> list[float | None]:
    found: list[float | None] = entry.raw["by_origin"][facts.metric_of(result)]
    return found


def _plot(result: Result, shown: list[Entry], width: int) -> Any:
    narrow = width < 600
    right = label_room([e.label for e in shown], narrow)
    height, pad = 300, ((52, 40, right, 50) if narrow else (60, 40, right, 50))
    inner = width - pad[0] - pad[2]
    lines = [(e, [(k + 1, v) for k, v in enumerate(_values(result, e)) if v is not None]) for e in shown]
    values = [v for _, line in lines for _, v in line]
    domain = nice(min(values), max(values))
    count = len(result["origins"])
    y = alt.Y(
        "y:Q",
        scale=alt.Scale(domain=list(domain), nice=False, zero=False),
        axis=y_axis(f"{facts.metric_of(result)}, lower is better", pad[0], tickCount=6),
    )
    few = {"values": list(range(1, count + 1))} if count <= 12 else {"tickCount": 6 if narrow else 10}
    timed = result["origins"][0]["time"] and not narrow
    between = f", {label(result, 0)} to {label(result, count - 1)}" if timed else ""
    x = alt.X(
        "x:Q",
        scale=alt.Scale(domain=[1, max(count, 2)], nice=False, zero=False),
        axis=x_axis(f"origin{between}", format="d", grid=False, **few),
    )
    layers = []
    for entry, line in reversed(lines):
        rows = [{"x": at, "y": v} for at, v in line]
        dash = list(entry.look.dash) if entry.is_baseline else []
        layers.append(
            alt.Chart(data(rows))
            .mark_line(stroke=entry.look.light, strokeDash=dash, strokeCap="butt" if dash else "round", **pen(entry))
            .encode(x=x, y=y)
        )
        layers.append(marks([row | paint(entry) for row in rows], 70, x=x, y=y))
    endings = [Ending(e, line[-1][0], line[-1][1], pixel(line[-1][1], domain, height)) for e, line in lines if line]
    layers += end_labels(endings, inner, height, x, y, 13 if narrow else 21)
    return canvas(layers, width, height, pad)
