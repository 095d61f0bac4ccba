"""``unroll datasets``: list, fetch with checksum, or point to a local copy."""

from __future__ import annotations

import sys
import textwrap
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from unroll.cli import options as o
from unroll.cli.help import Command
from unroll.cli.output import ProgressLine, columns, print_json, say, say_lines, shown

if TYPE_CHECKING:
    from unroll.data.registry.resolve import Dataset

app = typer.Typer(help="List the known data sets, fetch one, or point to a local copy.", rich_markup_mode=None)

Asked = Annotated[str | None, typer.Argument(metavar="NAME", help="Tell all of this one.", show_default="every set")]
Name = Annotated[str, typer.Argument(metavar="NAME", help="As `unroll datasets list` shows it.")]
Place = Annotated[Path, typer.Argument(metavar="PATH", help="A file, or a folder that holds the files somewhere.")]
Folder = Annotated[Path | None, o.option("--folder", "Where to put it.", "FOLDER", default="the cache", under=o.RUN)]


@app.callback(invoke_without_command=True)
def root(context: typer.Context) -> None:
    if context.invoked_subcommand is None:
        show(None, as_json=False)


@app.command("list", cls=Command)
def show(name: Asked = None, as_json: o.AsJson = False) -> None:
    """The data sets by task, and which are here; of one, where it comes from and a command that uses it."""
    from unroll.data.registry.resolve import dataset, datasets, locate_all

    asked = datasets() if name is None else (dataset(name),)
    rows = list(zip(asked, locate_all(asked)))
    if as_json:
        print_json([_facts(known, paths) for known, paths in rows])
    elif name is None:
        say_lines(_overview(rows))
    else:
        say_lines("\n".join(_details(known, paths) for known, paths in rows))


@app.command(cls=Command)
def fetch(name: Name, folder: Folder = None) -> None:
    """Download a data set and check it."""
    from unroll.data.registry import resolve as registry

    with ProgressLine() as line:
        paths = registry.fetch(
            name,
            folder=folder,
            progress=lambda file, done, total: line.show(f"{file} · {done / 1e6:.1f} of {total / 1e6:.1f} MB"),
        )
    for path in paths:
        say(f"{path}\n")


@app.command(cls=Command)
def use(path: Place) -> None:
    """Remember where a local copy lies."""
    from unroll.data.registry import resolve as registry

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", UserWarning)
        names = registry.use(path)
    for warning in caught:
        sys.stderr.write(shown(f"warning: {warning.message}", sys.stderr) + "\n")
    say(f"found {', '.join(names)}\n")


def _state(known: Dataset, paths: list[Path] | None) -> str:
    return "bundled" if known.bundled else "here" if paths else "-"


def _facts(known: Dataset, paths: list[Path] | None) -> dict[str, Any]:
    return {
        **{name: getattr(known, name) for name in ("name", "title", "task", "licence", "source", "command")},
        "bytes": sum(file.bytes for file in known.files),
        "here": bool(paths),
        "files": [str(path) for path in paths or []],
        "urls": list(dict.fromkeys(file.url for file in known.files)),
    }


def _overview(rows: list[tuple[Dataset, list[Path] | None]]) -> str:
    wide = max(len(known.name) for known, _ in rows) + 2
    lines = []
    for task in dict.fromkeys(known.task for known, _ in rows):
        lines += ["", task]
        for known, paths in rows:
            if known.task == task:
                head = f"  {known.name:<{wide}}{_state(known, paths):<9}"
                lines += _hung(head, known.title)
    tail = "unroll datasets list NAME tells where a set comes from and a command that uses it; fetch NAME downloads it."
    return "\n".join([*lines[1:], "", *textwrap.wrap(tail, columns())])


def _details(known: Dataset, paths: list[Path] | None) -> str:
    megabytes = sum(file.bytes for file in known.files) / 1e6
    rows = {
        "task": known.task,
        "state": f"{_state(known, paths)}"
        if paths
        else f"not here, {megabytes:.1f} MB: unroll datasets fetch {known.name}",
        "licence": known.licence,
        "source": known.source,
    }
    lines = [known.name, *_hung("  ", known.title)]
    lines += [line for label, text in rows.items() for line in _hung(f"  {label:<9}", text)]
    lines += [f"  {'file' if k == 0 else '':<9}{path}" for k, path in enumerate(paths or [])]
    return "\n".join([*lines, f"  {'command':<9}{known.command}"])


def _hung(head: str, text: str) -> list[str]:
    """``text`` after ``head``, its further lines below its first."""
    width = max(24, columns() - len(head))
    lines = textwrap.wrap(text, width, break_on_hyphens=False)
    return [(head if k == 0 else " " * len(head)) + line for k, line in enumerate(lines)]
