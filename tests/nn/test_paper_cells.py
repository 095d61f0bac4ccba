"""The cells that torch does not have, against their papers' equations replayed in NumPy."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from unroll import nn as un
from unroll import trace
from unroll.errors import ConfigError

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


def indrnn_tanh(w: dict[str, Any], x: Any, h: Any) -> Any:
    return np.tanh(x @ w["weight"].T + w["u"] * h + w["bias"])


def sru(w: dict[str, Any], x: Any, c: Any, alpha: float = 1.0) -> tuple[Any, Any]:
    """Lei et al. 2018, eq. 1-4: h and c."""
    z, p, q, *rest = np.split(x @ w["weight"].T, len(w["weight"]) // H, axis=-1)
    b_f, b_r = np.split(w["bias"], 2)
    f, r = sigmoid(p + w["v_f"] * c + b_f), sigmoid(q + w["v_r"] * c + b_r)
    c = f * c + (1 - f) * z
    return r * c + (1 - r) * alpha * (rest[0] if rest else x), c


def qrnn(w: dict[str, Any], x: Any, before: Any, c: Any, pooling: str) -> tuple[Any, Any]:
    """Bradbury et al. 2017, eq. 2-5: h and c."""
    read = x if w["weight"].shape[1] == x.shape[1] else np.concatenate([before, x], -1)
    parts = np.split(read @ w["weight"].T + w["bias"], len(w["weight"]) // H, axis=-1)
    z, (f, *gates) = np.tanh(parts[0]), [sigmoid(part) for part in parts[1:]]
    c = f * c + (gates[1] if pooling == "ifo" else 1 - f) * z
    return (gates[0] * c if gates else c), c


CELLS = {
    "mgu": (lambda: un.MGUCell(INPUTS, H), mgu),
    "janet": (lambda: un.JANETCell(INPUTS, H), janet),
    "janet, beta 0.3": (
        lambda: un.JANETCell(INPUTS, H, beta=0.3),
        lambda w, x, h: janet(w, x, h, beta=0.3),
    ),
    "indrnn": (lambda: un.IndRNNCell(INPUTS, H), indrnn),
    "indrnn, tanh": (lambda: un.IndRNNCell(INPUTS, H, nonlinearity="tanh"), indrnn_tanh),
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


def replayed(cell: un.Cell) -> tuple[dict[str, Any], Any, Any, Any]:
    """Its parameters, an input, and the output and last c of a layer of it."""
    torch.manual_seed(1)
    weights = {key: value.detach().numpy() for key, value in cell.named_parameters()}
    x = torch.randn(T, B, cell.input_size, dtype=torch.float64)
    output, (state,) = un.Recurrent(cell)(x)
    return weights, x.numpy(), output.detach().numpy(), state.c.detach().numpy()


@pytest.mark.parametrize("inputs", [INPUTS, H])
@pytest.mark.parametrize("options", [{}, {"projection": True}, {"rescale": True, "highway_bias": -1.5}], ids=str)
def test_sru_equals_its_paper_s_equations_step_by_step(inputs: int, options: dict[str, Any]) -> None:
    cell = un.SRUCell(inputs, H, **options).double()
    assert len(cell.weight) == (4 if options.get("projection", inputs != H) else 3) * H
    w, x, output, last = replayed(cell)
    c, alpha = np.zeros((B, H)), np.sqrt(1 + 2 * np.exp(-1.5)) if "rescale" in options else 1.0
    for t in range(T):
        h, c = sru(w, x[t], c, alpha)
        assert np.abs(output[t] - h).max() < 1e-14
    assert np.abs(last - c).max() < 1e-14


@pytest.mark.parametrize("pooling", ["f", "fo", "ifo"])
@pytest.mark.parametrize("window", [1, 2])
def test_qrnn_equals_its_paper_s_equations_step_by_step(pooling: str, window: int) -> None:
    w, x, output, last = replayed(un.QRNNCell(INPUTS, H, pooling=pooling, window=window).double())
    before, c = np.zeros((B, INPUTS)), np.zeros((B, H))
    for t in range(T):
        h, c = qrnn(w, x[t], before, c, pooling)
        before = x[t]
        assert np.abs(output[t] - h).max() < 1e-14
    assert np.abs(last - c).max() < 1e-14


def test_qrnn_is_the_convolution_of_its_paper() -> None:
    """Width 2, masked so that no output sees a later input (section 2)."""
    cell = un.QRNNCell(INPUTS, H).double()
    x = torch.randn(T, B, INPUTS, dtype=torch.float64)
    kernel = cell.weight.unflatten(1, (2, INPUTS)).transpose(1, 2)
    padded = torch.nn.functional.pad(x.permute(1, 2, 0), (1, 0))
    z, f, o = torch.conv1d(padded, kernel, cell.bias).permute(2, 0, 1).chunk(3, -1)
    signals = trace(un.Recurrent(cell), x)["l0"].signals
    for name, expected in (("z", z.tanh()), ("f", f.sigmoid()), ("o", o.sigmoid())):
        assert torch.allclose(signals[name].transpose(0, 1), expected, atol=1e-14)


def test_zoneout_of_a_qrnn_shuts_its_pooling() -> None:
    cell = un.QRNNCell(INPUTS, H, pooling="f", zoneout=0.4).double()
    x, state = torch.randn(B, INPUTS, dtype=torch.float64), cell.initial_state(B, dtype=torch.float64)
    state = state._replace(c=torch.randn(B, H, dtype=torch.float64))
    plain = cell.step(x, state).output
    kept = torch.rand(B, H) < 0.4
    zoned = cell.step(x, state, {"zoneout": kept.double()}).output
    assert torch.equal(zoned, torch.where(kept, state.c, plain))
    drawn = cell.draw(2000, x)
    assert drawn is not None
    assert abs(float(drawn.steps["zoneout"].mean()) - 0.4) < 0.01
    layer = un.Recurrent(cell)
    sequence = torch.randn(T, B, INPUTS, dtype=torch.float64)
    assert not torch.equal(layer(sequence)[0], layer(sequence)[0])
    assert torch.equal(layer.eval()(sequence)[0], layer(sequence)[0])


def test_sru_starts_with_the_variances_of_its_paper() -> None:
    """Each product has the variance of the input, the two terms of a gate have half of it each."""
    torch.manual_seed(0)
    wide = 400
    for bias in (0.0, -2.0):
        cell = un.SRUCell(wide, wide, rescale=True, highway_bias=bias).double()
        assert cell.alpha == pytest.approx((1 + 2 * np.exp(bias)) ** 0.5)
        assert cell.bias is not None
        assert torch.equal(cell.bias, torch.tensor([0.0, bias], dtype=torch.float64).repeat_interleave(wide))
        z, p, q = cell.weight.detach().chunk(3)
        for part, share in ((z, 1.0), (p, 0.5), (q, 0.5)):
            assert float(part.square().sum(1).mean()) == pytest.approx(share, rel=0.01)
        for v in (cell.v_f, cell.v_r):
            assert float(v.detach().square().mean()) == pytest.approx(0.5, rel=0.15)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: un.SRUCell(3, 4, projection=False), "SRU without a projection, of 3 inputs and 4 hidden units"),
        (lambda: un.QRNNCell(3, 4, pooling="fio"), r"pooling 'fio'\. Did you mean 'fo'"),
        (lambda: un.QRNNCell(3, 4, window=3), "window=3"),
        (lambda: un.QRNNCell(3, 4, zoneout=1.5), r"zoneout of 1\.5"),
        (lambda: un.IndRNNCell(3, 4, nonlinearity="relo"), r"nonlinearity 'relo'\. Did you mean 'relu'"),
    ],
)
def test_a_wrong_option_is_refused_with_what_is_right(make: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        make()
    assert "expected" in str(caught.value)


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


@pytest.mark.parametrize("make", [un.MGUCell, un.JANETCell, un.IndRNNCell, un.SRUCell, un.QRNNCell])
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
