"""Spans that tags mark, word by word: BIO, IO, BIOES and BILOU."""

from __future__ import annotations

from collections.abc import Sequence

BEGINS, INSIDE, ENDS, SINGLE = "B", "I", ("E", "L"), ("S", "U")
"""L and U are what BILOU calls E and S."""
_SCHEMES = ({"B", "I", *"ES"}, {"B", "I", *"LU"})


def spans_of(tags: Sequence[str]) -> set[tuple[int, int, str]]:
    """(first, last, kind) of the spans that ``tags`` mark, whether these are well formed or not.

    As conlleval counts them (Tjong Kim Sang & Buchholz 2000; Tjong Kim Sang & De Meulder 2003), and seqeval after it:
    I- and E- go on with an open span of their kind, and begin one where there is none; B- and S- always begin one;
    a span ends before a tag that does not go on with it, and with E- or S-.
    """
    spans, begun, kind = set(), 0, ""
    for k, tag in enumerate([*tags, "O"]):
        head, _, own = tag.partition("-")
        goes_on = kind != "" and own == kind and head in (INSIDE, *ENDS)
        if kind and not goes_on:
            spans.add((begun, k - 1, kind))
            kind = ""
        if not goes_on and own and head in (BEGINS, INSIDE, *ENDS, *SINGLE):
            begun, kind = k, own
        if kind and head in (*ENDS, *SINGLE):
            spans.add((begun, k, kind))
            kind = ""
    return spans


def are_spans(tags: Sequence[str]) -> bool:
    """Whether ``tags`` are O and B-…, I-… with E-… and S-…, or L-… and U-…; at least one is no O."""
    heads = {tag.partition("-")[0] for tag in tags if tag != "O"}
    marked = all("-" in tag for tag in tags if tag != "O")
    return bool(heads) and marked and any(heads <= scheme for scheme in _SCHEMES)
