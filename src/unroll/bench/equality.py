"""Equal numbers before any speed: how far two contenders are apart, and how far they may be."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

BOUNDS = {"float32": (2e-6, 2e-5), "float64": (1e-10, 1e-10)}
"""How far results and gradients may be apart, relative to the largest number of their tensor."""
ROWS = 200_000
"""Steps times rows up to which that holds, the most of the goals' shapes. A weight's gradient sums as many terms,
whose rounding grows as the square root of their number."""


class Apart(NamedTuple):
    """The largest difference of any tensor, results and gradients; None where a number is none."""

    forward: float | None
    backward: float | None
    equal: bool


def apart(file: Path, other: Path, results: int, dtype: str, rows: int = 0) -> Apart:
    """How far the numbers of ``file`` are from those of ``other``; the first ``results`` tensors are results.

    ``rows`` is how many steps of how many rows a gradient sums. Numbers of another ``dtype`` are not equal, and neither
    are tensors of another shape.
    """
    with np.load(file) as own, np.load(other) as wanted:
        names = wanted.files
        if own.files != names or any(not _alike(own[name], wanted[name], dtype) for name in names):
            return Apart(None, None, False)
        found = [_difference(own[name], wanted[name]) for name in names]
    forward, backward = max(found[:results], default=0.0), max(found[results:], default=0.0)
    most_forward, most_backward = BOUNDS[dtype]
    equal = forward <= most_forward and backward <= most_backward * max(1.0, rows / ROWS) ** 0.5
    return Apart(_finite(forward), _finite(backward) if len(found) > results else None, equal)


def bounds() -> dict[str, Any]:
    """What is allowed, for the record."""
    return {dtype: {"results": forward, "gradients": backward} for dtype, (forward, backward) in BOUNDS.items()}


def _alike(own: Any, wanted: Any, dtype: str) -> bool:
    return own.shape == wanted.shape and own.dtype == wanted.dtype == np.dtype(dtype)


def _difference(own: Any, wanted: Any) -> float:
    if wanted.size == 0:
        return 0.0
    with np.errstate(invalid="ignore"):
        difference = float(np.abs(own - wanted).max() / max(1e-30, float(np.abs(wanted).max())))
    # A nan compares as false with everything: it must not pass for the smaller.
    return difference if np.isfinite(difference) else float("inf")


def _finite(value: float) -> float | None:
    return float(f"{value:.2g}") if np.isfinite(value) else None
