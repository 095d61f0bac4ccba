"""``unroll backtest``: one network, forecast from places of the past."""

from __future__ import annotations

import inspect
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from unroll.cli import options as o
from unroll.cli import train
from unroll.cli.output import ProgressLine, columns, print_json, say, unicode_shows
from unroll.options import RUN

Origins = Annotated[int, o.option("--origins", "How many forecasts; the last one ends with the data.", "N", under=RUN)]
Step = Annotated[
    int | None, o.option("--step", "Rows from one origin to the next.", "N", default="the horizon", under=RUN)
]
Refit = Annotated[
    int,
    o.option("--refit", "Train a new network every N origins; 0 trains one, before the first.", "N", under=RUN),
]
Out = Annotated[Path | None, o.out("runs/NAME-CELL-backtest, after DATA")]
_OWN: dict[str, tuple[Any, Any]] = {
    "origins": (Origins, 5),
    "step": (Step, None),
    "refit": (Refit, 0),
    "out": (Out, None),
}


def command(context: typer.Context, **given: Any) -> None:
    """Forecast DATA from several places of its past, each time knowing only what was known there.

    The baselines are scored at the same origins. Killed and started again, it continues where it stopped.
    """
    from unroll.api import again, backtest
    from unroll.report import backtest_text

    data, config, as_json = given["data"], given["config"], given["as_json"]
    typed = o.arguments(context)
    with ProgressLine(quiet=as_json) as line:
        typed["on_epoch"] = lambda record: line.show(_told(record))
        found = backtest(data, **typed) if config is None else again(config, "backtest", data, **typed)
    if as_json:
        print_json(found.result)
    else:
        say(
            backtest_text(
                found.result, width=columns(), unicode=unicode_shows(sys.stdout), report_path=str(found.report)
            )
        )


def _told(record: dict[str, Any]) -> str:
    return f"training {record['refit']} of {record['refits']} · {train.told(record)}"


def _declare() -> None:
    """The options of ``unroll train`` and the three of a backtest: typer reads them off the signature."""
    own = inspect.signature(train.command, eval_str=True)
    added = [
        inspect.Parameter(name, inspect.Parameter.POSITIONAL_OR_KEYWORD, default=default, annotation=annotation)
        for name, (annotation, default) in _OWN.items()
    ]
    kept = [p for p in own.parameters.values() if p.name not in _OWN]
    signature = own.replace(parameters=[*kept, *added])
    command.__signature__ = signature  # type: ignore[attr-defined]
    command.__annotations__ = {p.name: p.annotation for p in signature.parameters.values()}


_declare()
