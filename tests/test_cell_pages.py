"""The pages of the cells: every cell has one, and what it shows is what the code says now."""

from __future__ import annotations

import contextlib
import dataclasses
import importlib
import io
import itertools
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
import torch

import unroll
from unroll.nn import CELLS, CellEntry, Recurrent

ROOT = Path(__file__).parent.parent
FOLDER = ROOT / "docs" / "cells"
sys.path.insert(0, str(FOLDER))
check, pages, pictures, shapes, svg = (
    importlib.import_module(f"_draw.{name}") for name in ("check", "pages", "pictures", "shapes", "svg")
)

FAMILIES = list(pages.family_pages())
DOCUMENTS = [*pages.family_pages().values(), pages.OVERVIEW]
PICTURES = list(pictures.PICTURES.values())
SECTIONS = ["Equation", "Picture", "Symbols", "Parameters", "Signals", "Example", "When to use it", "Options", "Paper"]
WORKED = {"lstm": "A worked step", "gru": "A worked step"}
ODD_SIZES = [(1, 1), (2, 17), (13, 5)]
SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def made() -> dict[Path, str]:
    return dict(pages.files())


def page(family: str) -> str:
    return str(pages.family_pages()[family].read_text(encoding="utf-8"))


def section(family: str, heading: str) -> str:
    (found,) = re.findall(rf"^## {heading}\n(.*?)(?=^## |\Z)", page(family), flags=re.S | re.M)
    return str(found)


def rows(text: str) -> list[list[str]]:
    """The cells of every table row in ``text``, heads and rules left out."""
    tables = re.findall(r"^\|.*\n\|[-:|]+\|\n((?:\|.*\n?)*)", text, flags=re.M)
    return [[cell.strip() for cell in line.strip("|").split("|")] for table in tables for line in table.splitlines()]


def value(formula: str, inputs: int, hidden: int) -> int:
    """What a printed formula gives."""
    code = formula.strip("*").replace("·", "*").replace("²", "**2")
    assert re.fullmatch(r"[\dIH+*() ]+", code), formula
    return int(eval(code, {"I": inputs, "H": hidden}))


def number(printed: str) -> int:
    return int(printed.strip("*").replace(",", ""))


# Pages


@pytest.mark.parametrize("name", list(CELLS))
def test_every_registered_cell_has_a_page(name: str) -> None:
    assert pages.family_of(name) in FAMILIES


def test_a_cell_without_a_page_is_refused_with_the_page_to_write() -> None:
    with pytest.raises(LookupError, match=r"write docs/cells/peephole\.md"):
        pages.family_of("peephole_relu")


@pytest.mark.parametrize("family", FAMILIES)
def test_every_page_has_its_cells_and_all_sections_in_order(family: str) -> None:
    assert pages.cells_of(family)
    headings = re.findall(r"^## (.+)$", page(family), flags=re.M)
    expected = list(SECTIONS)
    if family in WORKED:
        expected.insert(expected.index("When to use it"), WORKED[family])
    assert headings == expected


@pytest.mark.parametrize("family", FAMILIES)
def test_every_equation_symbol_table_option_and_paper_is_there(family: str) -> None:
    assert section(family, "Equation").count("```math\n") == 1
    assert len(rows(section(family, "Symbols"))) >= 3
    assert "](../cell-options.md)" in section(family, "Options")
    assert re.search(r"\]\(https://(arxiv|doi)\.org/", section(family, "Paper"))


def test_the_overview_leads_to_every_page() -> None:
    overview = pages.OVERVIEW.read_text(encoding="utf-8")
    assert [family for family in FAMILIES if f"]({family}.md)" not in overview] == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.stem)
def test_every_link_of_a_page_leads_to_a_file(document: Path) -> None:
    targets = re.findall(r"\]\(([^)#]+)[^)]*\)", document.read_text(encoding="utf-8"))
    missing = [target for target in targets if "://" not in target and not (document.parent / target).exists()]
    assert missing == []


# Generated parts


def test_every_generated_part_is_what_the_code_gives_now(made: dict[Path, str]) -> None:
    """If this fails: python docs/cells/draw.py."""
    stale = [path.name for path, text in made.items() if path.read_text(encoding="utf-8") != text]
    assert stale == []


def test_no_picture_is_left_over(made: dict[Path, str]) -> None:
    assert set(pages.IMAGES.iterdir()) == {path for path in made if path.suffix == ".svg"}


def test_a_wrong_number_in_a_page_is_seen_and_set_right(made: dict[Path, str], tmp_path: Path) -> None:
    path = pages.family_pages()["lstm"]
    wrong = tmp_path / path.name
    wrong.write_text(made[path].replace("| **144** |", "| **145** |"), encoding="utf-8")
    assert wrong.read_text(encoding="utf-8") != made[path]
    assert pages._filled(wrong, {"parameters": pages.tables.parameters(pages.cells_of("lstm"))}) == made[path]


