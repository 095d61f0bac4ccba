"""What a forecast must beat: last value, seasonal naive, ridge autoregression."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from unroll.data import Batch, Windows, carried

FIT_ROWS = 100_000
"""Ridge is fitted on at most this many (window, target) pairs, evenly spaced."""
FIT_NUMBERS = 20_000_000
"""… and on as many as fit into this many numbers."""
ALPHAS = (0.1, 1.0, 10.0, 100.0, 1000.0)


class Baseline(Protocol):
    """A forecaster without a network, in values standardised as the networks' are."""

    name: str
    parameters: int
    train_seconds: float

    def forecast(self, windows: Windows, part: str, indices: np.ndarray) -> np.ndarray:
        """Forecasts (windows, horizon, targets), standardised."""


@dataclass
class LastValue:
    """ŷ_{T+k} = y_T."""

    name: str = "last value"
    parameters: int = 0
    train_seconds: float = 0.0

    def forecast(self, windows: Windows, part: str, indices: np.ndarray) -> np.ndarray:
        last = windows.batch(part, indices).last.double().numpy()
        return np.repeat(last[:, None, :], windows.horizon, axis=1)


@dataclass
class SeasonalNaive:
    """ŷ_{T+k} = y_{T+k-m⌈k/m⌉}: the last season again; missing values are those carried forward."""

    season: int
    name: str = "seasonal naive"
    parameters: int = 0
    train_seconds: float = 0.0

    def forecast(self, windows: Windows, part: str, indices: np.ndarray) -> np.ndarray:
        series, origins = (column[indices] for column in windows.origins(part))
        ahead = np.arange(windows.horizon)
        back = ahead % self.season - self.season
        targets = len(windows.series_set.targets)
        result = np.empty((len(indices), windows.horizon, targets))
        for index in np.unique(series):
            one = windows.series_set.series[index]
            rows = series == index
            values = np.nan_to_num(windows.scaler.transform(one.name, carried(one.values))[:, :targets])
            # A window that begins within the first season has only its last value to repeat.
            source = origins[rows, None] + back
            source = np.where(source >= 0, source, origins[rows, None] - 1)
            result[rows] = values[source]
        return result


class RidgeAR:
    r"""Direct ridge autoregression, one linear map from the last p values to all h steps.

    .. math:: \hat y_{T+1 \dots T+h} = y_T + A (y_{T-p+1} - y_T, \dots, y_T - y_T) + b

    One map for all series and targets, each reading its own past; α is chosen on the validation windows.

    Where networks read what is known of the future, or what does not change in a series, ridge is told the same: these
    numbers of all h steps, and the other inputs of step T, stand beside the p values, with weights for each target.

    Raises:
        ValueError: no training window is free of missing targets.
    """

    def __init__(self, windows: Windows) -> None:
        from sklearn.linear_model import Ridge

        started = time.perf_counter()
        self.p = windows.input_length
        self.told = windows.inputs.future_width > 0 or len(windows.inputs.statics) > 0
        self.name = f"ridge AR{'X' if self.told else ''}({self.p})"
        X, Y = self._pairs(windows, "train")
        if len(X) < 2:
            raise ValueError("no training window is free of missing targets")
        valid_X, valid_Y = self._pairs(windows, "valid")
        best: tuple[float, Ridge] | None = None
        for alpha in ALPHAS:
            model = Ridge(alpha=alpha).fit(X, Y)
            error = float(np.mean((model.predict(valid_X) - valid_Y) ** 2)) if len(valid_X) else alpha
            if best is None or error < best[0]:
                best = (error, model)
        assert best is not None
        self.model = best[1]
        self.parameters = int(self.model.coef_.size + np.size(self.model.intercept_))
        self.train_seconds = time.perf_counter() - started

    def forecast(self, windows: Windows, part: str, indices: np.ndarray) -> np.ndarray:
        batch = windows.batch(part, indices)
        past, last = self._past(batch)
        steps = self.model.predict(past).reshape(last.shape[0], last.shape[1], windows.horizon)
        return np.asarray(last[:, None, :] + steps.transpose(0, 2, 1))

    def _pairs(self, windows: Windows, part: str) -> tuple[np.ndarray, np.ndarray]:
        targets = len(windows.series_set.targets)
        count = windows.count(part)
        width = self._past(windows.batch(part, np.arange(min(1, count))))[0].shape[1]
        step = max(1, -(-count * targets // min(FIT_ROWS, FIT_NUMBERS // width)))
        batch = windows.batch(part, np.arange(0, count, step))
        past, last = self._past(batch)
        ahead = (batch.y.double().numpy() - last[:, None, :]).transpose(0, 2, 1).reshape(-1, windows.horizon)
        whole = batch.mask.numpy().all(axis=1).reshape(-1)
        return past[whole], ahead[whole]

    def _past(self, batch: Batch) -> tuple[np.ndarray, np.ndarray]:
        """(windows · targets, p and more) values relative to the last one, and that (windows, targets)."""
        x, last = batch.x.double().numpy(), batch.last.double().numpy()
        targets = last.shape[1]
        past = (x[..., :targets] - last[:, None, :]).transpose(0, 2, 1).reshape(-1, self.p)
        if not self.told:
            return past, last
        beside = np.concatenate([batch.future.double().flatten(1).numpy(), x[:, -1, targets:]], axis=1)
        own = np.einsum("bn,st->bstn", beside, np.eye(targets)).reshape(len(past), -1)
        return np.concatenate([past, own], axis=1), last
