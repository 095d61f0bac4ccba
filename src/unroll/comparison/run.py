"""The main job: train the candidates and the baselines on one data set, and say which to use."""

from __future__ import annotations

import datetime
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from unroll.comparison.engine import Engine, Progress
from unroll.comparison.inside import look_inside, step_microseconds
from unroll.comparison.plan import CompareOptions, Trial, candidates, plan_size, search_trials, seed_trials
from unroll.comparison.result import Measured, assemble
from unroll.comparison.trial import ERRORS_FILE, load_errors
from unroll.errors import RunError
from unroll.machine import machine as this_machine
from unroll.machine import versions
from unroll.tasks import NetworkOptions, Task, options_dict, prepare, source_name
from unroll.train import FitSettings, RunFolder, load_weights, read_history
from unroll.train.processes import assert_alone


@dataclass(frozen=True)
class Comparison:
    """A finished comparison: ``result`` is what ``result.json`` holds, ``folder`` where everything lies."""

    result: dict[str, Any]
    folder: Path

    @property
    def recommended(self) -> str | None:
        """The name of what to use."""
        return str(name) if (name := self.result["answer"]["recommended"]) is not None else None

    @property
    def report(self) -> Path:
        """The page with everything on it."""
        return self.folder / "report.html"


def run_comparison(
    source: Any,
    data: Any,
    learned: Any,
    options: CompareOptions,
    settings: FitSettings,
    folder: Path,
    *,
    overwrite: bool = False,
    on_progress: Callable[[Progress], None] | None = None,
    on_note: Callable[[str], None] | None = None,
) -> Comparison:
    """Compare ``options.cells`` on ``source``; started again on the same folder it continues.

    ``data`` and ``learned`` are the options of the task: how the source is read, and what is learned of it.

    Raises:
        DataError, ConfigError: before anything is trained.
        RunError: ``folder`` holds another run or cannot be written, or no trial succeeded.
    """
    clock = Clock()
    assert_alone("unroll compare", "it divides its trainings among processes itself, see --workers")
    options.check()
    task = prepare(source, data, learned)
    networks = candidates(task, options)
    for network in networks:
        task.parameters(network)  # one that cannot be built is refused before anything is written
    config = comparison_config(source, data, learned, options, settings)
    run = RunFolder.open_for(folder, config, overwrite=overwrite)
    _same_data(run, task)
    if run.has_result():
        return Comparison(run.read_result(), run.path)
    run.write_json("data.json", task.record())
    if on_note is not None:
        for note in task.forewarn(networks, settings):
            on_note(note)
    deadline = None if options.budget is None else clock.began + options.budget
    failures: dict[str, str] = {}
    with Engine(
        task,
        settings,
        run.path,
        trials=plan_size(options),
        workers=options.workers,
        deadline=deadline,
        on_progress=on_progress,
    ) as engine:
        failures |= engine.run([t for n in networks for t in search_trials(n, options)])
        rates = {n: _best_rate(run, n, options) for n in networks}
        chosen = [t for n in networks if rates[n] for t in seed_trials(n, rates[n], options)[1:]]
        failures |= engine.run(chosen)
        shared = {"workers": engine.workers, "threads_per_worker": engine.threads}
    for network in networks:
        failures |= _diverged(run, network, rates[network], options)
    measured = [m for n in networks if (m := _measure(run, task, n, rates[n], options)) is not None]
    if not measured:
        raise RunError(
            f"no candidate could be trained: {next(iter(failures.values()), 'no trial finished')}",
            fix="Try another learning rate with --lr, or look at the data for values far outside the rest",
        )
    result = assemble(
        task,
        measured,
        _failed(networks, failures, options),
        folder=run.path,
        match=options.match,
        network_of=lambda m: _network(run, task, m),
    )
    command = f"unroll compare --config {run.config_file}"
    seeds = list(range(options.seeds))
    result["repeat"] = clock.record(command, config, seeds, machine=shared, budget=options.budget)
    run.write_json("result.json", result)
    return Comparison(result, run.path)


class Clock:
    """When a run began, and at its end how to repeat it."""

    def __init__(self) -> None:
        self.started, self.began = datetime.datetime.now(datetime.timezone.utc), time.monotonic()

    def record(
        self, command: str, config: dict[str, Any], seeds: list[int], *, machine: dict[str, int], budget: float | None
    ) -> dict[str, Any]:
        """The ``repeat`` part of a result; ``machine`` adds how its cores were shared."""
        return {
            "command": command,
            "config": config,
            "seeds": seeds,
            "versions": versions(),
            "machine": this_machine() | machine,
            "started": self.started.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "seconds": round(time.monotonic() - self.began, 1),
            "budget_seconds": budget,
        }