def test_a_page_without_its_place_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "lstm.md"
    path.write_text("<!-- parameters -->\n", encoding="utf-8")
    with pytest.raises(LookupError, match="needs one place between"):
        pages._filled(path, {"parameters": ""})


def printed_parameters(family: str) -> dict[str, list[list[str]]]:
    """By cell: the rows of its table."""
    blocks = re.findall(r"^(`.*`):\n\n((?:\|.*\n)+)", section(family, "Parameters"), flags=re.M)
    return {name: rows(table) for names, table in blocks for name in re.findall(r"`(\w+)`", names)}


@pytest.mark.parametrize("entry", list(CELLS.values()), ids=lambda entry: entry.name)
def test_printed_parameters_are_those_of_the_cell_at_any_size(entry: CellEntry) -> None:
    *parameters, whole = printed_parameters(pages.family_of(entry.name))[entry.name]
    for inputs, hidden in ODD_SIZES:
        held = dict(entry.make(inputs, hidden).named_parameters())
        assert [row[0].strip("`") for row in parameters] == list(held)
        for (_, shape, count, *_), parameter in zip(parameters, held.values()):
            dimensions = shape.strip("()").split(", ")
            assert [value(d, inputs, hidden) for d in dimensions] == list(parameter.shape)
            assert value(count, inputs, hidden) == parameter.numel()
        assert value(whole[2], inputs, hidden) == sum(p.numel() for p in held.values())
    for column, size in enumerate(((3, 4), (3, 64)), start=3):
        held = dict(entry.make(*size).named_parameters())
        assert [number(row[column]) for row in parameters] == [p.numel() for p in held.values()]
        assert number(whole[column]) == sum(p.numel() for p in held.values())


def overview_table(name: str) -> list[list[str]]:
    text = pages.OVERVIEW.read_text(encoding="utf-8")
    return rows(text.partition(f"<!-- {name} -->")[2].partition(f"<!-- /{name} -->")[0])


SIZES = [(3, 4), (1, 50), (10, 20), (64, 64), (300, 512)]


def torch_counts(kind: type[torch.nn.Module], **options: Any) -> list[int]:
    return [sum(p.numel() for p in kind(*size, **options).parameters()) for size in SIZES]


def test_the_overview_counts_every_cell_and_agrees_with_torch() -> None:
    printed = {row[0].strip("`"): row for row in overview_table("counts")}
    assert list(printed) == list(CELLS)
    for name, kind in (("rnn", torch.nn.RNN), ("lstm", torch.nn.LSTM), ("gru", torch.nn.GRU)):
        assert [number(cell) for cell in printed[name][2:7]] == torch_counts(kind)
    rnn, lstm = torch_counts(torch.nn.RNN), torch_counts(torch.nn.LSTM)
    for _, formula, *cells in printed.values():
        own = [number(cell) for cell in cells[:5]]
        assert [value(formula, *size) for size in SIZES] == own
        for other, ratio in zip((rnn, lstm), cells[5:]):
            ratios = [f"{n / m:.2f}" for n, m in zip(own, other)]
            assert ratio.split(" … ") == list(dict.fromkeys((min(ratios, key=float), max(ratios, key=float))))


def test_c5_and_c6_are_counted_as_torch_counts() -> None:
    rnn, lstm, gru = (torch_counts(kind) for kind in (torch.nn.RNN, torch.nn.LSTM, torch.nn.GRU))
    without = torch_counts(torch.nn.LSTM, bias=False)
    for row, (inputs, hidden), r, n, g, w in zip(overview_table("claims"), SIZES, rnn, lstm, gru, without, strict=True):
        guide = 4 * (inputs + hidden + 1) * hidden
        assert row[0] == f"{inputs}, {hidden}"
        assert [number(cell) for cell in row[1:5]] == [guide, n, n - guide, w]
        assert n - guide == guide - w == 4 * hidden
        assert (n, 4 * g) == (4 * r, 3 * n)
        assert row[5:] == ["4.00", "25.0 %"]


def multiple(printed: str, inputs: int, hidden: int) -> int:
    """What "2n + I" is; n is H."""
    return value(re.sub(r"(?<=\d)(?=[nI])", "·", printed).replace("n", "H"), inputs, hidden)


def test_c7_counts_what_a_trace_holds_per_step() -> None:
    inputs, hidden, T = 2, 17, 5
    printed = {row[0].strip("`"): row[1:] for row in overview_table("stored")}
    for name, (states, carried, signals, computed, together) in printed.items():
        layer = unroll.trace(Recurrent(CELLS[name].make(inputs, hidden)), torch.randn(T, 1, inputs))["l0"]
        assert (list(layer.states), list(layer.signals)) == (states.split(", "), signals.split(", "))
        held = [sum(v.numel() for v in part.values()) / T for part in (layer.states, layer.signals)]
        assert [multiple(n, inputs, hidden) for n in (carried, computed, together)] == [*held, sum(held)]
    assert (printed["lstm"][1], printed["gru"][1]) == ("2n", "n")
    assert (printed["lstm"][4], printed["gru"][4]) == ("6n", "4n")


