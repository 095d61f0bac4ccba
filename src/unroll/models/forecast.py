"""Direct multi-horizon forecasting from the last state of a recurrent encoder."""

from __future__ import annotations

from torch import Tensor, nn

from unroll.nn import Recurrent


class DirectForecast(nn.Module):
    r"""All steps of the horizon at once, as differences from the last observed value.

    .. math:: \hat y_{T+1 \dots T+h} = x_T + W \,\mathrm{encoder}(x_1 - x_T, \dots, x_T - x_T)_T + b

    Subtracting the last value from the targets' history and adding it to the forecast makes the network
    blind to the level, so a trend that leaves the training range does no harm (NLinear, Zeng et al. 2023).

    What is known of the steps to be forecast, f, is read step by step beside the encoder's last output s, by the same
    weights at every step (the temporal decoder of TiDE, Das et al. 2023, with one hidden layer):

    .. math:: \hat y_{T+k} \mathrel{+}= V \,\mathrm{relu}(A f_{T+k} + B s + a)

    Args:
        encoder: unidirectional, ``batch_first=True``; reads (batch, T, channels).
        targets: how many of the input's first channels are forecast.
        horizon: how many steps ahead.
        future: how many numbers are known of each of these steps.

    Shapes: ``x`` (batch, T, channels), ``last`` (batch, targets), ``future`` (batch, horizon, future) unless there is
    nothing in it; result (batch, horizon, targets).
    """

    def __init__(self, encoder: Recurrent, targets: int, horizon: int, future: int = 0) -> None:
        super().__init__()
        self.encoder, self.targets, self.horizon = encoder, targets, horizon
        size = encoder.output_size
        self.head = nn.Linear(size, horizon * targets)
        self.known = nn.Linear(future, size) if future else None
        self.meeting = nn.Linear(size, size, bias=False) if future else None
        self.effect = nn.Linear(size, targets, bias=False) if future else None

    def forward(self, x: Tensor, last: Tensor, future: Tensor | None = None) -> Tensor:
        output, _ = self.encoder(self.differences(x, last))
        return self.forecast(output[:, -1], last, future)

    def differences(self, x: Tensor, last: Tensor) -> Tensor:
        """What the encoder reads: targets relative to their last value, features as they are."""
        shifted = x.clone()
        shifted[..., : self.targets] -= last.unsqueeze(1)
        return shifted

    def forecast(self, summary: Tensor, last: Tensor, future: Tensor | None = None) -> Tensor:
        """From the encoder's last output (batch, output_size) to the forecast."""
        steps = last.unsqueeze(1) + self.head(summary).view(-1, self.horizon, self.targets)
        if self.known is None or self.meeting is None or self.effect is None:
            return steps
        assert future is not None, "this network reads what is known of the steps it forecasts"
        met = self.known(future) + self.meeting(summary).unsqueeze(1)
        return steps + self.effect(met.relu())
