"""Differences from the last season: a network that says nothing gives the seasonal naive forecast."""

from __future__ import annotations

import torch
from torch import Tensor

from unroll.models.normalise import NORMALISATIONS, Level, Normalisation


class LastSeason(Normalisation):
    r"""Differences from the window's last season, in units of the window's deviation.

    .. math::
        n_t = x_{T - m + 1 + ((t - T - 1) \bmod m)}, \qquad x'_t = \frac{x_t - n_t}{\sigma}, \qquad
        \hat y_t = \sigma\, \hat y'_t + n_t, \qquad \sigma^2 = \frac1T \sum_t (x_t - \mu)^2 + \varepsilon

    with m = ``season`` and t counted on over the horizon, so that a network which says 0 gives the seasonal naive
    forecast, and one reading zeros has seen a series that repeats itself. σ puts series and windows of any size on one
    footing, as in ``RevIN``. A window shorter than a season repeats all it has. With a season of 1 it is ``LastValue``
    over σ.

    Args:
        targets: how many channels it maps.
        season: m, in steps.

    Shapes: as in ``Normalisation``; its level's shift is (batch, m, targets), the last season.

    Example::

        >>> season = LastSeason(1, 24)
        >>> x = torch.arange(24.0).repeat(7).view(1, 168, 1)
        >>> level = season.measure(x, x[:, -1])
        >>> season(x, level).abs().max(), season.inverse(torch.zeros(1, 48, 1), level)[0, :2, 0]
        (tensor(0.), tensor([0., 1.]))
    """

    def __init__(self, targets: int, season: int = 1, eps: float = 1e-5) -> None:
        super().__init__(targets)
        self.season, self.eps = season, eps

    def measure(self, x: Tensor, last: Tensor) -> Level:
        variance = torch.var(x.detach(), dim=1, correction=0)
        return Level(x[:, -self.season :], (variance + self.eps).sqrt())

    def forward(self, x: Tensor, level: Level) -> Tensor:
        return (x - self._repeated(level.shift, x.shape[1]).flip(1)) / level.scale.unsqueeze(1)

    def inverse(self, y: Tensor, level: Level) -> Tensor:
        naive = level.shift.repeat(1, -(-y.shape[1] // level.shift.shape[1]), 1)[:, : y.shape[1]]
        scale = level.scale.unsqueeze(1)
        return y * scale + naive if y.dim() == 3 else y * scale.unsqueeze(-1) + naive.unsqueeze(-1)

    @staticmethod
    def _repeated(season: Tensor, steps: int) -> Tensor:
        """The season backwards from its end, over and over, (batch, steps, targets)."""
        return season.flip(1).repeat(1, -(-steps // season.shape[1]), 1)[:, :steps]

    def extra_repr(self) -> str:
        return f"{self.targets}, season={self.season}, eps={self.eps:g}"


NORMALISATIONS["seasonal"] = LastSeason
