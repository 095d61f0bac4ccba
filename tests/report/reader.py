"""Reading a page the way a strict reader would: every tag closed, every figure with its parts."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from html.parser import HTMLParser

VOID = {"meta", "link", "input", "br"}
SELF_CLOSING = {"path", "line", "rect", "g", "text", "circle"}


@dataclass
class Figure:
    anchor: str
    title: str = ""
    caption: str = ""
    drawings: list[str] = field(default_factory=list)
    head: list[str] = field(default_factory=list)
    rows: list[list[str]] = field(default_factory=list)


@dataclass
class Page:
    figures: dict[str, Figure]
    ids: list[str]
    text: str
    attributes: list[tuple[str, str, str]]


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.ids: list[str] = []
        self.words: list[str] = []
        self.attributes: list[tuple[str, str, str]] = []
        self.figures: dict[str, Figure] = {}
        self.current: Figure | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {k: v or "" for k, v in attrs}
        self.attributes += [(tag, k, v) for k, v in values.items()]
        self.ids += [values["id"]] if "id" in values else []
        if tag not in VOID:
            self.open.append(tag)
        if tag == "figure":
            self.current = self.figures[values["id"]] = Figure(values["id"])
        if tag == "tr" and self.current and "thead" not in self.open:
            self.current.rows.append([])

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.attributes += [(tag, k, v or "") for k, v in attrs]
        assert tag in SELF_CLOSING, f"<{tag}/> closes nothing in HTML"

    def handle_endtag(self, tag: str) -> None:
        assert self.open, f"</{tag}> without a start"
        assert self.open.pop() == tag, f"</{tag}> out of order"
        if tag == "figure":
            self.current = None

    def handle_data(self, data: str) -> None:
        if {"script", "style"} & set(self.open):
            return
        self.words.append(data)
        if self.current is None or not self.open:
            return
        if "h3" in self.open:
            self.current.title += data
        elif "figcaption" in self.open:
            self.current.caption += data
        elif self.open[-1] == "th" and "thead" in self.open:
            self.current.head.append(data)
        elif self.open[-1] in ("td", "th"):
            self.current.rows[-1].append(data)


def read(html: str) -> Page:
    """Raises AssertionError where the page is not well formed."""
    reader = _Reader()
    # An empty cell has no text to be handed over, so it is given a mark.
    reader.feed(html.replace("<td></td>", "<td>∅</td>").replace('<th scope="col"></th>', '<th scope="col">∅</th>'))
    reader.close()
    assert not reader.open, f"never closed: {reader.open}"
    for anchor, body in re.findall(r'<figure id="([^"]+)">(.*?)</figure>', html, re.S):
        reader.figures[anchor].drawings = re.findall(r"<svg .*?</svg>", body, re.S)
    return Page(reader.figures, reader.ids, " ".join(reader.words), reader.attributes)
