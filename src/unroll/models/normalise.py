"""What a forecaster takes off its window before it reads it, and gives back to its forecast."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from unroll.errors import ConfigError, did_you_mean


class Level(NamedTuple):
    """What was measured of a window: ``shift`` and ``scale``, each (batch, targets)."""

    shift: Tensor
    scale: Tensor


class Normalisation(nn.Module):
    r"""A map of a window's targets that is undone on the forecast.

    ``measure`` looks at a window once; ``forward`` and ``inverse`` use what it found, so that

    .. math:: \mathrm{inverse}(\mathrm{forward}(x, s), s) = x, \qquad s = \mathrm{measure}(x)

    Args:
        targets: how many channels it maps.

    Shapes: ``x`` (batch, T, targets), ``last`` (batch, targets), a forecast (batch, horizon, targets) or
    (batch, horizon, targets, quantiles).
    """

    def __init__(self, targets: int) -> None:
        super().__init__()
        self.targets = targets

    def measure(self, x: Tensor, last: Tensor) -> Level:
        """What is taken off the window ``x``, whose last value is ``last``."""
        return Level(torch.zeros_like(last), torch.ones_like(last))

    def forward(self, x: Tensor, level: Level) -> Tensor:
        """``x`` without its level."""
        return (x - level.shift.unsqueeze(1)) / level.scale.unsqueeze(1)

    def inverse(self, y: Tensor, level: Level) -> Tensor:
        """The forecast ``y`` with the level of its window."""
        return y * _over(level.scale, y) + _over(level.shift, y)


class Unchanged(Normalisation):
    """The window as it is."""

    def forward(self, x: Tensor, level: Level) -> Tensor:
        return x

    def inverse(self, y: Tensor, level: Level) -> Tensor:
        return y


class LastValue(Normalisation):
    r"""Differences from the last value (NLinear, Zeng et al. 2023).

    .. math:: x'_t = x_t - x_T, \qquad \hat y_t = \hat y'_t + x_T

    A network that reads and gives differences is blind to the level: a trend that leaves the training range does no
    harm.
    """

    def measure(self, x: Tensor, last: Tensor) -> Level:
        return Level(last, torch.ones_like(last))

    def forward(self, x: Tensor, level: Level) -> Tensor:
        return x - level.shift.unsqueeze(1)

    def inverse(self, y: Tensor, level: Level) -> Tensor:
        return y + _over(level.shift, y)


class RevIN(Normalisation):
    r"""Reversible instance normalisation (Kim et al. 2022, equations 1 to 3).

    .. math::
        \mu = \frac1T \sum_t x_t, \qquad \sigma^2 = \frac1T \sum_t (x_t - \mu)^2

        x'_t = \gamma \frac{x_t - \mu}{\sqrt{\sigma^2 + \varepsilon}} + \beta, \qquad
        \hat y_t = \sqrt{\sigma^2 + \varepsilon} \, \frac{\hat y'_t - \beta}{\gamma} + \mu

    Each target of each window has its own μ and σ; γ and β are learned, one per target, if ``affine``. A window that
    does not change has σ = 0: it reads as β, and what is forecast is μ and :math:`\sqrt\varepsilon` times what the
    network says.

    Example::

        >>> revin = RevIN(2)
        >>> x = torch.randn(3, 20, 2)
        >>> level = revin.measure(x, x[:, -1])
        >>> revin.inverse(revin(x, level), level).sub(x).abs().max() < 1e-5
        tensor(True)
    """

    def __init__(self, targets: int, affine: bool = True, eps: float = 1e-5) -> None:
        super().__init__(targets)
        self.eps = eps
        self.weight = nn.Parameter(torch.ones(targets)) if affine else None
        self.bias = nn.Parameter(torch.zeros(targets)) if affine else None

    def measure(self, x: Tensor, last: Tensor) -> Level:
        # The statistics are data, not part of what is learned: the paper's own code lets no gradient through either.
        variance, mean = torch.var_mean(x.detach(), dim=1, correction=0)
        return Level(mean, (variance + self.eps).sqrt())

    def forward(self, x: Tensor, level: Level) -> Tensor:
        x = super().forward(x, level)
        return x if self.weight is None or self.bias is None else x * self.weight + self.bias

    def inverse(self, y: Tensor, level: Level) -> Tensor:
        if self.weight is not None and self.bias is not None:
            y = (y - _over(self.bias, y)) / _over(self.weight, y)
        return super().inverse(y, level)

    def extra_repr(self) -> str:
        return f"{self.targets}, affine={self.weight is not None}, eps={self.eps:g}"


NORMALISATIONS: dict[str, type[Normalisation]] = {"last": LastValue, "revin": RevIN, "none": Unchanged}


def normalisation(name: str, targets: int, **options: Any) -> Normalisation:
    """The normalisation ``name`` of ``NORMALISATIONS``.

    Raises:
        ConfigError: there is none of that name.
    """
    if name not in NORMALISATIONS:
        raise ConfigError(
            f"unknown normalisation '{name}'.{did_you_mean(name, NORMALISATIONS)}",
            expected=f"one of {', '.join(NORMALISATIONS)}",
        )
    return NORMALISATIONS[name](targets, **options)


def _over(per_target: Tensor, y: Tensor) -> Tensor:
    """(targets,) or (batch, targets) shaped to meet ``y`` (batch, horizon, targets) or (…, targets, quantiles)."""
    wide = per_target if per_target.dim() == 1 else per_target.unsqueeze(1)
    return wide.unsqueeze(-1) if y.dim() == 4 else wide
