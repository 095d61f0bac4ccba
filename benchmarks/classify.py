"""Classification on published sets: what a recurrent network reaches beside the baselines, and what it costs.

    python benchmarks/classify.py                      every case below
    python benchmarks/classify.py nsmc --small         some of them, on a small part, in a minute: no published figure
    python benchmarks/classify.py nsmc --seed 1        another seed
    python benchmarks/classify.py --keep runs          runs that go on where they were stopped

Data lie under $UNROLL_DATA (folders nsmc, mnist and ucr-uea), else in ../shared/data. The last result of each case is
results/classify/CASE.json: command, recipe, seed, scores with intervals beside the baselines, machine, versions, time.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from published import DATA, main, trained
from unroll.data.examples.idx import read_idx

UCR = ("ItalyPowerDemand", "GunPoint", "ArrowHead", "BasicMotions", "JapaneseVowels", "OSULeaf", "PLAID", "ACSF1")
PIXELS = {
    "cell": "lstm", "hidden": 128, "init": "uniform_gate", "split": "0.92,0.07,0.01", "lr": 3e-3, "batch_size": 100,
    "batch_tokens": 100_000, "epochs": 24, "patience": 24, "schedule": "cosine", "warmup": 0.02,
}  # fmt: skip
"""LSTM 128 reads the 784 pixels one by one and answers from its last state."""
SERIES = {
    "cell": "lstm", "hidden": 64, "pooling": "mean", "bidirectional": True, "dropout": 0.2, "lr": 5e-3,
    "batch_size": 32, "batch_tokens": 65_536, "epochs": 40, "patience": 15, "schedule": "cosine", "warmup": 0.1,
    "ema": 0.99,
}  # fmt: skip
CASES: dict[str, tuple[str, str, dict[str, Any]]] = {
    "nsmc": (
        "nsmc/ratings_train.txt",
        "nsmc/ratings_test.txt",
        {
            "text": "document", "label": "label", "delimiter": "tab", "unit": "character", "split": "0.93,0.06,0.01",
            "ngrams": 3, "vocabulary": 60_000, "min_count": 3, "cell": "lstm", "hidden": 128, "bidirectional": True,
            "pooling": "max", "embedding": 64, "dropout": 0.5, "lr": 2e-3, "batch_size": 128, "epochs": 4,
            "schedule": "cosine", "warmup": 0.1, "ema": 0.998,
        },
    ),
    "mnist-sequential": ("mnist/train-images-idx3-ubyte.gz", "mnist/t10k-images-idx3-ubyte.gz", PIXELS),
    "mnist-permuted": (
        "mnist/train-images-idx3-ubyte.gz",
        "mnist/t10k-images-idx3-ubyte.gz",
        {**PIXELS, "permute": 92, "dropout": 0.1, "epochs": 18, "patience": 18, "warmup": 0.05},
    ),
    **{name.lower(): (f"ucr-uea/{name}/{name}_TRAIN.ts", f"ucr-uea/{name}/{name}_TEST.ts", SERIES) for name in UCR},
}  # fmt: skip
SMALL_ROWS = 4_000
SMALL_IMAGES = 600
SMALL = {"hidden": 16, "epochs": 2}


def run(name: str, seed: int, small: bool, out: Path) -> dict[str, Any]:
    """One case: its table on stdout, its entry for the results file."""
    train, test, recipe = CASES[name]
    recipe = {**recipe, **(SMALL if small else {}), "seed": seed}
    with tempfile.TemporaryDirectory() as folder:
        paths = [_part(DATA / path, Path(folder)) if small else str(DATA / path) for path in (train, test)]
        entry = trained("classify", name, paths[0], recipe, out, small=small, scored="classifiers", test=paths[1])
    return {**entry, "train": train, "test": test, "rows": SMALL_ROWS if small else None}


def _part(path: Path, folder: Path) -> str:
    """The first rows of a table, the first images of an idx file; a .ts file is small enough as it is."""
    if path.suffix == ".ts":
        return str(path)
    if path.suffix == ".gz":
        for own in (path, path.with_name(path.name.replace("images-idx3", "labels-idx1"))):
            kept = read_idx(own)[:SMALL_IMAGES]
            header = bytes((0, 0, 8, kept.ndim)) + np.array(kept.shape, ">u4").tobytes()
            (folder / own.stem).write_bytes(header + kept.tobytes())
        return str(folder / path.stem)
    lines = path.read_bytes().splitlines(keepends=True)
    (folder / path.name).write_bytes(b"".join(lines[: SMALL_ROWS + 1]))
    return str(folder / path.name)


if __name__ == "__main__":
    main("classify", __doc__, CASES, run)
