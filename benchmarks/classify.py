"""Classification on published sets: what a recurrent network reaches beside the baselines, and what it costs.

    python benchmarks/classify.py                      every case below
    python benchmarks/classify.py nsmc --small         some of them, on a small part, in a minute: no published figure
    python benchmarks/classify.py nsmc --seed 1        another seed

Data lie under $UNROLL_DATA (folders nsmc and ucr-uea), else in ../shared/data. The last result of each case is
results/classify/CASE.json: command, recipe, seed, scores with intervals beside the baselines, machine, versions, time.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

from unroll import api
from unroll.files import write_json
from unroll.report import render_terminal

HERE = Path(__file__).resolve().parent
DATA = Path(os.environ.get("UNROLL_DATA") or HERE.parents[1] / "shared" / "data")
RESULTS = HERE / "results" / "classify"
UCR = ("ItalyPowerDemand", "GunPoint", "ArrowHead", "BasicMotions", "JapaneseVowels", "OSULeaf", "PLAID", "ACSF1")
SERIES = {"cell": "lstm", "hidden": 64, "pooling": "mean", "bidirectional": True, "epochs": 60, "patience": 15}
CASES: dict[str, tuple[str, str, dict[str, Any]]] = {
    "nsmc": (
        "nsmc/ratings_train.txt",
        "nsmc/ratings_test.txt",
        {
            "text": "document", "label": "label", "delimiter": "tab", "unit": "character", "split": "0.93,0.06,0.01",
            "cell": "lstm", "hidden": 256, "bidirectional": True, "pooling": "max", "embedding": 128, "dropout": 0.4,
            "lr": 2e-3, "batch_size": 128, "epochs": 10, "patience": 2,
        },
    ),
    **{name.lower(): (f"ucr-uea/{name}/{name}_TRAIN.ts", f"ucr-uea/{name}/{name}_TEST.ts", SERIES) for name in UCR},
}  # fmt: skip
SMALL_ROWS = 4_000
SMALL = {"hidden": 16, "epochs": 2}


def run(name: str, seed: int, small: bool) -> dict[str, Any]:
    """One case: its table on stdout, its entry for the results file."""
    train, test, recipe = CASES[name]
    recipe = {**recipe, **(SMALL if small else {}), "seed": seed}
    with tempfile.TemporaryDirectory() as folder:
        paths = [_part(DATA / path, Path(folder)) if small else str(DATA / path) for path in (train, test)]
        found = api.train(paths[0], task="classify", test=paths[1], out=Path(folder) / name, **recipe)
    result = found.result
    print(render_terminal(result), flush=True)
    kept = ("name", "parameters", "train_seconds", "scores", "lr", "seeds", "curves", "peak_memory_mb")
    repeat = result["repeat"]
    return {
        "case": name,
        "command": f"python benchmarks/classify.py {name} --seed {seed}" + (" --small" if small else ""),
        "train": train,
        "test": test,
        "recipe": recipe,
        "rows": SMALL_ROWS if small else None,
        "data": result["data"],
        "protocol": result["protocol"].replace(paths[1], test),
        "classifiers": [{k: row[k] for k in kept if k in row} for row in [*result["candidates"], *result["baselines"]]],
        **{k: repeat[k] for k in ("machine", "versions", "started", "seconds")},
    }


def _part(path: Path, folder: Path) -> str:
    """The first rows of a table; a .ts file is small enough as it is."""
    if path.suffix == ".ts":
        return str(path)
    lines = path.read_bytes().splitlines(keepends=True)
    (folder / path.name).write_bytes(b"".join(lines[: SMALL_ROWS + 1]))
    return str(folder / path.name)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cases", nargs="*", metavar="CASE", help=", ".join(CASES))
    parser.add_argument("--small", action="store_true", help="a small part and a small network; nothing is written")
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    for name in asked.cases or list(CASES):
        if name not in CASES:
            sys.exit(f"no case {name!r}; there are {', '.join(CASES)}")
        entry = run(name, asked.seed, asked.small)
        if not asked.small:
            write_json(RESULTS / f"{name}.json", entry)


if __name__ == "__main__":
    main()
