"""``unroll evaluate``: score a trained run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from unroll.cli import options as o
from unroll.cli.output import print_json, say

Run = Annotated[Path, typer.Argument(metavar="RUN", help="Folder of a training or a comparison.")]
New = Annotated[
    str | None,
    typer.Argument(metavar="DATA", help="Data to score, as the run's own [default: the run's own test range]."),
]


def command(
    context: typer.Context,
    run: Run,
    data: New = None,
    missing: o.MissingAsRun = None,
    na: o.Na = None,
    delimiter: o.Delimiter = None,
    sort: o.Sort = False,
    drop_bad_rows: o.DropBadRows = False,
    skip_bad_series: o.SkipBadSeries = False,
    as_json: o.AsJson = False,
) -> None:
    """Score RUN beside baselines, on its own test part or on DATA that its training has not seen."""
    from unroll.report import render_scores
    from unroll.tasks import load_run

    scores = load_run(run).evaluate(data, **o.reading(context))
    if as_json:
        print_json(scores)
    else:
        say(render_scores(scores))
