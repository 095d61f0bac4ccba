"""Any activation, by name or as a function."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from unroll.errors import ConfigError, did_you_mean


def _identity(a: Tensor) -> Tensor:
    return a


def _hard_sigmoid(a: Tensor) -> Tensor:
    return (a + 3).clamp(0, 6) / 6  # torch's own has no second derivative


FUNCTIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "elu": F.elu,
    "gelu": F.gelu,
    "hard_sigmoid": _hard_sigmoid,
    "hard_tanh": F.hardtanh,
    "identity": _identity,
    "leaky_relu": F.leaky_relu,
    "relu": torch.relu,
    "sigmoid": torch.sigmoid,
    "silu": F.silu,
    "softplus": F.softplus,
    "softsign": F.softsign,
    "tanh": torch.tanh,
}


class Activation:
    """A function of one tensor, elementwise.

    Args:
        given: a name in ``FUNCTIONS``, or a function Tensor -> Tensor without parameters of its own.

    Attributes:
        name: as ``repr`` writes it.
        known: the name in ``FUNCTIONS``, or None for a function of the user's own.

    Raises:
        ConfigError: no such name, or a module with parameters (they would not be the layer's own).

    Example::

        >>> Activation("hard_tanh")(torch.tensor([-2.0, 0.5]))
        tensor([-1.0000,  0.5000])
    """

    known: str | None = None

    def __init__(self, given: str | Callable[[Tensor], Tensor]) -> None:
        if isinstance(given, str):
            if given not in FUNCTIONS:
                raise ConfigError(
                    f"unknown activation '{given}'.{did_you_mean(given, FUNCTIONS)}",
                    expected=f"one of {', '.join(FUNCTIONS)}, or a function of one tensor",
                )
            self.name, self._function = given, FUNCTIONS[given]
            self.known = given
            return
        if not callable(given):
            raise ConfigError(f"activation is a {type(given).__name__}", expected="a name or a function of one tensor")
        if isinstance(given, nn.Module) and next(given.parameters(), None) is not None:
            raise ConfigError(
                f"activation {type(given).__name__} has parameters",
                expected="a function without any: a cell is copied for every layer and direction",
                fix="Write a cell of your own that holds it",
            )
        self.name, self._function = getattr(given, "__name__", type(given).__name__), given

    def __call__(self, a: Tensor) -> Tensor:
        return self._function(a)

    def __repr__(self) -> str:
        return self.name
