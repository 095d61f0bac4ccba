"""A comparison as text: what was done, one table, what to use, where to read on."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import Any

from rich.cells import cell_len

from unroll.report import facts
from unroll.report import format as fmt
from unroll.report.facts import Entry, Result

INDENT, GAP = 2, 3
SHORTEST_NAME = 14
PROTOCOL = "no overlap, scaler fitted on train"

_ASCII = {
    "…": "..", "µ": "u", "·": "-", "–": "-", "—": "-", "×": "x", "−": "-", "≤": "<=", "≥": ">=", "→": "->",
    "’": "'", "‘": "'", "“": '"', "”": '"', "±": "+-", "\u00a0": " ",
}  # fmt: skip
_BOLD, _DIM, _RED, _PLAIN = "\x1b[1m", "\x1b[2m", "\x1b[31m", "\x1b[0m"

_REACHES, _WHICH = "gradient reaches", ""
_LEFT = ("95 % interval", _REACHES, _WHICH)

# The order in which columns leave when the table does not fit.
_OPTIONAL = (
    "memory",
    "step",
    "coverage",
    "quantiles hold",
    "train",
    "parameters",
    _REACHES,
    _WHICH,
    "95 % interval",
)


def render_terminal(
    result: dict[str, Any], *, width: int = 100, colour: bool = False, unicode: bool = True,
    report_path: str | None = None,
) -> str:  # fmt: skip
    """The end of ``unroll compare``, ``width`` columns wide at most; plain ASCII without ``unicode``."""
    lines = [*_header(result, width, unicode), ""]
    lines += _table(result, width, colour, unicode)
    lines.append("")
    for sentence in result["answer"].get("sentences") or []:
        lines += wrapped(sentence, width, unicode)
    for warning in [*(result["answer"].get("warnings") or []), *_failures(result)]:
        lines += [_painted(line, _RED, colour) for line in wrapped(warning, width, unicode)]
    lines += where(result, width, unicode, report_path)
    return "\n".join(line.rstrip() for line in lines) + "\n"


def _header(result: Result, width: int, unicode: bool) -> list[str]:
    source = fmt.clean(result["data"].get("source", ""))
    text = f"{source} · {facts.job_of(result)} · {facts.shape_of_data(result)} ({_checked(result)})"
    return wrapped(text, width, unicode)


def _checked(result: Result) -> str:
    return fmt.clean(facts.words_of(result).get("checked", PROTOCOL))


def _table(result: Result, width: int, colour: bool, unicode: bool) -> list[str]:
    entries = facts.entries(result)
    places = facts.decimals(result)
    columns = {
        head: [text_of(cell, unicode) for cell in cells] for head, cells in _columns(result, entries, places).items()
    }
    names = [text_of(e.label, unicode) for e in entries]
    head, *lines = table_lines("candidate", names, columns, width, unicode)
    styles = [
        _BOLD if e.name == result["answer"].get("recommended") else _DIM if e.is_baseline else "" for e in entries
    ]
    return [head, *(_painted(line.rstrip(), style, colour) for line, style in zip(lines, styles))]


def table_lines(
    title: str, names: Sequence[str], columns: dict[str, list[str]], width: int, unicode: bool
) -> list[str]:
    """A heading and a line for each of ``names``; columns leave where ``width`` has no room for them."""
    columns = dict(columns)
    room = width - INDENT
    longest = max(map(cell_len, [title, *names]))
    for head in _OPTIONAL:
        if room - _width(columns) >= min(longest, SHORTEST_NAME + (14 if head == "memory" else 0)):
            break
        columns.pop(head, None)
    limit = max(8, room - _width(columns))
    names = [_fitted(name, limit, "…" if unicode else "..") for name in names]
    first = max(map(cell_len, [title, *names]))
    lines = [_line(title, list(columns), first, columns)]
    lines += [_line(n, [cells[row] for cells in columns.values()], first, columns) for row, n in enumerate(names)]
    return lines


def _columns(result: Result, entries: Sequence[Entry], places: int) -> dict[str, list[str]]:
    """Cells by heading; a column in which nothing stands is left out."""
    columns = {
        facts.metric_of(result): [fmt.score(e.mean, places) or "none" for e in entries],
        "95 % interval": [fmt.interval(e.low, e.high, places) for e in entries],
        "coverage": facts.coverage(result),
        "quantiles hold": [_quantiles_hold(e) for e in entries],
        "parameters": [fmt.parameters(e.raw.get("parameters")) for e in entries],
        "train": [fmt.seconds(e.raw.get("train_seconds")) for e in entries],
        "step": [fmt.microseconds(e.raw.get("step_microseconds")) for e in entries],
        "memory": [fmt.megabytes(e.raw.get("peak_memory_mb")) for e in entries],
        _REACHES if any(e.raw.get("gradient") for e in entries) else _WHICH: _reaches(entries),
    }
    return {head: cells for head, cells in columns.items() if any(c.strip() for c in cells)}


def _quantiles_hold(entry: Entry) -> str:
    """The measured coverage of the interval between the outermost quantiles, beside its nominal one."""
    told = entry.raw.get("quantiles") or {}
    measured, nominal = told.get("coverage"), told.get("nominal")
    return f"{100 * measured:.0f} / {100 * nominal:.4g} %" if measured is not None and nominal else ""


def _reaches(entries: Sequence[Entry]) -> list[str]:
    """Steps aligned among themselves; ``baseline`` where there is no gradient to speak of."""
    told = [fmt.reach(e.raw.get("gradient")) for e in entries]
    widest = max(map(len, told))
    return ["baseline" if e.is_baseline else text.rjust(widest) for e, text in zip(entries, told)]


def _width(columns: dict[str, list[str]]) -> int:
    return sum(GAP + max(map(cell_len, [head, *cells])) for head, cells in columns.items())


def _line(name: str, cells: Sequence[str], first: int, columns: dict[str, list[str]]) -> str:
    line = " " * INDENT + name + " " * (first - cell_len(name))
    for cell, (head, column) in zip(cells, columns.items()):
        space = " " * (max(map(cell_len, [head, *column])) - cell_len(cell))
        line += " " * GAP + (cell + space if head in _LEFT else space + cell)
    return line


def _failures(result: Result) -> list[str]:
    told = [f"failed: {line}" for line in facts.failures(result)]
    more = len(told) - 3
    return told[:3] + ([f"{more} more kinds of failure; the report lists them."] if more > 0 else [])


def where(result: Result, width: int, unicode: bool, report_path: str | None) -> list[str]:
    """Where the report is and how to run it again, on one line where both fit. Neither is ever cut."""
    report = f"report  {text_of(report_path, unicode)}" if report_path else ""
    command = result["repeat"].get("command") or ""
    again = f"again  {text_of(command, unicode)}" if command else ""
    if report and again and cell_len(report) + 10 + cell_len(again) <= width:
        return [f"{report}{' ' * 10}{again}"]
    return [part for text in (report, again.replace("again  ", "again   ", 1)) if text for part in _hung(text, width)]


def _hung(text: str, width: int) -> list[str]:
    return textwrap.wrap(
        text, width, subsequent_indent=" " * 8, break_long_words=False, break_on_hyphens=False,
        drop_whitespace=True,
    )  # fmt: skip


def wrapped(text: str, width: int, unicode: bool) -> list[str]:
    """Lines of at most ``width`` terminal cells; a wide character takes two."""
    lines: list[str] = []
    for word in text_of(text, unicode).split():
        while cell_len(word) > width:
            head = _cut(word, width)
            lines.append(head)
            word = word[len(head) :]
        if lines and cell_len(lines[-1]) + 1 + cell_len(word) <= width:
            lines[-1] += f" {word}"
        else:
            lines.append(word)
    return lines


def _fitted(name: str, limit: int, ellipsis: str) -> str:
    if cell_len(name) <= limit:
        return name
    for characters in range(limit, 0, -1):
        short = fmt.shorten(name, characters, ellipsis)
        if cell_len(short) <= limit:
            return short
    return ""


def _cut(word: str, width: int) -> str:
    head = word[:width]
    while cell_len(head) > width:
        head = head[:-1]
    return head


def text_of(text: object, unicode: bool) -> str:
    """Without control characters, and in ASCII where the terminal knows no more."""
    clean = fmt.clean(text)
    if unicode:
        return clean
    for char, plain in _ASCII.items():
        clean = clean.replace(char, plain)
    return clean.encode("ascii", "replace").decode("ascii")


def _painted(line: str, style: str, colour: bool) -> str:
    return f"{style}{line}{_PLAIN}" if colour and style else line
