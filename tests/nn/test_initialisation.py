"""Initialisation recipes: what each leaves in the weights, and that it does what its paper says it is for."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from unroll import nn as un
from unroll.errors import ConfigError
from unroll.inspect import gradient_by_lag
from unroll.nn.initialisation import (
    RECIPES,
    chrono_,
    default_,
    identity_,
    initialise_,
    keras_,
    orthogonal_,
    uniform_gate_,
)

H, LONGEST = 200, 100


def gate(bias: Tensor, names: str, name: str) -> Tensor:
    return bias.chunk(len(names))[names.index(name)]


def lstm(**options: bool) -> un.LSTM:
    torch.manual_seed(0)
    return un.LSTM(3, H, num_layers=2, bidirectional=True, dtype=torch.float64, **options)


def suffixes(layer: un.LSTM | un.GRU) -> list[str]:
    return [f"_l{n}{d}" for n in range(layer.num_layers) for d in ("", "_reverse")]


def test_default_repeats_torch_s_draws() -> None:
    layer = lstm()
    torch.manual_seed(5)
    default_(layer)
    torch.manual_seed(5)
    reference = torch.nn.LSTM(3, H, num_layers=2, bidirectional=True, dtype=torch.float64)
    assert all(torch.equal(a, b) for a, b in zip(layer.parameters(), reference.parameters()))


@pytest.mark.parametrize("forget_bias", [0.0, 1.0, 3.5])
def test_keras_has_glorot_inputs_orthogonal_recurrence_and_one_forget_bias(forget_bias: float) -> None:
    layer = keras_(lstm(), forget_bias)
    for suffix in suffixes(layer):
        w_ih, w_hh = getattr(layer, f"weight_ih{suffix}"), getattr(layer, f"weight_hh{suffix}")
        bound = math.sqrt(6 / (w_ih.shape[0] + w_ih.shape[1]))
        assert 0.98 * bound < float(w_ih.detach().abs().max()) <= bound
        assert torch.allclose(w_hh.T @ w_hh, torch.eye(H, dtype=torch.float64), atol=1e-10)
        total = getattr(layer, f"bias_ih{suffix}") + getattr(layer, f"bias_hh{suffix}")
        assert torch.equal(gate(total, "ifgo", "f"), torch.full((H,), forget_bias, dtype=torch.float64))
        assert not any(gate(total, "ifgo", other).any() for other in "igo")


def test_chrono_draws_the_keep_gate_s_timescale_up_to_the_longest_lag() -> None:
    layer = chrono_(lstm(), LONGEST)
    for suffix in suffixes(layer):
        total = getattr(layer, f"bias_ih{suffix}") + getattr(layer, f"bias_hh{suffix}")
        f = gate(total, "ifgo", "f").detach()
        assert torch.equal(gate(total, "ifgo", "i"), -f)
        # exp(b_f) is uniform on 1 … longest - 1: its mean within five standard errors.
        steps = f.exp()
        assert float(steps.min()) >= 1
        assert float(steps.max()) <= LONGEST - 1
        assert abs(float(steps.mean()) - LONGEST / 2) < 5 * (LONGEST - 2) / math.sqrt(12 * H)


def test_chrono_opens_z_of_a_gru_in_torch_s_sign() -> None:
    layer = chrono_(un.GRU(3, H), LONGEST)
    total = layer.bias_ih_l0 + layer.bias_hh_l0
    assert float(gate(total, "rzn", "z").min()) >= 0
    assert not gate(total, "rzn", "r").any()
    assert not gate(total, "rzn", "n").any()


@pytest.mark.parametrize(("layer", "names", "keep"), [(un.LSTM(3, H), "ifgo", "f"), (un.GRU(3, H), "rzn", "z")])
def test_uniform_gates_are_spread_evenly(layer: un.LSTM | un.GRU, names: str, keep: str) -> None:
    torch.manual_seed(0)
    uniform_gate_(layer)
    value = gate(layer.bias_ih_l0 + layer.bias_hh_l0, names, keep).detach().sigmoid().sort().values
    even = (torch.arange(H) + 0.5) / H
    # Kolmogorov-Smirnov at 1e-4: sup |F - F_n| < 2.2 / √n.
    assert float((value - even).abs().max()) < 2.2 / math.sqrt(H)


@pytest.mark.parametrize("gain", [0.5, 1.0, 1.3])
def test_orthogonal_makes_every_gate_s_block_orthogonal_and_nothing_else(gain: float) -> None:
    layer = lstm()
    before = {name: p.clone() for name, p in layer.named_parameters()}
    orthogonal_(layer, gain)
    for name, parameter in layer.named_parameters():
        if "weight_hh" not in name:
            assert torch.equal(parameter, before[name])
            continue
        for block in parameter.chunk(4):
            assert torch.allclose(block @ block.T, gain**2 * torch.eye(H, dtype=torch.float64), atol=1e-10)


def test_identity_is_irnn_s() -> None:
    layer = identity_(un.RNN(3, H, nonlinearity="relu"), 0.9)
    assert torch.equal(layer.weight_hh_l0, 0.9 * torch.eye(H))
    assert not (layer.bias_ih_l0 + layer.bias_hh_l0).any()
    assert 0.0008 < float(layer.weight_ih_l0.std()) < 0.0012


@pytest.mark.parametrize("recipe", RECIPES)
def test_every_recipe_works_in_place_and_repeats_from_its_seed(recipe: str) -> None:
    options = {"longest": 50} if recipe == "chrono" else {}
    made = un.RNN(3, 7, nonlinearity="relu") if recipe == "identity" else un.GRU(3, 7, num_layers=2)
    parameters = [id(p) for p in made.parameters()]
    draws = []
    for _ in range(2):
        torch.manual_seed(3)
        default_(made)
        assert initialise_(made, recipe, **options) is made
        draws.append([p.clone() for p in made.parameters()])
    assert all(torch.equal(a, b) for a, b in zip(*draws))
    assert [id(p) for p in made.parameters()] == parameters
    assert all(p.requires_grad and p.grad_fn is None for p in made.parameters())


def reach(layer: un.Recurrent) -> float:
    """Median log10 of the gradient 99 steps back, before any training."""
    torch.manual_seed(1)
    found = gradient_by_lag(layer.double(), torch.randn(16, 100, 4, dtype=torch.float64), lambda h: h.sum(1))
    value = found.median[99]
    return -30.0 if value is None else value


def test_recipes_order_the_reach_of_the_gradient_as_measured_on_recall_over_100_steps() -> None:
    """Default layers lose it by many orders, forget bias 1 by fewer; orthogonal and chrono keep it."""
    torch.manual_seed(0)
    cells = {
        "rnn default": un.RNNCell(4, 64),
        "lstm default": un.LSTMCell(4, 64),
        "gru default": un.GRUCell(4, 64),
        "lstm forget 1": keras_(un.LSTMCell(4, 64)),
        "rnn orthogonal": orthogonal_(un.RNNCell(4, 64)),
        "lstm chrono": chrono_(un.LSTMCell(4, 64), 100),
        "gru chrono": chrono_(un.GRUCell(4, 64), 100),
    }
    found = {name: reach(un.Recurrent(cell, batch_first=True)) for name, cell in cells.items()}
    lost = ("rnn default", "lstm default", "gru default")
    kept = ("lstm chrono", "gru chrono")
    assert max(found[name] for name in lost) < -12
    assert -12 < found["lstm forget 1"] < -4
    assert min(found[name] for name in kept) > -3
    assert found["rnn orthogonal"] > found["rnn default"] + 6


@pytest.mark.parametrize(
    ("recipe", "options", "layer", "message"),
    [
        ("chronos", {}, un.LSTM(2, 3), "Did you mean 'chrono'"),
        ("chrono", {"longest": 2}, un.LSTM(2, 3), "3 steps or more"),
        ("chrono", {"longest": 9}, un.RNN(2, 3), "a cell with a gate that keeps"),
        ("chrono", {"longest": 9}, un.LSTM(2, 3, bias=False), "bias=True"),
        ("uniform_gate", {}, un.RNN(2, 3), "a cell with a gate that keeps"),
        ("identity", {}, un.GRU(2, 3), "a plain RNN"),
        ("keras", {}, torch.nn.Linear(2, 3), "RNN, LSTM, GRU"),
    ],
)
def test_a_recipe_that_does_not_fit_says_what_would(
    recipe: str, options: dict[str, int], layer: torch.nn.Module, message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        initialise_(layer, recipe, **options)
