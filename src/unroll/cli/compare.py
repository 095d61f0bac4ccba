"""``unroll compare``: train the candidates and the baselines, recommend one."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from unroll.cli import options as o
from unroll.cli.output import ProgressLine, print_result

Cells = Annotated[
    list[str] | None,
    typer.Option("--cell", metavar="NAME", help="A cell to compare; repeat it [default: rnn, lstm, gru]."),
]
Match = Annotated[str, typer.Option("--match", help="hidden: equal widths; params: about equal parameters.")]
Rates = Annotated[
    list[float] | None,
    typer.Option("--lr", metavar="RATE", help="A learning rate to search; repeat it [default: .001, .003, .01]."),
]
Seeds = Annotated[int, typer.Option("--seeds", metavar="N", help="Trainings per cell at its best rate.")]
Budget = Annotated[str | None, typer.Option("--budget", metavar="TIME", help="Bound on all training: 90s, 2m, 1h.")]
Workers = Annotated[int | None, typer.Option("--workers", metavar="N", help="Processes [default: one per core].")]


def command(
    context: typer.Context,
    data: o.Data = None,
    target: o.Target = None,
    horizon: o.Horizon = None,
    cell: Cells = None,
    hidden: o.Hidden = 64,
    layers: o.Layers = 1,
    dropout: o.Dropout = 0.0,
    match: Match = "hidden",
    lr: Rates = None,
    seeds: Seeds = 3,
    budget: Budget = None,
    workers: Workers = None,
    feature: o.Feature = None,
    time: o.Time = None,
    group: o.Group = None,
    input: o.Input = None,
    season: o.Season = None,
    split: o.SplitOption = "0.7,0.15,0.15",
    missing: o.Missing = "error",
    na: o.Na = None,
    delimiter: o.Delimiter = None,
    layout: o.Layout = "long",
    sort: o.Sort = False,
    drop_bad_rows: o.DropBadRows = False,
    skip_bad_series: o.SkipBadSeries = False,
    loss: o.Loss = "mse",
    epochs: o.Epochs = 60,
    patience: o.Patience = 8,
    batch_size: o.BatchSize = 64,
    config: o.Config = None,
    out: o.Out = None,
    overwrite: o.Overwrite = False,
    as_json: o.AsJson = False,
) -> None:
    """Train RNN, LSTM, GRU and the baselines on DATA and say which to use.

    Each cell gets a small search for its learning rate, then several seeds. Started again, a comparison that was
    interrupted continues with what is missing.
    """
    from unroll.api import again, compare

    typed = o.arguments(context, {"cell": "cells", "lr": "lrs"})
    with ProgressLine(quiet=as_json) as line:
        typed["on_progress"] = lambda progress: line.show(_told(progress, line))
        found = compare(data, **typed) if config is None else again(config, "comparison", data, **typed)
    print_result(found.result, str(found.report), as_json)


def _told(progress: Any, line: ProgressLine) -> str:
    running = ", ".join(f"{trial} epoch {epoch}" for trial, epoch in progress.running.items())
    left = line.remaining(progress.done / max(1, progress.total))
    return f"{progress.done} of {progress.total} trainings{left} · {running}"
