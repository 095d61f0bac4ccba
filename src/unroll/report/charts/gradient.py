"""How much of the gradient reaches a step, by how far back the step lies. One panel for each candidate."""

from __future__ import annotations

import math
from typing import Any

import altair as alt

from unroll.report import facts
from unroll.report import format as fmt
from unroll.report.charts.figure import Figure, Table, figure
from unroll.report.charts.parts import data, marks, paint, rule, thinned, words, x_axis, y_axis
from unroll.report.facts import Entry, Result
from unroll.report.style import CONTROL, CONTROL_OPACITY

ONE_PERCENT = -2.0
MOST_POINTS = 160
TICKS = [k * 10**e for e in range(7) for k in (1, 2, 5)]
LABELS = "datum.value <= -30 ? '< 1e-30' : datum.value == 0 ? '1' : '1e' + datum.value"


def gradient(result: Result) -> Figure | None:
    """``None`` when no candidate's gradient was measured."""
    shown = [e for e in facts.candidates(result) if _measured(e)]
    if not shown:
        return None
    return figure(
        "gradient-figure",
        finding(shown),
        "Gradient that reaches a step, relative to the last step, by lag. Below 1 %: "
        + "; ".join(f"{e.label} {_when(e)}" for e in shown)
        + ".",
        caption(result, shown),
        table(shown),
        lambda width: _plot(result, shown, width),
    )


def finding(shown: list[Entry]) -> str:
    """The longest and the shortest reach."""
    fading = sorted((e for e in shown if _horizon(e) is not None), key=lambda e: _horizon(e) or 0)
    lasting = [e for e in shown if _horizon(e) is None]
    if not fading:
        who = "Every gradient" if len(shown) > 1 else f"{shown[0].named}'s gradient"
        return f"{who} is above 1 % over all {_steps(_span(lasting[0]))} measured"
    first = fading[0]
    lead = f"{first.named}'s gradient is below 1 % after {_steps(_horizon(first) or 0)}"
    if lasting:
        return f"{lead}; {lasting[0].named}'s stays above it for all {_span(lasting[0])}"
    last = fading[-1]
    return f"{lead}, {last.named}'s after {_horizon(last)}" if last is not first else lead


def caption(result: Result, shown: list[Entry]) -> str:
    control = any((e.raw["gradient"].get("at_start") or {}).get("median") for e in shown)
    return (
        f"Line: median over {_sample(result, shown[0])}. Band: quartiles. "
        + ("Grey band: the same network at initialisation. " if control else "")
        + ("The lag is logarithmic and starts at 1; at lag 0 the ratio is 1. " if _log(shown) else "")
        + "Values below 1e-30 are drawn on the floor."
    )


def _sample(result: Result, entry: Entry) -> str:
    """Which sequences the quantiles are over, as the measurement recorded it."""
    source = entry.raw["gradient"]
    count, seed = source.get("sequences"), source.get("seed")
    many = f"validation {facts.words_of(result).get('example', 'window')}s"
    many = f"{fmt.count(count)} {many}" if count else many
    return many if seed is None else f"{many} of the network of seed {seed}"


def table(shown: list[Entry]) -> Table:
    """log10 of the ratio; what is too small to write is named, not set to 0."""
    lags = max((e.raw["gradient"]["lags"] for e in shown), key=len)
    kept = [lags[i] for i in thinned(len(lags), 400)]
    head, columns = ["lag"], []
    for entry in shown:
        source = entry.raw["gradient"]
        for key, name in (("median", "median"), ("q25", "25 %"), ("q75", "75 %")):
            columns.append(dict(zip(source["lags"], source.get(key) or [])))
            head.append(f"{entry.label}, {name}")
        if (source.get("at_start") or {}).get("median"):
            columns.append(dict(zip(source["lags"], source["at_start"]["median"])))
            head.append(f"{entry.label}, median at start")
    rows = [[lag, *(_written(column, lag) for column in columns)] for lag in kept]
    return Table(head, rows, "log10 of the gradient relative to the last step.")


def _written(column: dict[int, float | None], lag: int) -> float | str | None:
    if lag not in column:
        return None
    value = column[lag]
    return fmt.FLOOR_TEXT if value is None else value


