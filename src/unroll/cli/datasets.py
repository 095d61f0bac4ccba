"""``unroll datasets``: list, fetch with checksum, or point to a local copy."""

from __future__ import annotations

import sys
import warnings
from pathlib import Path
from typing import Annotated

import typer

from unroll.cli import options as o
from unroll.cli.help import Command
from unroll.cli.output import ProgressLine, print_json, say, shown

app = typer.Typer(help="List the known data sets, fetch one, or point to a local copy.", rich_markup_mode=None)

Name = Annotated[str, typer.Argument(metavar="NAME", help="As `unroll datasets list` shows it.")]
Place = Annotated[Path, typer.Argument(metavar="PATH", help="A file, or a folder that holds the files somewhere.")]
Folder = Annotated[Path | None, o.option("--folder", "Where to put it.", "FOLDER", default="the cache", under=o.RUN)]


@app.callback(invoke_without_command=True)
def root(context: typer.Context) -> None:
    if context.invoked_subcommand is None:
        show(as_json=False)


@app.command("list", cls=Command)
def show(as_json: o.AsJson = False) -> None:
    """The data sets, where they come from, and which are here."""
    from unroll.data.registry import datasets, locate

    rows = [(d, locate(d.name)) for d in datasets()]
    if as_json:
        print_json(
            [
                {"name": d.name, "title": d.title, "task": d.task, "licence": d.licence, "source": d.source}
                | {"command": d.command, "files": [str(p) for p in paths or []]}
                for d, paths in rows
            ]
        )
        return
    for dataset, paths in rows:
        state = "bundled" if dataset.bundled else "here" if paths else "not here"
        say(f"  {dataset.name:<15}{state}\n    {dataset.title}\n    {dataset.command}\n")


@app.command(cls=Command)
def fetch(name: Name, folder: Folder = None) -> None:
    """Download a data set and check it."""
    from unroll.data import registry

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
    from unroll.data import registry

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", UserWarning)
        names = registry.use(path)
    for warning in caught:
        sys.stderr.write(shown(f"warning: {warning.message}", sys.stderr) + "\n")
    say(f"found {', '.join(names)}\n")
