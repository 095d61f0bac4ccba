"""The options of forecasting: how series are read, and what is forecast of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from unroll.errors import ConfigError, did_you_mean
from unroll.options import option
from unroll.tasks.scores import METRICS, SQUARED

LOSSES = ("mse", "mae")


@dataclass(frozen=True)
class DataOptions:
    """How the data is read; each is the command-line option of the same name."""

    targets: tuple[str, ...] = ()
    features: tuple[str, ...] = ()
    time: str | None = None
    group: str | None = None
    delimiter: str | None = None
    layout: str = "long"
    na: tuple[str, ...] = ()
    missing: str = "error"
    sort: bool = False
    drop_bad_rows: bool = False
    skip_bad_series: bool = False
    known: tuple[str, ...] = option(
        "Column known of the future too (price, holiday); rows at the end without a target are the future; repeat it.",
        (),
        metavar="COLUMN",
    )
    static: tuple[str, ...] = option(
        "Column that does not change within a series, of numbers or categories; repeat it.", (), metavar="COLUMN"
    )
    calendar: str | None = option(
        "Parts of the time that are read too: minute, hour, weekday, day, month, yearday, with commas.", metavar="PARTS"
    )
    times: str = option(
        "Whether rows are one step apart, or irregular: networks then read the time between them.",
        "regular",
        metavar="regular|irregular",
    )
    since: bool = option("With --missing mask: networks also read how long ago each value was observed.", False)


@dataclass(frozen=True)
class ForecastOptions:
    """What is forecast: ``horizon`` steps ahead from ``input`` steps; None is chosen from the training data.

    ``metric`` decides what is recommended. The networks learn the ``loss`` that goes with it if none is given:
    squared errors for RMSE and scaled MSE, absolute ones for the others.
    """

    task: ClassVar[str] = "forecast"
    horizon: int | None = None
    input: int | None = None
    season: int | None = None
    split: str = "0.7,0.15,0.15"
    metric: str = "MASE"
    loss: str | None = None
    interval: float = option(
        "Share of what happens that the interval around a forecast is to hold; 0 for no intervals.", 0.9, metavar="P"
    )

    def check(self) -> None:
        """Raises ConfigError for an unknown metric or loss, or a season below 1, or an impossible interval."""
        if self.metric not in METRICS:
            raise ConfigError(
                f"unknown metric '{self.metric}'.{did_you_mean(self.metric, METRICS)}",
                expected=f"one of {', '.join(METRICS)}",
            )
        if self.loss not in (None, *LOSSES):
            raise ConfigError(f"unknown loss '{self.loss}'", expected="mse or mae", fix="Give --loss mae")
        if self.season is not None and self.season < 1:
            raise ConfigError(f"--season {self.season}", expected="a whole number above 0, or none to detect it")
        if not 0 <= self.interval < 1:
            raise ConfigError(
                f"--interval {self.interval:g}", expected="a share from 0 to below 1", fix="Give --interval 0.9"
            )

    @property
    def learned_loss(self) -> str:
        """The loss that is learned."""
        return self.loss or ("mse" if self.metric in SQUARED else "mae")
