"""``unroll train``: one network."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from unroll.cli import options as o
from unroll.cli.output import ProgressLine, print_result
from unroll.options import NETWORK, TRAINING

CellOption = Annotated[str, o.option("--cell", "The cell: a name, or package.module:Class.", "NAME", under=NETWORK)]
Rate = Annotated[float, o.option("--lr", "Learning rate.", "RATE", under=TRAINING)]
Seed = Annotated[int, o.option("--seed", "Of the weights, the order of the data and dropout.", "N", under=TRAINING)]
Out = Annotated[Path | None, o.out("runs/NAME-CELL, after DATA")]


def command(
    context: typer.Context,
    data: o.Data = None,
    task: o.TaskName = "forecast",
    target: o.Target = None,
    feature: o.Feature = None,
    horizon: o.Horizon = None,
    input: o.Input = None,
    season: o.Season = None,
    split: o.SplitOption = "0.7,0.15,0.15",
    time: o.Time = None,
    group: o.Group = None,
    missing: o.Missing = "error",
    na: o.Na = None,
    sort: o.Sort = False,
    drop_bad_rows: o.DropBadRows = False,
    skip_bad_series: o.SkipBadSeries = False,
    delimiter: o.Delimiter = None,
    layout: o.Layout = "long",
    cell: CellOption = "gru",
    hidden: o.Hidden = 64,
    layers: o.Layers = 1,
    dropout: o.Dropout = 0.0,
    lr: Rate = 3e-3,
    seed: Seed = 0,
    metric: o.Metric = "MASE",
    loss: o.Loss = None,
    epochs: o.Epochs = 60,
    patience: o.Patience = 8,
    batch_size: o.BatchSize = 64,
    out: Out = None,
    overwrite: o.Overwrite = False,
    config: o.Config = None,
    as_json: o.AsJson = False,
) -> None:
    """Train one network on DATA and score it beside the baselines.

    Killed and started again, it continues from its last checkpoint and gives the same numbers. Started by torchrun or
    accelerate launch, several processes train it together.
    """
    from unroll.api import again, train
    from unroll.train import Processes

    typed = o.arguments(context)
    speaks = Processes().is_main
    with ProgressLine(quiet=as_json or not speaks) as line:
        typed["on_note"] = line.note
        typed["on_epoch"] = lambda record: line.show(told(record))
        found = train(data, **typed) if config is None else again(config, "training", data, **typed)
    if speaks:
        print_result(found.result, str(found.report), as_json)


def told(record: dict[str, Any]) -> str:
    """An epoch, for the progress line."""
    loss = record["valid_loss"]
    return f"epoch {record['epoch']} · validation loss {'not a number' if loss is None else f'{loss:.4g}'}"
