"""What was taken for what, as a matrix: shades say the share, numbers say it again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import altair as alt

from unroll.report import format as fmt
from unroll.report.charts.figure import Figure, Table, figure
from unroll.report.charts.parts import canvas, data, words
from unroll.report.style import HEAT, HEAT_INK, MUTED, Look

NARROW_LABELS, LETTER, TOLD = 6, 7.0, 8
SHADED = 0.05
"""A smaller share is a number without a shade: what matters stands out."""


def confusion(table: Mapping[str, Any]) -> Figure:
    """The matrix of ``table["drawn"]``; the table itself stands behind it."""
    matrix = _Matrix.of(table["drawn"])
    return figure(
        "confusion-figure",
        fmt.clean(table["title"]),
        _description(matrix),
        _caption(matrix),
        Table(table["head"], table["rows"], str(table["note"])),
        lambda width: _plot(matrix.folded(NARROW_LABELS) if width < 600 else matrix, width),
    )


@dataclass(frozen=True)
class _Matrix:
    """``counts`` with a row and a column for each label, and for ``rest`` further ones together where there are any."""

    labels: Sequence[str]
    counts: Sequence[Sequence[int]]
    rest: int
    what: str

    @classmethod
    def of(cls, drawn: Mapping[str, Any]) -> _Matrix:
        labels = [fmt.clean(label) for label in drawn["labels"]]
        return cls(labels, drawn["counts"], int(drawn["rest"]), fmt.clean(drawn["what"]))

    @property
    def names(self) -> list[str]:
        return [*self.labels, f"{self.rest} others"] if self.rest else list(self.labels)

    def folded(self, most: int) -> _Matrix:
        """With at most ``most`` labels and the rest together."""
        if len(self.counts) <= most + 1:
            return self
        place = [min(k, most) for k in range(len(self.counts))]
        counts = [[0] * (most + 1) for _ in range(most + 1)]
        for i, row in enumerate(self.counts):
            for j, n in enumerate(row):
                counts[place[i]][place[j]] += n
        return _Matrix(self.labels[:most], counts, self.rest + len(self.labels) - most, self.what)

    def share(self, row: int, column: int) -> float:
        return self.counts[row][column] / max(1, sum(self.counts[row]))


def _description(matrix: _Matrix) -> str:
    told = []
    for i, name in enumerate(matrix.names[:TOLD]):
        total = sum(matrix.counts[i])
        if not total:
            continue
        others = [(n, j) for j, n in enumerate(matrix.counts[i]) if j != i and n]
        most = f", most often taken for {matrix.names[max(others)[1]]}" if others else ""
        told.append(f"{name}: {_percent(matrix.share(i, i))} % of {fmt.count(total)} found{most}")
    more = len(matrix.names) - TOLD
    return f"{'; '.join(told)}{f'; and {more} more' if more > 0 else ''}."


def _caption(matrix: _Matrix) -> str:
    rest = " The rarest are counted together; where they meet, one may have been taken for another." * bool(matrix.rest)
    return (
        f"Row: the truth, and how many test {matrix.what} have it. Number and shade: of these, the share in per cent "
        f"that was taken for the column. Empty: never.{rest}"
    )


def _percent(share: float) -> str:
    if 0 < share < 0.005:
        return "<1"
    return "99" if 0.995 <= share < 1 else f"{100 * share:.0f}"


def _plot(matrix: _Matrix, width: int) -> Any:
    narrow = width < 600
    letters = 9 if narrow else 22
    rows = [fmt.shorten(name, letters) for name in matrix.names]
    columns = [fmt.shorten(name, 9 if narrow else 14) for name in matrix.names]
    totals = [fmt.count(sum(own)) for own in matrix.counts]
    room = max(map(len, rows)) + max(map(len, totals))
    left = round(26 + LETTER * room)
    cell = min(96.0, (width - left - 60) / len(rows))
    step = 28 if narrow else 32
    longest = max(map(len, columns))
    upright = LETTER * longest < cell - 4
    pad = (left, 52 if upright else round(34 + 5.2 * longest), width - left - round(cell * len(rows)), 16)
    inner, height = width - pad[0] - pad[2], step * len(rows)
    x, y = _pixels("x", inner), _pixels("y", height)
    places = [(i, j) for i in range(len(rows)) for j in range(len(rows)) if matrix.counts[i][j]]
    layers = [
        _cells(matrix, places, cell, step, x, y),
        *_numbers(matrix, places, cell, step, x, y, 11 if narrow else 12),
    ]
    heads = [{"text": name, "x": cell * (j + 0.5)} for j, name in enumerate(columns)]
    turned = {"align": "center"} if upright else {"angle": -38, "align": "left"}
    layers.append(words(heads, size=12, x=x, y=alt.YValue(-12), **turned))
    names = [{"text": name, "y": step * (i + 0.5)} for i, name in enumerate(rows)]
    counts = [{"text": total, "y": step * (i + 0.5)} for i, total in enumerate(totals)]
    layers.append(words(names, size=12, x=alt.XValue(-left), y=y))
    layers.append(words(counts, size=12, muted=True, x=alt.XValue(-10), y=y, align="right"))
    layers.append(words([{"text": "truth"}], size=12, muted=True, x=alt.XValue(-left), y=alt.YValue(-12)))
    layers.append(words([{"text": "taken for"}], size=12, muted=True, x=alt.XValue(0), y=alt.YValue(16 - pad[1])))
    return canvas(layers, width, height, pad)


def _pixels(field: str, size: int) -> Any:
    scale = alt.Scale(domain=[0, size], range=[0, size], nice=False)
    return (alt.X if field == "x" else alt.Y)(f"{field}:Q", scale=scale, axis=None)


def _level(share: float) -> int:
    return min(len(HEAT) - 1, int(share * len(HEAT)))


def _ink(share: float) -> Look:
    return MUTED if share < SHADED else HEAT_INK[2 * _level(share) >= len(HEAT)]


def _cells(matrix: _Matrix, places: list[tuple[int, int]], cell: float, step: int, x: Any, y: Any) -> Any:
    rows = [
        {
            "x": cell * j + 1, "right": cell * (j + 1) - 1, "y": step * i + 1, "low": step * (i + 1) - 1,
            "fill": HEAT[_level(matrix.share(i, j))].light,
        }
        for i, j in places
        if matrix.share(i, j) >= SHADED
    ]  # fmt: skip
    return (
        alt.Chart(data(rows))
        .mark_rect()
        .encode(x=x, x2="right:Q", y=y, y2="low:Q", fill=alt.Fill("fill:N", scale=None))
    )


def _numbers(
    matrix: _Matrix, places: list[tuple[int, int]], cell: float, step: int, x: Any, y: Any, size: int
) -> list[Any]:
    """Shares, in the ink that can be read on their shade, or on the paper."""
    layers = []
    for ink in (MUTED, *HEAT_INK):
        rows = [
            {"x": cell * (j + 0.5), "y": step * (i + 0.5), "text": _percent(matrix.share(i, j))}
            for i, j in places
            if _ink(matrix.share(i, j)) is ink
        ]
        mark = alt.Chart(data(rows)).mark_text(fontSize=size, fill=ink.light, align="center", baseline="middle")
        layers.append(mark.encode(x=x, y=y, text=alt.Text("text:N")))
    return layers
