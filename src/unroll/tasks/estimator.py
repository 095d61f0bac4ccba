"""What the Python face of every task has in common: one network, from data to predictions, in a run folder."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any, ClassVar, TypeVar

from torch import nn

from unroll.errors import ConfigError, RunError
from unroll.tasks.contract import Task, TaskKind, options_dict, options_from
from unroll.tasks.network import NetworkOptions
from unroll.tasks.options import check_known, names, source_name
from unroll.train import FitResult, FitSettings, Processes, RunFolder, fit, load_weights, save_weights
from unroll.train.run_folder import CALIBRATION

_E = TypeVar("_E", bound="Estimator")


class Estimator(ABC):
    """Fitting, saving and loading; what is predicted and how it is scored is the task's."""

    kind: ClassVar[TaskKind]
    network_options: NetworkOptions
    task_options: Any
    settings: FitSettings
    data_options: Any
    source: str
    network: Any
    task: Any
    record: dict[str, Any]
    calibration: dict[str, Any] | None
    result: FitResult | None
    folder: Path | None

    def __init__(
        self,
        cell: str = NetworkOptions.cell,
        hidden: int = NetworkOptions.hidden,
        layers: int = NetworkOptions.layers,
        dropout: float = NetworkOptions.dropout,
        *,
        lr: float = FitSettings.lr,
        epochs: int = FitSettings.epochs,
        patience: int = FitSettings.patience,
        batch_size: int = FitSettings.batch_size,
        seed: int = 0,
        **options: Any,
    ) -> None:
        """``options`` are further ones of the task, the network and the training; see the class.

        Raises:
            ConfigError: an option is wrong or unknown.
        """
        learned, of_network, of_training = (
            [f.name for f in fields(kind)] for kind in (self.kind.options, NetworkOptions, FitSettings)
        )
        check_known(options, [*learned, *of_network, *of_training])
        given = _as_declared(self.kind.options, options)
        network = NetworkOptions(cell, hidden, layers, dropout, **{k: v for k, v in options.items() if k in of_network})
        training = {k: v for k, v in options.items() if k in of_training}
        settings = FitSettings(
            lr=lr,
            epochs=epochs,
            patience=patience,
            batch_size=batch_size,
            seed=seed,
            **(dict(self.kind.training) | training),
        )
        own = self.kind.options(**{k: v for k, v in given.items() if k in learned})
        own.check()
        self._begin(network, own, settings, self.kind.data())

    def _begin(self, network: NetworkOptions, options: Any, settings: FitSettings, data: Any) -> None:
        """Untrained, with these options."""
        self.network_options, self.task_options = network, options
        self.settings, self.data_options = settings, data
        self.source, self.record = "", {}
        self.network = self.task = self.result = self.calibration = self.folder = None

    @classmethod
    def from_options(cls: type[_E], network: NetworkOptions, options: Any, settings: FitSettings, data: Any) -> _E:
        """An estimator from option objects, as a run's config holds them."""
        made = cls.__new__(cls)
        made._begin(network, options, settings, data)
        return made

    @abstractmethod
    def predict(self, data: Any = None, **reading: Any) -> Any:
        """A polars frame of what the network says of ``data``."""

    @abstractmethod
    def evaluate(self, data: Any = None, **reading: Any) -> dict[str, Any]:
        """``{<examples>: n, "network": {metric: …}, "baselines": {name: {metric: …}}}``."""

    @abstractmethod
    def _rebuilt(self) -> nn.Module:
        """A network of the recorded data's sizes, its weights not yet loaded."""

    def fit_prepared(
        self: _E,
        task: Task,
        source: Any,
        out: str | Path | None = None,
        *,
        overwrite: bool = False,
        progress: Callable[[dict[str, Any]], None] | None = None,
    ) -> _E:
        """``fit`` for data that is prepared already. Of several processes the first alone writes to ``out``."""
        self.task, self.source, self.record = task, source_name(source), task.record()
        processes = Processes()
        with processes.together():
            if out is not None:
                run = processes.from_main(lambda: RunFolder.open_for(out, self.config(), overwrite=overwrite))
            self.network = task.network(self.network_options, self.settings.seed)
            writes = out is not None and processes.is_main
            if writes:
                run.write_json("data.json", self.record)
            folder = None if out is None else run.path
            self.result = fit(self.network, task.problem(), self.settings, folder=folder, progress=progress)
            self.calibration = task.calibration(self.network)
            if writes:
                self._write(run)
        return self

    def _write(self, run: RunFolder) -> None:
        save_weights(run.weights_file, self.network)
        if self.calibration is not None:
            run.write_json(CALIBRATION, self.calibration)

    def config(self) -> dict[str, Any]:
        """What ``config.yaml`` holds."""
        return {
            "kind": "training",
            "task": self.kind.name,
            "source": self.source,
            "data": options_dict(self.data_options),
            self.kind.name: options_dict(self.task_options),
            "network": options_dict(self.network_options),
            "train": {k: v for k, v in asdict(self.settings).items() if k != "max_seconds"},
        }

    def save(self, folder: str | Path, *, overwrite: bool = False) -> Path:
        """Write config, data record and weights to a run folder; see ``load``."""
        self._trained()
        run = RunFolder.open_for(folder, self.config(), overwrite=overwrite)
        run.write_json("data.json", self.record)
        self._write(run)
        return run.path

    @classmethod
    def load(cls: type[_E], folder: str | Path) -> _E:
        """A trained estimator from a run folder: of ``unroll train``, of ``save``, or of ``unroll compare``.

        Of a comparison it is the recommended network, or the best where a baseline is recommended.

        Raises:
            RunError: no such run, or it is damaged, unfinished, of another task or of another version.
        """
        run = RunFolder.existing(folder)
        config = run.read_config()
        if config["kind"] not in ("comparison", "training"):
            raise RunError(f"{run.path} is a {config['kind']} run", expected="a training or a comparison")
        if config.get("task", cls.kind.name) != cls.kind.name:
            raise RunError(f"{run.path} is a run of the task {config['task']}", expected=f"a run of {cls.kind.name}")
        try:
            weights, network = (
                _of_comparison(run, config) if config["kind"] == "comparison" else _of_training(run, config)
            )
            network.check()
            made = cls.from_options(
                network,
                options_from(cls.kind.options, config[cls.kind.name]),
                FitSettings(**config["train"]),
                options_from(cls.kind.data, config["data"]),
            )
        except (KeyError, TypeError, ConfigError) as error:
            raise RunError(
                f"{run.config_file} cannot be used: {str(error).splitlines()[0]}",
                expected="a config.yaml as unroll writes it",
                fix="Restore the file, or make the run anew with --overwrite",
            ) from error
        made.source, made.record = config["source"], run.read_json("data.json")
        made.folder = run.path
        made.network = made._rebuilt()
        if not weights.weights_file.exists():
            raise weights.unfinished(weights.weights_file.name)
        load_weights(weights.weights_file, made.network)
        if (weights.path / CALIBRATION).exists():
            made.calibration = weights.read_json(CALIBRATION)
        made.network.eval()
        return made

    def _trained(self) -> Any:
        if self.network is None:
            name = type(self).__name__
            raise RunError(f"this {name.lower()} is not trained", fix=f"Call fit first, or {name}.load(folder)")
        return self.network.eval()


def _as_declared(kind: type[Any], options: dict[str, Any]) -> dict[str, Any]:
    """``options`` with one name in place of a tuple of them made a tuple."""
    several = {f.name for f in fields(kind) if isinstance(f.default, tuple)}
    return {k: names(v) if k in several else v for k, v in options.items()}


def _of_training(run: RunFolder, config: dict[str, Any]) -> tuple[RunFolder, NetworkOptions]:
    return run, NetworkOptions(**config["network"])


def _of_comparison(run: RunFolder, config: dict[str, Any]) -> tuple[RunFolder, NetworkOptions]:
    """The trial folder and network to use of a finished comparison."""
    result = run.read_result()
    by_name = {c["name"]: c for c in result["candidates"]}
    metric, higher = result["task"]["metric"], result["task"].get("better") == "higher"
    best = (max if higher else min)(by_name, key=lambda name: by_name[name]["scores"][metric]["mean"])
    chosen = by_name[result["answer"]["recommended"] if result["answer"]["recommended"] in by_name else best]
    network = NetworkOptions(
        chosen["cell"], chosen["hidden"], chosen["layers"], config["compare"]["dropout"], config["compare"].get("init")
    )
    return RunFolder(run.path / "trials" / chosen["trial"]), network
