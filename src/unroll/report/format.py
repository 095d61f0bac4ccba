"""Numbers and names as a reader sees them: short, aligned, with their unit."""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Iterable, Sequence
from typing import Any

MISSING = "–"
FLOOR = -30.0
FLOOR_TEXT = "< 1e-30"
NEXT_TO_NOTHING = 1e-4
"""Share of the largest score of a column under which one is written with an exponent."""


def significant(value: float | None, digits: int = 3, *, trim: bool = True) -> str:
    """``value`` with at most ``digits`` significant digits and no exponent where it can be avoided.

    Without ``trim`` trailing zeros stay, so that a column lines up.
    """
    if value is None or not math.isfinite(value):
        return MISSING
    if value == 0:
        return "0"
    magnitude = math.floor(math.log10(abs(value)))
    if magnitude < -4 or magnitude > 8:
        mantissa, _, exponent = f"{value:.{digits - 1}e}".partition("e")
        return f"{mantissa}e{int(exponent)}"
    if magnitude >= digits:
        return f"{value:,.0f}"
    text = f"{value:,.{max(0, digits - 1 - magnitude)}f}"
    return _trim(text) if trim else text


def decimals_of(scores: Iterable[tuple[float | None, float | None, float | None]]) -> int:
    """How many decimals a column of (mean, low, high) deserves.

    As many as the typical interval leaves certain, at most three significant digits of the largest score within
    ten times the best; two for scores near one when there is no interval. A score that is next to nothing beside the
    others does not widen the column.
    """
    rows = [(m, lo, hi) for m, lo, hi in scores if m is not None and math.isfinite(m)]
    if not rows:
        return 2
    floor = NEXT_TO_NOTHING * max(abs(m) for m, _, _ in rows)
    rows = [row for row in rows if abs(row[0]) >= floor]
    best = min((abs(m) for m, _, _ in rows if m), default=1.0)
    largest = max((abs(m) for m, _, _ in rows if abs(m) <= 10 * best), default=best)
    limit = max(0, 2 - math.floor(math.log10(largest or 1.0)))
    widths = sorted((hi - lo) / 2 for _, lo, hi in rows if lo is not None and hi is not None and hi > lo)
    if not widths:
        return min(limit, max(2, -math.floor(math.log10(best)) + 1))
    certain = -math.floor(math.log10(widths[len(widths) // 2]))
    # Two digits of the best score are shown even where its interval leaves only one certain.
    return max(0, min(limit, max(certain, 1 - math.floor(math.log10(best)))))


def score(value: float | None, decimals: int) -> str:
    """A score in its column: cut to three significant digits where the column would show more, with an exponent where
    it would show zeros alone."""
    if value is None or not math.isfinite(value):
        return ""
    if value and abs(value) < 0.5 * 10.0**-decimals and abs(value) < NEXT_TO_NOTHING:
        return significant(value, 2)
    magnitude = math.floor(math.log10(abs(value))) if value else 0
    return f"{value:,.{max(0, min(decimals, 2 - magnitude) if magnitude > 0 else decimals)}f}"


def interval(low: float | None, high: float | None, decimals: int) -> str:
    return "" if low is None or high is None else f"{score(low, decimals)} … {score(high, decimals)}"


def share(value: float | None) -> str:
    """``0.881`` as ``88.1 %``; empty where there is none."""
    return "" if value is None or not math.isfinite(value) else f"{100 * value:.3g} %"


def count(value: float | None) -> str:
    """``2284`` as ``2,284``."""
    return MISSING if value is None else f"{value:,.0f}"


def parameters(value: float | None) -> str:
    """``52``, ``13.1 k``, ``1.2 M``."""
    if value is None:
        return ""
    for unit, size in (("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if value >= size * 0.9995:
            scaled = value / size
            return f"{scaled:.1f} {unit}" if scaled < 99.95 else f"{scaled:.0f} {unit}"
    return f"{value:.0f}"


def seconds(value: float | None) -> str:
    """``0.1 s``, ``9 s``, ``21 s``, ``2.4 min``, ``3.1 h``; nothing for what took no time."""
    if not value:
        return ""
    if value < 0.05:
        return "< 0.1 s"
    if value < 120:
        return f"{value:.1f} s" if value < 0.95 else f"{value:.0f} s"
    return f"{_trim(f'{value / 60:.1f}')} min" if value < 7200 else f"{_trim(f'{value / 3600:.1f}')} h"


def microseconds(value: float | None) -> str:
    """``4.2 µs``, ``40 µs``, ``1.2 ms``."""
    if value is None:
        return ""
    if value < 9.95:
        return f"{_trim(f'{value:.1f}')} µs"
    if value < 999.5:
        return f"{value:.0f} µs"
    return f"{_trim(f'{value / 1e3:.1f}')} ms" if value < 999_500 else f"{_trim(f'{value / 1e6:.1f}')} s"


def megabytes(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:.0f} MB" if value < 999.5 else f"{_trim(f'{value / 1000:.1f}')} GB"


def plural(number: float, word: str) -> str:
    """``1 step``, ``12 steps``."""
    return f"{count(number)} {word if number == 1 else word + 's'}"


def reach(gradient: Any) -> str:
    """How far a gradient reaches: ``38 steps``, or ``> 103 steps`` where it never falls below 1 %."""
    if not gradient:
        return ""
    horizon = gradient.get("horizon")
    return plural(horizon, "step") if horizon is not None else f"> {plural(gradient.get('span') or 0, 'step')}"


def listing(words: Sequence[str], joint: str = "and") -> str:
    """``a, b and c``."""
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} {joint} {words[-1]}" if words else ""


def clean(text: object) -> str:
    """User text made safe to show: control, bidi and unpaired characters become visible, line breaks spaces."""
    return "".join(_visible(c) for c in str(text))


def shorten(text: str, width: int, ellipsis: str = "…") -> str:
    """At most ``width`` characters: the start and the end, which usually tell two names apart."""
    if len(text) <= width:
        return text
    room = max(width - len(ellipsis), 1)
    tail = room // 3
    return text[: room - tail].rstrip() + ellipsis + (text[-tail:].lstrip() if tail else "")


def _visible(char: str) -> str:
    if char in "\n\r\t":
        return " "
    category = unicodedata.category(char)
    hidden = category in ("Cc", "Cs") or (category == "Cf" and char not in "\u200c\u200d")
    return f"[U+{ord(char):04X}]" if hidden or char in "\u2028\u2029\ufffe\uffff" else char


def _trim(text: str) -> str:
    return text.rstrip("0").rstrip(".") if "." in text else text
