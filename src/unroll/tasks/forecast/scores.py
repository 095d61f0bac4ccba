"""How far forecasts were off: per window, so that scores, intervals and comparisons all come from the same sums."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from unroll.tasks.forecast.quantiles import outer_facts, quantile_scores

METRICS = ("MASE", "MAE", "RMSE", "sMAPE", "scaled MSE")
SQUARED = ("RMSE", "scaled MSE")
OF_INTERVALS = ("coverage", "interval width", "MSIS")
"""Further figures where forecasts have intervals."""


@dataclass(frozen=True, eq=False)
class WindowErrors:
    """Sums over each window's observed targets; all arrays (windows,) float64.

    Attributes:
        series: index of each window's series; origins: its first target row.
        count: observed targets; ``scaled_count`` those whose series has a finite MASE scale.
        sums: "absolute" |e|, "squared" e², "smape" 2|e|/(|y|+|ŷ|), "mase" |e|/scale in original units, and
            "scaled_squared", "scaled_absolute" on values standardised with the training range;
            those of ``interval_sums`` where forecasts have intervals, of ``quantile_sums`` where they have quantiles.
    """

    series: np.ndarray
    origins: np.ndarray
    count: np.ndarray
    scaled_count: np.ndarray
    sums: Mapping[str, np.ndarray]

    def scores(self) -> dict[str, float | None]:
        """Every metric over all windows; None where nothing could be scored."""
        return scores_of({name: total.sum() for name, total in self.columns().items()})

    def scaled(self) -> dict[str, float | None]:
        """MSE and MAE on standardised values."""
        n = float(self.count.sum())
        sums = {"MSE": self.sums["scaled_squared"], "MAE": self.sums["scaled_absolute"]}
        means = {name: float(total.sum()) / n if n else np.nan for name, total in sums.items()}
        return {name: mean if np.isfinite(mean) else None for name, mean in means.items()}

    def with_sums(self, more: Mapping[str, np.ndarray]) -> WindowErrors:
        """With further sums over each window."""
        return replace(self, sums={**self.sums, **more})

    def details(self) -> dict[str, dict[str, float | None]]:
        found = {"scaled": self.scaled()}
        if "pinball" in self.sums:
            found["quantiles"] = outer_facts({name: float(total.sum()) for name, total in self.sums.items()})
        return found

    def columns(self) -> dict[str, np.ndarray]:
        """The sums and counts that ``scores_of`` needs, by name, each (windows,)."""
        return {**self.sums, "count": self.count, "scaled_count": self.scaled_count}

    def arrays(self) -> dict[str, np.ndarray]:
        """What ``from_arrays`` reads back."""
        return {"series": self.series, "origins": self.origins, **self.columns()}

    def block_sums(self, block: np.ndarray, blocks: int) -> dict[str, np.ndarray]:
        return {name: np.bincount(block, weights=column, minlength=blocks) for name, column in self.columns().items()}

    def score_arrays(self, total: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        return score_arrays(total)

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray]) -> WindowErrors:
        sums = dict(arrays)
        own = {name: sums.pop(name) for name in ("series", "origins", "count", "scaled_count")}
        return cls(**own, sums=sums)


def scores_of(total: Mapping[str, float]) -> dict[str, float | None]:
    """Scores from sums over windows.

    MAE = Σ|e|/n; RMSE = √(Σe²/n); sMAPE = 100·Σ 2|e|/(|y|+|ŷ|)/n (Makridakis 1993, 0 to 200 %);
    MASE = Σ(|e|/scale)/n, scale being the series' mean |y_t - y_{t-m}| over its training rows (Hyndman &
    Koehler 2006); scaled MSE = Σe²/n of values standardised with the training range, as the long-horizon
    literature prints it. Where there are intervals: coverage, the share of values inside; their mean width; MSIS, their
    mean interval score over the MASE scale (Makridakis et al. 2020). Where there are quantiles: ``quantile_scores``.
    """
    arrays = score_arrays({name: np.asarray(value, np.float64) for name, value in total.items()})
    return {name: float(value) if np.isfinite(value) else None for name, value in arrays.items()}


def score_arrays(total: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """``scores_of`` for arrays of sums, all of one shape; NaN where nothing could be scored."""
    n, m = total["count"], total["scaled_count"]
    with np.errstate(divide="ignore", invalid="ignore"):
        scores = {
            "MASE": total["mase"] / m,
            "MAE": total["absolute"] / n,
            "RMSE": np.sqrt(total["squared"] / n),
            "sMAPE": 100.0 * total["smape"] / n,
            "scaled MSE": total["scaled_squared"] / n,
        }
        if "pinball" in total:
            scores |= quantile_scores(total)
        if "covered" not in total:
            return scores
        own = (total["covered"] / n, total["width"] / n, total["interval_score"] / m)
        return scores | dict(zip(OF_INTERVALS, own))


def window_errors(
    truth: np.ndarray,
    forecast: np.ndarray,
    *,
    mase_scale: np.ndarray,
    deviation: np.ndarray,
    series: np.ndarray,
    origins: np.ndarray,
) -> WindowErrors:
    """Errors of ``forecast`` against ``truth``, both (windows, horizon, targets) in original units, NaN = missing.

    ``mase_scale`` and ``deviation`` are (windows, targets): each window's series' MASE scale (NaN where it has
    none) and training standard deviation.
    """
    seen = ~np.isnan(truth)
    y, f = np.where(seen, truth, 0.0), np.where(seen, forecast, 0.0)
    e = np.abs(y - f)
    size = np.abs(y) + np.abs(f)
    smape = np.divide(2.0 * e, size, out=np.zeros_like(e), where=size > 0)
    scale = mase_scale[:, None, :]
    scalable = seen & np.isfinite(scale) & (scale > 0)
    mase = np.divide(e, scale, out=np.zeros_like(e), where=scalable)
    z = e / deviation[:, None, :]
    axes = (1, 2)
    return WindowErrors(
        series=series,
        origins=origins,
        count=seen.sum(axis=axes).astype(np.float64),
        scaled_count=scalable.sum(axis=axes).astype(np.float64),
        sums={
            "absolute": e.sum(axis=axes),
            "squared": (e**2).sum(axis=axes),
            "smape": smape.sum(axis=axes),
            "mase": mase.sum(axis=axes),
            "scaled_squared": (z**2).sum(axis=axes),
            "scaled_absolute": z.sum(axis=axes),
        },
    )


ROUNDING = 1e-10
"""Share of the largest value under which differences are rounding: a series that repeats itself exactly."""


def seasonal_scale(values: np.ndarray, season: int) -> np.ndarray:
    """The MASE scale of each channel: mean |y_t - y_{t-season}| over ``values`` (rows, channels), NaN ignored.

    NaN where no two values are a season apart, 0 where they differ by rounding alone.
    """
    if len(values) <= season:
        return np.full(values.shape[1], np.nan)
    steps = np.abs(values[season:] - values[:-season])
    seen = ~np.isnan(steps)
    count = seen.sum(axis=0)
    total = np.where(seen, steps, 0.0).sum(axis=0)
    scale = np.divide(total, count, out=np.full(values.shape[1], np.nan), where=count > 0)
    size = np.where(np.isnan(values), 0.0, np.abs(values)).max(axis=0)
    return np.where(scale <= ROUNDING * size, 0.0, scale)
