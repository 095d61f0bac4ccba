"""Every score with its interval and its seeds, candidates beside baselines."""

from __future__ import annotations

import math
from typing import Any

import altair as alt

from unroll.report import facts
from unroll.report import format as fmt
from unroll.report.charts.figure import Figure, Table, figure
from unroll.report.charts.parts import data, marks, nice, paint, words, x_axis
from unroll.report.charts.rows import Layout, frame, guide, picture
from unroll.report.facts import Entry, Result


def scores(result: Result) -> Figure | None:
    """Dots with intervals, best first; ``None`` when nobody has a score."""
    shown = [e for e in facts.entries(result) if e.mean is not None]
    if not shown:
        return None
    title = finding(result)
    places = facts.decimals(result)
    told = "; ".join(f"{e.label} {_told(e, places)}" for e in shown)
    return figure(
        "scores-figure",
        title,
        f"{facts.metric_of(result)} on the test {_part(result)}, {_direction(result)}, best first: {told}.",
        caption(result),
        table(result),
        lambda width: _plot(result, shown, width),
    )


def finding(result: Result) -> str:
    metric, places = facts.metric_of(result), facts.decimals(result)
    ranked = [c for c in facts.candidates(result) if c.mean is not None]
    base = facts.best_baseline(result)
    if not ranked:
        return f"No candidate has a score; the best baseline is {base.named}" if base else "Nothing has a score"
    best = ranked[0]
    level = [c for c in ranked[1:] if facts.overlaps(best, c)]
    value = fmt.score(best.mean, places)
    if base is None:
        return f"{best.named} scores {value} {metric}; there is no baseline to hold it against"
    against = fmt.score(base.mean, places)
    ahead = (base.mean or 0.0) - (best.mean or 0.0)
    if (-ahead if facts.higher_is_better(result) else ahead) <= 0:
        return f"No candidate beats {base.named}: {against} {metric} against {value} for {best.named}"
    if len(level) > 2:
        lead = f"{best.named} scores {value} {metric}, level with {len(level)} others"
    elif level:
        lead = f"{best.named} scores {value} {metric}, level with {fmt.listing([c.named for c in level])}"
    else:
        lead = f"{best.named} scores {value} {metric}"
    doubt = ", with overlapping intervals" if facts.overlaps(best, base) else ""
    return f"{lead}; the best baseline, {base.named}, scores {against}{doubt}"


def caption(result: Result) -> str:
    counted = facts.examples_of(result, "test")
    sample = f"{counted}, " if counted else ""
    told = [f"Mark: mean over {sample}{facts.seeds_of(result)}."]
    if any(e.low is not None for e in facts.entries(result)):
        told.append("Bar: 95 % interval.")
    if any(len(e.raw.get("seeds") or []) > 1 for e in facts.candidates(result)):
        told.append("Short strokes: single seeds.")
    if facts.best_baseline(result):
        told.append("Open grey circles: baselines; the dashed line is the best of them.")
    return " ".join(told)


def table(result: Result) -> Table:
    """Every metric of every entry, with its interval."""
    metrics = facts.metrics(result)
    scaled = list(dict.fromkeys(k for e in facts.entries(result) for k in e.raw.get("scaled") or {}))
    shares = {"nominal": "nominal coverage", "width": "mean width"} if "quantile coverage" in metrics else {}
    head = ["", *(h for m in metrics for h in (m, "low", "high")), *(f"scaled {k}" for k in scaled), *shares.values()]
    rows = []
    for entry in facts.entries(result):
        values = [v for m in metrics for v in facts.score_of(entry.raw, m)]
        extra = [(entry.raw.get("scaled") or {}).get(k) for k in scaled]
        extra += [(entry.raw.get("quantiles") or {}).get(k) for k in shares]
        rows.append([entry.label, *values, *extra])
    return Table(head, rows, "Scaled: on values standardised with the training range.")


def _direction(result: Result) -> str:
    return "higher is better" if facts.higher_is_better(result) else "lower is better"


def _part(result: Result) -> str:
    return "part" if facts.words_of(result) else "range"


def _told(entry: Entry, places: int) -> str:
    between = fmt.interval(entry.low, entry.high, places)
    return fmt.score(entry.mean, places) + (f" ({between})" if between else "")


def _seed_scores(result: Result, entry: Entry) -> list[float]:
    metric = facts.metric_of(result)
    seeds = entry.raw.get("seeds") or []
    found = [(s.get("scores") or {}).get(metric) for s in seeds] if len(seeds) > 1 else []
    return [v for v in found if v is not None]