# Signals and pictures


def shown(family: str) -> tuple[set[str], set[str], set[str]]:
    """Signals, states and keep gates that traces of the family's cells have."""
    signals, states, gates = set(), set(), set()
    for entry in pages.cells_of(family):
        layer = unroll.trace(Recurrent(entry.make(2, 3)), torch.randn(2, 1, 2))["l0"]
        signals |= set(layer.signals)
        states |= set(layer.states)
        gates |= {layer.keep_gate} - {None}
    return signals, states, gates


@pytest.mark.parametrize("family", FAMILIES)
def test_every_signal_and_state_of_a_trace_is_explained(family: str) -> None:
    signals, states, gates = shown(family)
    text = section(family, "Signals")
    explained = {row[0].strip("`"): row[1] for row in rows(text)}
    assert set(explained) == signals
    assert {name for name, words in explained.items() if "gate that keeps" in words} == gates
    (paragraph,) = re.findall(r"^States?: .*(?:\n.+)*", text, flags=re.M)
    assert set(re.findall(r"`(\w+)`", paragraph)) == states


def linked_pictures(family: str) -> list[Path]:
    folder = pages.FOLDER
    return [(folder / target).resolve() for target in re.findall(r"!\[[^\]]+\]\(([^)]+)\)", page(family))]


def labels(path: Path) -> set[str]:
    return {"".join(text.itertext()) for text in ElementTree.parse(path).iter(f"{SVG}text")}


@pytest.mark.parametrize("family", FAMILIES)
def test_the_pictures_of_a_page_name_every_signal_and_state(family: str) -> None:
    signals, states, _ = shown(family)
    found = [labels(path) for path in linked_pictures(family)]
    assert {f"{name}t" for name in signals | states} <= set().union(*found)
    before = {"ht−1"} if "h" in states else {f"{name}t−1" for name in states}
    for each in found:
        assert {"xt", "ht", *before} <= each


@pytest.mark.parametrize("picture", PICTURES, ids=lambda picture: picture.name)
def test_nothing_in_a_picture_overlaps_and_every_line_meets_its_ends(picture: Any) -> None:
    assert check.problems(picture) == []


@pytest.mark.parametrize("picture", PICTURES, ids=lambda picture: picture.name)
def test_every_picture_is_a_file_that_stands_alone_and_tells_what_it_shows(picture: Any) -> None:
    root = ElementTree.parse(pages.IMAGES / f"{picture.name}.svg").getroot()
    title, description = root.find(f"{SVG}title"), root.find(f"{SVG}desc")
    assert title is not None
    assert description is not None
    assert root.get("role") == "img"
    assert root.get("aria-labelledby") == f"{title.get('id')} {description.get('id')}"
    assert len(title.text or "") > 10
    assert len(description.text or "") > 80
    text = ElementTree.tostring(root, encoding="unicode")
    assert "prefers-color-scheme:dark" in text
    assert not re.search(r"href|url\(|@import|<script", text)
    card = root.find(f"{SVG}rect")
    assert card is not None
    assert (card.get("class"), float(card.get("rx", 0)) > 0) == ("card", True)
    assert float(root.get("width", 0)) <= 760


@pytest.mark.parametrize("picture", PICTURES, ids=lambda picture: picture.name)
def test_every_arrowhead_ends_at_a_border_or_at_a_name(picture: Any) -> None:
    """Read back from the file: the tip lies on a rectangle, on a circle, or beside a text."""
    root = ElementTree.parse(pages.IMAGES / f"{picture.name}.svg").getroot()
    boxes = [[float(r.get(key, 0)) for key in ("x", "y", "width", "height")] for r in root.findall(f"{SVG}rect")]
    circles = [[float(c.get(key, 0)) for key in ("cx", "cy", "r")] for c in root.findall(f"{SVG}circle")]
    names = [(float(t.get("x", 0)), float(t.get("y", 0))) for t in root.findall(f"{SVG}text")]
    heads = [path for path in root.findall(f"{SVG}path") if "head" in path.get("class", "").split()]
    assert len(heads) == sum(edge.arrow for edge in picture.edges)
    for head in heads:
        x, y = (float(v) for v in re.match(r"M([-\d.]+),([-\d.]+)", head.get("d", "")).groups())  # type: ignore[union-attr]
        on_box = any(
            (x in (left, left + w) and top < y < top + h) or (y in (top, top + h) and left < x < left + w)
            for left, top, w, h in boxes
        )
        on_circle = any(abs((x - cx) ** 2 + (y - cy) ** 2 - r * r) < 1e-6 for cx, cy, r in circles)
        at_name = any(abs(x - tx) <= 8 and abs(y - ty) <= 24 for tx, ty in names)
        assert on_box or on_circle or at_name, (picture.name, x, y)


