"""One trial: train, score, write its folder."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import load_file, save

from unroll.comparison.plan import Trial, trial_config
from unroll.errors import RunError
from unroll.files import write_bytes
from unroll.machine import peak_memory_mb
from unroll.tasks import ForecastProblem, ForecastTask, WindowErrors
from unroll.train import FitSettings, RunFolder, fit, save_weights

ERRORS_FILE = "errors.safetensors"


def run_trial(
    task: ForecastTask,
    trial: Trial,
    settings: FitSettings,
    folder: Path,
    *,
    max_seconds: float | None = None,
    progress: Callable[[dict[str, Any]], None] | None = None,
) -> dict[str, Any]:
    """Train ``trial`` in ``folder``, continuing what is there, and return its ``result.json``."""
    settings = replace(settings, lr=trial.lr, seed=trial.seed, max_seconds=max_seconds)
    config = {"kind": "trial", **trial_config(trial), "fingerprint": task.series_set.fingerprint}
    run = RunFolder.open_for(folder, config)
    network = task.network(trial.network, trial.seed)
    result = fit(network, ForecastProblem(task), settings, folder=folder, progress=progress)
    save_weights(run.weights_file, network)
    errors = task.errors(network)
    save_errors(folder / ERRORS_FILE, errors)
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
        "scaled": errors.scaled(),
        "peak_memory_mb": peak_memory_mb(),
    }
    run.write_json("result.json", content)
    return content


def save_errors(path: Path, errors: WindowErrors) -> None:
    """Write a trial's error sums per window."""
    arrays = {"series": errors.series, "origins": errors.origins, **errors.columns()}
    write_bytes(path, save({name: np.ascontiguousarray(array) for name, array in arrays.items()}))


def load_errors(path: Path) -> WindowErrors:
    """Read what ``save_errors`` wrote.

    Raises:
        RunError: the file is missing or damaged.
    """
    try:
        arrays = load_file(path)
    except Exception as error:
        raise RunError(f"cannot read {path}: {error}", fix="Make the run anew with --overwrite") from error
    series, origins = arrays.pop("series"), arrays.pop("origins")
    count, scaled_count = arrays.pop("count"), arrays.pop("scaled_count")
    return WindowErrors(series, origins, count, scaled_count, arrays)
