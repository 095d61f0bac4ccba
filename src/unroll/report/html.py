"""Small pieces of HTML. Every word that came from a user passes through ``esc``."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from unroll.report import format as fmt
from unroll.report.style import Look

if TYPE_CHECKING:
    from unroll.report.charts import Figure, Table


def esc(text: object) -> str:
    return html.escape(fmt.clean(text))


def prose(text: object) -> str:
    """A sentence, in which no per cent sign begins a line and no option is broken after its dashes."""
    bound = re.sub(r"(\d) %", "\\1\u00a0%", esc(text))
    return re.sub(r"(?<!\S)(--[a-z][\w-]*)", r"<code>\1</code>", bound)


def paragraph(text: str, kind: str = "") -> str:
    return f'<p class="{kind}">{prose(text)}</p>' if kind else f"<p>{prose(text)}</p>"


def section(anchor: str, title: str, *parts: str) -> str:
    inner = "\n".join(p for p in parts if p)
    return (
        f'<section id="{anchor}" aria-labelledby="{anchor}-h">\n<h2 id="{anchor}-h">{esc(title)}</h2>\n'
        f"{inner}\n</section>"
    )


def icon(look: Look, fill: str) -> str:
    """The mark of a family beside a name. The name says it too, so it is hidden from screen readers."""
    inside = {"hollow": 'fill="#FFFFFF"', "pale": f'fill="{look.light}" fill-opacity=".4"'}.get(
        fill, f'fill="{look.light}"'
    )
    return (
        '<svg class="mark" viewBox="-1.4 -1.4 2.8 2.8" aria-hidden="true" focusable="false">'
        f'<path d="{look.mark}" {inside} stroke="{look.light}" stroke-width=".3"/></svg>'
    )


def number(value: float | int | str | None, digits: int = 5) -> str:
    """A cell of a table: ``digits`` significant digits, whole numbers whole."""
    if value is None:
        return ""
    if isinstance(value, str):
        return esc(value)
    return f"{value:,}" if isinstance(value, int) else fmt.significant(value, digits, trim=False)


def figure(chart: Figure) -> str:
    """Finding, drawing at both widths, caption, and the numbers folded away behind it."""
    return (
        f'<figure id="{chart.anchor}">\n<h3>{prose(chart.title)}</h3>\n'
        f'<div class="wide">{chart.wide}</div>\n<div class="narrow">{chart.narrow}</div>\n'
        f"<figcaption>{prose(chart.caption)}</figcaption>\n{numbers(chart.table)}\n</figure>"
    )


def numbers(table: Table, summary: str = "Numbers behind this chart") -> str:
    note = f" {table.note}" if table.note else ""
    return (
        f"<details><summary>{esc(summary)}</summary>\n"
        f'<p class="quiet">Rounded to five digits; exact in the data block of this page.{esc(note)}</p>\n'
        f"{grid(table.head, table.rows)}</details>"
    )


def grid(head: Sequence[str], rows: Sequence[Sequence[float | int | str | None]], digits: int = 5) -> str:
    """A table whose first column names the row and whose others are figures."""
    top = "".join(f'<th scope="col">{esc(h)}</th>' for h in head)
    body = "\n".join(
        f'<tr><th scope="row"{_long(first)}>{number(first, digits)}</th>'
        + "".join(f"<td>{number(c, digits)}</td>" for c in rest)
        + "</tr>"
        for first, *rest in rows
    )
    return (
        '<div class="scroll" tabindex="0" role="region" aria-label="Numbers">'
        f"<table><thead><tr>{top}</tr></thead><tbody>\n{body}\n</tbody></table></div>"
    )


def _long(cell: object) -> str:
    """Text that may be broken, so that the figures beside it stay on the page."""
    return ' class="long"' if isinstance(cell, str) and len(cell) > 40 else ""


def pairs(items: Sequence[tuple[str, str]]) -> str:
    """Terms and what they mean; the meaning is HTML already."""
    rows = "\n".join(f"<div><dt>{esc(term)}</dt><dd>{meaning}</dd></div>" for term, meaning in items)
    return f"<dl>\n{rows}\n</dl>"


def data_block(content: Mapping[str, Any]) -> str:
    """JSON that no HTML parser can be led out of: ASCII, with ``<``, ``>`` and ``&`` written as escapes."""
    text = json.dumps(content, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    for char in "<>&":
        text = text.replace(char, f"\\u{ord(char):04x}")
    return f'<script type="application/json" id="data">{text}</script>'
