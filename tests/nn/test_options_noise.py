"""Zoneout and the dropouts: what each mask is drawn as, where it acts, and that it acts nowhere else."""

from __future__ import annotations

import warnings
from typing import Any

import pytest
import torch
from torch import Tensor
from twins import assert_close, assert_is_twin, build, flat, gradients, normal, random_states

from unroll import nn as un
from unroll.nn.options import Zoneout

FORMS: dict[str, tuple[str, dict[str, Any]]] = {
    "RNN": ("RNN", {}),
    "RNN proj": ("RNN", {"proj_size": 2}),
    "RNN layer norm": ("RNN", {"layer_norm": True}),
    "LSTM": ("LSTM", {}),
    "LSTM proj": ("LSTM", {"proj_size": 2}),
    "LSTM layer norm": ("LSTM", {"layer_norm": True}),
    "LSTM CIFG": ("LSTM", {"variant": "CIFG"}),
    "LSTM FGR": ("LSTM", {"variant": "FGR"}),
    "GRU": ("GRU", {}),
    "GRU before": ("GRU", {"reset": "before"}),
    "GRU before proj": ("GRU", {"reset": "before", "proj_size": 2}),
    "GRU before layer norm": ("GRU", {"reset": "before", "layer_norm": True}),
    "GRU write": ("GRU", {"update": "write"}),
    "MGU": ("MGU", {}),
    "JANET": ("JANET", {}),
}
CLASSICS = ["RNN", "LSTM", "GRU", "GRU before"]
every_form = pytest.mark.parametrize("form", FORMS)
every_classic = pytest.mark.parametrize("form", CLASSICS)
DROPOUTS = ["input_dropout", "recurrent_dropout", "weight_dropout"]


def layer_of(form: str, **options: Any) -> un.Recurrent:
    kind, own = FORMS[form]
    return build(kind, 3, 5, **own, **options)


def check(form: str, T: int = 7, B: int = 4, drawn: bool = True, **options: Any) -> None:
    kind, own = FORMS[form]
    layer = layer_of(form, **options)
    assert_is_twin(layer, kind, normal(T, B, 3), own | options, layer.draw(T, B) if drawn else None)


# Zoneout


@every_form
@pytest.mark.parametrize("rates", [0.3, (0.3, 0.1), (0.0, 0.4), (0.4, 0.0), (1.0, 0.0), (0.0, 1.0), 1, 0], ids=str)
@pytest.mark.parametrize("drawn", [True, False], ids=["drawn", "evaluation"])
def test_zoneout_is_krueger_s_equation_drawn_and_in_the_mean(form: str, rates: Any, drawn: bool) -> None:
    check(form, drawn=drawn, zoneout=rates)


@every_form
def test_zoneout_runs_over_layers_and_directions(form: str) -> None:
    check(form, zoneout=(0.3, 0.2), num_layers=2, bidirectional=True)


@pytest.mark.parametrize("training", [True, False])
@every_form
def test_zoneout_of_one_keeps_the_first_state_and_of_zero_is_no_zoneout(form: str, training: bool) -> None:
    kept, free, plain = (layer_of(form, **o).train(training) for o in ({"zoneout": 1.0}, {"zoneout": 0.0}, {}))
    x, states = normal(7, 4, 3), random_states(plain, 4)
    for before, after in zip(states, kept(x, states)[1]):
        for name in {"h", "c"} & set(before._fields):
            assert torch.equal(getattr(after, name), getattr(before, name))
    assert_close(free(x, states), plain(x, states), 0.0)
    assert free.draw(7, 4).cells[0].cell is None


def test_zoneout_takes_one_rate_a_pair_or_itself() -> None:
    x = normal(7, 4, 3)
    one, pair, object_ = (layer_of("LSTM", zoneout=given).eval()(x) for given in (0.2, (0.2, 0.2), Zoneout(0.2, 0.2)))
    assert_close(pair, one, 0.0)
    assert_close(object_, one, 0.0)
    assert un.LSTMCell(3, 5, zoneout=[0.2, 0.1]).zoneout == Zoneout(h=0.2, c=0.1)


@pytest.mark.parametrize("training", [True, False])
def test_h_is_read_off_the_cell_state_before_zoneout(training: bool) -> None:
    """c that never moves leaves h = o ⊙ tanh(f ⊙ c + i ⊙ g) moving."""
    layer = layer_of("LSTM", zoneout=(0.0, 1.0)).train(training)
    cell, (h, c) = layer.cell_at(0), random_states(layer, 4)[0]
    noise = layer.draw(1, 4).cells[0].cell.at(0) if training else {}
    step = cell.step(normal(4, 3), un.LSTMState(h, c), noise)
    i, f, g, o = (step.signals[name] for name in "ifgo")
    assert torch.equal(step.state.c, c)
    assert_close(step.output, o * (f * c + i * g).tanh(), 1e-14)
    assert_close(step.state.h, step.output, 0.0)