def _measured(entry: Entry) -> bool:
    found = entry.raw.get("gradient") or {}
    return len(found.get("lags") or []) > 1 and any(v is not None for v in found.get("median") or [])


def _horizon(entry: Entry) -> int | None:
    value = entry.raw["gradient"].get("horizon")
    return None if value is None else int(value)


def _span(entry: Entry) -> int:
    return int(entry.raw["gradient"].get("span") or entry.raw["gradient"]["lags"][-1])


def _steps(number: int) -> str:
    return fmt.plural(number, "step")


def _when(entry: Entry) -> str:
    horizon = _horizon(entry)
    return f"never within {_steps(_span(entry))}" if horizon is None else f"after {_steps(horizon)}"


def _reaches(entry: Entry) -> str:
    horizon = _horizon(entry)
    return f"above 1 % for all {_steps(_span(entry))}" if horizon is None else f"below 1 % after {_steps(horizon)}"


def _log(shown: list[Entry]) -> bool:
    return max(e.raw["gradient"]["lags"][-1] for e in shown) > 10


def _lowest(shown: list[Entry]) -> float:
    """The bottom of the axis: a whole number of decades, the floor where anything lies below it."""
    lows: list[float] = []
    for entry in shown:
        source = entry.raw["gradient"]
        start = source.get("at_start") or {}
        for line in (source["median"], source.get("q25"), start.get("q25"), start.get("median")):
            if any(v is None for v in line or []):
                return fmt.FLOOR
            lows += line or []
    return max(fmt.FLOOR, min(-3.0, math.floor(min(lows))))


def _plot(result: Result, shown: list[Entry], width: int) -> Any:
    columns = 1 if width < 600 else {1: 1, 2: 2, 4: 2}.get(len(shown), 3)
    left, gap, top = 62, 28, 72
    inner = (width - left - 12 - gap * (columns - 1)) // columns
    height = 250 if columns > 1 else 220 if width < 600 else 320
    domain = (
        _lowest(shown),
        max(0.5, *(v for e in shown for v in e.raw["gradient"].get("q75") or [] if v is not None)),
    )
    last = max(e.raw["gradient"]["lags"][-1] for e in shown)
    panels = [
        _panel(
            result, entry, _axes(i % columns == 0, domain, last, _log(shown), left), inner, height,
            named=i == 0, log=_log(shown),
        )
        for i, entry in enumerate(shown)
    ]  # fmt: skip
    rows = math.ceil(len(panels) / columns)
    picture: Any = alt.concat(*panels, columns=columns, bounds="flush", spacing={"row": top + 56, "column": gap})
    return picture.properties(
        autosize=alt.AutoSizeParams(type="none"),
        padding={"left": left, "top": top, "right": 12, "bottom": 56},
        usermeta={"size": [width, top + rows * height + (rows - 1) * (top + 56) + 56]},
    )


def _axes(first: bool, domain: tuple[float, float], last: int, log: bool, left: int) -> tuple[Any, Any]:
    low, high = math.ceil(domain[0]), math.floor(domain[1])
    step = next((s for s in (1, 2, 5, 10) if (high - low) / s <= 7), 20)
    ticks = [t for t in range(low, high + 1) if t % step == 0 or t == fmt.FLOOR]
    y = alt.Y(
        "y:Q",
        scale=alt.Scale(domain=list(domain), nice=False, zero=False),
        axis=y_axis("gradient, relative to the last step" if first else "", left, values=ticks, labels=first,
                    labelExpr=LABELS),
    )  # fmt: skip
    places: dict[str, Any] = {"values": [t for t in TICKS if t <= last]} if log else {"format": "d"}
    x = alt.X(
        "x:Q",
        scale=alt.Scale(type="log" if log else "linear", domain=[1 if log else 0, last], nice=False),
        axis=x_axis("lag, steps back" + (" (logarithmic)" if log else ""), grid=False, labelOverlap=True, **places),
    )
    return x, y


