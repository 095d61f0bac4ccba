"""Forecasts of quantiles: which, how they are learned, how they are scored."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from unroll.errors import ConfigError

DECIDING = ("WQL", "pinball")
"""Metrics of quantiles that may decide."""
QUANTILE_METRICS = (*DECIDING, "quantile coverage")
MEDIAN = 0.5


def parse_levels(given: str | Sequence[float] | None) -> tuple[float, ...]:
    """Quantiles as typed, "0.1,0.5,0.9", or as numbers; ascending. None and no text are none.

    Raises:
        ConfigError: one is no number between 0 and 1 or stands twice, or the median is not among them.
    """
    if given is None or given == "":
        return ()
    expected = "numbers between 0 and 1, ascending, with the median, as 0.1,0.5,0.9"
    try:
        levels = tuple(float(part) for part in (given.split(",") if isinstance(given, str) else given))
    except (TypeError, ValueError):
        raise ConfigError(f"--quantiles {given}", expected=expected) from None
    if not all(0 < level < 1 for level in levels) or list(levels) != sorted(set(levels)):
        raise ConfigError(f"--quantiles {given}", expected=expected)
    if MEDIAN not in levels:
        raise ConfigError(
            f"--quantiles {given} without 0.5",
            expected="the median among them: it is what MAE, RMSE and the other point scores are of",
            fix=f"Give --quantiles {','.join(f'{v:g}' for v in sorted((*levels, MEDIAN)))}",
        )
    return levels


def pinball(error: Tensor, levels: Sequence[float]) -> Tensor:
    r"""The pinball loss of errors y - ŷ (…, quantiles), whose expectation the quantile minimises (Koenker & Bassett
    1978).

    .. math:: \rho_q(e) = \max(q e, (q - 1) e)
    """
    q = torch.tensor(levels, dtype=error.dtype, device=error.device)
    return torch.maximum(q * error, (q - 1) * error)


def quantile_sums(
    truth: np.ndarray, told: np.ndarray, levels: Sequence[float], *, point: bool
) -> dict[str, np.ndarray]:
    r"""What ``quantile_scores`` needs of each window, (windows,) float64.

    Args:
        truth: (windows, horizon, targets), NaN where missing.
        told: (windows, horizon, targets, quantiles), ascending in the last dimension.
        point: ``told`` repeats one value, as of a forecaster without quantiles: it has no interval.
    """
    seen = ~np.isnan(truth)
    y = np.where(seen, truth, 0.0)
    q = np.asarray(levels, np.float64)
    error = y[..., None] - told
    loss = np.maximum(q * error, (q - 1) * error).mean(axis=-1)
    low, high = told[..., 0], told[..., -1]
    between = np.zeros_like(seen) if point or len(levels) < 2 else seen
    sums = {
        "pinball": np.where(seen, loss, 0.0),
        "absolute_truth": np.abs(y),
        "quantiles_held": between & (low <= y) & (y <= high),
        "quantiles_width": np.where(between, high - low, 0.0),
        "quantiles_count": between,
        "quantiles_nominal": between * (levels[-1] - levels[0]),
    }
    return {name: values.sum(axis=(1, 2), dtype=np.float64) for name, values in sums.items()}


def quantile_scores(total: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    r"""Scores of quantiles from sums over windows, all of one shape; NaN where nothing could be scored.

    pinball = Σ ρ_q(y - ŷ_q) / (n Q); WQL = 2 Σ ρ_q(y - ŷ_q) / (Q Σ|y|), for one value that is said for all quantiles
    Σ|y - ŷ| / Σ|y| if they lie evenly about the median; quantile coverage is the share of values between the lowest
    and the highest quantile, of which the nominal share is their difference.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        return {
            "WQL": 2.0 * total["pinball"] / total["absolute_truth"],
            "pinball": total["pinball"] / total["count"],
            "quantile coverage": total["quantiles_held"] / total["quantiles_count"],
        }


def outer_facts(total: Mapping[str, float]) -> dict[str, float | None]:
    """Nominal and measured coverage and the mean width of the interval between the outermost quantiles."""
    n = total["quantiles_count"]
    sums = {"nominal": "quantiles_nominal", "coverage": "quantiles_held", "width": "quantiles_width"}
    return {name: total[key] / n if n else None for name, key in sums.items()}
