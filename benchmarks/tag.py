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
    "cell": "lstm", "hidden": 256, "dropout": 0.5, "embedding": 100, "letter_size": 80, "word_dropout": 0.25,
    "lr": 3e-3, "batch_size": 32, "weight_decay": 0.01, "label_smoothing": 0.1, "schedule": "cosine", "warmup": 0.05,
    "ema": 0.99,
}  # fmt: skip
ENGLISH, KOREAN = "ud-english-ewt/en_ewt-ud", "ud-korean-gsd/ko_gsd-ud"
CASES: dict[str, tuple[str, str, dict[str, Any]]] = {
    "en-upos": (ENGLISH, "upos", {"beside": ["xpos", "feats"], "epochs": 8}),
    "en-xpos": (ENGLISH, "xpos", {"beside": ["upos", "feats"], "epochs": 8}),
    "ko-upos": (KOREAN, "upos", {"beside": ["xpos"], "word_dropout": 0.33, "epochs": 22}),
    "ko-xpos": (KOREAN, "xpos", {"beside": ["upos"], "word_dropout": 0.33, "epochs": 14}),
}
SMALL = {"hidden": 32, "embedding": 32, "letter_size": 24, "epochs": 2, "lr": 5e-3}


def run(name: str, seed: int, small: bool, out: Path) -> dict[str, Any]:
    """One case: its table on stdout, its entry for the results file."""
    stem, field, own = CASES[name]
    recipe = {**RECIPE, **own, **(SMALL if small else {}), "patience": own["epochs"], "seed": seed}
    train, valid, test = (str(DATA / f"{stem}-{part}.conllu") for part in ("train", "dev", "test"))
    given = {"field": field, "valid": valid, "test": test}
    entry = trained("tag", name, train, recipe, out, small=small, scored="taggers", **given)
    return {**entry, "treebank": stem, "field": field}


if __name__ == "__main__":
    main("tag", __doc__, CASES, run)
