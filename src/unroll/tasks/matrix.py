"""What was taken for what, counted, small enough to be drawn."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

DRAWN = 15
"""More labels than this are too many for one drawing: the rarest are counted together."""


def confusion(times: Mapping[tuple[str, str], int], what: str) -> dict[str, Any]:
    """``labels`` and ``counts`` (row the truth, column what it was taken for) of how often each pair came.

    The most frequent labels first; ``rest`` is how many further ones the last row and column count together. ``what``
    is what is counted, in words.
    """
    weight: Counter[str] = Counter()
    for (truth, said), n in times.items():
        weight[truth] += n
        weight[said] += 0 if truth == said else n
    labels = [label for label, _ in sorted(weight.items(), key=lambda pair: (-pair[1], pair[0]))]
    rest = labels[DRAWN:] if len(labels) > DRAWN + 1 else []
    kept = [label for label in labels if label not in set(rest)]
    place = {label: k for k, label in enumerate(kept)}
    size = len(kept) + bool(rest)
    counts = [[0] * size for _ in range(size)]
    for (truth, said), n in times.items():
        counts[place.get(truth, size - 1)][place.get(said, size - 1)] += n
    return {"kind": "confusion", "labels": kept, "counts": counts, "rest": len(rest), "what": what}
