"""Attentions and poolings by name: their options, their first weights, and what they refuse."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from unroll import models
from unroll.errors import ConfigError
from unroll.models import ATTENTIONS, POOLINGS, attention, pooling


def test_every_attention_is_built_by_name_with_its_own_options() -> None:
    assert {name: type(attention(name, 4, 4)) for name in ATTENTIONS} == {
        "additive": models.AdditiveAttention,
        "dot": models.DotAttention,
        "general": models.GeneralAttention,
        "multihead": models.MultiHeadAttention,
    }
    assert attention("additive", 4, 6, attention_size=3).W.weight.shape == (3, 4)
    assert attention("multihead", 4, 6, num_heads=2).head_size == 2
    assert [attention(name, 4, 4).context_size for name in ATTENTIONS] == [4] * 4


def test_every_pooling_is_built_by_name_with_its_own_options() -> None:
    assert {name: type(pooling(name, 4)) for name in POOLINGS} == {
        "last": models.LastPooling,
        "mean": models.MeanPooling,
        "max": models.MaxPooling,
        "attention": models.AttentionPooling,
    }


def fills(x: Tensor, bound: float) -> bool:
    """Whether the values of ``x`` look drawn evenly from -bound … bound."""
    spread = x.detach() / bound
    return bool(spread.abs().max() <= 1) and abs(float(spread.square().mean()) - 1 / 3) < 0.05


def test_first_weights_are_drawn_as_documented() -> None:
    torch.manual_seed(0)
    heads = attention("multihead", 40, 60, num_heads=4)
    for name, width in (("q", 40), ("k", 60), ("v", 60), ("out", 40)):
        projection = getattr(heads, f"{name}_proj")
        assert fills(projection.weight, (6 / (width + 40)) ** 0.5)
        assert not projection.bias.any()
    assert fills(attention("additive", 400, 6).v, 400**-0.5)
    assert fills(pooling("attention", 400).u, 400**-0.5)


@pytest.mark.parametrize(
    ("build_wrong", "said"),
    [
        (lambda: attention("aditive", 4, 4), "unknown attention 'aditive'. Did you mean 'additive'?"),
        (lambda: attention("dot", 4, 6), "Use 'general'"),
        (lambda: attention("multihead", 4, 4, heads=2), "no option 'heads'. Did you mean 'num_heads'?"),
        (lambda: attention("dot", 4, 4, num_heads=2), "expected no options"),
        (lambda: attention("multihead", 4, 4, num_heads=3), "context_size=4 cannot be shared by num_heads=3"),
        (lambda: attention("multihead", 4, 4, num_heads=0), "num_heads=0"),
        (lambda: attention("multihead", 4, 4, dropout=2), "dropout=2"),
        (lambda: attention("multihead", 0, 4), "query_size=0"),
        (lambda: attention("general", 4, 2.5), "memory_size=2.5"),
        (lambda: attention("additive", 4, 4, attention_size=0), "attention_size=0"),
        (lambda: pooling("maximum", 4), "unknown pooling 'maximum'. Did you mean 'max'?"),
        (lambda: pooling("last", 4, direction=2), "no option 'direction'. Did you mean 'directions'?"),
        (lambda: pooling("mean", 4, directions=2), "the pooling 'mean' has no option 'directions'"),
        (lambda: pooling("last", 4, directions=3), "directions=3"),
        (lambda: pooling("last", 5, directions=2), "features=5 with directions=2"),
        (lambda: pooling("max", 0), "features=0"),
        (lambda: pooling("attention", 4, attention_size=-1), "attention_size=-1"),
    ],
)
def test_a_wrong_option_is_named_with_what_to_change(build_wrong: Any, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        build_wrong()
    assert said in str(caught.value)