def _limit(result: Result, shown: list[Entry]) -> float:
    """Beyond this a score is named at the edge instead of stretching the axis until the others touch."""
    base = facts.best_baseline(result)
    middle = sorted(e.mean or 0.0 for e in shown)[len(shown) // 2]
    if facts.higher_is_better(result) or any((e.mean or 0.0) < 0 for e in shown):
        return math.inf
    return max(1.6 * (base.mean or 0.0) if base else 0.0, 1.25 * middle)


def _plot(result: Result, shown: list[Entry], width: int) -> Any:
    layout, places, limit = Layout(shown, width), facts.decimals(result), _limit(result, shown)
    inside = [(i, e) for i, e in enumerate(shown) if (e.mean or 0.0) <= limit]
    values = [v for _, e in inside for v in (e.mean, e.low, e.high, *_seed_scores(result, e)) if v is not None]
    low, high = min(values), min(max(values), limit * 1.2)
    least = 0.05 * abs(high)  # a lone score would otherwise fill the axis with its last digits
    domain = nice(low, high) if high - low > least else nice(low - least, high + least)
    axis = x_axis(f"{facts.metric_of(result)}, {_direction(result)}", tickCount=5 if layout.narrow else 8)
    x = alt.X("x:Q", scale=alt.Scale(domain=list(domain), nice=False, zero=False), axis=axis)
    rows = [{"y": layout.middle(i), "x": e.mean, **paint(e)} for i, e in inside]
    base = facts.best_baseline(result)
    layers = _reference(base, domain, layout) if base else []
    layers += [_bars(inside, x, layout, True), _bars(inside, x, layout, False), _strokes(result, inside, x, layout)]
    layers.append(marks(rows, 120, x=x, y=layout.y))
    layers.append(_beyond([(i, e) for i, e in enumerate(shown) if (e.mean or 0.0) > limit], layout))
    layers += _means(shown, facts.metric_of(result), places, layout)
    between = [fmt.interval(e.low, e.high, places) for e in shown]
    first = next((i for i, e in enumerate(shown) if e.is_baseline), None)
    return picture([*layers, *frame(layout, between, first)], layout)


def _means(shown: list[Entry], metric: str, places: int, layout: Layout) -> list[Any]:
    """The mean in its own column, left of the intervals, and what the two columns are."""
    lift = 24 if layout.narrow else 0
    rows = [
        {"y": layout.middle(i) - lift, "text": fmt.score(e.mean, places), "base": e.is_baseline}
        for i, e in enumerate(shown)
    ]
    end = layout.inner + (0 if layout.narrow else layout.right)
    means = words(rows, x=alt.XValue(end - 110), y=layout.y, align="right", bold=True)
    if layout.narrow:
        return [means]
    heads = [
        words([{"text": text}], size=12, muted=True, x=alt.XValue(at), y=alt.YValue(-12), align="right")
        for text, at in ((metric, end - 110), ("95 % interval", end))
        if at < end or any(e.low is not None for e in shown)
    ]
    return [means, *heads]


def _beyond(far: list[tuple[int, Entry]], layout: Layout) -> Any:
    rows = [{"y": layout.middle(i), "text": "beyond this axis →"} for i, _ in far]
    return words(rows, size=12, muted=True, x=alt.XValue(layout.inner), y=layout.y, align="right")


def _reference(base: Entry, domain: tuple[float, float], layout: Layout) -> list[Any]:
    share = ((base.mean or 0.0) - domain[0]) / (domain[1] - domain[0])
    align = "left" if share < 0.3 else "right" if share > 0.7 else "center"
    text = f"best baseline, {base.short(22)}"
    return guide(layout, text, alt.XValue(share * layout.inner), base.look.dash, align)


def _bars(inside: list[tuple[int, Entry]], x: Any, layout: Layout, base: bool) -> Any:
    rows = [
        {"y": layout.middle(i), "x": e.low, "end": e.high, "colour": e.look.light}
        for i, e in inside
        if e.is_baseline == base and e.low is not None and e.high is not None
    ]
    look = {"strokeWidth": 2, "strokeDash": [5, 4]} if base else {"strokeWidth": 9, "opacity": 0.35}
    return (
        alt.Chart(data(rows))
        .mark_rule(strokeCap="butt", clip=True, **look)
        .encode(x=x, x2="end:Q", y=layout.y, stroke=alt.Stroke("colour:N", scale=None))
    )


def _strokes(result: Result, inside: list[tuple[int, Entry]], x: Any, layout: Layout) -> Any:
    rows = [
        {"y": layout.middle(i), "x": v, "colour": e.look.light}
        for i, e in inside
        for v in _seed_scores(result, e)
    ]  # fmt: skip
    return (
        alt.Chart(data(rows))
        .mark_point(shape="M0,-1V1", size=260, strokeWidth=1.5, clip=True)
        .encode(x=x, y=layout.y, stroke=alt.Stroke("colour:N", scale=None))
    )
