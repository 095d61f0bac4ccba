"""The options that several commands share, each defined once."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from unroll.cli.task_options import typed_options
from unroll.options import DATA, NETWORK, RUN, TRAINING


def option(name: str, help: str, metavar: str | None = None, *, default: str | bool = True, under: str = DATA) -> Any:
    """A typer option. ``default`` is how the help names it where the code's default is None."""
    return typer.Option(name, metavar=metavar, help=help, show_default=default, rich_help_panel=under)


Data = Annotated[
    str | None,
    typer.Argument(metavar="DATA", help="CSV, TSV or Parquet file, or the name of a data set (unroll datasets)."),
]
TaskName = Annotated[
    str, option("--task", "What is learned: forecast, classify or tag; --help beside it lists its options.", "NAME")
]
Target = Annotated[
    list[str] | None,
    option("--target", "Column to forecast; repeat it, or say all.", "COLUMN", default="the only column of numbers"),
]
Horizon = Annotated[int | None, option("--horizon", "Steps ahead.", "N", default="a season, or at most 12")]
Input = Annotated[int | None, option("--input", "Steps of history.", "N", default="two seasons, or 16")]
Season = Annotated[int | None, option("--season", "Steps per season.", "N", default="found in the training data")]
Feature = Annotated[
    list[str] | None,
    option("--feature", "Column whose history is read too; repeat it, or say all.", "COLUMN"),
]
Time = Annotated[
    str | None, option("--time", "Time column; none numbers the rows.", "COLUMN", default="found by its dates or name")
]
Group = Annotated[str | None, option("--group", "Column that says which series a row belongs to.", "COLUMN")]
SplitOption = Annotated[str, option("--split", "Train, valid, test: fractions, row counts, or rest,48,48.", "A,B,C")]
_MISSING = (
    "Missing values: an error; carry: inputs repeat the last value, missing targets are never scored; mask: the same, "
    "and networks are told what was observed."
)
Missing = Annotated[str, option("--missing", _MISSING, "error|carry|mask")]
MissingAsRun = Annotated[str | None, option("--missing", _MISSING, "error|carry|mask", default="as the run's own data")]
Na = Annotated[
    list[str] | None,
    option("--na", "Text that means a missing value; repeat it. Empty cells, nan, NA and null always do.", "TEXT"),
]
Delimiter = Annotated[
    str | None, option("--delimiter", "Between the columns of a text file.", "CHAR", default="comma; tab for .tsv")
]
Layout = Annotated[
    str, option("--layout", "A row is one time of a series (long), or a whole series (rows).", "long|rows")
]
Sort = Annotated[bool, option("--sort", "Order the rows by time.")]
DropBadRows = Annotated[bool, option("--drop-bad-rows", "Leave out rows that cannot be read.")]
SkipBadSeries = Annotated[bool, option("--skip-bad-series", "Leave out series that cannot be used.")]
Hidden = Annotated[int, option("--hidden", "Units per layer.", "N", under=NETWORK)]
Layers = Annotated[int, option("--layers", "Layers.", "N", under=NETWORK)]
Dropout = Annotated[float, option("--dropout", "Dropout between layers, from 0 to below 1.", "P", under=NETWORK)]
Metric = Annotated[
    str,
    option("--metric", "What decides: MASE, MAE, RMSE, sMAPE or 'scaled MSE'.", "NAME", under=TRAINING),
]
Loss = Annotated[
    str | None,
    option(
        "--loss",
        "What is learned: squared (mse) or absolute (mae) errors of standardised values.",
        "mse|mae",
        default="the one that goes with --metric",
        under=TRAINING,
    ),
]
Epochs = Annotated[int, option("--epochs", "At most this many epochs.", "N", under=TRAINING)]
Patience = Annotated[int, option("--patience", "Stop after this many epochs without a gain.", "N", under=TRAINING)]
BatchSize = Annotated[int, option("--batch-size", "Examples per training step.", "N", under=TRAINING)]
Config = Annotated[
    Path | None,
    option("--config", "Repeat the run of this config.yaml; options given beside it win.", "FILE", under=RUN),
]
Overwrite = Annotated[bool, option("--overwrite", "Replace the run that is in the folder.", under=RUN)]
AsJson = Annotated[bool, option("--json", "Print one JSON value and nothing else.", under=RUN)]


def out(default: str) -> Any:
    """``--out``, whose default differs between commands."""
    return option("--out", "Folder of the run.", "FOLDER", default=default, under=RUN)


_RENAMED = {"feature": "features"}
_NOT_PASSED = ("data", "config", "as_json")


def arguments(context: typer.Context, renamed: dict[str, str] | None = None) -> dict[str, Any]:
    """Keyword arguments for ``unroll.api``: the options a person typed, without those left at their default."""
    names = _RENAMED | (renamed or {})
    declared = {
        names.get(name, name): value
        for name, value in context.params.items()
        if name not in _NOT_PASSED and _typed(context, name)
    }
    return declared | typed_options(context)


def reading(context: typer.Context) -> dict[str, Any]:
    """Of those, how data is read: what a person changes from how the run's own data was read."""
    return {name: value for name, value in arguments(context).items() if name not in ("run", "out")}


def _typed(context: typer.Context, name: str) -> bool:
    source = context.get_parameter_source(name)
    return source is not None and source.name != "DEFAULT"
