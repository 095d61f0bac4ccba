"""``unroll predict``: the steps that follow."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from unroll.cli import options as o
from unroll.cli.output import print_json

Run = Annotated[Path, typer.Argument(metavar="RUN", help="Folder of a training or a comparison.")]
New = Annotated[
    str | None, typer.Argument(metavar="[DATA]", help="History to forecast from [default: the run's own data].")
]
Destination = Annotated[Path | None, typer.Option("--out", metavar="FILE", help="Write CSV here [default: stdout].")]


def command(run: Run, data: New = None, out: Destination = None, as_json: o.AsJson = False) -> None:
    """Forecast the steps after the end of DATA, which needs history only."""
    from unroll.files import write_text
    from unroll.tasks import Forecaster

    forecast = Forecaster.load(run).predict(data)
    if as_json:
        print_json(forecast.to_dicts())
    elif out is None:
        typer.echo(forecast.write_csv(), nl=False)
    else:
        write_text(out, forecast.write_csv())
        typer.echo(f"{forecast.height:,} rows  {out}")
