"""``unroll bench``: this machine, unroll beside torch.nn and the others."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from unroll.cli import options as o
from unroll.cli.output import ProgressLine, print_json, say_lines
from unroll.errors import ConfigError
from unroll.options import RUN

CASES, HOW = "Cases", "Measurement"

Family = Annotated[
    list[str] | None, o.option("--family", "RNN, LSTM or GRU; repeat it.", "NAME", default="all", under=CASES)
]
Work = Annotated[
    list[str] | None,
    o.option(
        "--work",
        "forward, training, step, ragged, options, captured or long; repeat it.",
        "NAME",
        default="all but long, which takes minutes and gigabytes",
        under=CASES,
    ),
]
ShapeOption = Annotated[
    list[str] | None,
    o.option("--shape", "Batch, steps, input, hidden; repeat it.", "B,T,I,H", default="the nine of the goals",
             under=CASES),
]  # fmt: skip
Quick = Annotated[bool, o.option("--quick", "A few small shapes and few repeats: seconds.", under=CASES)]
Threads = Annotated[
    str | None,
    o.option("--threads", "Numbers of threads, one after the other.", "N,N", default="1,2 on two cores", under=HOW),
]
Repeats = Annotated[
    int | None,
    o.option("--repeats", "How often a case is timed at most.", "N", default="21, with --quick 5", under=HOW),
]
Beside = Annotated[
    list[str] | None,
    o.option("--beside", "Besides torch.nn: onnx, jax, eager or none; repeat it.", "NAME", default="all that are here",
             under=HOW),
]  # fmt: skip
Out = Annotated[Path | None, o.option("--out", "JSON file to write.", "FILE", default="none", under=RUN)]


def command(
    family: Family = None,
    work: Work = None,
    shape: ShapeOption = None,
    quick: Quick = False,
    threads: Threads = None,
    repeats: Repeats = None,
    beside: Beside = None,
    out: Out = None,
    as_json: o.AsJson = False,
) -> None:
    """Measure unroll's layers on this machine: equal numbers first, then times beside torch.nn's and others'.

    Each library runs in a process of its own and one works at a time. Where numbers differ by more than they may, no
    speed is printed and the exit code is 1.
    """
    from unroll import bench
    from unroll.files import write_json

    with ProgressLine(quiet=as_json) as progress:
        told = _Told(progress, quiet=as_json)
        result = bench.measure(
            family or (), work or (), shape or (), threads=_numbers(threads), repeats=repeats, quick=quick,
            beside=None if beside is None else [name for name in beside if name != "none"], on_event=told,
        )  # fmt: skip
    # The file last: where it cannot be written, what took long to measure has been printed.
    if as_json:
        print_json(result)
    else:
        say_lines(bench.closing(result))
    if out is not None:
        write_json(out, result)
    if not result["equal"]:
        raise typer.Exit(1)


class _Told:
    """Prints rows as they come, with a line below them that says what is being measured."""

    def __init__(self, progress: ProgressLine, quiet: bool) -> None:
        self.progress, self.quiet = progress, quiet
        self.done, self.cases, self.work = 0, 1, ""

    def __call__(self, event: str, what: dict[str, Any]) -> None:
        if self.quiet:
            return
        from unroll import bench

        if event == "start":
            self.cases = what["cases"]
        elif event == "threads":
            self.work = ""
            self._print(("\n" if self.done else "") + bench.opening(what, what["threads"]))
        elif event == "case":
            case = what["case"]
            left = self.progress.remaining(self.done / self.cases)
            self.progress.show(f"{self.done} of {self.cases}{left} · {case.family} {case.work} {case.shape}")
        else:
            self.done += 1
            text = bench.heading(what["work"]) if what["work"] != self.work else ""
            self.work = what["work"]
            self._print(text + bench.line(what))

    def _print(self, text: str) -> None:
        self.progress.clear()
        say_lines(text)


def _numbers(text: str | None) -> list[int] | None:
    if text is None:
        return None
    try:
        return [int(part) for part in text.split(",")]
    except ValueError:
        raise ConfigError(f"--threads {text}", expected="whole numbers with commas between: 1,2") from None
