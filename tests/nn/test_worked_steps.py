"""Steps worked by hand: the paper's GRU in NumPy, and the guides' printed examples."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from test_recurrent import normal
from torch import Tensor

from unroll import nn as un

T, B, INPUTS, HIDDEN = 6, 4, 3, 5


def sigmoid(a: np.ndarray) -> np.ndarray:
    return np.asarray(1 / (1 + np.exp(-a)))


@pytest.mark.parametrize("bias", [True, False])
def test_gru_with_reset_before_is_the_papers_equation(bias: bool) -> None:
    """Cho et al. 2014, eqs. 5-8, in numpy, with torch's sign of z (z keeps the old state, as in the paper)."""
    torch.manual_seed(5)
    layer = un.GRU(INPUTS, HIDDEN, bias=bias, reset="before", dtype=torch.float64)
    weights = {name: p.detach().numpy() for name, p in layer.named_parameters()}
    W_r, W_z, W = np.split(weights["weight_ih_l0"], 3)
    U_r, U_z, U = np.split(weights["weight_hh_l0"], 3)
    zeros = np.zeros(3 * HIDDEN)
    b_r, b_z, b = np.split(weights.get("bias_ih_l0", zeros) + weights.get("bias_hh_l0", zeros), 3)
    x, h = normal(T, B, INPUTS).numpy(), normal(B, HIDDEN, seed=1).numpy()
    output, _ = layer(torch.from_numpy(x), torch.from_numpy(h).unsqueeze(0))
    for t in range(T):
        r = sigmoid(x[t] @ W_r.T + h @ U_r.T + b_r)
        z = sigmoid(x[t] @ W_z.T + h @ U_z.T + b_z)
        candidate = np.tanh(x[t] @ W.T + (r * h) @ U.T + b)
        h = z * h + (1 - z) * candidate
        np.testing.assert_allclose(output[t].detach().numpy(), h, rtol=0, atol=1e-13)


def logit(gate: float) -> float:
    """The pre-activation of a gate; one that saturates in float64 for 0 and 1."""
    return math.copysign(800.0, gate - 0.5) if gate in (0, 1) else math.log(gate / (1 - gate))


def set_gates(cell: un.Cell, *activations: list[float]) -> None:
    """All weights zero, so that the biases are the gates' pre-activations."""
    with torch.no_grad():
        for parameter in cell.parameters():
            parameter.zero_()
        cell.get_parameter("bias_ih").copy_(torch.tensor([a for gate in activations for a in gate]))


def test_the_guides_worked_lstm_step_comes_out_as_printed() -> None:
    """X13: c = f c + i g and h = o tanh(c), to the two digits printed."""
    cell = un.LSTMCell(1, 4, dtype=torch.float64)
    i, f, o = ([logit(gate) for gate in gates] for gates in ([0.8, 0, 0.5, 1], [0.9, 0.1, 0.7, 0], [1, 0, 0.5, 0.8]))
    set_gates(cell, i, f, [math.atanh(g) for g in (0.6, -0.4, 0.2, 0.8)], o)
    c = torch.tensor([0.8, -0.3, 0.5, 0.9], dtype=torch.float64)
    h, c = cell(torch.zeros(1, dtype=torch.float64), (torch.zeros(4, dtype=torch.float64), c))
    assert [round(v, 2) for v in c.tolist()] == [1.2, -0.03, 0.45, 0.8]
    assert [round(v, 2) for v in h.tolist()] == [0.83, 0.0, 0.21, 0.53]


OLD = [0.5, 0.3, -0.2, 0.7]
CANDIDATE = [0.8, -0.4, 0.6, 0.2]
Z = [0.3, 0.7, 0.2, 0.9]
PRINTED = [0.71, -0.07, 0.44, 0.65]


@pytest.mark.parametrize("reset", ["after", "before"])
def test_the_guides_worked_gru_step_has_one_entry_that_no_convention_gives(reset: str) -> None:
    """X14. The guide prints [.71, -.07, .44, .65].

    z as the share that is *kept*, h = (1 - z) n + z h as here and in torch, gives .71, .44 and .65 (entries 1,
    3, 4) and .09 as the second. z as the share that is *written*, h = (1 - z) h + z n, gives -.19 as the second
    and none of the other three. The printed -.07 follows from neither.
    """
    cell = un.GRUCell(1, 4, dtype=torch.float64, reset=reset)
    set_gates(cell, [0.0] * 4, [logit(z) for z in Z], [math.atanh(n) for n in CANDIDATE])
    kept = cell(torch.zeros(1, dtype=torch.float64), torch.tensor(OLD, dtype=torch.float64))
    assert isinstance(kept, Tensor)
    kept_digits = [round(v, 2) for v in kept.tolist()]
    written = [round((1 - z) * h + z * n, 2) for h, n, z in zip(OLD, CANDIDATE, Z)]
    assert kept_digits == [0.71, 0.09, 0.44, 0.65]
    assert written[1] == -0.19
    assert [k == p for k, p in zip(kept_digits, PRINTED)] == [True, False, True, True]
    assert [w == p for w, p in zip(written, PRINTED)] == [False] * 4
