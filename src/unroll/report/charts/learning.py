"""Validation loss by epoch: every seed thin, the median thick."""

from __future__ import annotations

from statistics import median
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
    log_ticks,
    marks,
    nice,
    paint,
    pen,
    pixel,
    thinned,
    x_axis,
    y_axis,
)
from unroll.report.facts import Entry, Result

MOST_POINTS, MOST_ROWS = 240, 200

Line = list[tuple[int, float]]


def learning(result: Result) -> Figure | None:
    """``None`` when no epoch was finished."""
    shown = [(e, dict(facts.curves(e.raw))) for e in facts.candidates(result)]
    shown = [(e, seeds) for e, seeds in shown if seeds]
    if not shown:
        return None
    lows = "; ".join(f"{e.label} {_told(middle(seeds))}" for e, seeds in shown)
    return figure(
        "learning-figure",
        finding(shown),
        f"Validation loss by epoch. Lowest median: {lows}.",
        caption(result, shown),
        table(shown),
        lambda width: _plot(shown, width),
    )


def finding(shown: list[tuple[Entry, dict[int, Line]]]) -> str:
    """Who stopped learning when, and who had not."""
    unfinished = [e.named for e, _ in shown if _unfinished(e)]
    if unfinished:
        was = "was" if len(unfinished) == 1 else "were"
        who = fmt.listing(unfinished) if len(unfinished) < 4 else f"{len(unfinished)} candidates"
        return f"{who} {was} still improving when training ended"
    best = {e.named: lowest(middle(seeds))[0] for e, seeds in shown}
    quick, slow = min(best, key=lambda k: best[k]), max(best, key=lambda k: best[k])
    if best[quick] == best[slow]:
        validate = "validates" if len(best) == 1 else "validate"
        who = fmt.listing(list(best)) if len(best) < 4 else f"All {len(best)} candidates"
        return f"{who} {validate} best at epoch {best[quick]}"
    return f"{quick} validates best at epoch {best[quick]}, {slow} at epoch {best[slow]}"


def lowest(line: Line) -> tuple[int, float]:
    return min(line, key=lambda point: point[1])


def caption(result: Result, shown: list[tuple[Entry, dict[int, Line]]]) -> str:
    counted = facts.examples_of(result, "valid")
    sample = f" on {counted}" if counted else ""
    kept = " The weights are those of the last epoch." if facts.keeps_last(result) else ""
    if all(len(seeds) == 1 for _, seeds in shown):
        return f"Validation loss{sample}, {facts.seeds_of(result)}. Mark: the lowest point.{kept}"
    return (
        f"Thin: each of {facts.seeds_of(result)}{sample}. Thick: their median, as far as at least half of them ran. "
        f"Mark: the lowest point of the median.{kept}"
    )


def middle(seeds: dict[int, Line]) -> Line:
    """The median over seeds at every epoch that at least half of them reached."""
    at: dict[int, list[float]] = {}
    for line in seeds.values():
        for epoch, value in line:
            at.setdefault(epoch, []).append(value)
    return [(e, median(v)) for e, v in sorted(at.items()) if 2 * len(v) >= len(seeds)]


def table(shown: list[tuple[Entry, dict[int, Line]]]) -> Table:
    columns = [(e.label, seed, dict(line)) for e, seeds in shown for seed, line in seeds.items()]
    epochs = sorted({epoch for _, _, line in columns for epoch in line})
    kept = [epochs[i] for i in thinned(len(epochs), max(20, min(MOST_ROWS, 4000 // len(columns))))]
    note = "" if len(kept) == len(epochs) else "Some epochs are left out here; the data block has them all."
    rows = [[epoch, *(line.get(epoch) for _, _, line in columns)] for epoch in kept]
    return Table(["epoch", *(f"{name}, seed {seed}" for name, seed, _ in columns)], rows, note)


def _unfinished(entry: Entry) -> bool:
    ran = [s for s in entry.raw.get("seeds") or [] if s.get("stopped") in ("epochs", "budget")]
    return any(s.get("best_epoch") is not None and s.get("best_epoch") == s.get("epochs") for s in ran)


def _told(line: Line) -> str:
    epoch, value = lowest(line)
    return f"{fmt.significant(value)} at epoch {epoch}"


def _plot(shown: list[tuple[Entry, dict[int, Line]]], width: int) -> Any:
    narrow = width < 600
    right = label_room([e.label for e, _ in shown], narrow)
    height, pad = (300, (52, 40, right, 50)) if narrow else (300, (60, 40, right, 50))
    inner = width - pad[0] - pad[2]
    values = [v for _, seeds in shown for line in seeds.values() for _, v in line]
    log = min(values) > 0 and max(values) > 4 * min(values)
    domain = (min(values) / 1.08, max(values) * 1.08) if log else nice(min(values), max(values))
    last = max(epoch for _, seeds in shown for line in seeds.values() for epoch, _ in line)
    title = "validation loss (logarithmic)" if log else "validation loss"
    y = alt.Y(
        "y:Q",
        scale=alt.Scale(type="log" if log else "linear", domain=list(domain), nice=False, zero=False),
        axis=y_axis(title, pad[0], format="~g", **({"values": log_ticks(domain)} if log else {"tickCount": 6})),
    )
    few = {"values": list(range(1, last + 1))} if last <= 8 else {"tickCount": 6 if narrow else 10}
    x = alt.X(
        "x:Q",
        scale=alt.Scale(domain=[1, max(last, 2)], nice=False, zero=False),
        axis=x_axis("epoch", format="d", grid=False, **few),
    )
    medians = [(e, middle(seeds)) for e, seeds in shown]
    layers = [_thin(shown, x, y)] if any(len(seeds) > 1 for _, seeds in shown) else []
    layers.append(_lines(medians, x, y))
    lows = [(e, lowest(line)) for e, line in medians]
    layers.append(marks([{"x": at, "y": low, **paint(e)} for e, (at, low) in lows], 110, x=x, y=y))
    endings = [Ending(e, line[-1][0], line[-1][1], pixel(line[-1][1], domain, height, log)) for e, line in medians]
    layers += end_labels(endings, inner, height, x, y, 13 if narrow else 21)
    return canvas(layers, width, height, pad)


def _thin(shown: list[tuple[Entry, dict[int, Line]]], x: Any, y: Any) -> Any:
    return _lines([(e, line) for e, seeds in shown for line in seeds.values()], x, y, thin=True)


def _lines(lines: list[tuple[Entry, Line]], x: Any, y: Any, thin: bool = False) -> Any:
    rows = [
        {"x": line[i][0], "y": line[i][1], "line": k, "colour": entry.look.light}
        | ({"strokeWidth": 1.0, "opacity": 0.4} if thin else pen(entry))
        for k, (entry, line) in enumerate(lines)
        for i in thinned(len(line), MOST_POINTS)
    ]
    return (
        alt.Chart(data(rows))
        .mark_line()
        .encode(
            x=x,
            y=y,
            detail="line:N",
            stroke=alt.Stroke("colour:N", scale=None),
            strokeWidth=alt.StrokeWidth("strokeWidth:Q", scale=None),
            opacity=alt.Opacity("opacity:Q", scale=None),
        )
    )
