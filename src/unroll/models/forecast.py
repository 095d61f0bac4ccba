"""Direct multi-horizon forecasting from the last state of a recurrent encoder."""

from __future__ import annotations

from torch import Tensor, nn

from unroll.nn import Recurrent


class DirectForecast(nn.Module):
    r"""All steps of the horizon at once, as differences from the last observed value.

    .. math:: \hat y_{T+1 \dots T+h} = x_T + W \,\mathrm{encoder}(x_1 - x_T, \dots, x_T - x_T)_T + b

    Subtracting the last value from the targets' history and adding it to the forecast makes the network
    blind to the level, so a trend that leaves the training range does no harm (NLinear, Zeng et al. 2023).

    Args:
        encoder: unidirectional, ``batch_first=True``; reads (batch, T, targets + features).
        targets: how many of the input's first channels are forecast.
        horizon: how many steps ahead.

    Shapes: ``x`` (batch, T, channels), ``last`` (batch, targets), result (batch, horizon, targets).
    """

    def __init__(self, encoder: Recurrent, targets: int, horizon: int) -> None:
        super().__init__()
        self.encoder, self.targets, self.horizon = encoder, targets, horizon
        self.head = nn.Linear(encoder.output_size, horizon * targets)

    def forward(self, x: Tensor, last: Tensor) -> Tensor:
        output, _ = self.encoder(self.differences(x, last))
        return self.forecast(output[:, -1], last)

    def differences(self, x: Tensor, last: Tensor) -> Tensor:
        """What the encoder reads: targets relative to their last value, features as they are."""
        shifted = x.clone()
        shifted[..., : self.targets] -= last.unsqueeze(1)
        return shifted

    def forecast(self, summary: Tensor, last: Tensor) -> Tensor:
        """From the encoder's last output (batch, output_size) to the forecast."""
        return last.unsqueeze(1) + self.head(summary).view(-1, self.horizon, self.targets)
