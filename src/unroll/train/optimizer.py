"""The optimizers by name, all of them torch's."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

if TYPE_CHECKING:
    from unroll.train.settings import FitSettings

OPTIMIZERS: dict[str, type[torch.optim.Optimizer]] = {
    "adamw": torch.optim.AdamW,
    "sgd": torch.optim.SGD,
    "adam": torch.optim.Adam,
    "rmsprop": torch.optim.RMSprop,
}
WITH_MOMENTUM = ("sgd", "rmsprop")


def optimizer_of(parameters: Iterable[nn.Parameter], settings: FitSettings) -> torch.optim.Optimizer:
    """The optimizer that ``settings`` ask for, with torch's defaults for what they do not name.

    ``weight_decay`` is AdamW's decoupled one (Loshchilov and Hutter 2019), for the others a term of the gradient.
    """
    given: dict[str, Any] = {"lr": settings.lr, "weight_decay": settings.weight_decay}
    if settings.optimizer in WITH_MOMENTUM:
        given["momentum"] = settings.momentum
    if settings.optimizer == "sgd":
        given["nesterov"] = settings.nesterov
    return OPTIMIZERS[settings.optimizer](parameters, **given)