def comparison_config(
    source: Any, data: Any, learned: Any, options: CompareOptions, settings: FitSettings
) -> dict[str, Any]:
    """What ``config.yaml`` holds: enough to repeat the run."""
    fit = {k: v for k, v in asdict(settings).items() if k not in ("lr", "seed", "max_seconds")}
    return {
        "kind": "comparison",
        "task": learned.task,
        "source": source_name(source),
        "data": options_dict(data),
        learned.task: options_dict(learned),
        "compare": options_dict(options),
        "train": fit,
    }


def _same_data(run: RunFolder, task: Task) -> None:
    if not (run.path / "data.json").exists():
        return
    record = run.read_json("data.json")
    held = record.get("fingerprint") if isinstance(record, dict) else None
    if held != task.fingerprint:
        raise RunError(
            f"{run.path} was begun on other data: {task.source} has changed since",
            expected="the same data to continue",
            fix="Give another --out, or --overwrite to start anew",
        )


def _place(run: RunFolder, trial: Trial) -> RunFolder:
    return RunFolder(run.path / "trials" / trial.id)


def _finished(run: RunFolder, trials: Sequence[Trial]) -> list[tuple[Trial, dict[str, Any]]]:
    return [(t, _place(run, t).read_json("result.json")) for t in trials if _place(run, t).has_result()]


def _trained(run: RunFolder, trials: Sequence[Trial]) -> list[tuple[Trial, dict[str, Any]]]:
    """The finished trials that learned something."""
    return [(t, r) for t, r in _finished(run, trials) if r["valid_loss"] is not None]


def _diverged(run: RunFolder, network: NetworkOptions, lr: float, options: CompareOptions) -> dict[str, str]:
    """The seeds that diverged at the chosen rate, or the searched rates where none was left to choose."""
    trials = seed_trials(network, lr, options) if lr else search_trials(network, options)
    why = "training diverged before its first validation"
    return {t.id: why for t, r in _finished(run, trials) if r["valid_loss"] is None}


def _best_rate(run: RunFolder, network: NetworkOptions, options: CompareOptions) -> float:
    """The searched rate with the lowest validation loss; 0 if no search trial succeeded."""
    found = [(r["valid_loss"], t.lr) for t, r in _trained(run, search_trials(network, options))]
    return min(found)[1] if found else 0.0


def _measure(
    run: RunFolder, task: Task, network: NetworkOptions, lr: float, options: CompareOptions
) -> Measured | None:
    seeds = _trained(run, seed_trials(network, lr, options)) if lr else []
    if not seeds:
        return None
    search = [{"lr": t.lr, "valid_loss": r["valid_loss"]} for t, r in _finished(run, search_trials(network, options))]
    places = [_place(run, trial) for trial, _ in seeds]
    first = _load(task, network, places[0])
    return Measured(
        network=network,
        trial=seeds[0][0].id,
        lr=lr,
        search=search,
        seeds=[result for _, result in seeds],
        errors=[load_errors(place.path / ERRORS_FILE) for place in places],
        curves=[curve(place, trial.seed) for place, (trial, _) in zip(places, seeds)],
        inside=look_inside(task, network, first, seeds[0][0].seed),
        step_microseconds=step_microseconds(first),
    )


def curve(place: RunFolder, seed: int) -> dict[str, Any]:
    """The learning curves of a trial, by epoch."""
    records = read_history(place.path / "metrics.jsonl")
    return {"seed": seed} | {key: [r[key] for r in records] for key in ("epoch", "train_loss", "valid_loss")}


def _load(task: Task, options: NetworkOptions, place: RunFolder) -> Any:
    network = task.network(options, 0)
    load_weights(place.weights_file, network)
    return network.eval()


def _network(run: RunFolder, task: Task, measured: Measured) -> Any:
    """A candidate's network of the first seed."""
    return _load(task, measured.network, RunFolder(run.path / "trials" / measured.trial))


def _failed(
    networks: Sequence[NetworkOptions], failures: dict[str, str], options: CompareOptions
) -> list[dict[str, Any]]:
    every = [t for n in networks for lr in options.lrs for t in seed_trials(n, lr, options)]
    return [
        {"candidate": t.network.name, "seed": t.seed, "lr": t.lr, "why": failures[t.id]}
        for t in every
        if t.id in failures
    ]
