"""What was forecast beside what happened: one chart for each example window."""

from __future__ import annotations

import datetime
from collections.abc import Mapping, Sequence
from typing import Any

import altair as alt

from unroll.report import facts
from unroll.report import format as fmt
from unroll.report.charts.figure import Cell, Figure, Table, figure
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
    rule,
    words,
    x_axis,
    y_axis,
)
from unroll.report.facts import Entry, Result
from unroll.report.style import TRUTH

Values = Sequence[float | None]
MOST_HISTORY, FEW_STEPS, MOST_LINES = 240, 3, 4
BAND_OPACITY = 0.18


def forecasts(result: Result) -> list[Figure]:
    """Nothing where the result has no example."""
    base = facts.best_baseline(result)
    figures = []
    for number, example in enumerate(result["examples"], start=1):
        drawn = [e for e in facts.candidates(result) if e.name in example["forecasts"]]
        if base and base.name in example["forecasts"]:
            drawn.append(base)
        if drawn and any(v is not None for v in example["truth"]):
            figures.append(_figure(result, example, drawn, number))
    return figures


def finding(example: Mapping[str, Any], drawn: list[Entry]) -> str:
    """Who was nearest in this window, and the best baseline beside it."""
    misses = {e: miss for e in drawn if (miss := miss_of(example, e)) is not None}
    own = sorted((e for e in misses if not e.is_baseline), key=lambda e: misses[e])
    base = next((e for e in misses if e.is_baseline), None)
    where = f"From {fmt.clean(example['times'][0])} on"
    if not own:
        return f"{where}, no candidate made a forecast"
    lead = f"{where}, {own[0].named} is nearest, {fmt.significant(misses[own[0]])} off on average"
    if base is None:
        return lead
    if misses[base] < misses[own[0]]:
        lead = f"{where}, {base.named} is nearest, {fmt.significant(misses[base])} off on average"
        return f"{lead}; {own[0].named} is {fmt.significant(misses[own[0]])} off"
    return f"{lead}; {base.named} is {fmt.significant(misses[base])} off"


def miss_of(example: Mapping[str, Any], entry: Entry) -> float | None:
    """Mean absolute error over the steps that have a truth."""
    pairs = zip(example["truth"], example["forecasts"][entry.name])
    gaps = [abs(t - f) for t, f in pairs if t is not None and f is not None]
    return sum(gaps) / len(gaps) if gaps else None


def caption(result: Result, example: Mapping[str, Any], history: int, number: int, drawn: list[Entry]) -> str:
    base = next((f" Dashed: {e.label}, the best baseline." for e in drawn if e.is_baseline), "")
    own = sum(not e.is_baseline for e in drawn)
    some = f" Drawn of {own} candidates: the {MOST_LINES} best and the nearest here." if own > MOST_LINES else ""
    total, tested = len(result["examples"]), (result["data"].get("windows") or {}).get("test")
    which = f"Example {number} of {total} from {fmt.count(tested)} test windows" if tested else f"Example {number}"
    band = example.get("interval")
    held = f" Band: the {fmt.share(band['level'])} interval of {fmt.clean(band['of'])}." if band else ""
    return (
        f"{which}, series {fmt.clean(example['series'])}. Thin line: what happened; the last {history} of "
        f"{result['task'].get('input') or len(example['history'])} input steps are drawn.{base}{held}{some}"
    )


def table(example: Mapping[str, Any], history: int, drawn: list[Entry]) -> Table:
    before = len(example["history"]) - history
    rows: list[list[Cell]] = [
        [fmt.clean(t), v, *([None] * (len(drawn) + 2 * bool(example.get("interval"))))]
        for t, v in zip(example["history_times"][before:], example["history"][before:])
    ]
    columns = [example["forecasts"][e.name] for e in drawn]
    band = example.get("interval")
    bounds = [f"{fmt.clean(band['of'])} {end}" for end in ("from", "to")] if band else []
    columns += [band["low"], band["high"]] if band else []
    for i, (time, truth) in enumerate(zip(example["times"], example["truth"])):
        rows.append([fmt.clean(time), truth, *(c[i] if i < len(c) else None for c in columns)])
    return Table(["time", "truth", *(e.label for e in drawn), *bounds], rows)


def _figure(result: Result, example: Mapping[str, Any], drawn: list[Entry], number: int) -> Figure:
    ahead = len(example["times"])
    history = min(len(example["history"]), max(2 * ahead, 24), MOST_HISTORY)
    misses = ((e.label, miss_of(example, e)) for e in drawn)
    told = ", ".join(f"{name} {fmt.significant(miss)}" for name, miss in misses if miss is not None)
    return figure(
        f"forecast-{number}",
        finding(example, drawn),
        f"{fmt.clean(example['target'])}, {fmt.plural(ahead, 'step')} from {fmt.clean(example['times'][0])} on, "
        f"truth beside forecasts. Mean absolute error: {told}.",
        caption(result, example, history, number, drawn),
        table(example, history, drawn),
        lambda width: _plot(example, history, _lines_of(example, drawn), width),
    )


def _lines_of(example: Mapping[str, Any], drawn: list[Entry]) -> list[Entry]:
    """More lines than this cannot be told apart: the best candidates, the nearest here, and the baseline."""
    own = [e for e in drawn if not e.is_baseline]
    kept, nearest = own[:MOST_LINES], nearest_of(example, own)
    if nearest is not None and nearest not in kept:
        kept.append(nearest)
    return kept + [e for e in drawn if e.is_baseline]


def nearest_of(example: Mapping[str, Any], own: list[Entry]) -> Entry | None:
    missed = [(miss, i) for i, e in enumerate(own) if (miss := miss_of(example, e)) is not None]
    return own[min(missed)[1]] if missed else None


