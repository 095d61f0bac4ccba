"""Which network forecasts: the encoder, the decoder and the normalisation that the options name."""

from __future__ import annotations

from typing import Any, NamedTuple

from unroll.data.series.inputs import Inputs
from unroll.data.wording import counted
from unroll.errors import ConfigError
from unroll.models import DirectForecast, ForecastNetwork, RecursiveForecast, SegmentForecast
from unroll.models.normalise import Normalisation, normalisation
from unroll.tasks.forecast.options import ForecastOptions
from unroll.tasks.network import NetworkOptions, build_encoder

SEGMENT = 12
"""Steps of a segment where there is no season."""


class Sizes(NamedTuple):
    """What a network must fit.

    ``channels`` numbers are read of every step, of which the first ``targets`` are forecast; ``future`` numbers are
    known of every step of the horizon. ``unknown`` numbers of a row are neither forecast, nor known in advance, nor the
    same in the whole series.
    """

    channels: int
    targets: int
    input: int
    horizon: int
    season: int | None = None
    future: int = 0
    unknown: int = 0

    @classmethod
    def of(cls, inputs: Inputs, targets: int, input: int, horizon: int, season: int | None) -> Sizes:
        unknown = inputs.unknown(targets)
        return cls(inputs.width, targets, input, horizon, season, inputs.future_width, unknown)


def build_network(options: NetworkOptions, learned: ForecastOptions, sizes: Sizes) -> ForecastNetwork:
    """The network that ``options`` and ``learned`` describe.

    Raises:
        ConfigError: they do not go together, or not with the data.
    """
    channels, targets, horizon = sizes.channels, sizes.targets, sizes.horizon
    _check_read(learned.decode, sizes)
    normalise = _normalisation(learned, sizes)
    quantiles = len(learned.levels) or None
    if learned.decode == "direct":
        encoder = build_encoder(options, channels)
        return DirectForecast(encoder, targets, horizon, normalise, quantiles, future=sizes.future)
    if learned.decode == "recursive":
        return RecursiveForecast(build_encoder(options, channels), targets, horizon, normalise, future=sizes.future)
    return SegmentForecast(
        build_encoder(options, options.hidden),
        targets,
        horizon,
        segment_length(learned, sizes),
        normalise,
        quantiles,
        dropout=options.dropout,
        recurrent=learned.decode == "segments-recurrent",
    )


def _check_read(decode: str, sizes: Sizes) -> None:
    """That ``decode`` can do with what is read beside the targets."""
    more = sizes.channels - sizes.targets + sizes.future
    if decode.startswith("segments") and more:
        raise ConfigError(
            f"--decode {decode} where {counted(more, 'number')} of a row are not forecast",
            expected="targets alone: this decoder reads and writes them one by one",
            fix="Give --decode direct, or targets only: no --feature, --known, --static, --calendar, --missing mask or "
            "--times irregular",
        )
    if decode == "recursive" and sizes.unknown:
        raise ConfigError(
            f"--decode recursive where {counted(sizes.unknown, 'number')} of a row are neither forecast nor known in "
            "advance",
            expected="all that is read of a step to be there when the next one is forecast",
            fix="Give --decode direct, or none of --feature, --times irregular and --since, and --missing carry where "
            "targets have holes",
        )


def segment_length(learned: ForecastOptions, sizes: Sizes) -> int:
    """Steps per segment: as asked, else a season, else ``SEGMENT``; no more than the history has.

    Raises:
        ConfigError: more were asked for.
    """
    if learned.segment is None:
        return min(sizes.season or SEGMENT, sizes.input)
    if learned.segment > sizes.input:
        raise ConfigError(
            f"--segment {learned.segment} with {sizes.input} steps of history",
            expected="a segment no longer than the history",
            fix="Give a shorter --segment, or a longer --input",
        )
    return learned.segment


def _normalisation(learned: ForecastOptions, sizes: Sizes) -> Normalisation:
    if learned.normalise == "seasonal" and not sizes.season:
        raise ConfigError("--normalise seasonal without a season", fix="Give --season")
    own: dict[str, dict[str, Any]] = {"revin": {"affine": learned.affine}, "seasonal": {"season": sizes.season}}
    return normalisation(learned.normalise, sizes.targets, **own.get(learned.normalise, {}))
