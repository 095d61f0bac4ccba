"""Attentions and poolings by name."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

from unroll.errors import ConfigError, did_you_mean
from unroll.models.attention import AdditiveAttention, Attention, DotAttention, GeneralAttention
from unroll.models.multihead import MultiHeadAttention
from unroll.models.pooling import AttentionPooling, LastPooling, MaxPooling, MeanPooling, Pooling

ATTENTIONS: dict[str, type[Attention]] = {
    "additive": AdditiveAttention,
    "dot": DotAttention,
    "general": GeneralAttention,
    "multihead": MultiHeadAttention,
}

POOLINGS: dict[str, type[Pooling]] = {
    "last": LastPooling,
    "mean": MeanPooling,
    "max": MaxPooling,
    "attention": AttentionPooling,
}


def attention(name: str, query_size: int, memory_size: int, **options: Any) -> Attention:
    """The attention ``name`` of ``ATTENTIONS``; ``options`` are those of its class.

    Example::

        >>> attend = attention("multihead", 8, 6, num_heads=2)
        >>> context, weights = attend(torch.randn(3, 8), torch.randn(3, 5, 6), lengths=[5, 0, 2])

    Raises:
        ConfigError: there is no such attention, or it has no such option.
    """
    made: Attention = _found("attention", name, ATTENTIONS, options)(query_size, memory_size, **options)
    return made


def pooling(name: str, features: int, **options: Any) -> Pooling:
    """The pooling ``name`` of ``POOLINGS``; ``options`` are those of its class.

    Example::

        >>> pooling("last", 8, directions=2)(torch.randn(3, 5, 8), [5, 0, 2]).shape
        torch.Size([3, 8])

    Raises:
        ConfigError: there is no such pooling, or it has no such option.
    """
    made: Pooling = _found("pooling", name, POOLINGS, options)(features, **options)
    return made


def _found(what: str, name: str, registry: Mapping[str, Any], options: Mapping[str, Any]) -> Any:
    if name not in registry:
        raise ConfigError(
            f"unknown {what} '{name}'.{did_you_mean(name, registry)}", expected=f"one of {', '.join(registry)}"
        )
    kind = registry[name]
    sizes = ("query_size", "memory_size", "features")
    known = [option for option in inspect.signature(kind).parameters if option not in sizes]
    for option in options:
        if option not in known:
            raise ConfigError(
                f"the {what} '{name}' has no option '{option}'.{did_you_mean(option, known)}",
                expected=f"one of {', '.join(known)}" if known else "no options",
            )
    return kind
