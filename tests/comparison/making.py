"""A small comparison, and what of a result must not depend on when and where it ran."""

import time
from pathlib import Path

import numpy as np
import psutil

from unroll.comparison import CompareOptions, run_comparison
from unroll.tasks import DataOptions, ForecastOptions, WindowErrors
from unroll.train import FitSettings

DATA = DataOptions(("y",))
FORECAST = ForecastOptions(3, 8)
OPTIONS = CompareOptions(("rnn", "gru"), hidden=4, layers=2, dropout=0.25, lrs=(1e-2, 3e-3), seeds=2)
SETTINGS = FitSettings(epochs=2)
TRIALS = 6
ELSEWHERE = {"repeat", "train_seconds", "step_microseconds", "peak_memory_mb"}


def write_rows(folder, rows=160):
    t = np.arange(rows)
    y = np.sin(2 * np.pi * t / 7) + 0.01 * t + 0.1 * np.random.default_rng(0).normal(size=rows)
    path = Path(folder) / "rows.csv"
    path.write_text("y\n" + "\n".join(f"{v:.4f}" for v in y) + "\n")
    return path


def compared(source, folder, options=OPTIONS, settings=SETTINGS, data=DATA, forecast=FORECAST, **rest):
    return run_comparison(str(source), data, forecast, options, settings, Path(folder), **rest)


def timeless(result):
    """``result`` without what a clock or another machine changes."""
    if isinstance(result, dict):
        return {k: timeless(v) for k, v in result.items() if k not in ELSEWHERE}
    return [timeless(v) for v in result] if isinstance(result, list) else result


def children():
    return {p for p in psutil.Process().children(recursive=True) if "unroll.comparison.worker" in " ".join(command(p))}


def command(process):
    try:
        return process.cmdline()
    except (psutil.NoSuchProcess, psutil.ZombieProcess):
        return []


def gone(processes, seconds=20.0):
    """Whether all of them end within a while."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if not any(p.is_running() and p.status() != psutil.STATUS_ZOMBIE for p in processes):
            return True
        time.sleep(0.05)
    return False


def window_errors(absolute, series=None, origins=None):
    """Errors of windows of one target each, their MASE scale 2."""
    absolute = np.asarray(absolute, float)
    n = len(absolute)
    return WindowErrors(
        series=np.zeros(n, int) if series is None else np.asarray(series),
        origins=np.arange(n) if origins is None else np.asarray(origins),
        count=np.ones(n),
        scaled_count=np.ones(n),
        sums={
            "absolute": absolute,
            "squared": absolute**2,
            "smape": absolute / 10,
            "mase": absolute / 2,
            "scaled_squared": absolute**2,
            "scaled_absolute": absolute,
        },
    )
