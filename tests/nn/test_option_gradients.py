"""First and second derivatives of every option against finite differences, parameters and first states included."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor
from twins import build, flat, normal, random_states

from unroll import nn as un
from unroll.nn.options.activation import FUNCTIONS

T, B, INPUTS = 2, 2, 2

ALL: dict[str, dict[str, Any]] = {
    "layer_norm": {"layer_norm": True},
    "layer_norm, no bias": {"layer_norm": True, "bias": False},
    "proj_size": {"proj_size": 1},
    "clip": {"clip": 0.3},
    "zoneout, mean": {"zoneout": (0.3, 0.2)},
    "zoneout": {"zoneout": (0.3, 0.2), "noise": True},
    "recurrent_dropout": {"recurrent_dropout": 0.4, "noise": True},
    "input_dropout": {"input_dropout": 0.4, "noise": True},
    "weight_dropout": {"weight_dropout": 0.4, "noise": True},
    "dropout": {"dropout": 0.4, "num_layers": 2, "noise": True},
    "residual": {"connection": "residual", "num_layers": 2},
    "highway": {"connection": "highway", "num_layers": 2},
    "sum": {"merge": "sum", "bidirectional": True},
    "mean": {"merge": "mean", "bidirectional": True},
    "product": {"merge": "product", "bidirectional": True},
    "learn_initial_state": {"learn_initial_state": True},
    "sizes": {"hidden": [2, 1]},
}
OWN: dict[str, dict[str, dict[str, Any]]] = {
    "RNN": {name: {"nonlinearity": name} for name in FUNCTIONS},
    "LSTM": {
        "peepholes": {"peepholes": True},
        "coupled": {"coupled": True},
        "forget_bias": {"forget_bias": 1.0},
        "activation": {"activation": "softsign"},
        "gate_activation": {"gate_activation": "hard_sigmoid"},
        **{name: {"variant": name} for name in ("V", "NIG", "NFG", "NOG", "NIAF", "NOAF", "CIFG", "NP", "FGR")},
        "FGR coupled": {"variant": "FGR", "coupled": True},
        "V layer_norm": {"variant": "V", "layer_norm": True},
    },
    "GRU": {
        "before": {"reset": "before"},
        "write": {"update": "write"},
        "before, proj_size": {"reset": "before", "proj_size": 1},
        "before, layer_norm": {"reset": "before", "layer_norm": True},
        "forget_bias": {"forget_bias": 1.0},
        "activation": {"activation": "gelu"},
        "gate_activation": {"gate_activation": "hard_sigmoid"},
    },
    "MGU": {name: ALL[name] for name in ("layer_norm", "proj_size", "zoneout", "recurrent_dropout", "clip")},
    "JANET": {name: ALL[name] for name in ("layer_norm", "proj_size", "zoneout", "recurrent_dropout", "clip")},
}
CASES = [
    (kind, name, options)
    for kind in ("RNN", "LSTM", "GRU", "MGU", "JANET")
    for name, options in ((ALL if kind in ("RNN", "LSTM", "GRU") else {}) | OWN[kind]).items()
]


@pytest.mark.parametrize("check", [torch.autograd.gradcheck, torch.autograd.gradgradcheck], ids=["first", "second"])
@pytest.mark.parametrize(("kind", "name", "options"), CASES, ids=[f"{kind} {name}" for kind, name, _ in CASES])
def test_derivatives_are_those_of_finite_differences(
    kind: str, name: str, options: dict[str, Any], check: Callable[..., bool]
) -> None:
    o = dict(options)
    drawn, hidden = o.pop("noise", False), o.pop("hidden", 3 if "layer_norm" in o else 2)
    layer = build(kind, INPUTS, hidden, seed=1, **o).train(drawn)
    torch.manual_seed(2)
    noise = layer.draw(T, B) if drawn else None
    states = random_states(layer, B)
    names = [name for name, _ in layer.named_parameters()]
    learned = "learn_initial_state" in o

    def function(x: Tensor, *rest: Tensor) -> tuple[Tensor, ...]:
        leaves = iter(rest[len(names) :])
        given = None if learned else [type(s)(*(next(leaves) for _ in s)) for s in states]
        weights = dict(zip(names, rest))
        return tuple(flat(torch.func.functional_call(layer, weights, (x, given, [2, 1], noise))))

    weights = [parameter.detach().clone().requires_grad_() for parameter in layer.parameters()]
    leaves = [] if learned else [leaf.requires_grad_() for leaf in flat(states)]
    assert check(function, (normal(T, B, INPUTS).requires_grad_(), *weights, *leaves))


def test_clipped_and_dropped_entries_are_among_those_checked() -> None:
    """Derivatives of options that never act would be those of the plain layer."""
    for kind in ("RNN", "LSTM", "GRU", "MGU", "JANET"):
        layer = build(kind, INPUTS, 2, seed=1, clip=0.3)
        final = layer(normal(T, B, INPUTS), random_states(layer, B))[1][0]
        clipped = (final.c if isinstance(final, un.LSTMState) else final.h).abs() == 0.3
        assert clipped.any()
        torch.manual_seed(2)
        layer = build(kind, INPUTS, 2, seed=1, recurrent_dropout=0.4)
        torch.manual_seed(2)
        assert (layer.draw(T, B).cells[0].cell.held["h"] == 0).any()