def test_zoneout_draws_zeros_and_ones_of_its_rates_anew_for_every_step_row_and_leaf() -> None:
    torch.manual_seed(0)
    T, B, H = 50, 40, 30
    layer = un.LSTM(3, H, 2, bidirectional=True, zoneout=(0.3, 0.1))
    masks = [own.cell.steps[f"zoneout_{leaf}"] for own in layer.draw(T, B).cells for leaf in "hc"]
    assert len(masks) == 8
    for mask, rate in zip(masks, (0.3, 0.1) * 4):
        assert mask.shape == (T, B, H)
        assert set(mask.unique().tolist()) == {0.0, 1.0}
        assert abs(float(mask.mean()) - rate) < 5 * (rate * (1 - rate) / mask.numel()) ** 0.5
        for axis in range(3):
            assert not torch.equal(mask.select(axis, 0), mask.select(axis, 1))
    assert all(not torch.equal(a, b) for n, a in enumerate(masks) for b in masks[:n])


# Dropout that is one mask for the whole sequence


@every_form
@pytest.mark.parametrize("option", DROPOUTS)
def test_a_dropout_is_its_mask_times_what_it_drops(form: str, option: str) -> None:
    check(form, **{option: 0.4})


@every_form
def test_all_noise_acts_together_over_layers_and_directions(form: str) -> None:
    rates = dict.fromkeys(DROPOUTS, 0.3)
    check(form, num_layers=3, bidirectional=True, dropout=0.4, zoneout=(0.3, 0.1), **rates)


@every_form
@pytest.mark.parametrize("option", DROPOUTS)
def test_evaluation_drops_nothing(form: str, option: str) -> None:
    dropped, plain = layer_of(form, **{option: 0.5}).eval(), layer_of(form)
    x, states = normal(7, 4, 3), random_states(plain, 4)
    assert_close(dropped(x, states), plain(x, states), 0.0)
    assert not torch.equal(dropped.train()(x, states)[0], plain(x, states)[0])


@every_form
@pytest.mark.parametrize("option", ["recurrent_dropout", "weight_dropout"])
def test_all_of_h_dropped_is_no_recurrent_weight_and_what_gates_carry_stays(form: str, option: str) -> None:
    dropped, cut = layer_of(form, **{option: 1.0}), layer_of(form)
    x, states = normal(7, 4, 3), random_states(cut, 4)
    with torch.no_grad():
        for name, parameter in cut.named_parameters():
            if "weight_hh" in name:
                parameter.zero_()
    got, expected = dropped(x, states), cut(x, states)
    assert_close(got, expected, 1e-14)
    if FORMS[form][0] != "RNN":  # it carries nothing
        assert not torch.equal(dropped(x)[0][0], got[0][0])


@every_form
def test_all_of_the_input_dropped_is_an_input_of_zero(form: str) -> None:
    dropped, plain = layer_of(form, input_dropout=1.0), layer_of(form)
    states = random_states(plain, 4)
    assert_close(dropped(normal(7, 4, 3), states), plain(torch.zeros(7, 4, 3, dtype=torch.float64), states), 1e-14)


def masks_of(layer: un.Recurrent, T: int, B: int) -> dict[str, Tensor]:
    own = layer.draw(T, B).cells[0]
    return {
        "input_dropout": own.input,
        "recurrent_dropout": own.cell.held["h"],
        "weight_dropout": own.weights["weight_hh"],
    }


@every_classic
@pytest.mark.parametrize("p", [0.2, 0.5, 0.9])
def test_a_dropout_mask_has_one_value_per_sequence_zero_or_one_over_the_rest_and_mean_one(form: str, p: float) -> None:
    torch.manual_seed(0)
    kind, own = FORMS[form]
    B, inputs, H = 200, 50, 60
    layer = build(kind, inputs, H, **own, **dict.fromkeys(DROPOUTS, p))
    masks = masks_of(layer, 9, B)
    rows = layer.cell_at(0).weight_hh.shape[0]
    assert [tuple(mask.shape) for mask in masks.values()] == [(B, inputs), (B, H), (rows, H)]
    for mask in masks.values():
        assert_close(mask.unique(), torch.tensor([0.0, 1 / (1 - p)], dtype=torch.float64), 1e-12)
        spread = (p / (1 - p) / mask.numel()) ** 0.5
        assert abs(float(mask.mean()) - 1) < 5 * spread


def test_every_layer_and_direction_draws_masks_of_its_own() -> None:
    torch.manual_seed(0)
    layer = un.LSTM(20, 20, 3, bidirectional=True, merge="sum", **dict.fromkeys(DROPOUTS, 0.5))
    cells = layer.draw(2, 5).cells
    assert len(cells) == 6
    for family in (
        [c.input for c in cells],
        [c.cell.held["h"] for c in cells],
        [c.weights["weight_hh"] for c in cells],
    ):
        assert all(not torch.equal(a, b) for n, a in enumerate(family) for b in family[:n])