def _plot(example: Mapping[str, Any], history: int, drawn: list[Entry], width: int) -> Any:
    narrow = width < 600
    right = label_room(["truth", *(e.label for e in drawn)], narrow)
    height, pad = (300, (52, 40, right, 50)) if narrow else (300, (60, 40, right, 50))
    inner, before = width - pad[0] - pad[2], len(example["history"]) - history
    times = [*example["history_times"][before:], *example["times"]]
    truth = [*example["history"][before:], *example["truth"]]
    lines = [(e, example["forecasts"][e.name]) for e in drawn]
    band = example.get("interval")
    edges = [band["low"], band["high"]] if band else []
    domain = nice(*_range([truth, *(v for _, v in lines), *edges]))
    places, x = _time_axis(times, history, narrow)
    scale = alt.Scale(domain=list(domain), nice=False, zero=False)
    y = alt.Y("y:Q", scale=scale, axis=y_axis(fmt.shorten(fmt.clean(example["target"]), 40), pad[0], tickCount=6))
    layers = _boundary(inner, height, history / max(len(times) - 1, 1))
    few = len(example["times"]) <= FEW_STEPS
    layers += [_band(places[history:], band, e, x, y) for e, _ in lines if band and band["of"] == e.name]
    for entry, values in reversed(lines):
        layers.append(_line(places[history:], values, entry, x, y))
    rows = [{"x": p, "y": v} for p, v in zip(places, truth)]
    layers.append(alt.Chart(data(rows)).mark_line(stroke=TRUTH.light, strokeWidth=1.4).encode(x=x, y=y))
    endings = [_ending(entry, values, places[history:], domain, height) for entry, values in lines]
    endings.append(_ending("truth", example["truth"], places[history:], domain, height))
    shown = [e for e in endings if e is not None]
    if few:
        layers.append(_dots(places[history:], lines, x, y))
    layers += end_labels(shown, inner, height, x, y, 13 if narrow else 21)
    return canvas(layers, width, height, pad)


def _range(lines: Sequence[Values]) -> tuple[float, float]:
    values = [v for line in lines for v in line if v is not None]
    return min(values), max(values)


def _time_axis(times: Sequence[str], history: int, narrow: bool) -> tuple[list[Any], Any]:
    """Dates where every time is one, else steps counted from the forecast. Dates stay in UTC everywhere."""
    count = 4 if narrow else 8
    stamps = [_stamp(t) for t in times]
    if all(s is not None for s in stamps) and stamps == sorted(set(stamps), key=lambda s: s or 0):
        scale = alt.Scale(type="utc", domain=[stamps[0], stamps[-1]], nice=False)
        axis = x_axis(
            f"time, {fmt.clean(times[0])} to {fmt.clean(times[-1])}", grid=False, tickCount=count, labelOverlap=True
        )
        return stamps, alt.X("x:T", scale=scale, axis=axis)
    steps = [i - history + 1 for i in range(len(times))]
    scale = alt.Scale(domain=[steps[0], max(steps[-1], steps[0] + 1)], nice=False, zero=False)
    axis = x_axis("steps from the last input", grid=False, tickCount=count, format="d")
    return list(steps), alt.X("x:Q", scale=scale, axis=axis)


def _stamp(text: str) -> float | None:
    """Milliseconds since 1970; a time without a zone is taken as UTC."""
    try:
        moment = datetime.datetime.fromisoformat(str(text).strip().replace("Z", "+00:00"))
    except ValueError:
        return None
    return (moment if moment.tzinfo else moment.replace(tzinfo=datetime.timezone.utc)).timestamp() * 1000


def _boundary(inner: int, height: int, share: float) -> list[Any]:
    """Where the forecast begins."""
    at = alt.XValue(inner * share)
    name = [{"text": "forecast"}]
    return [
        rule(x=at, y=alt.YValue(0), y2=alt.Y2Value(height), dash=(2, 3)),
        words(name, size=12, muted=True, x=at, y=alt.YValue(-10), dx=4),
    ]


def _line(places: list[Any], values: Values, entry: Entry, x: Any, y: Any) -> Any:
    rows = [{"x": p, "y": v} for p, v in zip(places, values)]
    dash = list(entry.look.dash) if entry.is_baseline else []
    return (
        alt.Chart(data(rows))
        .mark_line(stroke=entry.look.light, strokeDash=dash, strokeCap="butt" if dash else "round", **pen(entry))
        .encode(x=x, y=y)
    )


def _band(places: list[Any], band: Mapping[str, Any], entry: Entry, x: Any, y: Any) -> Any:
    rows = [{"x": p, "y": a, "end": b} for p, a, b in zip(places, band["low"], band["high"])]
    return (
        alt.Chart(data(rows))
        .mark_area(fill=entry.look.light, fillOpacity=BAND_OPACITY, clip=True)
        .encode(x=x, y=y, y2="end:Q")
    )


def _dots(places: list[Any], lines: list[tuple[Entry, Values]], x: Any, y: Any) -> Any:
    """Marks on every step of a forecast too short to be a line."""
    rows = [
        {"x": p, "y": v, **paint(entry)} for entry, values in lines for p, v in zip(places, values) if v is not None
    ]
    return marks(rows, 70, x=x, y=y)


def _ending(
    who: Entry | str, values: Values, places: list[Any], domain: tuple[float, float], height: int
) -> Ending | None:
    last = next(((p, v) for p, v in reversed(list(zip(places, values))) if v is not None), None)
    return None if last is None else Ending(who, last[0], last[1], pixel(last[1], domain, height))
