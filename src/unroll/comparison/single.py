"""One network with the figures of a comparison beside it: baselines, intervals, a look inside."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from unroll.comparison.inside import look_inside, step_microseconds
from unroll.comparison.result import Measured, assemble
from unroll.comparison.run import Clock, Comparison, curve
from unroll.errors import RunError
from unroll.machine import cores, peak_memory_mb
from unroll.tasks import NetworkOptions, prepare, source_name, task_kind
from unroll.train import FitSettings, Processes, RunFolder


def run_training(
    source: Any,
    data: Any,
    learned: Any,
    network: NetworkOptions,
    settings: FitSettings,
    folder: Path,
    *,
    overwrite: bool = False,
    on_epoch: Callable[[dict[str, Any]], None] | None = None,
    on_note: Callable[[str], None] | None = None,
) -> Comparison:
    """Train ``network`` in ``folder``, continuing what is there, and score it beside the baselines.

    Of several processes the first alone scores and writes; all are given the result.

    Raises:
        DataError, ConfigError: before anything is trained.
        RunError: ``folder`` holds another run or cannot be written, or training diverged at once.
    """
    clock, processes = Clock(), Processes()
    network.check()
    task = prepare(source, data, learned)
    task.parameters(network)  # one that cannot be built is refused before anything is written
    estimator = task_kind(learned.task).estimator().from_options(network, learned, settings, data)
    estimator.source = source_name(source)
    run = processes.from_main(lambda: RunFolder.open_for(folder, estimator.config(), overwrite=overwrite))
    if processes.from_main(run.has_result):
        return Comparison(run.read_result(), run.path)
    if on_note is not None and processes.is_main:
        for note in task.forewarn([network], settings):
            on_note(note)
    estimator.fit_prepared(task, source, folder, progress=on_epoch)
    assert estimator.network is not None
    assert estimator.result is not None
    fitted = estimator.result
    if fitted.best_epoch == 0:
        raise RunError("training diverged in its first epoch", fix=f"Give a lower --lr than {settings.lr:g}")
    if not processes.is_main:
        return Comparison(processes.from_main(dict), run.path)
    errors = task.errors(estimator.network)
    seed = {
        "seed": settings.seed,
        "scores": errors.scores(),
        **errors.details(),
        "epochs": fitted.epochs,
        "best_epoch": fitted.best_epoch,
        "train_seconds": fitted.train_seconds,
        "stopped": fitted.stopped,
        "parameters": sum(p.numel() for p in estimator.network.parameters()),
        "peak_memory_mb": peak_memory_mb(),
    }
    measured = Measured(
        network=network,
        trial="",
        lr=settings.lr,
        search=[],
        seeds=[seed],
        errors=[errors],
        curves=[curve(run, settings.seed)],
        inside=look_inside(task, network, estimator.network, settings.seed),
        step_microseconds=step_microseconds(estimator.network),
    )
    trained = estimator.network
    result = assemble(task, [measured], [], folder=run.path, match="hidden", network_of=lambda m: trained)
    command = f"unroll train --config {run.config_file}"
    shared = {"workers": processes.count, "threads_per_worker": max(1, cores() // processes.count)}
    config = estimator.config()
    result["repeat"] = clock.record(command, config, [settings.seed], machine=shared, budget=None)
    run.write_json("result.json", result)
    return Comparison(processes.from_main(lambda: result), run.path)
