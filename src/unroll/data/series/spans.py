"""A timeline of which columns reach how far, drawn in text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from unroll.data.series.columns import Columns
from unroll.data.series.frequency import show_time
from unroll.data.series.series import Series
from unroll.errors import DataError

CELLS = 44
"""How many characters a bar takes."""
THERE, LACKING, NOTHING = "▓", "░", "·"
_LABEL = 18


class Span(NamedTuple):
    """Rows [first, last) of a column are there; those until ``needed`` should be, from ``start`` on."""

    use: str
    name: str
    first: int
    last: int
    needed: int
    start: int = 0


def drawn(spans: Sequence[Span], times: np.ndarray, now: int) -> str:
    """A line for all columns of a use and span, and under them the times of what changes.

    ▓ there, ░ needed and missing, · not needed. ``times`` (rows,) may end before the last row that is drawn; ``now`` is
    the first row that is forecast. What was long before the first change is left out, so that the end can be seen.
    """
    end = max(max(s.needed, s.last) for s in spans)
    edges = [edge for s in spans for edge in (s.first, s.last) if edge < s.needed and edge > s.start] + [now]
    tail = end - min(edges)
    begin = max(0, min(edges) - max(2 * tail, 8))
    begin = 0 if 4 * begin < end else begin
    cells = min(CELLS, end - begin)
    wide = max(1, CELLS // (end - begin))
    alike: dict[Span, list[str]] = {}
    for span in spans:
        alike.setdefault(span._replace(name=""), []).append(span.name)
    lines = [f"{s.use:<8} {_label(names):<{_LABEL}} {_bar(s, begin, end, cells, wide)}" for s, names in alike.items()]
    marks = sorted({begin, *(e for e in edges if begin < e < end), end - 1})
    ruler = _ruler([((row - begin) * cells // (end - begin) * wide, row) for row in marks], times, now)
    lines += [f"{'':<8} {'':<{_LABEL}} {line}" for line in ruler]
    lines.append(f"{THERE} there  {LACKING} needed and missing  {NOTHING} not needed")
    return "\n".join(line.rstrip() for line in lines)


def check_spans(series: Series, columns: Columns) -> None:
    """Every column must be there from the first row of ``series`` to its last.

    Raises:
        DataError: one begins later or ends earlier, and has no other hole; the message draws all of them.
    """
    spans, broken = [], []
    uses = [("target", columns.targets), ("feature", columns.features), ("known", columns.known)]
    for k, (use, name) in enumerate((use, name) for use, names in uses for name in names):
        seen = np.flatnonzero(~np.isnan(series.values[:, k]))
        first, last = (int(seen[0]), int(seen[-1]) + 1) if len(seen) else (0, 0)
        spans.append(Span(use, name, first, last, series.rows))
        if len(seen) == last - first < series.rows and len(seen):
            broken.append(spans[-1])
    if not broken or len(spans) == 1 or sum(int(np.isnan(column).any()) for column in series.values.T) > len(broken):
        return
    told = "; ".join(_told(span, series) for span in broken)
    whose = f" of series '{series.name}'" if columns.group is not None else ""
    raise DataError(
        f"the columns{whose} do not cover the same times: {told}\n{drawn(spans, series.times, series.rows)}",
        expected="a value at every time",
        fix="Cut the data to the times they share, or give --missing carry: inputs repeat the last seen value, and "
        "missing values are never scored",
    )


def _told(span: Span, series: Series) -> str:
    begins = f"begins {show_time(series.times[span.first])}" if span.first else ""
    ends = f"ends {show_time(series.times[span.last - 1])}" if span.last < series.rows else ""
    return f"{span.use} '{span.name}' {' and '.join(part for part in (begins, ends) if part)}"


def _bar(span: Span, begin: int, end: int, cells: int, wide: int) -> str:
    """A cell with a missing row shows it, however many rows it stands for."""
    rows = np.arange(begin, end)
    there = (rows >= span.first) & (rows < span.last)
    lacking = (rows >= span.start) & (rows < span.needed) & ~there
    cell = (rows - begin) * cells // (end - begin)
    of = [(lacking[cell == k].any(), there[cell == k].any()) for k in range(cells)]
    return "".join(wide * (LACKING if lacks else THERE if has else NOTHING) for lacks, has in of)


def _ruler(marks: Sequence[tuple[int, int]], times: np.ndarray, now: int) -> list[str]:
    """Ticks under the bars, and their times: as many lines as it takes for none to touch another."""
    ticks = [" "] * (max(place for place, _ in marks) + 1)
    lines: list[str] = []
    for place, row in marks:
        ticks[place] = "|"
        text = (show_time(times[row]) if row < len(times) else f"row {row + 1:,}") + (" forecast" if row == now else "")
        line = next((k for k, line in enumerate(lines) if len(line) < place), len(lines))
        if line == len(lines):
            lines.append("")
        lines[line] = f"{lines[line]:<{place}}{text}"
    return ["".join(ticks), *lines]


def _label(names: Sequence[str]) -> str:
    more = f" +{len(names) - 1}" if len(names) > 1 else ""
    room = _LABEL - len(more)
    return (names[0] if len(names[0]) <= room else names[0][: room - 1] + "…") + more