RNN = pictures.PICTURES["rnn"]


def moved(name: str, **to: Any) -> Any:
    """The picture of the RNN with one node changed."""
    return dataclasses.replace(RNN, nodes=[dataclasses.replace(n, **to) if n.name == name else n for n in RNN.nodes])


def with_edges(*edges: Any) -> Any:
    return dataclasses.replace(RNN, edges=[*RNN.edges, *edges])


Edge, Tap, Words = shapes.Edge, shapes.Tap, shapes.Words


@pytest.mark.parametrize(
    ("broken", "problem"),
    [
        (moved("W_hh", x=200, y=230), "W_hh meets W_ih"),
        (moved("phi", label="tanh(tanh(tanh))"), "'tanh(tanh(tanh))' leaves its box phi"),
        (moved("new", x=730), "'h_t' leaves the card"),
        (moved("phi", y=150), "sum.right → phi.left is neither horizontal nor vertical"),
        (dataclasses.replace(RNN, notes=[Words(266, 142, "a_t", 18)]), "W_hh.right → sum.left runs through 'a_t'"),
        (dataclasses.replace(RNN, notes=[Words(70, 140, "a_t", 18)]), "'h_{t−1}' meets 'a_t'"),
        (dataclasses.replace(RNN, notes=[Words(190, 120, "a_t", 18)]), "'a_t' meets W_hh"),
        (with_edges(Edge("old", "phi.left")), "old → phi.left runs through W_hh"),
        (with_edges(Edge("old", "phi.left")), "old → W_hh.left runs along old → phi.left"),
        (with_edges(Edge("W_ih.top", "W_hh.bottom+60", "vh")), "does not touch the border of W_hh"),
        (with_edges(Edge("W_ih.top", "W_hh.top")), "W_ih.top → W_hh.top runs through its own end W_hh"),
        (dataclasses.replace(RNN, nodes=[*RNN.nodes, Tap("fork", 280, 142)]), "nothing forks at fork"),
        (dataclasses.replace(RNN, edges=RNN.edges[:-1]), "no line reaches new"),
    ],
    ids=lambda case: case if isinstance(case, str) else "rnn",
)
def test_a_picture_that_is_wrong_is_seen(broken: Any, problem: str) -> None:
    assert [found for found in check.problems(broken) if problem in found]


def test_words_with_marks_of_xml_are_drawn_as_they_are_written() -> None:
    """An apostrophe, written as the number of a character, would have its digits taken for those of the words."""
    said = 'Elman\'s 2 gates & "tanh" <f> (1990)'
    drawn = svg.svg(dataclasses.replace(moved("phi", caption="Elman's"), legend=said))
    found = {"".join(text.itertext()) for text in ElementTree.fromstring(drawn).iter(f"{SVG}text")}
    assert {said, "Elman's"} <= found


def test_a_line_to_a_node_that_is_not_there_is_refused() -> None:
    with pytest.raises(KeyError, match="no node for 'nowhere'"):
        check.problems(with_edges(Edge("x", "nowhere")))


def test_gates_have_the_colours_of_their_names_in_light_and_dark() -> None:
    """No two roles share a colour, and a box's words say what its colour says."""
    for scheme in (0, 2):
        fills = [colours[scheme : scheme + 2] for role, colours in svg.ROLES.items() if role != "blank"]
        assert all(a != b for a, b in itertools.combinations(fills, 2))
    for picture in PICTURES:
        for box in picture.nodes:
            if box.name in ("i", "f", "o"):
                assert box.role == {"i": "input", "f": "forget", "o": "output"}[box.name]
                assert box.role in box.caption


# Examples


def blocks(text: str) -> list[tuple[str, str | None]]:
    """Each Python block with the output that the page says it prints."""
    found = re.findall(r"```python\n(.*?)```\n(?:\n```text\n(.*?)```)?", text, flags=re.S)
    return [(code, printed or None) for code, printed in found]


@pytest.mark.parametrize("family", FAMILIES)
def test_every_example_runs_and_prints_what_the_page_says(family: str) -> None:
    torch.manual_seed(0)
    names: dict[str, Any] = {}
    examples = blocks(page(family))
    assert len(examples) == 1 + (family in WORKED)
    for code, printed in examples:
        output = io.StringIO()
        with contextlib.redirect_stdout(output):
            exec(compile(code, f"{family}.md", "exec"), names)
        assert output.getvalue() == printed
