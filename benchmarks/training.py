"""What the ways of training do to one network on one real set: Japanese vowels, 270 sequences to learn from.

    python benchmarks/training.py            every way below, three seeds each

Data lie under $UNROLL_DATA (folder ucr-uea), else in ../shared/data. The last result is results/training.json: the
scores of every way on the test part by seed, its best epoch, and the processor time of training.
"""

from __future__ import annotations

import time
from pathlib import Path
from statistics import mean
from typing import Any

import torch

from published import DATA
from unroll.files import write_json
from unroll.machine import machine, versions
from unroll.tasks import ClassifyData, ClassifyOptions, NetworkOptions, prepare
from unroll.train import FitSettings, fit

HERE = Path(__file__).resolve().parent
SET = "ucr-uea/JapaneseVowels/JapaneseVowels"
NETWORK = NetworkOptions("gru", 32)
COMMON: dict[str, Any] = {"epochs": 12, "patience": 12, "batch_size": 32}
WAYS: dict[str, dict[str, Any]] = {
    "as it is (adamw 3e-3, plateau)": {},
    "constant": {"schedule": "constant"},
    "cosine, warm-up 10 %": {"schedule": "cosine", "warmup": 0.1},
    "linear, warm-up 10 %": {"schedule": "linear", "warmup": 0.1},
    "average 0.99": {"ema": 0.99},
    "label smoothing 0.1": {"label_smoothing": 0.1},
    "weight decay 0.1": {"weight_decay": 0.1},
    "4 batches to an update": {"accumulate": 4},
    "sgd 0.1, momentum 0.9, inverse": {"optimizer": "sgd", "lr": 0.1, "momentum": 0.9, "schedule": "inverse"},
    "bfloat16": {"precision": "bfloat16"},
}
SEEDS = (0, 1, 2)


def trained(way: dict[str, Any], seed: int) -> dict[str, Any]:
    """One training, scored on the test part."""
    smoothing = way.get("label_smoothing", 0.0)
    options = ClassifyOptions(pooling="mean", label_smoothing=smoothing)
    task = prepare(f"{DATA / SET}_TRAIN.ts", ClassifyData(test=f"{DATA / SET}_TEST.ts"), options)
    network = task.network(NETWORK, seed)
    settings = FitSettings(**COMMON | {k: v for k, v in way.items() if k != "label_smoothing"}, seed=seed)
    begun = time.process_time()
    result = fit(network, task.problem(), settings)
    seconds = time.process_time() - begun
    scores = task.errors(network).scores()
    return {"seed": seed, "scores": scores, "best_epoch": result.best_epoch, "cpu_seconds": round(seconds, 2)}


def main() -> None:
    torch.set_num_threads(1)
    entries = {}
    for name, way in WAYS.items():
        runs = [trained(way, seed) for seed in SEEDS]
        entries[name] = {"settings": way, "runs": runs}
        accuracy = [run["scores"]["accuracy"] for run in runs]
        shown = " ".join(f"{a:.3f}" for a in accuracy)
        print(f"{name:32} {mean(accuracy):.3f} ({shown}) {mean(r['cpu_seconds'] for r in runs):6.1f} s", flush=True)
    content = {
        "command": "python benchmarks/training.py",
        "data": {"train": f"{SET}_TRAIN.ts", "test": f"{SET}_TEST.ts"},
        "network": "GRU 32, mean pooling",
        "common": COMMON,
        "ways": entries,
        "machine": machine() | {"threads": 1},
        "versions": versions(),
    }
    write_json(HERE / "results" / "training.json", content)


if __name__ == "__main__":
    main()
