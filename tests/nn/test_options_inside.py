"""Options inside the equation against NumPy: layer normalisation, projection, clipping, activations, z that writes."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor
from twins import ACTIVATIONS, assert_close, assert_is_twin, build, normal, random_states

from unroll import nn as un
from unroll.nn.options import LayerNorm
from unroll.nn.options.activation import FUNCTIONS

FORMS: dict[str, tuple[str, dict[str, Any]]] = {
    "RNN": ("RNN", {}),
    "RNN relu": ("RNN", {"nonlinearity": "relu"}),
    "LSTM": ("LSTM", {}),
    "LSTM peepholes": ("LSTM", {"peepholes": True}),
    "GRU": ("GRU", {}),
    "GRU before": ("GRU", {"reset": "before"}),
    "GRU write": ("GRU", {"update": "write"}),
    "GRU before write": ("GRU", {"reset": "before", "update": "write"}),
    "MGU": ("MGU", {}),
    "JANET": ("JANET", {"beta": 0.4}),
}
SHAPES = {"one": (1, 1, 1, 1), "small": (7, 4, 3, 5), "long": (63, 2, 3, 17)}
every_form = pytest.mark.parametrize("form", FORMS)


def check(form: str, shape: tuple[int, int, int, int], **options: Any) -> None:
    (kind, own), (T, B, inputs, H) = FORMS[form], shape
    o = own | options
    assert_is_twin(build(kind, inputs, H, **o), kind, normal(T, B, inputs), o)


@every_form
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("bias", [True, False], ids=["bias", "no-bias"])
def test_layer_norm_is_ba_s_equation(form: str, shape: str, bias: bool) -> None:
    check(form, SHAPES[shape], layer_norm=True, bias=bias)


@every_form
@pytest.mark.parametrize("shape", [(1, 1, 1, 2), (7, 4, 3, 5), (63, 2, 3, 17)], ids=["one", "small", "long"])
@pytest.mark.parametrize("options", [{}, {"bias": False}, {"layer_norm": True}], ids=["", "no-bias", "layer-norm"])
def test_a_projection_is_what_the_output_and_the_recurrent_product_read(
    form: str, shape: tuple[int, int, int, int], options: dict[str, Any]
) -> None:
    check(form, shape, proj_size=max(1, shape[3] // 3), **options)


@every_form
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("bound", [0.05, 0.4, 50.0])
def test_a_clipped_state_is_clipped_inside_the_step(form: str, shape: str, bound: float) -> None:
    check(form, SHAPES[shape], clip=bound)


@every_form
def test_options_inside_combine_over_layers_and_directions(form: str) -> None:
    check(form, (7, 4, 3, 5), layer_norm=True, proj_size=2, clip=0.6, num_layers=2, bidirectional=True)


# Layer normalisation


@every_form
def test_the_eps_of_layer_norm_can_be_chosen(form: str) -> None:
    kind, own = FORMS[form]
    layer = build(kind, 3, 5, layer_norm=LayerNorm(eps=0.5), **own)
    assert_is_twin(layer, kind, normal(7, 4, 3), own | {"layer_norm": True, "eps": 0.5})


@every_form
def test_layer_norm_does_not_see_the_scale_of_both_weights(form: str) -> None:
    kind, own = FORMS[form]
    layer, x = build(kind, 3, 5, layer_norm=LayerNorm(eps=0.0), **own), normal(7, 4, 3)
    states = random_states(layer, 4)
    before = layer(x, states)
    with torch.no_grad():
        for name, parameter in layer.named_parameters():
            if "weight_ih" in name or "weight_hh" in name:
                parameter.mul_(7.0)
    assert_close(layer(x, states), before)


@every_form
@pytest.mark.parametrize("bias", [True, False], ids=["bias", "no-bias"])
def test_gains_of_layer_norm_start_at_one_and_have_the_rows_of_their_product(form: str, bias: bool) -> None:
    kind, own = FORMS[form]
    cell = getattr(un, f"{kind}Cell")(3, 5, bias=bias, layer_norm=True, **own)
    gains = {name: p for name, p in cell.named_parameters() if name.startswith("gain")}
    rows = cell.weight_hh.shape[0]
    every = {"gain_ih": rows, "gain_hh": rows, "gain_c": 5}
    owned = {"RNN": ["gain_ih"], "LSTM": list(every)}.get(kind, ["gain_ih", "gain_hh"])
    assert {name: len(gain) for name, gain in gains.items()} == {name: every[name] for name in owned}
    assert all(torch.equal(gain, torch.ones_like(gain)) for gain in gains.values())
    biases = {name: len(p) for name, p in cell.named_parameters() if name.startswith("bias")}
    expected = {"bias_ih": rows, "bias_hh": rows} | ({"bias_c": 5} if kind == "LSTM" else {})
    assert biases == (expected if bias else {})


# Projection


@pytest.mark.parametrize("reset", ["after", "before"])
@pytest.mark.parametrize("bidirectional", [False, True])
def test_a_projected_gru_keeps_h_whole_and_gives_w_hr_h(reset: str, bidirectional: bool) -> None:
    layer = build("GRU", 3, 5, proj_size=2, reset=reset, bidirectional=bidirectional)
    output, h_n = layer(normal(7, 4, 3))
    directions = 2 if bidirectional else 1
    assert output.shape == (7, 4, 2 * directions)
    assert h_n.shape == (directions, 4, 5)
    assert_close(output[-1, :, :2], h_n[0] @ layer.weight_hr_l0.T, 1e-14)
    if bidirectional:
        assert_close(output[0, :, 2:], h_n[1] @ layer.weight_hr_l0_reverse.T, 1e-14)


def test_a_projected_rnn_has_only_the_projection_as_its_state() -> None:
    layer = build("RNN", 3, 5, proj_size=2)
    output, h_n = layer(normal(7, 4, 3))
    assert output.shape == (7, 4, 2)
    assert torch.equal(h_n[0], output[-1])
    assert layer.weight_hh_l0.shape == (5, 2)


# Clipping


def step_with_gradients(form: str, clip: float) -> tuple[Tensor, Tensor]:
    """The clipped leaf after one step, and whether each of its entries has any gradient (rows, units)."""
    kind, own = FORMS[form]
    torch.manual_seed(0)
    cell = getattr(un, f"{kind}Cell")(3, 5, clip=clip, dtype=torch.float64, **own)
    x = (4 * normal(4, 3)).requires_grad_()
    state = cell.initial_state(4, dtype=torch.float64)
    leaf = cell.step(x, type(state)(*(normal(*s.shape) for s in state))).state
    leaf = leaf.c if kind == "LSTM" else leaf.h
    wanted = [x, *cell.parameters()]
    alive = []
    for entry in leaf.flatten():
        grads = torch.autograd.grad(entry, wanted, retain_graph=True, allow_unused=True)
        alive.append(any(grad is not None and bool(grad.any()) for grad in grads))
    return leaf.detach(), torch.tensor(alive).view_as(leaf)


@every_form
def test_no_gradient_passes_through_a_clipped_entry(form: str) -> None:
    bound = 0.3
    leaf, alive = step_with_gradients(form, bound)
    free, alive_if_free = step_with_gradients(form, 1e9)
    clipped = free.abs() > bound
    assert clipped.any()
    assert not clipped.all()
    assert torch.equal(leaf[clipped], bound * free[clipped].sign())
    assert torch.equal(leaf[~clipped], free[~clipped])
    assert not alive[clipped].any()
    assert torch.equal(alive[~clipped], alive_if_free[~clipped])
    assert alive[~clipped].any()


def test_the_output_of_a_clipped_lstm_reads_the_clipped_cell_state() -> None:
    cell = un.LSTMCell(3, 5, clip=0.1, dtype=torch.float64)
    state = un.LSTMState(normal(4, 5), normal(4, 5, seed=2))
    step = cell.step(normal(4, 3), state)
    assert float(step.state.c.detach().abs().max()) == 0.1
    assert_close(step.output, step.signals["o"] * step.state.c.tanh(), 1e-15)


# Activations


@pytest.mark.parametrize("name", ACTIVATIONS)
@pytest.mark.parametrize(
    ("kind", "option"),
    [
        ("RNN", "nonlinearity"),
        ("LSTM", "activation"),
        ("LSTM", "gate_activation"),
        ("GRU", "activation"),
        ("GRU", "gate_activation"),
    ],
)
def test_every_named_activation_is_its_formula_and_the_same_by_function(kind: str, option: str, name: str) -> None:
    o = {option: name}
    layer, x = build(kind, 3, 5, **o), normal(5, 4, 3)
    assert_is_twin(layer, kind, x, o)
    by_function = build(kind, 3, 5, **{option: lambda a: FUNCTIONS[name](a)})
    assert_close(by_function(x)[0], layer(x)[0], 1e-14)
    assert by_function.operator() is None


def test_every_named_activation_has_a_twin() -> None:
    assert set(ACTIVATIONS) == set(FUNCTIONS)


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_torchs_operators_run_the_standard_activations_alone(name: str) -> None:
    assert (un.RNNCell(3, 5, nonlinearity=name).operator() is not None) == (name in ("tanh", "relu"))
    for kind in (un.LSTMCell, un.GRUCell):
        assert (kind(3, 5, activation=name).operator() is not None) == (name == "tanh")
        assert (kind(3, 5, gate_activation=name).operator() is not None) == (name == "sigmoid")


@pytest.mark.parametrize("options", [{"layer_norm": True}, {"clip": 3.0}, {"zoneout": 0.1}], ids=str)
def test_torchs_operators_run_no_layer_whose_equation_is_another(options: dict[str, Any]) -> None:
    for kind in (un.RNN, un.LSTM, un.GRU):
        assert kind(3, 5).operator() is not None
        assert kind(3, 5, **options).operator() is None
    assert un.LSTM(3, 5, proj_size=2).operator() is not None
    assert un.LSTM(3, 5, proj_size=2, **options).operator() is None


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        (un.LSTM, {"peepholes": True}),
        (un.LSTM, {"coupled": True}),
        (un.LSTM, {"zoneout": (0.0, 0.1)}),
        (un.GRU, {"reset": "before"}),
        (un.GRU, {"update": "write"}),
        (un.GRU, {"proj_size": 2}),
        (un.RNN, {"proj_size": 2}),
    ],
    ids=str,
)
def test_torchs_operators_run_no_other_form(kind: Any, options: dict[str, Any]) -> None:
    assert kind(3, 5, **options).operator() is None


def test_torch_s_modules_serve_as_activations() -> None:
    module, name = (build("RNN", 3, 5, nonlinearity=given) for given in (torch.nn.Softsign(), "softsign"))
    assert_close(module(normal(5, 4, 3)), name(normal(5, 4, 3)))


# The GRU's two conventions


@pytest.mark.parametrize("reset", ["after", "before"])
@pytest.mark.parametrize("layer_norm", [False, True])
def test_a_gru_whose_z_writes_is_one_whose_z_keeps_with_the_sign_of_z_turned(reset: str, layer_norm: bool) -> None:
    options = {"reset": reset, "num_layers": 2, "bidirectional": True, "layer_norm": layer_norm}
    keep, write = build("GRU", 3, 5, **options), build("GRU", 3, 5, update="write", **options)
    turned = {}
    for name, value in keep.state_dict().items():
        rows = value.clone()
        # LN(W x) changes its sign with its gain and bias: turning W's rows of z alone would mix r and z.
        signed = name.startswith(("gain", "bias") if layer_norm else ("weight", "bias"))
        rows[5:10] *= -1 if signed else 1
        turned[name] = rows
    write.load_state_dict(turned)
    x, states = normal(7, 4, 3), random_states(keep, 4)
    assert_close(write(x, states), keep(x, states), 1e-13)


def test_the_signal_k_of_a_gru_whose_z_writes_is_what_multiplies_the_old_state() -> None:
    cell = un.GRUCell(3, 5, update="write", dtype=torch.float64)
    h, x = normal(4, 5), normal(4, 3, seed=2)
    step = cell.step(x, un.GRUState(h))
    k, n = step.signals["k"], step.signals["n"]
    assert cell.keep_gate == "k"
    assert_close(k, 1 - step.signals["z"], 1e-15)
    assert_close(step.state.h, k * h + (1 - k) * n, 1e-15)
    assert "k" not in un.GRUCell(3, 5).step(x.float(), un.GRUState(h.float())).signals
