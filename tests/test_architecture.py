"""The house's rules, read off the sources: who imports whom, what an import costs, how long a file is."""

from __future__ import annotations

import ast
import importlib
import json
import pkgutil
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import unroll

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "src" / "unroll"

FLOORS = [
    "cli",
    "api",
    "report",
    "comparison",
    "guides",
    "testing",
    "bench",
    "inspect",
    "tasks",
    "train",
    "data",
    "models",
    "nn",
    "kernels",
]
"""From the top; imports point down."""
FOUNDATION = {"errors", "files", "machine", "options"}
"""Known to every floor, and knowing none."""
CORE = {"__version__", "_native"}
"""What ``from unroll import …`` may name besides a floor."""

LONGEST_FILE = 400
SECONDS = 1.0


def floor_of(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def sources() -> list[Path]:
    return sorted(p for p in PACKAGE.rglob("*.py") if p != PACKAGE / "__init__.py")


def imported_names(path: Path) -> Iterator[tuple[int, str]]:
    """Every module or name of unroll that ``path`` imports, anywhere in it, as a dotted name."""
    parts = ("unroll", *path.relative_to(PACKAGE).with_suffix("").parts)
    package = parts if path.name == "__init__.py" else parts[:-1]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = [*package[: len(package) - node.level + 1]] if node.level else []
            module = ".".join([*base, *([node.module] if node.module else [])])
            yield from ((node.lineno, f"{module}.{alias.name}") for alias in node.names)


def floors_known(path: Path) -> Iterator[tuple[int, str]]:
    """The floors, foundation modules and names of the root that ``path`` imports."""
    for line, name in imported_names(path):
        parts = name.split(".")
        if parts[0] == "unroll":
            yield line, parts[1] if len(parts) > 1 else "unroll itself"


def wrong_imports(path: Path) -> Iterator[str]:
    own = floor_of(path)
    below = set() if own in FOUNDATION else {own, *FLOORS[FLOORS.index(own) :]}
    for line, known in floors_known(path):
        if known not in below | FOUNDATION | CORE:
            yield f"{path.relative_to(ROOT)}:{line} imports {known}"


def test_every_source_has_its_floor() -> None:
    assert {floor_of(p) for p in sources()} <= {*FLOORS, *FOUNDATION}


def test_imports_point_down() -> None:
    assert [wrong for path in sources() for wrong in wrong_imports(path)] == []


def test_kernels_know_nothing_but_themselves_and_the_foundation() -> None:
    known = {name for p in sources() if floor_of(p) == "kernels" for _, name in floors_known(p)}
    assert known <= {"kernels", "_native", *FOUNDATION}


@pytest.mark.parametrize(
    ("place", "line", "floor"),
    [
        ("nn/cells/gru.py", "from unroll.tasks import ForecastTask", "tasks"),
        ("kernels/ragged.py", "from unroll.nn.cell import Cell", "nn"),
        ("kernels/ragged.py", "import unroll.nn", "nn"),
        ("kernels/ragged.py", "from unroll import nn", "nn"),
        ("kernels/ragged.py", "def late():\n    from unroll import trace", "trace"),
        ("nn/cells/gru.py", "from ...report import page", "report"),
        ("errors.py", "from unroll.kernels import step", "kernels"),
        ("data/series/split.py", "import unroll", "unroll itself"),
    ],
)
def test_an_import_that_points_up_is_seen(
    place: str, line: str, floor: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The rule above can fail: it sees each form an import can take."""
    path = tmp_path / place
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(line, encoding="utf-8")
    monkeypatch.setattr(f"{__name__}.PACKAGE", tmp_path)
    monkeypatch.setattr(f"{__name__}.ROOT", tmp_path)
    (found,) = wrong_imports(path)
    assert found.endswith(f"imports {floor}")


def in_fresh_interpreter(code: str) -> Any:
    """What ``code`` leaves in ``result``."""
    script = f"import json, sys, time\n{code}\nprint(json.dumps(result))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=ROOT)
    return json.loads(done.stdout)


def foreign(modules: list[str]) -> set[str]:
    """Top-level names among ``modules`` that neither Python nor unroll brings."""
    return {m.partition(".")[0] for m in modules} - sys.stdlib_module_names - {"unroll"}


def test_importing_unroll_costs_nothing_beyond_python() -> None:
    result = in_fresh_interpreter(
        "before = set(sys.modules); start = time.perf_counter(); import unroll\n"
        "seconds = time.perf_counter() - start\n"
        "result = {'seconds': seconds, 'new': sorted(set(sys.modules) - before)}"
    )
    assert foreign(result["new"]) == set()
    assert [m for m in result["new"] if m.startswith("unroll.")] == []
    assert result["seconds"] < SECONDS


def test_importing_the_layers_needs_torch_alone() -> None:
    loaded_by_torch = in_fresh_interpreter("import torch\nresult = sorted(sys.modules)")
    result = in_fresh_interpreter(
        "import torch; start = time.perf_counter(); import unroll.nn\n"
        "seconds = time.perf_counter() - start\n"
        "result = {'seconds': seconds, 'all': sorted(sys.modules)}"
    )
    assert foreign(sorted(set(result["all"]) - set(loaded_by_torch))) == set()
    parts = {m.split(".")[1] for m in result["all"] if m.startswith("unroll.")}
    assert parts == {"nn", "kernels", "errors"}
    assert result["seconds"] < SECONDS


def code_files() -> list[Path]:
    return [p for p in PACKAGE.rglob("*") if p.suffix in (".py", ".cpp", ".h", ".cu")]


def test_no_file_is_too_long_to_be_read_in_one_go() -> None:
    lengths = {str(p.relative_to(ROOT)): len(p.read_text(encoding="utf-8").splitlines()) for p in code_files()}
    assert {name: length for name, length in lengths.items() if length >= LONGEST_FILE} == {}


MODULES = sorted(m.name for m in pkgutil.walk_packages(unroll.__path__, "unroll.") if not m.name.endswith("_native"))


@pytest.mark.parametrize("name", ["unroll", *MODULES])
def test_every_public_name_resolves(name: str) -> None:
    module = importlib.import_module(name)
    public = getattr(module, "__all__", [])
    assert len(set(public)) == len(public)
    assert [n for n in public if not hasattr(module, n)] == []


def test_the_root_lists_what_it_gives_and_refuses_the_rest() -> None:
    assert set(dir(unroll)) == set(unroll.__all__)
    missing = "no_such_name"
    with pytest.raises(AttributeError, match="module 'unroll' has no attribute 'no_such_name'"):
        getattr(unroll, missing)


HOMES = ["home", "root", "Users", "work", "tmp", "mnt", "media", "opt", "srv"]
MACHINE_PATH = re.compile(r"(?<![\w.~\-/])/(?:" + "|".join(HOMES) + r")/\w|\b[A-Z]:\\\\?\w")
"""Where a machine keeps a person's files, or a drive with a letter."""


def texts() -> Iterator[Path]:
    folders = ["src", "tests", "benchmarks", "docs", ".ci"]
    suffixes = {".py", ".cpp", ".h", ".md", ".toml", ".json", ".txt", ".yml", ".yaml", ".sh", ".html", ""}
    for path in [*ROOT.iterdir(), *(p for folder in folders for p in (ROOT / folder).rglob("*"))]:
        if path.is_file() and path.suffix in suffixes and path.name != ".git":
            yield path


def machine_paths(text: str) -> list[str]:
    return [line.strip() for line in text.splitlines() if MACHINE_PATH.search(line)]


def test_no_file_names_a_path_of_one_machine() -> None:
    found = {p: machine_paths(p.read_text(encoding="utf-8", errors="replace")) for p in texts()}
    assert {str(p.relative_to(ROOT)): lines for p, lines in found.items() if lines} == {}


@pytest.mark.parametrize("folder", HOMES)
def test_a_path_of_one_machine_is_seen(folder: str) -> None:
    assert machine_paths(f'open("/{folder}/someone/data.csv")')
    assert not machine_paths(f"runs/{folder}/someone and https://example.org/{folder}/x")