# Dropped weights


@every_classic
def test_the_gradient_of_a_dropped_weight_is_that_of_the_masked_weight_and_zero_where_dropped(form: str) -> None:
    dropped, plain = layer_of(form, weight_dropout=0.5), layer_of(form)
    x, noise = normal(7, 4, 3), dropped.draw(7, 4)
    mask = noise.cells[0].weights["weight_hh"]
    before = dropped.weight_hh_l0.detach().clone()
    with torch.no_grad():
        plain.weight_hh_l0.mul_(mask)
    names = [name for name, _ in plain.named_parameters()]
    got = dict(zip(names, gradients(dropped, dropped(x, noise=noise))))
    expected = dict(zip(names, gradients(plain, plain(x))))
    expected["weight_hh_l0"] = expected["weight_hh_l0"] * mask
    assert_close(list(got.values()), list(expected.values()), 1e-12)
    assert not got["weight_hh_l0"][mask == 0].any()
    assert got["weight_hh_l0"][mask > 0].all()
    assert torch.equal(dropped.weight_hh_l0, before)
    assert isinstance(dropped.weight_hh_l0, torch.nn.Parameter)


@pytest.mark.parametrize("form", FORMS)
def test_weights_are_dropped_by_the_names_given_and_no_others(form: str) -> None:
    kind, own = FORMS[form]
    options = {"weight_dropout": {"weight_ih": 0.5, "bias_hh": 0.3, "weight_hh": 0.0}, "num_layers": 2}
    layer = layer_of(form, **options)
    noise = layer.draw(7, 4)
    assert [sorted(cell.weights) for cell in noise.cells] == [["bias_hh", "weight_ih"]] * 2
    assert_is_twin(layer, kind, normal(7, 4, 3), own | options, noise)


@every_classic
def test_dropping_weights_warns_of_nothing_and_leaves_flattening_and_the_state_dict_alone(form: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        layer = layer_of(form, num_layers=2, weight_dropout=0.5)
        plain = layer_of(form, num_layers=2)
        x, noise = normal(7, 4, 3), layer.draw(7, 4)
        before = layer(x, noise=noise)
        layer.flatten_parameters()
        assert_close(layer(x, noise=noise), before, 0.0)
        assert list(layer.state_dict()) == list(plain.state_dict())
        gradients(layer, layer(x))
        layer.flatten_parameters()
        assert_close(layer.eval()(x), plain(x), 0.0)


# Dropout between layers


@every_form
def test_noise_between_layers_is_drawn_per_step_and_never_after_the_last(form: str) -> None:
    layer = layer_of(form, num_layers=3, bidirectional=True, dropout=0.4)
    noise, width = layer.draw(7, 4), 2 * layer.cell_at(0).output_size
    assert [tuple(mask.shape) for mask in noise.between] == [(7, 4, width)] * 2
    for mask in noise.between:
        assert_close(mask.unique(), torch.tensor([0.0, 1 / 0.6], dtype=torch.float64), 1e-12)
        assert not torch.equal(mask[0], mask[1])
    check(form, num_layers=3, bidirectional=True, dropout=0.4)
    check(form, num_layers=2, dropout=1.0)


def test_a_layer_without_options_draws_nothing_and_noise_of_nothing_changes_nothing() -> None:
    layer = layer_of("LSTM", num_layers=2)
    noise = layer.draw(7, 4)
    assert noise.between == ()
    assert all(own == (None, {}, None) for own in noise.cells)
    x = normal(7, 4, 3)
    assert_close(layer(x, noise=noise), layer(x), 1e-14)


@every_form
def test_a_cell_called_alone_in_training_draws_its_own_noise(form: str) -> None:
    kind, own = FORMS[form]
    torch.manual_seed(0)
    cell = getattr(un, f"{kind}Cell")(3, 5, dtype=torch.float64, zoneout=0.5, recurrent_dropout=0.5, **own)
    x, state = normal(4, 3), cell.initial_state(4, dtype=torch.float64)
    given = tuple(normal(*leaf.shape, seed=n) for n, leaf in enumerate(state))
    hx = given if len(given) > 1 else given[0]
    torch.manual_seed(7)
    got = cell(x, hx)
    torch.manual_seed(7)
    expected = cell.step(x, type(state)(*given), cell.draw(1, x).at(0)).state
    assert_close(flat(got), flat(expected), 0.0)
    assert not torch.equal(flat(cell(x, hx))[0], flat(got)[0])
    assert_close(flat(cell.eval()(x, hx)), flat(cell.step(x, type(state)(*given)).state), 1e-15)
