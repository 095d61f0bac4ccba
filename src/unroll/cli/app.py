"""The ``unroll`` command: its sub-commands, and how errors reach a person."""

from __future__ import annotations

import os
import sys

import typer

from unroll import __version__
from unroll.cli import compare, datasets, evaluate, predict, train
from unroll.cli.output import fail
from unroll.errors import UnrollError

app = typer.Typer(
    name="unroll",
    help="Train recurrent networks on your own sequences, compare them with honest baselines, see inside.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
app.command("compare")(compare.command)
app.command("train")(train.command)
app.command("evaluate")(evaluate.command)
app.command("predict")(predict.command)
app.add_typer(datasets.app, name="datasets")

INTERRUPTED = 130


@app.callback(invoke_without_command=True)
def root(
    context: typer.Context,
    version: bool = typer.Option(False, "--version", help="Print the version and what it was built with."),
) -> None:
    if version:
        typer.echo(version_line())
        raise typer.Exit
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


def version_line() -> str:
    """``unroll 0.1.0 (torch 2.13.0, C++ core: gcc 12.2.0, avx512)``."""
    import importlib.metadata

    from unroll.machine import native_core

    native = native_core()
    core = f"{native['compiler']}, {native['instruction_sets'][0]}" if native else "not built"
    return f"unroll {__version__} (torch {importlib.metadata.version('torch')}, C++ core: {core})"


def main() -> None:
    """Run the command line; a person sees one clear message, never a traceback."""
    try:
        app()
    except UnrollError as error:
        fail(error)
        sys.exit(2)
    except KeyboardInterrupt:
        sys.stderr.write("\ninterrupted: the same command continues where this one stopped\n")
        sys.exit(INTERRUPTED)
    except BrokenPipeError:
        # The reader of our output has gone, as `| head` does.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
    except Exception as error:
        if os.environ.get("UNROLL_TRACEBACK"):
            raise
        fail(
            UnrollError(
                f"unroll failed in a way it should not: {type(error).__name__}: {error}",
                fix="Set UNROLL_TRACEBACK=1 and run it again to see where, and report it",
            )
        )
        sys.exit(1)
