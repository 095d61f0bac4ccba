"""How long a gated cell's units keep what they hold, from the mean opening of the gate that keeps."""

from __future__ import annotations

from typing import Any

import altair as alt

from unroll.report import facts
from unroll.report import format as fmt
from unroll.report.charts.figure import Figure, Table, figure
from unroll.report.charts.parts import data, marks, paint, x_axis
from unroll.report.charts.rows import Layout, frame, guide, picture
from unroll.report.facts import Entry, Result
from unroll.report.style import CONTROL

QUANTILES = ("q10", "q25", "median", "q75", "q90")
TICKS = [k * 10**e for e in range(-1, 7) for k in (1, 2, 5)]


def keep(result: Result) -> Figure | None:
    """``None`` when no candidate has a gate that keeps."""
    shown = [e for e in facts.candidates(result) if _tau(e)]
    if not shown:
        return None
    told = "; ".join(f"{e.label} median {fmt.significant(_tau(e)['median'])} steps" for e in shown)
    return figure(
        "keep-figure",
        finding(shown),
        f"Keep-gate timescale of the units of each candidate, in steps: {told}.",
        caption(result, shown),
        table(shown),
        lambda width: _plot(result, shown, width),
    )


def finding(shown: list[Entry]) -> str:
    ranked = sorted(shown, key=lambda e: -_tau(e)["median"])
    lead = f"Half of {_possessive(ranked[0])} units keep a value for {_steps(ranked[0])} or longer"
    return f"{lead}, of {_possessive(ranked[-1])} for {_steps(ranked[-1])}" if len(ranked) > 1 else lead


def caption(result: Result, shown: list[Entry]) -> str:
    ungated = [e.label for e in facts.candidates(result) if not _tau(e)]
    without = f" No gate that keeps: {fmt.listing(ungated)}." if ungated else ""
    control = " Grey stroke: median before training." if any(_start(e) is not None for e in shown) else ""
    return (
        "Mark: median unit. Thick bar: middle half of the units. Thin: the middle 80 %. "
        f"Dot: the longest unit.{control}{without}"
    )


def table(shown: list[Entry]) -> Table:
    rows = []
    for entry in shown:
        keep = entry.raw["keep"]
        quantiles = (_tau(entry).get(q) for q in QUANTILES)
        rows.append([entry.label, keep.get("gate"), *quantiles, keep.get("longest"), _start(entry)])
    return Table(["", "gate", "10 %", "25 %", "median", "75 %", "90 %", "longest", "median at start"], rows)


def _possessive(entry: Entry) -> str:
    return f"{entry.named}'s"


def _steps(entry: Entry) -> str:
    value = fmt.significant(_tau(entry)["median"], 2)
    return f"{value} step" if value == "1" else f"{value} steps"


def _tau(entry: Entry) -> dict[str, Any]:
    tau = (entry.raw.get("keep") or {}).get("tau") or {}
    return tau if tau.get("median") else {}


def _start(entry: Entry) -> float | None:
    value = (entry.raw["keep"].get("at_start") or {}).get("median")
    return None if value is None else float(value)


def _plot(result: Result, shown: list[Entry], width: int) -> Any:
    layout = Layout(shown, width, right=120)
    values = [v for e in shown for v in (*_tau(e).values(), e.raw["keep"].get("longest"), _start(e)) if v]
    domain = [min(values) / 1.3, max(values) * 1.3]
    x = alt.X(
        "x:Q",
        scale=alt.Scale(type="log", domain=domain, nice=False),
        axis=x_axis(
            "steps a unit keeps a value (logarithmic)",
            values=[t for t in TICKS if domain[0] <= t <= domain[1]], format="~g", labelOverlap=True,
        ),
    )  # fmt: skip
    season = result["task"].get("season")
    layers = (
        guide(layout, f"season {season}", alt.XDatum(season), (2, 3))
        if season and domain[0] < season < domain[1]
        else []
    )
    layers += [_bar(shown, "q10", "q90", 2.0, 0.7, x, layout), _bar(shown, "q25", "q75", 10, 0.35, x, layout)]
    layers.append(_starts(shown, x, layout))
    layers.append(_longest(shown, x, layout))
    rows = [{"y": layout.middle(i), "x": _tau(e)["median"], **paint(e)} for i, e in enumerate(shown)]
    layers.append(marks(rows, 120, x=x, y=layout.y))
    figures = [_steps(e) for e in shown]
    return picture([*layers, *frame(layout, figures, None)], layout)


def _bar(shown: list[Entry], low: str, high: str, width: float, opacity: float, x: Any, layout: Layout) -> Any:
    rows = [
        {"y": layout.middle(i), "x": _tau(e)[low], "end": _tau(e)[high], "colour": e.look.light}
        for i, e in enumerate(shown)
        if _tau(e).get(low) and _tau(e).get(high)
    ]
    return (
        alt.Chart(data(rows))
        .mark_rule(strokeWidth=width, opacity=opacity, strokeCap="butt")
        .encode(x=x, x2="end:Q", y=layout.y, stroke=alt.Stroke("colour:N", scale=None))
    )


def _starts(shown: list[Entry], x: Any, layout: Layout) -> Any:
    rows = [{"y": layout.middle(i), "x": _start(e)} for i, e in enumerate(shown) if _start(e)]
    return (
        alt.Chart(data(rows))
        .mark_point(shape="M0,-1V1", size=420, strokeWidth=3, stroke=CONTROL.light, opacity=1)
        .encode(x=x, y=layout.y)
    )


def _longest(shown: list[Entry], x: Any, layout: Layout) -> Any:
    found = [(i, e, e.raw["keep"].get("longest")) for i, e in enumerate(shown)]
    rows = [{"y": layout.middle(i), "x": v, "colour": e.look.light} for i, e, v in found if v]
    return (
        alt.Chart(data(rows))
        .mark_point(size=14, filled=True, opacity=1)
        .encode(x=x, y=layout.y, color=alt.Color("colour:N", scale=None))
    )
