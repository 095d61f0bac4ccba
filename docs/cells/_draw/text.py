"""Labels with subscripts: ``"c_{t−1}"`` as pieces, as a width, as SVG."""

from __future__ import annotations

import re
from html import escape
from typing import NamedTuple

SUBSCRIPT = 0.7
"""Size of a subscript beside its symbol."""
ASCENT, DESCENT = 0.78, 0.3
"""Height of a line above and below its baseline, in sizes; the descent has room for a subscript."""

_WIDTHS = {
    **dict.fromkeys("ijlI|.,:;'· ", 0.36),
    **dict.fromkeys("ftr()[]-/", 0.5),
    **dict.fromkeys("mwM−+=→…←—", 1.0),
    "W": 1.12,
    **dict.fromkeys("ABCDEGHKLNOPQRTUVXYZ", 0.78),
}
_WIDTH = 0.66
"""Advances of DejaVu, the widest of the fonts a reader is likely to have: a label never is wider than this."""

_PIECE = re.compile(r"(?<!\\)_(?:\{([^}]*)\}|(.))")

_UPRIGHT = re.compile(r"tanh|ReLU|[\d()]+")


class Piece(NamedTuple):
    text: str
    lowered: bool


def pieces(markup: str) -> list[Piece]:
    r"""``"W_{hh} h"`` as W, lowered hh, h; ``"l0\_reverse"`` as it stands."""
    found, end = [], 0
    for match in _PIECE.finditer(markup):
        found += [Piece(markup[end : match.start()], False), Piece(match[1] or match[2], True)]
        end = match.end()
    found.append(Piece(markup[end:], False))
    return [Piece(piece.text.replace("\\_", "_"), piece.lowered) for piece in found if piece.text]


def width(markup: str, size: float) -> float:
    """An upper bound of the width of a label."""
    return sum(
        _WIDTHS.get(letter, _WIDTH) * size * (SUBSCRIPT if piece.lowered else 1)
        for piece in pieces(markup)
        for letter in piece.text
    )


def spans(markup: str) -> str:
    """The inside of an SVG text element. ``dy`` lowers a subscript and lifts what follows it.

    Numbers, brackets and names of functions stand upright among symbols, as in print.
    """
    parts: list[str] = []
    lowered = False
    for piece in pieces(markup):
        text = _UPRIGHT.sub(r'<tspan class="up">\g<0></tspan>', escape(piece.text, quote=False))
        if piece.lowered:
            parts.append(f'<tspan font-size="{SUBSCRIPT:.0%}" dy=".3em">{text}</tspan>')
        elif lowered:
            parts.append(f'<tspan dy="-{0.3 * SUBSCRIPT:.2f}em">{text}</tspan>')
        else:
            parts.append(text)
        lowered = piece.lowered
    return "".join(parts)
