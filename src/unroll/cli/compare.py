"""``unroll compare``: train the candidates and the baselines, recommend one."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from unroll.cli import options as o
from unroll.cli.output import ProgressLine, print_result
from unroll.options import NETWORK, TRAINING

Cells = Annotated[
    list[str] | None,
    o.option(
        "--cell", "A cell to compare: a name, or package.module:Class; repeat it.", "NAME",
        default="rnn, lstm and gru", under=NETWORK,
    ),
]  # fmt: skip
Match = Annotated[
    str,
    o.option("--match", "Cells of equal width (hidden) or of about equal parameters.", "hidden|params", under=NETWORK),
]
Rates = Annotated[
    list[float] | None,
    o.option("--lr", "A learning rate to search; repeat it.", "RATE", default="0.001, 0.003 and 0.01", under=TRAINING),
]
Seeds = Annotated[int, o.option("--seeds", "Trainings per cell at its best rate.", "N", under=TRAINING)]
Budget = Annotated[
    str | None,
    o.option("--budget", "Bound on all training together: 90s, 2m, 1h.", "TIME", default="none", under=TRAINING),
]
Workers = Annotated[
    int | None, o.option("--workers", "Trainings at once.", "N", default="one per core", under=TRAINING)
]
Out = Annotated[Path | None, o.out("runs/NAME, after DATA")]


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
    cell: Cells = None,
    hidden: o.Hidden = 64,
    layers: o.Layers = 1,
    dropout: o.Dropout = 0.0,
    match: Match = "hidden",
    seeds: Seeds = 3,
    budget: Budget = None,
    lr: Rates = None,
    metric: o.Metric = "MASE",
    loss: o.Loss = None,
    epochs: o.Epochs = 60,
    patience: o.Patience = 8,
    batch_size: o.BatchSize = 64,
    workers: Workers = None,
    out: Out = None,
    overwrite: o.Overwrite = False,
    config: o.Config = None,
    as_json: o.AsJson = False,
) -> None:
    """Train RNN, LSTM, GRU and the baselines on DATA and say which to use.

    Each cell gets a small search for its learning rate, then several seeds. Started again, a comparison that was
    interrupted continues with what is missing.
    """
    from unroll.api import again, compare

    typed = o.arguments(context, {"cell": "cells", "lr": "lrs"})
    with ProgressLine(quiet=as_json) as line:
        typed["on_note"] = line.note
        typed["on_progress"] = lambda progress: line.show(_told(progress, line))
        found = compare(data, **typed) if config is None else again(config, "comparison", data, **typed)
    print_result(found.result, str(found.report), as_json)


def _told(progress: Any, line: ProgressLine) -> str:
    running = ", ".join(f"{trial} epoch {epoch}" for trial, epoch in progress.running.items())
    left = line.remaining(progress.done / max(1, progress.total))
    return f"{progress.done} of {progress.total} trainings{left} · {running}"
