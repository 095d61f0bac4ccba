"""Forecasts of quantiles: which, how they are learned, how they are scored."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from unroll.errors import ConfigError

DECIDING = ("WQL", "pinball")
"""Metrics of quantiles that may decide."""
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
