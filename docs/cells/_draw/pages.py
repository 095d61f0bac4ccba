"""Which page a cell belongs to, and the generated parts of the pages."""

from __future__ import annotations

from pathlib import Path

from _draw import tables
from _draw.pictures import PICTURES
from _draw.svg import svg
from unroll.nn import CELLS, CellEntry

FOLDER = Path(__file__).parent.parent
IMAGES = FOLDER.parent / "images" / "cells"
OVERVIEW = FOLDER / "README.md"


def family_pages() -> dict[str, Path]:
    """The pages of the cells by family."""
    return {path.stem: path for path in sorted(FOLDER.glob("*.md")) if path != OVERVIEW}


def family_of(name: str) -> str:
    """The page of a registered cell: that of its name, or of the family in front of its first underscore.

    Variants of the LSTM have a page of their own.

    Raises:
        LookupError: no page is called so.
    """
    family = name.partition("_")[0]
    if name != family == "lstm":
        family = "lstm-variants"
    page = name if name in family_pages() else family
    if page not in family_pages():
        raise LookupError(f"the cell '{name}' has no page: write docs/cells/{page}.md")
    return page


def cells_of(family: str) -> list[CellEntry]:
    return [entry for entry in CELLS.values() if family_of(entry.name) == family]


def files() -> dict[Path, str]:
    """Every file as it should be now: pictures, and pages with their generated parts."""
    made = {IMAGES / f"{picture.name}.svg": svg(picture) for picture in PICTURES.values()}
    for family, path in family_pages().items():
        made[path] = _filled(path, {"parameters": tables.parameters(cells_of(family))})
    made[OVERVIEW] = _filled(
        OVERVIEW, {"counts": tables.counts(), "claims": tables.claims(), "stored": tables.stored()}
    )
    return made


def _filled(path: Path, parts: dict[str, str]) -> str:
    text = path.read_text(encoding="utf-8")
    for name, part in parts.items():
        start, end = f"<!-- {name} -->", f"<!-- /{name} -->"
        if text.count(start) != 1 or text.count(end) != 1 or text.index(start) > text.index(end):
            raise LookupError(f"{path.name} needs one place between {start} and {end}")
        before, _, rest = text.partition(start)
        text = f"{before}{start}\n\n{part}\n\n{end}{rest.partition(end)[2]}"
    return text
