"""Forecasters: what every decoder shares, and the direct head."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

from torch import Tensor, nn

from unroll.errors import ConfigError
from unroll.models.checks import checked_size
from unroll.models.normalise import LastValue, Level, Normalisation
from unroll.nn import Recurrent


class ForecastNetwork(nn.Module, ABC):
    r"""A recurrent encoder, a decoder, and a normalisation around both.

    .. math:: \hat y_{T+1 \dots T+h} = \mathrm{inverse}(\mathrm{decode}(\mathrm{read}(x_{1 \dots T})))

    Args:
        encoder: unidirectional, ``batch_first=True``.
        targets: how many of the input's first channels are forecast.
        horizon: how many steps ahead.
        normalise: what is taken off the targets' history and given back to the forecast; the last value if not told.
        quantiles: forecast that many quantiles of each value, not one value; None for one value.

    Shapes: ``x`` (batch, T, channels), ``last`` (batch, targets), ``future`` (batch, horizon, n) where n numbers are
    known of the steps to be forecast, else None; result (batch, horizon, targets), with a last dimension of
    ``quantiles`` if there are any.

    Raises:
        ConfigError: an encoder that reads both ways or time first, or an impossible size.
    """

    reads: int = 1
    """How many time steps one step of the encoder reads."""
    summarises: ClassVar[bool] = True
    """Whether the first steps of the forecast follow from the encoder's last output alone."""

    def __init__(
        self,
        encoder: Recurrent,
        targets: int,
        horizon: int,
        normalise: Normalisation | None = None,
        quantiles: int | None = None,
    ) -> None:
        super().__init__()
        if not encoder.batch_first or encoder.bidirectional:
            raise ConfigError(f"cannot forecast with {encoder}", expected="batch_first=True and bidirectional=False")
        self.encoder, self.quantiles = encoder, quantiles
        self.targets, self.horizon = checked_size("targets", targets), checked_size("horizon", horizon)
        self.normalise = LastValue(targets) if normalise is None else normalise

    def forward(self, x: Tensor, last: Tensor, future: Tensor | None = None) -> Tensor:
        level = self.level(x, last)
        return self.normalise.inverse(self.decode(self.read(x, level), future), level)

    def level(self, x: Tensor, last: Tensor) -> Level:
        """What the normalisation measures of a window."""
        return self.normalise.measure(x[..., : self.targets], last)

    @abstractmethod
    def read(self, x: Tensor, level: Level) -> Tensor:
        """What the encoder reads of a window, (rows, steps, input_size)."""

    @abstractmethod
    def decode(self, read: Tensor, future: Tensor | None) -> Tensor:
        """From what the encoder reads, and what is known of the future, to the forecast, still normalised."""

    @abstractmethod
    def from_summary(self, summary: Tensor, read: Tensor, level: Level, future: Tensor | None) -> Tensor:
        """The first steps of the forecast, from the encoder's last output over ``read``, (batch, output_size)."""

    @property
    def numbers(self) -> int:
        """How many numbers are said of one value."""
        return self.quantiles or 1

    def _told(self, numbers: Tensor, steps: int) -> Tensor:
        """(batch, steps · targets · numbers) as a forecast."""
        if self.quantiles is None:
            return numbers.view(-1, steps, self.targets)
        return numbers.view(-1, steps, self.targets, self.quantiles)


class ForecastKnowingAhead(ForecastNetwork):
    r"""A decoder that reads channels it does not forecast, and what is known of each step it forecasts.

    What is known of a step, f, meets what the encoder last put out, s, in one hidden layer of the same weights at every
    step (the temporal decoder of TiDE, Das et al. 2023), and adds to the forecast of that step:

    .. math:: V \,\mathrm{relu}(A f + B s + a)

    Args:
        future: how many numbers are known of each step of the horizon.
    """

    def read(self, x: Tensor, level: Level) -> Tensor:
        """Targets normalised, other channels as they are."""
        read = x.clone()
        read[..., : self.targets] = self.normalise(x[..., : self.targets], level)
        return read

    def _know(self, future: int) -> None:
        """Make the layers, if there is anything to know."""
        size = self.encoder.output_size
        self.known = nn.Linear(future, size) if future else None
        self.meeting = nn.Linear(size, size, bias=False) if future else None
        self.effect = nn.Linear(size, self.targets * self.numbers, bias=False) if future else None

    def _changed(self, told: Tensor, summary: Tensor, future: Tensor | None) -> Tensor:
        """``told``, (rows, steps, targets[, quantiles]), by what is known of these steps, (rows, steps, n)."""
        if self.known is None or self.meeting is None or self.effect is None:
            return told
        assert future is not None, "this network reads what is known of the steps it forecasts"
        met = self.known(future) + self.meeting(summary).unsqueeze(1)
        return told + self._told(self.effect(met.relu()).flatten(1), told.shape[1])


class DirectForecast(ForecastKnowingAhead):
    r"""All steps of the horizon at once from the encoder's last output s.

    .. math:: \hat y'_{T+1 \dots T+h} = W s + b, \qquad s = \mathrm{encoder}(x'_1, \dots, x'_T)_T

    What is known of the steps to be forecast, f, adds to them, read beside s:

    .. math:: \hat y'_{T+k} \mathrel{+}= V \,\mathrm{relu}(A f_{T+k} + B s + a)

    Args:
        encoder: reads (batch, T, channels).
        future: how many numbers are known of each step of the horizon (``ForecastKnowingAhead``).

    The others, and shapes, as in ``ForecastNetwork``.
    """

    def __init__(
        self,
        encoder: Recurrent,
        targets: int,
        horizon: int,
        normalise: Normalisation | None = None,
        quantiles: int | None = None,
        *,
        future: int = 0,
    ) -> None:
        super().__init__(encoder, targets, horizon, normalise, quantiles)
        self.head = nn.Linear(encoder.output_size, horizon * targets * self.numbers)
        self._know(future)

    def decode(self, read: Tensor, future: Tensor | None) -> Tensor:
        output, _ = self.encoder(read)
        return self._ahead(output[:, -1], future)

    def from_summary(self, summary: Tensor, read: Tensor, level: Level, future: Tensor | None) -> Tensor:
        return self.normalise.inverse(self._ahead(summary, future), level)

    def _ahead(self, summary: Tensor, future: Tensor | None) -> Tensor:
        return self._changed(self._told(self.head(summary), self.horizon), summary, future)
