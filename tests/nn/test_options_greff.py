"""The LSTM's variants (Greff et al. 2017): each against NumPy, and against the vanilla LSTM it is a case of."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from twins import assert_close, assert_is_twin, build, normal, random_states, sigmoid

from unroll import kernels
from unroll import nn as un
from unroll.nn.cells import GREFF

H = 5
NAMES = ["V", "NIG", "NFG", "NOG", "NIAF", "NOAF", "CIFG", "NP", "FGR"]
every_variant = pytest.mark.parametrize("variant", NAMES)
SHAPES = {"one": (1, 1, 1, 1), "small": (7, 4, 3, H), "long": (63, 2, 3, 17)}


def check(shape: tuple[int, int, int, int] = (7, 4, 3, H), **options: Any) -> None:
    T, B, inputs, hidden = shape
    assert_is_twin(build("LSTM", inputs, hidden, **options), "LSTM", normal(T, B, inputs), options)


def test_the_variants_are_the_papers_nine() -> None:
    assert list(GREFF) == NAMES


@every_variant
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("bias", [True, False], ids=["bias", "no-bias"])
def test_a_variant_is_its_equation(variant: str, shape: str, bias: bool) -> None:
    check(SHAPES[shape], variant=variant, bias=bias)


@every_variant
@pytest.mark.parametrize(
    "options",
    [
        {"peepholes": False},
        {"peepholes": True},
        {"layer_norm": True},
        {"proj_size": 2},
        {"clip": 0.4},
        {"zoneout": (0.2, 0.1)},
        {"activation": "softsign", "gate_activation": "hard_sigmoid"},
        {"num_layers": 3, "bidirectional": True},
    ],
    ids=str,
)
def test_a_variant_takes_the_other_options(variant: str, options: dict[str, Any]) -> None:
    check(variant=variant, **options)


@pytest.mark.parametrize("variant", ["V", "NOG", "NIAF", "NOAF", "CIFG", "NP", "FGR", None])
@pytest.mark.parametrize("peepholes", [None, True, False])
def test_coupling_goes_with_every_variant_that_has_both_gates(variant: str | None, peepholes: bool | None) -> None:
    options = {} if peepholes is None else {"peepholes": peepholes}
    layer = build("LSTM", 3, H, variant=variant, coupled=True, **options)
    twin = {"peepholes": False} | options if variant is None else options
    assert_is_twin(layer, "LSTM", normal(7, 4, 3), {"variant": variant or "V", "coupled": True} | twin)


def test_a_peephole_lstm_without_a_name_is_the_vanilla_one() -> None:
    named, plain = build("LSTM", 3, H, variant="V"), build("LSTM", 3, H, peepholes=True)
    assert_close(plain(normal(7, 4, 3)), named(normal(7, 4, 3)), 0.0)


# What each has


ROWS = {"NIG": 3, "NFG": 3, "NOG": 3, "CIFG": 3}
PEEPHOLES = {"NIG": "fo", "NFG": "io", "NOG": "if", "CIFG": "io", "NP": ""}
SIGNALS = {"NIG": "fgo", "NFG": "igo", "NOG": "ifg"}


@every_variant
def test_a_variant_has_the_parameters_and_signals_of_its_gates(variant: str) -> None:
    cell = un.LSTMCell(3, H, variant=variant)
    rows = ROWS.get(variant, 4) * H
    expected = {"weight_ih": (rows, 3), "weight_hh": (rows, H), "bias_ih": (rows,), "bias_hh": (rows,)}
    expected |= {f"weight_c{gate}": (H,) for gate in PEEPHOLES.get(variant, "ifo")}
    expected |= {"weight_gg": (3 * H, 3 * H)} if variant == "FGR" else {}
    assert {name: tuple(p.shape) for name, p in cell.named_parameters()} == expected
    step = cell.step(torch.randn(2, 3), cell.initial_state(2))
    assert list(step.signals) == list(SIGNALS.get(variant, "ifgo"))
    assert cell.keep_gate == (None if variant == "NFG" else "f")


@every_variant
def test_only_the_variant_without_peepholes_is_torchs_operator(variant: str) -> None:
    assert (un.LSTM(3, H, variant=variant).operator() is not None) == (variant == "NP")
    assert (un.LSTM(3, H, variant=variant, peepholes=False).operator() is not None) == (variant in ("V", "NP"))


@pytest.mark.parametrize("options", [{"variant": "NP"}, {"variant": "V", "peepholes": False}, {}], ids=str)
@pytest.mark.parametrize("more", [{}, {"num_layers": 2, "bidirectional": True}, {"proj_size": 2}], ids=str)
def test_without_peepholes_it_is_torchs_lstm_bit_for_bit(options: dict[str, Any], more: dict[str, Any]) -> None:
    layers = []
    for kind, own in ((torch.nn.LSTM, {}), (un.LSTM, options)):
        torch.manual_seed(3)
        layers.append(kind(3, H, dtype=torch.float64, **own, **more))
    with kernels.use("torch"):
        theirs, ours = (layer(normal(7, 4, 3)) for layer in layers)
    assert_close(ours, theirs, 0.0)


# What each is a case of


def vanilla_and(variant: str) -> tuple[un.LSTMCell, un.LSTMCell]:
    """The vanilla cell and one of its variants, the numbers they share the same."""
    torch.manual_seed(0)
    whole = un.LSTMCell(3, H, variant="V", dtype=torch.float64)
    part = un.LSTMCell(3, H, variant=variant, dtype=torch.float64)
    with torch.no_grad():
        for name, parameter in part.named_parameters():
            if name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"):
                blocks = dict(zip("ifgo", getattr(whole, name).chunk(4)))
                parameter.copy_(torch.cat([blocks[gate] for gate in part.gate_names]))
            elif name != "weight_gg":
                parameter.copy_(getattr(whole, name))
    return whole, part


def assert_steps_alike(whole: un.LSTMCell, part: un.LSTMCell) -> None:
    x, state = normal(4, 3), un.LSTMState(normal(4, H, seed=2), normal(4, H, seed=3))
    own = part.initial_state(4, dtype=torch.float64)._replace(h=state.h, c=state.c)
    expected, got = whole.step(x, state), part.step(x, own)
    assert_close([got.output, got.state.h, got.state.c], [expected.output, *expected.state], 1e-14)


@pytest.mark.parametrize(("variant", "gate"), [("NIG", "i"), ("NFG", "f"), ("NOG", "o")])
def test_an_absent_gate_is_one_that_is_always_open(variant: str, gate: str) -> None:
    whole, part = vanilla_and(variant)
    with torch.no_grad():
        whole.gate_bias(gate).fill_(1e6)
    assert_steps_alike(whole, part)


def test_the_coupled_gate_is_a_forget_gate_of_the_input_gates_numbers_turned() -> None:
    """σ(-a) = 1 - σ(a)."""
    whole, part = vanilla_and("CIFG")
    with torch.no_grad():
        for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"):
            i, f, *_ = getattr(whole, name).chunk(4)
            f.copy_(-i)
        whole.weight_cf.copy_(-whole.weight_ci)
    assert_steps_alike(whole, part)
    step = part.step(normal(4, 3), un.LSTMState(normal(4, H, seed=2), normal(4, H, seed=3)))
    assert_close(step.signals["f"], 1 - step.signals["i"], 0.0)


def test_the_variant_without_peepholes_is_the_vanilla_one_with_peepholes_of_zero() -> None:
    whole, part = vanilla_and("NP")
    with torch.no_grad():
        for name in ("weight_ci", "weight_cf", "weight_co"):
            getattr(whole, name).zero_()
    assert_steps_alike(whole, part)


def test_gate_recurrence_of_zero_is_the_vanilla_lstm() -> None:
    whole, part = vanilla_and("FGR")
    with torch.no_grad():
        part.weight_gg.zero_()
    assert_steps_alike(whole, part)


# Full gate recurrence


@pytest.mark.parametrize("coupled", [False, True])
def test_the_state_of_full_gate_recurrence_holds_the_gates_that_the_next_step_reads(coupled: bool) -> None:
    torch.manual_seed(0)
    cell = un.LSTMCell(3, H, variant="FGR", coupled=coupled, dtype=torch.float64)
    state = cell.initial_state(4, dtype=torch.float64)
    assert state._fields == ("h", "c", "i", "f", "o")
    first = cell.step(normal(4, 3), state)
    for gate in "ifo":
        assert torch.equal(getattr(first.state, gate), first.signals[gate])
    # The whole effect of the gates of the first step on the second is W_gg times them, inside σ.
    second = cell.step(normal(4, 3, seed=2), first.state)
    without = cell.step(normal(4, 3, seed=2), first.state._replace(i=state.i, f=state.f, o=state.o))
    recurrent = [gate for gate in "ifo" if gate in cell.gate_names]
    back = torch.cat([first.signals[gate] for gate in recurrent], 1) @ cell.weight_gg.T
    logit = second.signals["i"].logit() - without.signals["i"].logit()
    assert_close(logit, back.chunk(len(recurrent), 1)[0], 1e-12)


@pytest.mark.parametrize("form", ["stacked", "per cell"])
def test_gate_recurrent_states_go_in_and_come_out_of_the_layer_in_both_forms(form: str) -> None:
    layer = build("LSTM", 3, H, variant="FGR", num_layers=2)
    x, states = normal(7, 4, 3), random_states(layer, 4)
    given = states if form == "per cell" else tuple(torch.stack(leaf) for leaf in zip(*states))
    first, middle = layer(x[:3], given)
    assert len(middle) == (2 if form == "per cell" else 5)
    second, final = layer(x[3:], middle)
    output, end = layer(x, given)
    assert_close([torch.cat([first, second]), final], [output, end], 1e-13)


def test_a_batch_of_zero_gates_is_where_the_gate_recurrence_starts() -> None:
    layer = build("LSTM", 3, H, variant="FGR")
    state = tuple(torch.zeros(1, 4, H, dtype=torch.float64) for _ in range(5))
    assert_close(layer(normal(7, 4, 3)), layer(normal(7, 4, 3), state), 0.0)
    first = layer.cell_at(0).step(normal(4, 3), layer.initial_state(4, dtype=torch.float64)[0])
    i = (normal(4, 3) @ layer.weight_ih_l0.T + layer.bias_ih_l0 + layer.bias_hh_l0).chunk(4, 1)[0]
    assert_close(first.signals["i"], torch.from_numpy(sigmoid(i.detach().numpy())), 1e-14)
