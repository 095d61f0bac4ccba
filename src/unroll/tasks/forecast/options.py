"""The options of forecasting: how series are read, and what is forecast of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from unroll.errors import ConfigError, did_you_mean
from unroll.models.normalise import NORMALISATIONS
from unroll.options import NETWORK, option
from unroll.tasks.forecast.quantiles import DECIDING, parse_levels
from unroll.tasks.forecast.scores import METRICS, SQUARED

LOSSES = ("mse", "mae")
DECODERS = ("direct", "segments", "segments-recurrent", "recursive")


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

    decode: str = option(
        "How the horizon is written: direct, all at once from the last state; segments of many steps (SegRNN), in "
        "parallel or segments-recurrent; recursive, a step at a time.",
        "direct",
        metavar="NAME",
        under=NETWORK,
    )
    segment: int | None = option(
        "Steps per segment, read and written.", metavar="N", shown="a season, or 12", under=NETWORK
    )
    normalise: str = option(
        "What is taken off each window: its last value, its last season over its deviation (seasonal), its mean and "
        "deviation (revin), or none.",
        "last",
        metavar="|".join(NORMALISATIONS),
        under=NETWORK,
    )
    affine: bool = option("revin learns a scale and a shift for each target.", False, under=NETWORK)
    quantiles: str | None = option(
        "Quantiles to forecast beside the median, as 0.1,0.5,0.9.", metavar="Q,0.5,Q", shown="one value", under=NETWORK
    )

    def check(self) -> None:
        """Raises ConfigError naming the option that is wrong, or those that do not go together."""
        metrics = METRICS + (DECIDING if self.levels else ())
        if self.metric not in metrics:
            raise ConfigError(
                f"--metric {self.metric} without --quantiles"
                if self.metric in DECIDING
                else f"unknown metric '{self.metric}'.{did_you_mean(self.metric, metrics)}",
                expected=f"one of {', '.join(metrics)}",
            )
        self._check_network()
        if self.loss not in (None, *LOSSES):
            raise ConfigError(f"unknown loss '{self.loss}'", expected="mse or mae", fix="Give --loss mae")
        if self.season is not None and self.season < 1:
            raise ConfigError(f"--season {self.season}", expected="a whole number above 0, or none to detect it")
        if not 0 <= self.interval < 1:
            raise ConfigError(
                f"--interval {self.interval:g}", expected="a share from 0 to below 1", fix="Give --interval 0.9"
            )

    def _check_network(self) -> None:
        for name, value, known in (
            ("decode", self.decode, DECODERS),
            ("normalise", self.normalise, tuple(NORMALISATIONS)),
        ):
            if value not in known:
                raise ConfigError(
                    f"--{name} '{value}'.{did_you_mean(value, known)}", expected=f"one of {', '.join(known)}"
                )
        if self.segment is not None and (not isinstance(self.segment, int) or self.segment < 1):
            raise ConfigError(f"--segment {self.segment}", expected="a whole number above 0, or none for a season")
        if self.segment is not None and not self.decode.startswith("segments"):
            raise ConfigError(f"--segment {self.segment} with --decode {self.decode}", fix="Give --decode segments")
        if self.affine and self.normalise != "revin":
            raise ConfigError(f"--affine with --normalise {self.normalise}", fix="Give --normalise revin")
        if self.levels and self.decode in ("recursive", "segments-recurrent"):
            raise ConfigError(
                f"--quantiles with --decode {self.decode}",
                expected="a decoder that is not fed its own forecasts: quantiles of a step given the median of the "
                "one before are too narrow",
                fix="Give --decode direct or segments",
            )
        if self.levels and self.loss is not None:
            raise ConfigError(
                f"--loss {self.loss} with --quantiles",
                expected="one of the two: quantiles are learned by the pinball loss",
            )

    @property
    def levels(self) -> tuple[float, ...]:
        """The quantiles to forecast, ascending; none for a forecast of one value. Raises ConfigError."""
        return parse_levels(self.quantiles)

    @property
    def learned_loss(self) -> str:
        """The loss that is learned."""
        return "pinball" if self.levels else self.loss or ("mse" if self.metric in SQUARED else "mae")
