"""``unroll predict``: what a trained run says of data."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from unroll.cli import options as o
from unroll.cli.help import RUN
from unroll.cli.output import print_json, say

Run = Annotated[Path, typer.Argument(metavar="RUN", help="Folder of a training or a comparison.")]
New = Annotated[
    str | None, typer.Argument(metavar="DATA", help="History to forecast from [default: the run's own data].")
]
Destination = Annotated[Path | None, o.option("--out", "CSV file to write.", "FILE", default="stdout", under=RUN)]


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
    out: Destination = None,
    as_json: o.AsJson = False,
) -> None:
    """Forecast the steps that follow the end of DATA, as CSV. DATA needs history only, and what is
    known of the future where the run reads that.

    Of other tasks than forecasting: what the network says of every example of DATA.
    """
    from unroll.files import write_text
    from unroll.tasks import load_run

    found = load_run(run).predict(data, **o.reading(context))
    if out is not None:
        write_text(out, found.write_csv())
    if as_json:
        print_json(found.to_dicts())
    elif out is None:
        say(found.write_csv())
    else:
        say(f"{found.height:,} rows  {out}\n")
