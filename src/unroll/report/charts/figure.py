"""A figure: a finding in words, its drawing twice (for a screen and for a phone), its numbers, its caption."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from altair.utils.schemapi import debug_mode

from unroll.report.charts.svg import draw

WIDE, NARROW = 960, 360

Cell = float | int | str | None


@dataclass(frozen=True)
class Table:
    """The numbers behind a chart. The first column names the row."""

    head: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    note: str = ""


@dataclass(frozen=True)
class Figure:
    anchor: str
    title: str
    caption: str
    wide: str
    narrow: str
    table: Table


def figure(anchor: str, title: str, description: str, caption: str, table: Table, plot: Callable[[int], Any]) -> Figure:
    """Draw ``plot(width)`` at both widths.

    Altair would check every piece of every chart against its schema, which takes longer than drawing; the charts
    are fixed and the tests draw them all.
    """
    with debug_mode(False):
        wide, narrow = (
            draw(plot(width), slug=f"{anchor}-{size}", title=title, description=description)
            for size, width in (("wide", WIDE), ("narrow", NARROW))
        )
    return Figure(anchor, title, caption, wide, narrow, table)
