"""Tagging on Universal Dependencies treebanks: what a recurrent network reaches beside the baseline, and what it costs.

    python benchmarks/tag.py                      every case below
    python benchmarks/tag.py ko-upos --small      some of them, two epochs of a small network: no published figure
    python benchmarks/tag.py en-upos --seed 1     another seed
    python benchmarks/tag.py --keep runs          runs that go on where they were stopped

Treebanks lie under $UNROLL_DATA (folders ud-english-ewt and ud-korean-gsd), else in ../shared/data. Words are as the
treebank cuts them; no pre-trained vectors. The last result of each case is results/tag/CASE.json.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from published import DATA, main, trained

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


def run(name: str, seed: int, small: bool, out: Path) -> dict[str, Any]:
    """One case: its table on stdout, its entry for the results file."""
    stem, field = CASES[name]
    recipe = {**RECIPE, **(SMALL if small else {}), "seed": seed}
    train, valid, test = (str(DATA / f"{stem}-{part}.conllu") for part in ("train", "dev", "test"))
    given = {"field": field, "valid": valid, "test": test}
    entry = trained("tag", name, train, recipe, out, small=small, scored="taggers", **given)
    return {**entry, "treebank": stem, "field": field}


if __name__ == "__main__":
    main("tag", __doc__, CASES, run)
