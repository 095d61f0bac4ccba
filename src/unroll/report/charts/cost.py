"""What each candidate costs: training time, parameters, one step, memory. One column of bars each."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import altair as alt

from unroll.report import facts
from unroll.report import format as fmt
from unroll.report.charts.figure import Figure, Table, figure
from unroll.report.charts.parts import canvas, data, words
from unroll.report.facts import Entry, Result
from unroll.report.style import GRID

COSTS: tuple[tuple[str, str, Callable[[float | None], str]], ...] = (
    ("train_seconds", "training time", fmt.seconds),
    ("step_microseconds", "one step", fmt.microseconds),
    ("parameters", "parameters", fmt.parameters),
    ("peak_memory_mb", "peak memory", fmt.megabytes),
)
ROW = 30


def cost(result: Result) -> Figure | None:
    """``None`` when nothing was measured."""
    shown = [e for e in facts.entries(result) if any(e.raw.get(key) for key, _, _ in COSTS)]
    kinds = [k for k in COSTS if any(e.raw.get(k[0]) for e in shown)]
    if not shown or not kinds:
        return None
    told = "; ".join(
        f"{e.label}: " + ", ".join(f"{title} {text(e.raw[key])}" for key, title, text in kinds if e.raw.get(key))
        for e in shown
    )
    return figure(
        "cost-figure",
        finding(result),
        f"Cost of each candidate and baseline. {told}.",
        caption(result),
        table(result),
        lambda width: _plot(shown, kinds, width),
    )


def finding(result: Result) -> str:
    ranked = [e for e in facts.candidates(result) if e.raw.get("train_seconds")]
    if not ranked:
        return "What each candidate costs"
    quick = min(ranked, key=lambda e: e.raw["train_seconds"])
    best = ranked[0]
    lead = f"{best.named} trains in {fmt.seconds(best.raw['train_seconds'])}"
    if best.raw.get("step_microseconds") is not None:
        lead += f" and takes {fmt.microseconds(best.raw['step_microseconds'])} for one step"
    if quick is best:
        return lead
    return f"{lead}; the quickest to train, {quick.named}, {fmt.seconds(quick.raw['train_seconds'])}"


def caption(result: Result) -> str:
    machine = result["repeat"].get("machine") or {}
    where = ", ".join(fmt.clean(machine[k]) for k in ("processor",) if machine.get(k))
    cores = f", {fmt.plural(machine['cores'], 'core')}" if machine.get("cores") else ""
    return f"Every column has its own scale from zero. {facts.seeds_of(result).capitalize()}" + (
        f"; measured on {where}{cores}." if where else "."
    )


def table(result: Result) -> Table:
    rows = [[e.label, *(e.raw.get(key) for key, _, _ in COSTS)] for e in facts.entries(result)]
    return Table(["", "training, s", "one step, µs", "parameters", "peak memory, MB"], rows)


def _plot(shown: list[Entry], kinds: list[Any], width: int) -> Any:
    """Columns side by side; on a narrow screen blocks under each other, each with its names."""
    rows = ROW * len(shown)
    if width < 600:
        left, block = 128, rows + 44
        corners = [(0.0, float(block * i)) for i in range(len(kinds))]
        column, height, letters = width - left - 10, block * len(kinds) - 44, 15
    else:
        left, gap = min(236, 30 + round(7.6 * max(len(e.label) for e in shown))), 24
        column, height, letters = (width - left - gap * (len(kinds) - 1)) // len(kinds), rows, 28
        corners = [(float(i * (column + gap)), 0.0) for i in range(len(kinds))]
    inner = width - left - (10 if width < 600 else 0)
    named = corners if width < 600 else corners[:1]
    x = alt.X("x:Q", scale=alt.Scale(domain=[0, inner], range=[0, inner], nice=False), axis=None)
    y = alt.Y("y:Q", scale=alt.Scale(domain=[0, height], range=[0, height], nice=False), axis=None)
    layers = [_titles(kinds, corners, x, y), _zeros(corners, rows, x, y), _bars(shown, kinds, corners, column, x, y)]
    layers.append(words(_values(shown, kinds, corners, column), x=x, y=y))
    for base in (False, True):
        names = [
            {"x": -left, "y": top + ROW * (i + 0.5), "text": e.short(letters)}
            for _, top in named
            for i, e in enumerate(shown)
            if e.is_baseline == base
        ]
        layers.append(words(names, x=x, y=y, bold=not base))
    return canvas(layers, width, height, (left, 30, width - left - inner, 8))


def _length(entry: Entry, key: str, shown: list[Entry], column: float) -> float:
    """A bar's length in pixels, with room for its value behind it; never too short to be seen."""
    value = entry.raw.get(key) or 0
    most = max(e.raw.get(key) or 0 for e in shown)
    return float(max((column - 66) * value / most, 1.5)) if value else 0.0


def _values(shown: list[Entry], kinds: list[Any], corners: list[Any], column: float) -> list[dict[str, Any]]:
    return [
        {
            "x": left + _length(e, key, shown, column) + 7,
            "y": top + ROW * (i + 0.5),
            "text": text(e.raw[key]) or ("0" if key == "parameters" else "none"),
        }
        for (key, _, text), (left, top) in zip(kinds, corners)
        for i, e in enumerate(shown)
        if e.raw.get(key) is not None
    ]


def _titles(kinds: list[Any], corners: list[Any], x: Any, y: Any) -> Any:
    rows = [{"x": left, "y": top - 12, "text": title} for (_, title, _), (left, top) in zip(kinds, corners)]
    return words(rows, size=12, muted=True, x=x, y=y)


def _zeros(corners: list[Any], height: int, x: Any, y: Any) -> Any:
    rows = [{"x": left, "y": top, "end": top + height} for left, top in corners]
    return alt.Chart(data(rows)).mark_rule(stroke=GRID.light, strokeWidth=1.5).encode(x=x, y=y, y2="end:Q")


def _bars(shown: list[Entry], kinds: list[Any], corners: list[Any], column: float, x: Any, y: Any) -> Any:
    rows = [
        {
            "x": left, "end": left + _length(e, key, shown, column), "y": top + ROW * (i + 0.5),
            "colour": e.look.light, "opacity": 0.55 if e.is_baseline else 1.0,
        }
        for (key, _, _), (left, top) in zip(kinds, corners)
        for i, e in enumerate(shown)
        if e.raw.get(key)
    ]  # fmt: skip
    return (
        alt.Chart(data(rows))
        .mark_rule(strokeWidth=12, strokeCap="butt")
        .encode(
            x=x, x2="end:Q", y=y,
            stroke=alt.Stroke("colour:N", scale=None), opacity=alt.Opacity("opacity:Q", scale=None),
        )
    )  # fmt: skip
