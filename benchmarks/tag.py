"""Tagging on Universal Dependencies treebanks: what a recurrent network reaches beside the baseline, and what it costs.

    python benchmarks/tag.py                      every case below
    python benchmarks/tag.py ko-upos --small      some of them, two epochs of a small network: no published figure
    python benchmarks/tag.py en-upos --seed 1     another seed

Treebanks lie under $UNROLL_DATA (folders ud-english-ewt and ud-korean-gsd), else in ../shared/data. Words are as the
treebank cuts them; no pre-trained vectors. The last result of each case is results/tag/CASE.json.
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
RESULTS = HERE / "results" / "tag"
RECIPE = {
    "cell": "lstm", "hidden": 192, "layers": 2, "dropout": 0.4, "embedding": 100, "letter_size": 64, "lr": 2e-3,
    "batch_size": 32, "epochs": 25, "patience": 5,
}  # fmt: skip
CASES = {
    "en-upos": ("ud-english-ewt/en_ewt-ud", "upos"),
    "en-xpos": ("ud-english-ewt/en_ewt-ud", "xpos"),
    "ko-upos": ("ud-korean-gsd/ko_gsd-ud", "upos"),
    "ko-xpos": ("ud-korean-gsd/ko_gsd-ud", "xpos"),
}
SMALL = {"hidden": 32, "layers": 1, "embedding": 32, "letter_size": 24, "epochs": 2, "lr": 5e-3}


def run(name: str, seed: int, small: bool) -> dict[str, Any]:
    """One case: its table on stdout, its entry for the results file."""
    stem, field = CASES[name]
    recipe = {**RECIPE, **(SMALL if small else {}), "seed": seed}
    train, valid, test = (str(DATA / f"{stem}-{part}.conllu") for part in ("train", "dev", "test"))
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / name
        result = api.train(train, task="tag", field=field, valid=valid, test=test, out=out, **recipe).result
    print(render_terminal(result), flush=True)
    kept = ("name", "parameters", "train_seconds", "scores", "lr", "seeds", "curves", "peak_memory_mb")
    repeat = result["repeat"]
    return {
        "case": name,
        "command": f"python benchmarks/tag.py {name} --seed {seed}" + (" --small" if small else ""),
        "treebank": stem,
        "field": field,
        "recipe": recipe,
        "data": result["data"],
        "protocol": result["protocol"].replace(f"{DATA}{os.sep}", ""),
        "taggers": [{k: row[k] for k in kept if k in row} for row in [*result["candidates"], *result["baselines"]]],
        **{k: repeat[k] for k in ("machine", "versions", "started", "seconds")},
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cases", nargs="*", metavar="CASE", help=", ".join(CASES))
    parser.add_argument("--small", action="store_true", help="two epochs of a small network; nothing is written")
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
