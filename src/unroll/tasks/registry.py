"""The tasks by name. A new one is a room here and a line below: commands, comparison and report follow."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from unroll.errors import ConfigError, RunError, did_you_mean
from unroll.tasks.classify.task import KIND as CLASSIFY
from unroll.tasks.contract import Task, TaskKind
from unroll.tasks.estimator import Estimator
from unroll.tasks.forecast.task import KIND as FORECAST
from unroll.tasks.tag.task import KIND as TAG
from unroll.train import RunFolder

DEFAULT = "forecast"

TASKS: dict[str, TaskKind] = {kind.name: kind for kind in (FORECAST, CLASSIFY, TAG)}


def task_kind(name: str) -> TaskKind:
    """The registered task ``name``.

    Raises:
        ConfigError: there is none of this name.
    """
    if name not in TASKS:
        raise ConfigError(
            f"unknown task '{name}'.{did_you_mean(name, TASKS)}",
            expected=f"one of {', '.join(TASKS)}",
            fix=f"Give --task {DEFAULT}",
        )
    return TASKS[name]


def prepare(source: Any, data: Any, options: Any) -> Task:
    """Read, check, split, fit and batch ``source`` for the task that ``options`` are of.

    Raises:
        DataError: the data cannot be used; the message names file, row, column or series.
        ConfigError: an option is wrong.
    """
    return task_kind(options.task).prepare(source, data, options)


def load_run(folder: str | Path) -> Estimator:
    """The trained estimator of a run folder, whatever its task.

    Raises:
        RunError: no such run, or it is damaged, unfinished, or of another version.
    """
    run = RunFolder.existing(folder)
    name = run.read_config().get("task", DEFAULT)
    if name not in TASKS:
        raise RunError(
            f"{run.path} is a run of the task '{name}'",
            expected=f"one of {', '.join(TASKS)}",
            fix="Use the version of unroll that made it",
        )
    return TASKS[name].estimator().load(folder)
