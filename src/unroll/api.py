"""Whole jobs from Python, report included: ``unroll.compare``, and what the commands call."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any, TypeVar

from unroll.comparison import (
    Backtest,
    BacktestOptions,
    CompareOptions,
    Comparison,
    Progress,
    run_backtest,
    run_comparison,
    run_training,
)
from unroll.comparison.plan import CELLS, LEARNING_RATES
from unroll.errors import ConfigError, RunError
from unroll.report import write_backtest, write_report
from unroll.tasks import (
    DEFAULT,
    ForecastOptions,
    NetworkOptions,
    TaskKind,
    check_known,
    duration,
    names,
    stem,
    task_kind,
)
from unroll.train import FitSettings, Processes, RunFolder
from unroll.train.run_folder import read_config

_T = TypeVar("_T")
_RENAMED = {"target": "targets"}


def compare(
    data: Any,
    *,
    task: str = DEFAULT,
    target: str | Sequence[str] = (),
    horizon: int | None = None,
    input: int | None = None,
    season: int | None = None,
    split: str = ForecastOptions.split,
    features: str | Sequence[str] = (),
    time: str | None = None,
    group: str | None = None,
    delimiter: str | None = None,
    layout: str = "long",
    na: str | Sequence[str] = (),
    missing: str = "error",
    sort: bool = False,
    drop_bad_rows: bool = False,
    skip_bad_series: bool = False,
    cells: str | Sequence[str] = CELLS,
    hidden: int = 64,
    layers: int = 1,
    dropout: float = 0.0,
    match: str = "hidden",
    lrs: Sequence[float] = LEARNING_RATES,
    seeds: int = 3,
    budget: float | str | None = None,
    workers: int | None = None,
    metric: str = ForecastOptions.metric,
    loss: str | None = None,
    epochs: int = FitSettings.epochs,
    patience: int = FitSettings.patience,
    batch_size: int = FitSettings.batch_size,
    out: str | Path | None = None,
    overwrite: bool = False,
    on_progress: Callable[[Progress], None] | None = None,
    on_note: Callable[[str], None] | None = None,
    **options: Any,
) -> Comparison:
    """Train ``cells`` and the baselines on ``data``, say which to use, and write a report.

    Args:
        data: path to CSV, TSV or Parquet, the name of a data set, or any dataframe.
        task: what is learned. What follows are the options of forecasting; ``options`` are those of another task,
            as its option classes hold them (``unroll.tasks.task_kind(task)``).
        target: column or columns to forecast; ``"all"`` for every numeric one.
        horizon, input: steps ahead and steps of history; chosen from the training data if not given.
        season: steps per season; detected in the training data if not given.
        split: three fractions, three row counts, or ``"rest,48,48"``.
        features: columns the networks may also read the history of.
        missing: ``"error"``, or ``"carry"`` to accept missing values and gaps.
        cells: registered names, or ``package.module:Class``.
        match: ``"hidden"`` for equal width, ``"params"`` for about equal parameters.
        metric: what decides, MASE if not given; ``loss`` is what is learned, by default the one that goes with it.
        lrs: learning rates searched per cell, on validation.
        budget: seconds, or text as ``"2m"``, that bound all training together.
        out: run folder, ``runs/<name of the data>`` if not given. Called again on the same folder, a comparison
            continues with what is missing.

    The rest are the options of ``unroll compare --help``. ``on_note`` is told what to know before training begins.

    Raises:
        DataError, ConfigError, RunError: what to change is in the message.

    Example::

        >>> found = unroll.compare("co2", target="co2", horizon=12, missing="carry")
        >>> found.recommended, found.report
    """
    given = dict(locals())
    kind = task_kind(task)
    given |= _of_no_task(kind, options)
    found = run_comparison(
        _source(data),
        *_of_task(kind, compare, given),
        _pick(CompareOptions, given, cells=names(cells), lrs=tuple(lrs), budget=duration(budget)),
        _settings(kind, given),
        Path(out) if out is not None else Path("runs") / stem(data),
        overwrite=overwrite,
        on_progress=on_progress,
        on_note=on_note,
    )
    write_report(found.result, found.report)
    return found


def train(
    data: Any,
    *,
    task: str = DEFAULT,
    target: str | Sequence[str] = (),
    cell: str = "gru",
    hidden: int = 64,
    layers: int = 1,
    dropout: float = 0.0,
    horizon: int | None = None,
    input: int | None = None,
    season: int | None = None,
    split: str = ForecastOptions.split,
    features: str | Sequence[str] = (),
    time: str | None = None,
    group: str | None = None,
    delimiter: str | None = None,
    layout: str = "long",
    na: str | Sequence[str] = (),
    missing: str = "error",
    sort: bool = False,
    drop_bad_rows: bool = False,
    skip_bad_series: bool = False,
    metric: str = ForecastOptions.metric,
    loss: str | None = None,
    lr: float = FitSettings.lr,
    seed: int = 0,
    epochs: int = FitSettings.epochs,
    patience: int = FitSettings.patience,
    batch_size: int = FitSettings.batch_size,
    out: str | Path | None = None,
    overwrite: bool = False,
    on_epoch: Callable[[dict[str, Any]], None] | None = None,
    on_note: Callable[[str], None] | None = None,
    **options: Any,
) -> Comparison:
    """Train one network on ``data``, score it beside the baselines, and write a report.

    Arguments as in ``compare``, and ``cell``, ``lr`` and ``seed`` for the one network. ``Forecaster.load(out)``
    gives the trained forecaster.

    Started in several processes (``torchrun``, ``accelerate launch``), all of them call it alike and train one network
    together, each on its part of every batch; the first alone writes.

    Raises:
        DataError, ConfigError, RunError: what to change is in the message.
    """
    given = dict(locals())
    kind = task_kind(task)
    given |= _of_no_task(kind, options)
    processes = Processes()
    with processes.together():
        found = run_training(
            _source(data),
            *_of_task(kind, train, given),
            _pick(NetworkOptions, given),
            _settings(kind, given),
            Path(out) if out is not None else Path("runs") / f"{stem(data)}-{cell.rpartition(':')[2]}",
            overwrite=overwrite,
            on_epoch=on_epoch,
            on_note=on_note,
        )
        if processes.is_main:
            write_report(found.result, found.report)
    return found


def backtest(
    data: Any,
    *,
    origins: int = BacktestOptions.origins,
    step: int | None = None,
    refit: bool | int = False,
    out: str | Path | None = None,
    overwrite: bool = False,
    on_epoch: Callable[[dict[str, Any]], None] | None = None,
    **options: Any,
) -> Backtest:
    """Forecast from ``origins`` places of the past as it would have been done there, and score it beside the baselines.

    Args:
        origins: how many; the last one ends with the data.
        step: rows from one origin to the next, the horizon if not given.
        refit: False trains once, before the first origin; True trains a new network at every origin, a number k at
            every k-th. A new network has new weights from the seed, and all that is fitted is fitted anew on rows
            before its origin.
        options: as in ``train``; ``horizon`` has to be given.

    Raises:
        DataError, ConfigError, RunError: what to change is in the message.

    Example::

        >>> found = unroll.backtest("co2", target="co2", horizon=12, missing="carry", origins=8, refit=True)
        >>> found.scores.filter(forecaster="GRU 64")["MASE"]
    """
    declared = {n: p.default for n, p in inspect.signature(train).parameters.items() if p.default is not p.empty}
    given = declared | {n: v for n, v in options.items() if n in declared}
    given["options"] = {n: v for n, v in options.items() if n not in declared}
    kind = task_kind(given["task"])
    if kind.name != "forecast":
        raise ConfigError(f"a backtest of the task {kind.name}", expected="forecast", fix="Leave out --task")
    given |= _of_no_task(kind, given["options"])
    name = f"{stem(data)}-{str(given['cell']).rpartition(':')[2]}-backtest"
    found = run_backtest(
        _source(data),
        *_of_task(kind, train, given),
        _pick(NetworkOptions, given),
        _settings(kind, given),
        BacktestOptions(origins, step, int(refit)),
        Path(out) if out is not None else Path("runs") / name,
        overwrite=overwrite,
        on_epoch=on_epoch,
    )
    write_backtest(found.result, found.report)
    return found


_AGAIN: dict[str, tuple[Callable[..., Any], tuple[str, ...]]] = {
    "comparison": (compare, ("compare",)),
    "training": (train, ("network",)),
    "backtest": (backtest, ("network", "backtest")),
}


def again(config: str | Path, kind: str, data: Any = None, **changes: Any) -> Any:
    """Repeat the run of a ``config.yaml``, with ``changes`` to its arguments, in a folder of its own.

    Args:
        config: the file, or the run folder that holds it.
        kind: ``"comparison"``, ``"training"`` or ``"backtest"``, what the file must be of.
        data: other data than the config's.

    Raises:
        RunError: the file cannot be read or is of another kind; and whatever ``compare`` and ``train`` raise.
    """
    path = Path(config)
    path = path / "config.yaml" if path.is_dir() else path
    held = read_config(path)
    if held.get("kind") != kind:
        raise RunError(f"{path} is of a {held.get('kind')}", expected=f"the config of a {kind}")
    run, parts = _AGAIN[kind]
    task = task_kind(held.get("task", DEFAULT))
    try:
        arguments = {**held["data"], **held[task.name], **_fit_arguments(held["train"], run)}
        for part in parts:
            arguments |= held[part]
        source = held["source"]
        if "targets" in arguments:
            arguments["target"] = arguments.pop("targets")
    except (KeyError, TypeError) as error:
        raise RunError(f"{path} has no {error}", expected=f"the config of a {kind}, as unroll writes it") from error
    declared = {*inspect.signature(run).parameters, *inspect.signature(train).parameters}
    unknown = sorted(set(arguments) - declared - set(_known(task)))
    if unknown:
        raise RunError(f"{path} has an unknown option '{unknown[0]}'", fix="Remove it")
    if data is None and source == "dataframe":
        raise RunError(f"{path} was run on a dataframe that is not at hand", fix="Give the data to use")
    arguments |= {"task": task.name} | changes
    arguments.setdefault("out", _fresh(path.parent))
    return run(source if data is None else data, **arguments)


def _of_task(kind: TaskKind, call: Callable[..., Any], given: dict[str, Any]) -> tuple[Any, Any]:
    """How the source is read and what is learned of it, from the arguments of ``call``.

    ``call`` names the options of the default task, whose defaults mean nothing to another.

    Raises:
        ConfigError: an argument is not the task's.
    """
    declared = inspect.signature(call).parameters
    default = task_kind(DEFAULT)
    own = {_RENAMED.get(name, name): value for name, value in given.items()}
    if kind is not default:
        changed = {n: v for n, v in given.items() if n in declared and v != declared[n].default}
        own = {_RENAMED.get(name, name): value for name, value in changed.items()}
        own = {name: value for name, value in own.items() if name in default.names()}
        check_known(own, kind.names())
    own |= {name: value for name, value in given["options"].items() if name in kind.names()}
    several = {f.name for group in (kind.data, kind.options) for f in fields(group) if isinstance(f.default, tuple)}
    own = {name: names(value) if name in several else value for name, value in own.items()}
    return _pick(kind.data, own), _pick(kind.options, own)


def _of_no_task(kind: TaskKind, options: dict[str, Any]) -> dict[str, Any]:
    """Those of ``options`` that are the network's or the training's. Raises ConfigError for one of nobody."""
    check_known(options, _known(kind))
    return {name: value for name, value in options.items() if name not in kind.names()}


def _known(kind: TaskKind) -> list[str]:
    return [field.name for group in kind.groups() for field in fields(group)]


def _settings(kind: TaskKind, given: dict[str, Any]) -> FitSettings:
    return _pick(FitSettings, dict(kind.training) | given)


def _fit_arguments(train_part: dict[str, Any], run: Callable[..., Any]) -> dict[str, Any]:
    """Of how a run was trained, what ``run`` may be told: a comparison chooses rates and seeds itself."""
    chosen = ("lr", "seed") if run is compare else ()
    return {name: value for name, value in train_part.items() if name not in chosen}


def _fresh(folder: Path) -> Path:
    """``folder-2``, ``folder-3``, …: the first that holds no finished run."""
    number = 2
    while RunFolder(folder.with_name(f"{folder.name}-{number}")).has_result():
        number += 1
    return folder.with_name(f"{folder.name}-{number}")


def _source(data: Any) -> Any:
    if data is None:
        raise ConfigError(
            "no data given",
            expected="a CSV, TSV or Parquet file, the name of a data set, or --config FILE",
            fix="Try: unroll compare co2 --target co2 --horizon 12 --missing carry",
        )
    return data


def _pick(kind: type[_T], given: dict[str, Any], **fixed: Any) -> _T:
    """Build an options dataclass from the arguments that bear its fields' names."""
    own = [field.name for field in fields(kind)]  # type: ignore[arg-type]
    return kind(**{name: given[name] for name in own if name in given} | fixed)
