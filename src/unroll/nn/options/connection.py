"""What joins a layer's input and output, from the second layer on."""

from __future__ import annotations

from itertools import pairwise

import torch.nn.functional as F
from torch import Tensor, nn

from unroll.errors import ConfigError, did_you_mean


class Residual(nn.Module):
    r"""y = layer(x) + x (He et al. 2016, eq. 1; between recurrent layers Wu et al. 2016, section 3.1)."""

    def __init__(self, width: int) -> None:
        super().__init__()

    def reset_parameters(self) -> None:
        """There are none."""

    def forward(self, output: Tensor, x: Tensor) -> Tensor:
        return output + x


class Highway(nn.Module):
    r"""y = T ⊙ layer(x) + (1 - T) ⊙ x, T = σ(W_T x + b_T) (Srivastava et al. 2015, arXiv:1505.00387, eq. 3).

    b_T starts at -1, so that the layer is carried over at first.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.gate = nn.Linear(width, width)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw W_T anew as ``nn.Linear`` does, and set b_T to -1."""
        self.gate.reset_parameters()
        nn.init.constant_(self.gate.bias, -1.0)

    def forward(self, output: Tensor, x: Tensor) -> Tensor:
        T = F.sigmoid(self.gate(x))
        return T * output + (1 - T) * x


CONNECTIONS: dict[str, type[Residual] | type[Highway]] = {"residual": Residual, "highway": Highway}


def connection(name: str, widths: list[int]) -> nn.ModuleList:
    """One connection for each layer from the second on; ``widths`` are the layers' output widths.

    Raises:
        ConfigError: no such connection, or the widths differ.
    """
    if name not in CONNECTIONS:
        raise ConfigError(
            f"unknown connection '{name}'.{did_you_mean(name, CONNECTIONS)}",
            expected=f"one of {', '.join(CONNECTIONS)}",
        )
    for number, (below, own) in enumerate(pairwise(widths)):
        if below != own:
            raise ConfigError(
                f"{name} connection over layer {number + 1}, which takes {below} features and gives {own}",
                expected="layers of one output width",
                fix="Give every layer the same hidden size, or leave connection out",
            )
    return nn.ModuleList(CONNECTIONS[name](width) for width in widths[1:])
