"""One trial: train, score, write its folder."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import safe_open
from safetensors.numpy import save

from unroll.comparison.plan import Trial, trial_config
from unroll.errors import RunError
from unroll.files import write_bytes
from unroll.machine import peak_memory_mb
from unroll.tasks import DEFAULT, Errors, Task, task_kind
from unroll.train import FitSettings, RunFolder, fit, save_weights
from unroll.train.run_folder import CALIBRATION

ERRORS_FILE = "errors.safetensors"


def run_trial(
    task: Task,
    trial: Trial,
    settings: FitSettings,
    folder: Path,
    *,
    max_seconds: float | None = None,
    progress: Callable[[dict[str, Any]], None] | None = None,
) -> dict[str, Any]:
    """Train ``trial`` in ``folder``, continuing what is there, and return its ``result.json``."""
    settings = replace(settings, lr=trial.lr, seed=trial.seed, max_seconds=max_seconds)
    config = {"kind": "trial", **trial_config(trial), "fingerprint": task.fingerprint}
    run = RunFolder.open_for(folder, config)
    network = task.network(trial.network, trial.seed)
    result = fit(network, task.problem(), settings, folder=folder, progress=progress)
    save_weights(run.weights_file, network)
    if (calibration := task.calibration(network)) is not None:
        run.write_json(CALIBRATION, calibration)
    errors = task.errors(network)
    save_errors(folder / ERRORS_FILE, errors, task.name)
    content = {
        **trial_config(trial),
        "name": trial.network.name,
        "parameters": sum(p.numel() for p in network.parameters()),
        "epochs": result.epochs,
        "best_epoch": result.best_epoch,
        "valid_loss": result.best_loss if np.isfinite(result.best_loss) else None,
        "train_seconds": result.train_seconds,
        "stopped": result.stopped,
        "scores": errors.scores(),
        **errors.details(),
        "peak_memory_mb": peak_memory_mb(),
    }
    run.write_json("result.json", content)
    return content


def save_errors(path: Path, errors: Errors, task: str) -> None:
    """Write a trial's error sums per example, and whose they are."""
    arrays = {name: np.ascontiguousarray(array) for name, array in errors.arrays().items()}
    write_bytes(path, save(arrays, {"task": task}))


def load_errors(path: Path) -> Errors:
    """Read what ``save_errors`` wrote.

    Raises:
        RunError: the file is missing or damaged.
    """
    try:
        with safe_open(path, framework="np") as file:
            name = (file.metadata() or {}).get("task", DEFAULT)
            arrays = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
        found: Errors = task_kind(name).errors.from_arrays(arrays)
    except Exception as error:
        raise RunError(f"cannot read {path}: {error}", fix="Make the run anew with --overwrite") from error
    return found
