"""The cells that torch does not have, against their papers' equations replayed in NumPy."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from unroll import nn as un

INPUTS, H, B, T = 3, 5, 4, 6


def sigmoid(a: Any) -> Any:
    return 1 / (1 + np.exp(-a))


def mgu(w: dict[str, Any], x: Any, h: Any) -> Any:
    """Zhou et al. 2016, eq. 4-6."""
    (W_f, W_n), (U_f, U_n) = np.split(w["weight_ih"], 2), np.split(w["weight_hh"], 2)
    b_f, b_n = np.split(w["bias_ih"] + w["bias_hh"], 2)
    f = sigmoid(x @ W_f.T + h @ U_f.T + b_f)
    return (1 - f) * h + f * np.tanh(x @ W_n.T + (f * h) @ U_n.T + b_n)


def janet(w: dict[str, Any], x: Any, h: Any, beta: float = 1.0) -> Any:
    """van der Westhuizen & Lasenby 2018, eq. 11-14."""
    (W_f, W_g), (U_f, U_g) = np.split(w["weight_ih"], 2), np.split(w["weight_hh"], 2)
    b_f, b_g = np.split(w["bias_ih"] + w["bias_hh"], 2)
    s = x @ W_f.T + h @ U_f.T + b_f
    return sigmoid(s) * h + (1 - sigmoid(s - beta)) * np.tanh(x @ W_g.T + h @ U_g.T + b_g)


def indrnn(w: dict[str, Any], x: Any, h: Any) -> Any:
    """Li et al. 2018, eq. 2."""
    return np.maximum(0, x @ w["weight"].T + w["u"] * h + w["bias"])


CELLS = {
    "mgu": (lambda: un.MGUCell(INPUTS, H), mgu),
    "janet": (lambda: un.JANETCell(INPUTS, H), janet),
    "janet, beta 0.3": (
        lambda: un.JANETCell(INPUTS, H, beta=0.3),
        lambda w, x, h: janet(w, x, h, beta=0.3),
    ),
    "indrnn": (lambda: un.IndRNNCell(INPUTS, H), indrnn),
}


@pytest.mark.parametrize("name", CELLS)
def test_a_sequence_equals_the_paper_s_equation_step_by_step(name: str) -> None:
    make, equation = CELLS[name]
    torch.manual_seed(0)
    cell = make().double()
    weights = {key: value.detach().numpy() for key, value in cell.named_parameters()}
    x = torch.randn(T, B, INPUTS, dtype=torch.float64)
    output, (state,) = un.Recurrent(cell)(x)
    h = np.zeros((B, H))
    for t in range(T):
        h = equation(weights, x[t].numpy(), h)
        assert np.abs(output[t].detach().numpy() - h).max() < 1e-14
    assert torch.equal(state.h, output[-1])


@pytest.mark.parametrize("name", ["mgu", "janet"])
def test_the_keep_gate_is_what_multiplies_the_old_state(name: str) -> None:
    """With a candidate of zero, the new state is the old one times the keep gate."""
    cell = CELLS[name][0]().double()
    with torch.no_grad():
        for parameter in cell.parameters():
            parameter.chunk(2)[1].zero_()
    before = type(cell.initial_state(B))(torch.randn(B, H, dtype=torch.float64))
    step = cell.step(torch.randn(B, INPUTS, dtype=torch.float64), before)
    assert cell.keep_gate is not None
    assert torch.allclose(step.output, step.signals[cell.keep_gate] * before.h, atol=1e-15)


@pytest.mark.parametrize("make", [un.MGUCell, un.JANETCell, un.IndRNNCell])
def test_a_cell_without_bias_is_one_with_bias_zero(make: Any) -> None:
    torch.manual_seed(0)
    bare, full = make(INPUTS, H, bias=False), make(INPUTS, H)
    full.load_state_dict(bare.state_dict(), strict=False)
    with torch.no_grad():
        for name, parameter in full.named_parameters():
            if "bias" in name:
                parameter.zero_()
    x = torch.randn(B, INPUTS)
    state = bare.initial_state(B)
    assert torch.allclose(bare.step(x, state).output, full.step(x, state).output)


def test_indrnn_keeps_a_unit_to_itself() -> None:
    """∂h_t/∂h_{t-1} is diagonal, u where the unit is active."""
    cell = un.IndRNNCell(INPUTS, H).double()
    x, h = torch.randn(1, INPUTS, dtype=torch.float64), torch.rand(1, H, dtype=torch.float64)
    jacobian = torch.func.jacrev(lambda h: cell.step(x, un.IndRNNState(h)).output[0])(h)[:, 0]
    active = cell.step(x, un.IndRNNState(h)).output[0] > 0
    assert torch.allclose(jacobian, torch.diag(cell.u.detach() * active))
