"""From an Altair chart to the smallest SVG that looks the same, with a text alternative and ids of its own."""

from __future__ import annotations

import re
from typing import Any
from xml.etree import ElementTree

import altair as alt
import vl_convert

from unroll.report.style import GRID, MUTED, TRUTH

SVG = "http://www.w3.org/2000/svg"
FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Noto Sans', Arial, sans-serif"

_NOISE = ("class", "role", "aria-hidden", "aria-roledescription", "aria-label", "pointer-events", "font-family")
_NUMBER = re.compile(r"-?\d+\.\d+")
_FRAGMENT = re.compile(r"url\(#([^)]+)\)")


def draw(chart: Any, *, slug: str, title: str, description: str) -> str:
    """The chart as one line of SVG. The same chart gives the same bytes in every process."""
    ElementTree.register_namespace("", SVG)
    spec = _dressed(chart).to_dict(validate=False)
    size = spec.pop("usermeta", {}).get("size")  # panels say how large they are; Vega does not know without measuring
    version = "_".join(alt.SCHEMA_VERSION.split(".")[:2])
    text = vl_convert.vegalite_to_svg(spec, vl_version=version, allowed_base_urls=[])
    root = ElementTree.fromstring(text)
    _simplify(root)
    _own_ids(root, slug)
    width, height = size or (root.attrib["width"], root.attrib["height"])
    root.attrib = {
        "viewBox": f"0 0 {width} {height}", "style": f"max-width:{width}px", "font-family": FONT,
        "role": "img", "aria-labelledby": f"{slug}-title", "aria-describedby": f"{slug}-desc",
    }  # fmt: skip
    for position, (tag, words) in enumerate((("title", title), ("desc", description))):
        node = ElementTree.Element(f"{{{SVG}}}{tag}", {"id": f"{slug}-{tag}"})
        node.text = words
        root.insert(position, node)
    return ElementTree.tostring(root, encoding="unicode")


def _dressed(chart: Any) -> Any:
    """The house theme. Words get their colour here, so that the page can restate it in the dark."""
    axis: dict[str, Any] = {
        "domain": False, "ticks": False, "labelPadding": 8, "labelColor": MUTED.light, "labelFontSize": 12,
        "titleColor": MUTED.light, "titleFontSize": 12, "titleFontWeight": "normal", "titlePadding": 10,
        "gridColor": GRID.light,
    }  # fmt: skip
    return chart.configure(
        aria=False, background="transparent", font="Arial", axis=axis,
        view={"stroke": None}, text={"fontSize": 13, "fill": TRUTH.light}, line={"strokeCap": "round"},
    )  # fmt: skip


def _simplify(node: ElementTree.Element) -> None:
    """Drop what no reader sees: Vega's bookkeeping attributes, empty paths, groups that group nothing."""
    for child in list(node):
        _simplify(child)
        position = list(node).index(child)
        if _invisible(child):
            node.remove(child)
        elif child.tag == f"{{{SVG}}}g" and not child.attrib:
            node.remove(child)
            for offset, grandchild in enumerate(list(child)):
                node.insert(position + offset, grandchild)
    for noise in _NOISE:
        node.attrib.pop(noise, None)
    if node.attrib.get("transform") in ("translate(0,0)", "translate(0, 0)"):
        del node.attrib["transform"]
    if node.attrib.get("opacity") == "1":
        del node.attrib["opacity"]
    for key in ("d", "transform", "x", "y", "x1", "x2", "y1", "y2", "width", "height"):
        if key in node.attrib:
            node.attrib[key] = _NUMBER.sub(_rounded, node.attrib[key])


def _invisible(node: ElementTree.Element) -> bool:
    kind = node.tag.removeprefix(f"{{{SVG}}}")
    if kind == "path":
        painted = "stroke" in node.attrib or node.attrib.get("fill", "none") != "none"
        return node.attrib.get("display") == "none" or not node.attrib.get("d") or not painted
    if kind == "rect" and node.attrib.get("fill") == "transparent":
        return True
    if kind == "text":
        return not node.text
    return kind in ("g", "defs") and len(node) == 0


def _rounded(match: re.Match[str]) -> str:
    return f"{float(match[0]):.1f}".removesuffix(".0").replace("-0.", "-.") or "0"


def _own_ids(root: ElementTree.Element, slug: str) -> None:
    """Vega counts its clip paths through the life of the process; here they count from 1 in every chart."""
    names: dict[str, str] = {}
    for node in root.iter():
        if "id" in node.attrib:
            node.attrib["id"] = names.setdefault(node.attrib["id"], f"{slug}-{len(names) + 1}")
    for node in root.iter():
        for key, value in node.attrib.items():
            if "url(#" in value:
                node.attrib[key] = _FRAGMENT.sub(lambda m: f"url(#{names.get(m[1], m[1])})", value)
