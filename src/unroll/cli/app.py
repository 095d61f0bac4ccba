"""The ``unroll`` command: its sub-commands, and how errors reach a person."""

from __future__ import annotations

import os
import sys
import warnings
from typing import Any

import typer

from unroll import __version__
from unroll.cli import backtest, bench, compare, datasets, evaluate, predict, train
from unroll.cli.help import Command, Group
from unroll.cli.output import drop_stdout, fail, open_streams, say
from unroll.cli.task_options import TaskCommand
from unroll.cli.usage import UsageError, in_our_words
from unroll.errors import UnrollError

app = typer.Typer(
    name="unroll",
    cls=Group,
    help="Train recurrent networks on your own sequences, compare them with honest baselines, see inside.",
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
app.command("compare", cls=TaskCommand, short_help="Train the candidates and the baselines, recommend one.")(
    compare.command
)
app.command("train", cls=TaskCommand, short_help="Train one network.")(train.command)
app.command("backtest", cls=TaskCommand, short_help="Forecast from places of the past, as it would have been.")(
    backtest.command
)
app.command("evaluate", cls=TaskCommand, short_help="Score a trained run beside the baselines.")(evaluate.command)
app.command("predict", cls=TaskCommand, short_help="Forecast the steps that follow.")(predict.command)
app.command("bench", cls=Command, short_help="Measure this machine: unroll beside torch.nn and others.")(bench.command)
app.add_typer(datasets.app, name="datasets", cls=Group, short_help="List data sets, fetch one, or use a local copy.")

FAILED, UNUSABLE, INTERRUPTED = 1, 2, 130


@app.callback(invoke_without_command=True)
def root(
    context: typer.Context,
    version: bool = typer.Option(False, "--version", help="Print the version and what it was built with."),
) -> None:
    if version:
        say(version_line() + "\n")
        raise typer.Exit
    if context.invoked_subcommand is None:
        say(context.get_help() + "\n")


def version_line() -> str:
    """``unroll 0.1.0 (torch 2.13.0, C++ core: gcc 12.2.0, avx512)``."""
    import importlib.metadata

    from unroll.machine import native_core

    native = native_core()
    core = f"{native['compiler']}, {native['instruction_sets'][0]}" if native else "not built"
    return f"unroll {__version__} (torch {importlib.metadata.version('torch')}, C++ core: {core})"


def main() -> None:
    """Run the command line; a person sees one clear message, never a traceback."""
    open_streams()
    if not sys.warnoptions:
        # What libraries warn each other of is no result; -W and PYTHONWARNINGS show it.
        warnings.simplefilter("ignore")
    # Last, so that it hides nothing: --cell my_module:MyCell is found beside the data.
    if "" not in sys.path:
        sys.path.append("")
    sys.exit(run(sys.argv[1:]))


def run(arguments: list[str]) -> int:
    """Run one command and return its exit code."""
    try:
        return _invoke(arguments)
    except KeyboardInterrupt:
        again = ": the same command continues where this one stopped" if arguments[:1] in _CONTINUED else ""
        sys.stderr.write(f"\ninterrupted{again}\n")
        return INTERRUPTED
    except BrokenPipeError:
        # The reader of our output has gone, as `| head` does.
        drop_stdout()
        return 0
    except Exception as error:
        if os.environ.get("UNROLL_TRACEBACK"):
            raise
        told, code = _told(error, arguments)
        fail(told)
        return code


_CONTINUED = (["compare"], ["train"], ["backtest"])
_TOO_LARGE = ("allocate memory", "out of memory", "verflow")
_SMALLER = "Give a smaller --hidden, --layers, --input, --horizon, --season or --batch-size, or fewer --workers"
_REFUSED = "The system refused it: check the path, its permissions and the room on its disk"
_REPORT = "Set UNROLL_TRACEBACK=1 and run it again to see where, and report it"


def _invoke(arguments: list[str]) -> int:
    """Typer's own ``main`` would print errors its way and swallow an interrupt."""
    command: Any = typer.main.get_command(app)
    try:
        with command.make_context("unroll", arguments) as context:
            command.invoke(context)
    except typer.Exit as done:
        return int(done.exit_code)
    return 0


def _told(error: Exception, arguments: list[str]) -> tuple[UnrollError, int]:
    """``error`` in words for the one who typed the command, and the exit code."""
    if isinstance(error, UnrollError):
        return error, UNUSABLE
    if isinstance(error, UsageError):
        return in_our_words(error, arguments), UNUSABLE
    what = str(error) or type(error).__name__
    if isinstance(error, (MemoryError, OverflowError)) or any(sign in what for sign in _TOO_LARGE):
        return UnrollError(f"too large for this machine: {what.splitlines()[0]}", fix=_SMALLER), UNUSABLE
    if isinstance(error, OSError):
        where = f"{error.filename}: " if error.filename is not None else ""
        return UnrollError(f"{where}{(error.strerror or what).lower()}", fix=_REFUSED), UNUSABLE
    return UnrollError(f"unroll failed in a way it should not: {type(error).__name__}: {what}", fix=_REPORT), FAILED