def _panel(
    result: Result, entry: Entry, axes: tuple[Any, Any], width: int, height: int, *, named: bool, log: bool
) -> Any:
    x, y = axes
    source = entry.raw["gradient"]
    start = source.get("at_start") or {}
    lags = source["lags"]
    layers = []
    if start.get("q25") and start.get("q75"):
        layers.append(_band(lags, start["q25"], start["q75"], CONTROL.light, x, y, log))
        layers += _control_name(lags, start["q25"], x, y, log) if named else []
    if source.get("q25") and source.get("q75"):
        layers.append(_band(lags, source["q25"], source["q75"], entry.look.light, x, y, log))
    layers.append(_line(lags, source["median"], entry.look.light, x, y, log))
    layers += _guides(result, lags[-1], width, height)
    horizon = _horizon(entry)
    if horizon is not None and horizon >= (1 if log else 0):
        layers.append(marks([{"x": horizon, "y": ONE_PERCENT, **paint(entry)}], 90, x=x, y=y))
    layers += _heading(entry)
    return alt.layer(*layers).properties(width=width, height=height)


def _heading(entry: Entry) -> list[Any]:
    return [
        marks([paint(entry)], 90, x=alt.XValue(6), y=alt.YValue(-58)),
        words([{"text": entry.short(30)}], x=alt.XValue(18), y=alt.YValue(-58), bold=True),
        words([{"text": _reaches(entry)}], x=alt.XValue(18), y=alt.YValue(-39), muted=True, size=12),
    ]


def _control_name(lags: list[int], low: list[float | None], x: Any, y: Any, log: bool) -> list[Any]:
    """The grey band named below its lower edge, two thirds along the axis."""
    at = min(len(lags) - 1, round(lags[-1] ** 0.62 if log else 0.62 * len(lags)))
    height = low[at]
    if height is None or height < -24:
        return []
    row = {"x": lags[at], "y": height, "text": "at initialisation"}
    return [words([row], size=12, muted=True, x=x, y=y, align="right", dy=14)]


def _guides(result: Result, last: int, width: int, height: int) -> list[Any]:
    """The 1 % line, and the season where the lags reach that far."""
    layers = [
        rule(y=alt.YDatum(ONE_PERCENT), dash=(1, 3)),
        words([{"text": "1 %"}], size=12, muted=True, x=alt.XValue(3), y=alt.YDatum(ONE_PERCENT), dy=9),
    ]  # fmt: skip
    season = result["task"].get("season")
    if season and 1 < season <= last:
        layers.append(rule(x=alt.XDatum(season), y=alt.YValue(0), y2=alt.Y2Value(height), dash=(2, 3)))
        name = [{"text": f"season {season}"}]
        layers.append(
            words(name, size=12, muted=True, x=alt.XDatum(season), y=alt.YValue(height - 10), align="right", dx=-5)
        )
    return layers


def _points(lags: list[int], values: list[float | None], log: bool) -> list[tuple[int, float]]:
    """What is drawn: on a logarithmic axis from lag 1 on, and no denser than a screen can show."""
    pairs = [(k, fmt.FLOOR if v is None else max(v, fmt.FLOOR)) for k, v in zip(lags, values) if k or not log]
    if len(pairs) <= MOST_POINTS:
        return pairs
    if not log:
        return [pairs[i] for i in thinned(len(pairs), MOST_POINTS)]
    ratio = len(pairs) ** (1 / MOST_POINTS)
    kept = {min(round(ratio**i) - 1, len(pairs) - 1) for i in range(MOST_POINTS + 1)}
    return [pairs[i] for i in sorted(kept | {len(pairs) - 1})]


def _line(lags: list[int], values: list[float | None], colour: str, x: Any, y: Any, log: bool) -> Any:
    rows = [{"x": k, "y": v} for k, v in _points(lags, values, log)]
    return alt.Chart(data(rows)).mark_line(stroke=colour, strokeWidth=2.6, clip=True).encode(x=x, y=y)


def _band(lags: list[int], low: list[Any], high: list[Any], colour: str, x: Any, y: Any, log: bool) -> Any:
    bottom, top = _points(lags, low, log), _points(lags, high, log)
    rows = [{"x": k, "y": a, "end": b} for (k, a), (_, b) in zip(bottom, top)]
    return (
        alt.Chart(data(rows))
        .mark_area(fill=colour, fillOpacity=CONTROL_OPACITY, clip=True)
        .encode(x=x, y=y, y2="end:Q")
    )
