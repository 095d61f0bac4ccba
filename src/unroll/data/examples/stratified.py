"""A random split that keeps the shares of the classes, and equal examples on one side."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

import numpy as np

from unroll.data.series.split import PARTS


def stratified(
    labels: Sequence[Hashable], keys: Sequence[Hashable], shares: Sequence[float], seed: int
) -> dict[str, np.ndarray]:
    """Indices of "train", "valid" and "test", each ascending.

    Examples of equal ``keys`` (the same text twice) come into the same part, so that none is scored on what it was
    trained on. Within a class (that of the first of equal examples) the parts are drawn systematically: each gets
    its share to within one. A class of one example comes into training. The same arguments give the same split.
    """
    groups: dict[Hashable, list[int]] = {}
    for index, key in enumerate(keys):
        groups.setdefault(key, []).append(index)
    by_label: dict[Hashable, list[list[int]]] = {}
    for members in groups.values():
        by_label.setdefault(labels[members[0]], []).append(members)
    rng = np.random.default_rng(seed)
    bounds = np.cumsum(np.asarray(shares, float) / float(np.sum(shares)))
    parts: list[list[int]] = [[] for _ in PARTS]
    for label in sorted(by_label, key=str):
        own = by_label[label]
        places = (rng.permutation(len(own)) + rng.random()) / len(own)
        chosen = np.minimum(np.searchsorted(bounds, places, side="right"), len(PARTS) - 1)
        if not (chosen == 0).any():
            chosen[int(np.argmin(places))] = 0
        for members, part in zip(own, chosen):
            parts[int(part)].extend(members)
    return {name: np.array(sorted(part), dtype=np.int64) for name, part in zip(PARTS, parts)}
