"""Intervals around forecasts that hold a stated share of what happens: split conformal prediction."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

ROUNDING = 1e-9
"""0.9 · 10 is a little more than 9 in floating point, which must not cost a rank."""


@dataclass(frozen=True, eq=False)
class Conformal:
    r"""How far the bounds of a forecaster have to be moved out, fitted on windows it has not learned from.

    A bound is as far off a value y as

    .. math:: E = \max(\ell - y,\; y - u) / s

    with ℓ and u the forecaster's own bounds and s the series' standard deviation in training. The interval is
    [ℓ - q s, u + q s], with q the ⌈(n + 1) p⌉-th smallest of the n scores E of a step and target. A forecaster that
    gives one number has ℓ = u, and E is its absolute error (split conformal, Lei et al. 2018, section 2.2); one that
    gives quantiles is widened, or narrowed where they hold too much (conformalised quantile regression, Romano et al.
    2019, equations 6 to 8).

    Were windows exchangeable, the share of new values inside would on average be between p and p + 1 / (n + 1).
    Windows of a series are not: neighbours overlap, and the future may differ from the validation range. That is why
    the share is measured on the test windows.

    Attributes:
        level: p.
        widening: (horizon, targets) q, in units of a series' deviation.
        windows: how many windows they were fitted on, at the step that has the fewest.
    """

    level: float
    widening: np.ndarray
    windows: int

    @classmethod
    def fit(
        cls, low: np.ndarray, high: np.ndarray, truth: np.ndarray, deviation: np.ndarray, level: float
    ) -> Conformal | None:
        """From bounds and truth (windows, horizon, targets), NaN = missing, and ``deviation`` (windows, targets).

        None where some step and target has fewer than ``fewest(level)`` values to rank.
        """
        scores = np.sort(np.maximum(low - truth, truth - high) / deviation[:, None, :], axis=0)
        count = (~np.isnan(scores)).sum(axis=0)
        least = int(count.min()) if count.size else 0
        if least < fewest(level):
            return None
        picked = np.ceil((count + 1) * level - ROUNDING).astype(np.int64) - 1
        return cls(level, np.take_along_axis(scores, picked[None], axis=0)[0], least)

    def bounds(self, low: np.ndarray, high: np.ndarray, deviation: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """``low`` and ``high`` (windows, horizon, targets) moved; where they would cross they meet halfway."""
        move = self.widening * deviation[:, None, :]
        low, high = low - move, high + move
        middle = (low + high) / 2
        return np.minimum(low, middle), np.maximum(high, middle)

    def to_dict(self) -> dict[str, Any]:
        """Everything, as JSON values."""
        return {"level": self.level, "windows": self.windows, "widening": self.widening.tolist()}

    @classmethod
    def from_dict(cls, record: Mapping[str, Any]) -> Conformal:
        return cls(float(record["level"]), np.asarray(record["widening"], np.float64), int(record["windows"]))


def fewest(level: float) -> int:
    """The least n for which the ⌈(n + 1) p⌉-th of n values exists: 9 for p = 0.9, 19 for 0.95."""
    return max(1, math.ceil(level / (1.0 - level) - ROUNDING))


def interval_sums(
    truth: np.ndarray, low: np.ndarray, high: np.ndarray, *, mase_scale: np.ndarray, level: float
) -> dict[str, np.ndarray]:
    """What the scores of intervals need, summed over each window's observed targets; arrays as in ``window_errors``.

    "covered" counts ℓ ≤ y ≤ u, "width" is u - ℓ, and "interval_score" the score of Gneiting & Raftery (2007, equation
    43) over the series' MASE scale,

    .. math:: (u - \\ell) + \\tfrac{2}{1 - p} (\\ell - y)^+ + \\tfrac{2}{1 - p} (y - u)^+
    """
    seen = ~np.isnan(truth)
    y, lower, upper = (np.where(seen, part, 0.0) for part in (truth, low, high))
    width = upper - lower
    missed = np.maximum(lower - y, 0.0) + np.maximum(y - upper, 0.0)
    scale = mase_scale[:, None, :]
    scored = np.divide(
        width + 2.0 / (1.0 - level) * missed, scale, out=np.zeros_like(y), where=seen & np.isfinite(scale) & (scale > 0)
    )
    sums = {"covered": seen & (missed == 0), "width": width, "interval_score": scored}
    return {name: values.sum(axis=(1, 2), dtype=np.float64) for name, values in sums.items()}


def shares_error(covered: np.ndarray, count: np.ndarray, series: np.ndarray, span: int) -> float:
    """The standard error of Σ covered / Σ count over windows in order, from sums over blocks of 2 · ``span`` of them.

    Neighbouring windows share targets, so that single windows say less than their number. NaN for a single block.
    """
    place = np.concatenate([np.arange(n) for n in np.unique(series, return_counts=True)[1]])
    block = np.unique(np.stack([series, place // (2 * span)]), axis=1, return_inverse=True)[1].reshape(-1)
    n, inside = np.bincount(block, weights=count), np.bincount(block, weights=covered)
    if len(n) < 2 or not n.sum():
        return math.nan
    rest = inside - inside.sum() / n.sum() * n
    return float(np.sqrt(len(n) / (len(n) - 1) * (rest**2).sum()) / n.sum())
