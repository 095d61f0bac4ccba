"""The options that several commands share, each defined once."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

Data = Annotated[
    str | None,
    typer.Argument(metavar="DATA", help="CSV, TSV or Parquet file, or the name of a data set (see: unroll datasets)."),
]
Config = Annotated[
    Path | None, typer.Option("--config", metavar="FILE", help="Repeat the run of this config.yaml; other options win.")
]
Target = Annotated[
    list[str] | None, typer.Option("--target", metavar="COLUMN", help="Column to forecast; repeat it, or say all.")
]
Feature = Annotated[
    list[str] | None,
    typer.Option("--feature", metavar="COLUMN", help="Column whose history is read too; repeat it, or say all."),
]
Horizon = Annotated[int | None, typer.Option("--horizon", metavar="N", help="Steps ahead [default: a season].")]
Input = Annotated[int | None, typer.Option("--input", metavar="N", help="Steps of history [default: two seasons].")]
Season = Annotated[
    int | None, typer.Option("--season", metavar="N", help="Steps per season [default: found in the training data].")
]
SplitOption = Annotated[
    str, typer.Option("--split", metavar="A,B,C", help="Train, valid, test: fractions, row counts, or rest,48,48.")
]
Time = Annotated[
    str | None, typer.Option("--time", metavar="COLUMN", help="Time column [default: found]; none numbers the rows.")
]
Group = Annotated[
    str | None, typer.Option("--group", metavar="COLUMN", help="Column that says which series a row belongs to.")
]
Delimiter = Annotated[str | None, typer.Option("--delimiter", metavar="CHAR", help="Between columns of a text file.")]
Layout = Annotated[str, typer.Option("--layout", help="long: a row is a time; rows: a row is a whole series.")]
Na = Annotated[list[str] | None, typer.Option("--na", metavar="TEXT", help="Text that means a missing value.")]
Missing = Annotated[
    str,
    typer.Option("--missing", help="error, or carry: inputs repeat the last value, missing values are never scored."),
]
Sort = Annotated[bool, typer.Option("--sort", help="Order the rows by time.")]
DropBadRows = Annotated[bool, typer.Option("--drop-bad-rows", help="Leave out rows that cannot be read.")]
SkipBadSeries = Annotated[bool, typer.Option("--skip-bad-series", help="Leave out series that cannot be used.")]
Hidden = Annotated[int, typer.Option("--hidden", metavar="N", help="Units per layer.")]
Layers = Annotated[int, typer.Option("--layers", metavar="N", help="Layers.")]
Dropout = Annotated[float, typer.Option("--dropout", metavar="P", help="Dropout between layers.")]
Loss = Annotated[str, typer.Option("--loss", help="mse or mae, on standardised values.")]
Epochs = Annotated[int, typer.Option("--epochs", metavar="N", help="At most this many epochs.")]
Patience = Annotated[int, typer.Option("--patience", metavar="N", help="Stop after this many without a gain.")]
BatchSize = Annotated[int, typer.Option("--batch-size", metavar="N", help="Windows per step.")]
Out = Annotated[Path | None, typer.Option("--out", metavar="FOLDER", help="Run folder [default: runs/NAME].")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace the run that is in the folder.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")]


_RENAMED = {"feature": "features"}
_NOT_PASSED = ("data", "config", "as_json")


def arguments(context: typer.Context, renamed: dict[str, str] | None = None) -> dict[str, Any]:
    """Keyword arguments for ``unroll.api``: the options a person typed, without those left at their default."""
    names = _RENAMED | (renamed or {})
    return {
        names.get(name, name): value
        for name, value in context.params.items()
        if name not in _NOT_PASSED and _typed(context, name)
    }


def _typed(context: typer.Context, name: str) -> bool:
    source = context.get_parameter_source(name)
    return source is not None and source.name != "DEFAULT"
