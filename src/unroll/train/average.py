"""An average of the weights over the updates, to be validated and kept in their place."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn


class Average:
    r"""The exponential moving average of a network's weights (Polyak and Juditsky 1992).

    .. math::
        \bar\theta_1 = \theta_1, \qquad \bar\theta_n = d\, \bar\theta_{n-1} + (1 - d)\, \theta_n

    θ_n are the weights after the n-th update; buffers are the network's own. ``network`` holds the average.
    """

    def __init__(self, network: nn.Module, decay: float) -> None:
        self._held = AveragedModel(network, multi_avg_fn=get_ema_multi_avg_fn(decay))

    @property
    def network(self) -> nn.Module:
        module: nn.Module = self._held.module
        return module

    def update(self, network: nn.Module) -> None:
        """Take in the weights after an update."""
        self._held.update_parameters(network)

    def state_dict(self) -> dict[str, Tensor]:
        return self._held.state_dict()

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        self._held.load_state_dict(dict(state))
