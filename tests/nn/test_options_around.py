"""What is around the equation: merging, connections, a learned start, with torch's layers and NumPy as oracles."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from torch import Tensor
from twins import LAYER_OPTIONS, assert_close, assert_is_twin, build, flat, gradients, normal, random_states

from unroll import nn as un

T, B, INPUTS, H = 7, 4, 3, 5
LENGTHS = [4, 0, 7, 1]
FORMS: dict[str, tuple[str, dict[str, Any]]] = {
    "RNN": ("RNN", {}),
    "LSTM": ("LSTM", {}),
    "LSTM proj": ("LSTM", {"proj_size": 2}),
    "LSTM FGR": ("LSTM", {"variant": "FGR"}),
    "GRU": ("GRU", {}),
    "GRU before": ("GRU", {"reset": "before"}),
    "GRU proj": ("GRU", {"proj_size": 2}),
    "MGU": ("MGU", {}),
}
MERGES = ["concat", "sum", "mean", "product"]
CONNECTIONS = ["residual", "highway"]
every_form = pytest.mark.parametrize("form", FORMS)
every_merge = pytest.mark.parametrize("merge", MERGES)
every_connection = pytest.mark.parametrize("connection", CONNECTIONS)


def layer_of(form: str, inputs: int = INPUTS, H: int = H, **options: Any) -> un.Recurrent:
    kind, own = FORMS[form]
    return build(kind, inputs, H, **own, **options)


def check(form: str, T: int = T, **options: Any) -> None:
    kind, own = FORMS[form]
    assert_is_twin(layer_of(form, **options), kind, normal(T, B, INPUTS), own | options)


# Merging


@every_form
@every_merge
@pytest.mark.parametrize("num_layers", [1, 3])
def test_both_directions_are_merged_after_every_layer(form: str, merge: str, num_layers: int) -> None:
    check(form, bidirectional=True, merge=merge, num_layers=num_layers)


@every_form
@every_merge
def test_one_direction_has_nothing_to_merge(form: str, merge: str) -> None:
    merged, plain = layer_of(form, num_layers=2, merge=merge), layer_of(form, num_layers=2)
    assert merged.output_size == plain.output_size
    assert_close(merged(normal(T, B, INPUTS)), plain(normal(T, B, INPUTS)), 0.0)


@pytest.mark.parametrize("lengths", [None, LENGTHS], ids=["full", "ragged"])
@every_merge
def test_a_merged_layer_is_torchs_two_directions_joined(merge: str, lengths: Any) -> None:
    """torch runs each direction; the last state stays one per direction."""
    layer = layer_of("LSTM", bidirectional=True, merge=merge)
    theirs = torch.nn.LSTM(INPUTS, H, bidirectional=True, dtype=torch.float64)
    theirs.load_state_dict(layer.state_dict())
    x = normal(T, B, INPUTS)
    output, state = layer(x, lengths=lengths)
    for row, length in enumerate(lengths or [T] * B):
        assert not output[length:, row].any()
        if length:
            both, (h, c) = theirs(x[:length, row])
            forward, backward = both.chunk(2, -1)
            joined = {
                "concat": both,
                "sum": forward + backward,
                "mean": 0.5 * forward + 0.5 * backward,
                "product": forward * backward,
            }
            assert_close(output[:length, row], joined[merge], 1e-12)
            assert_close([leaf[:, row] for leaf in state], [h, c], 1e-12)


@every_merge
def test_the_width_of_a_merged_output_is_that_of_the_next_layers_input(merge: str) -> None:
    layer = layer_of("GRU", bidirectional=True, num_layers=2, merge=merge)
    width = 2 * H if merge == "concat" else H
    assert layer.weight_ih_l1.shape == (3 * H, width)
    assert layer.output_size == layer(normal(T, B, INPUTS))[0].shape[-1] == width


# Connections


@every_form
@every_connection
@pytest.mark.parametrize("bidirectional", [False, True], ids=["forward", "both"])
@pytest.mark.parametrize("merge", ["concat", "mean"])
def test_a_connection_joins_every_layer_but_the_first(
    form: str, connection: str, bidirectional: bool, merge: str
) -> None:
    check(form, num_layers=3, bidirectional=bidirectional, merge=merge, connection=connection)


@every_form
@every_connection
@pytest.mark.parametrize("training", [True, False], ids=["training", "evaluation"])
def test_connected_layers_step_as_they_run(form: str, connection: str, training: bool) -> None:
    noise_options = {"dropout": 0.4, "input_dropout": 0.3, "recurrent_dropout": 0.3}
    layer = layer_of(form, num_layers=3, connection=connection, **noise_options).train(training)
    x, states = normal(T, B, INPUTS).requires_grad_(), random_states(layer, B)
    noise = layer.draw(T, B) if training else None
    outputs, state = [], states
    for t in range(T):
        output, state = layer.step(x[t], state, None if noise is None else noise.narrow(t, 1))
        outputs.append(output)
    got, expected = [torch.stack(outputs), state], layer(x, states, noise=noise)
    assert_close(got, expected)
    assert_close(gradients(layer, got, x), gradients(layer, expected, x))


@every_form
@every_connection
def test_a_connection_leaves_padding_zero(form: str, connection: str) -> None:
    layer = layer_of(form, num_layers=3, bidirectional=True, connection=connection)
    output, _ = layer(normal(T, B, INPUTS), lengths=LENGTHS)
    for row, length in enumerate(LENGTHS):
        assert not output[length:, row].any()
        assert output[:length, row].all()


def test_a_residual_layer_of_weights_zero_gives_its_input_on() -> None:
    layer = layer_of("RNN", num_layers=2, connection="residual")
    first = layer_of("RNN")
    with torch.no_grad():
        for name, parameter in layer.named_parameters():
            if name.endswith("_l1"):
                parameter.zero_()
    x = normal(T, B, INPUTS)
    assert_close(layer(x)[0], first(x)[0], 1e-14)


@pytest.mark.parametrize("bias", [-1e6, 1e6], ids=["carried", "transformed"])
def test_a_highway_s_gate_carries_when_shut_and_transforms_when_open(bias: float) -> None:
    layer, plain = layer_of("RNN", num_layers=2, connection="highway"), layer_of("RNN", num_layers=2)
    with torch.no_grad():
        layer.connections[0].gate.bias.fill_(bias)
    plain.load_state_dict({n: p for n, p in layer.state_dict().items() if not n.startswith("connections")})
    first = layer_of("RNN")
    x = normal(T, B, INPUTS)
    assert_close(layer(x)[0], (first if bias < 0 else plain)(x)[0], 1e-14)


def test_a_highway_starts_carried_over_and_is_reset_so() -> None:
    layer = un.LSTM(INPUTS, H, 3, connection="highway")
    for _ in range(2):
        for part in layer.connections:
            assert torch.equal(part.gate.bias, torch.full((H,), -1.0))
            assert 0 < float(part.gate.weight.detach().abs().max()) <= H**-0.5
        with torch.no_grad():
            for part in layer.connections:
                part.gate.bias.fill_(9.0)
                part.gate.weight.fill_(9.0)
        layer.reset_parameters()
    assert len(layer.connections) == 2


@every_connection
def test_a_connection_of_one_layer_is_none(connection: str) -> None:
    layer = layer_of("GRU", connection=connection)
    assert [name for name, _ in layer.named_parameters() if name.startswith("connections")] == []
    assert_close(layer(normal(T, B, INPUTS)), layer_of("GRU")(normal(T, B, INPUTS)), 1e-14)


@pytest.mark.parametrize("kind", [un.RNN, un.LSTM, un.GRU])
@pytest.mark.parametrize("option", [{"connection": "highway"}, {"learn_initial_state": True}, {"layer_norm": True}])
def test_what_an_option_adds_has_the_dtype_and_device_of_the_layer(kind: Any, option: dict[str, Any]) -> None:
    layer = kind(INPUTS, H, 2, dtype=torch.float64, **option)
    assert {p.dtype for p in layer.parameters()} == {torch.float64}
    assert layer(normal(T, B, INPUTS))[0].dtype is torch.float64
    assert {p.device.type for p in kind(INPUTS, H, 2, device="meta", **option).parameters()} == {"meta"}


# A learned start


def learned(form: str, **options: Any) -> tuple[un.Recurrent, list[Any]]:
    """A layer whose learned start is not zero, and that start as states of a batch."""
    layer = layer_of(form, num_layers=2, learn_initial_state=True, **options)
    states = [type(s)(*(leaf.detach().clone() for leaf in s)) for s in layer.initial_state(B, dtype=torch.float64)]
    assert all(leaf.any() for leaf in flat(states))
    return layer, states


@every_form
@pytest.mark.parametrize("bidirectional", [False, True], ids=["forward", "both"])
def test_a_learned_start_is_zero_at_first_which_changes_no_number(form: str, bidirectional: bool) -> None:
    kind, own = FORMS[form]
    torch.manual_seed(0)
    options = {"num_layers": 2, "bidirectional": bidirectional}
    if kind == "MGU":
        layer: Any = un.Recurrent(un.MGUCell(INPUTS, H), learn_initial_state=True, **options).double()
    else:
        layer = getattr(un, kind)(INPUTS, H, dtype=torch.float64, learn_initial_state=True, **own, **options)
    plain = layer_of(form, **options)
    assert not any(parameter.any() for name, parameter in layer.named_parameters() if name.startswith("start."))
    plain.load_state_dict({n: p for n, p in layer.state_dict().items() if not n.startswith("start.")})
    x = normal(T, B, INPUTS)
    assert_close(layer(x), plain(x), 1e-14)
    assert_close(layer(x, lengths=LENGTHS), plain(x, lengths=LENGTHS), 1e-14)


@every_form
@pytest.mark.parametrize("bidirectional", [False, True], ids=["forward", "both"])
@pytest.mark.parametrize("lengths", [None, LENGTHS], ids=["full", "ragged"])
def test_a_learned_start_is_where_every_row_starts(form: str, bidirectional: bool, lengths: Any) -> None:
    layer, states = learned(form, bidirectional=bidirectional)
    x = normal(T, B, INPUTS)
    output, final = layer(x, None, lengths)
    expected, ends = layer(x, states, lengths)
    assert_close(output, expected, 1e-14)
    ends = per_leaf(layer, ends)
    assert_close(per_leaf(layer, final), ends, 1e-14)
    if lengths:  # the row of no steps ends where it starts
        assert_close([leaf[:, 1] for leaf in ends], [torch.stack(leaf)[:, 1] for leaf in zip(*states)], 0.0)
    assert_close(per_leaf(layer, layer(x[:0])[1]), [torch.stack(leaf) for leaf in zip(*states)], 0.0)


def per_leaf(layer: un.Recurrent, final: Any) -> list[Tensor]:
    """Leaves (layers · directions, batch, features), of either form."""
    if isinstance(final, Tensor):
        return [final]
    return list(final) if isinstance(final[0], Tensor) else [torch.stack(leaf) for leaf in zip(*final)]


@every_form
def test_a_given_state_stands_in_for_the_learned_start(form: str) -> None:
    layer, _ = learned(form)
    x, states = normal(T, B, INPUTS), random_states(layer, B)
    output = layer(x, states)[0]
    with torch.no_grad():
        for parameter in layer.start.parameters():
            parameter.fill_(3.0)
    assert_close(layer(x, states)[0], output, 0.0)
    assert not torch.equal(layer(x)[0], output)


@every_form
@pytest.mark.parametrize("lengths", [None, LENGTHS], ids=["full", "ragged"])
def test_the_gradient_of_a_learned_start_is_the_sum_of_those_of_its_rows(form: str, lengths: Any) -> None:
    layer, states = learned(form, bidirectional=True)
    x = normal(T, B, INPUTS)
    for leaf in flat(states):
        leaf.requires_grad_()
    names = [name for name, _ in layer.named_parameters()]
    output, final = layer(x, None, lengths)
    got = dict(zip(names, gradients(layer, [output, per_leaf(layer, final)])))
    output, final = layer(x, states, lengths)
    rows = gradients(layer, [output, per_leaf(layer, final)], states)[len(names) :]
    own = [got[f"start.{name}"] for name, _ in layer.start.named_parameters()]
    assert_close(own, [grad.sum(0) for grad in rows], 1e-12)
    assert all(grad.any() for grad in own)


@every_form
def test_a_learned_start_has_one_parameter_per_leaf_layer_and_direction(form: str) -> None:
    layer, states = learned(form, bidirectional=True)
    suffixes = ["l0", "l0_reverse", "l1", "l1_reverse"]
    shapes = {
        f"start.{name}_0_{suffix}": tuple(leaf.shape[1:])
        for suffix, state in zip(suffixes, states)
        for name, leaf in zip(state._fields, state)
    }
    assert {n: tuple(p.shape) for n, p in layer.named_parameters() if n.startswith("start.")} == shapes
    fresh = copy.deepcopy(layer)
    with torch.no_grad():
        for parameter in fresh.parameters():
            parameter.add_(1.0)
    fresh.load_state_dict(layer.state_dict())
    assert_close(fresh(normal(T, B, INPUTS)), layer(normal(T, B, INPUTS)), 0.0)


@every_form
def test_functional_call_replaces_a_learned_start(form: str) -> None:
    layer, _ = learned(form)
    x, states = normal(T, B, INPUTS), random_states(layer, 1)
    own = [name for name, _ in layer.named_parameters() if name.startswith("start.")]
    given = {name: leaf[0].requires_grad_() for name, leaf in zip(own, flat(states))}
    output, _ = torch.func.functional_call(layer, given, (x,))
    rows = [type(s)(*(leaf.expand(B, *leaf.shape[1:]) for leaf in s)) for s in states]
    assert_close(output, layer(x, rows)[0], 1e-14)
    assert all(grad.any() for grad in torch.autograd.grad(output.sum(), list(given.values())))


@pytest.mark.parametrize("form", FORMS)
def test_steps_chunks_and_streams_begin_at_the_learned_start(form: str) -> None:
    layer, states = learned(form)
    x = normal(T, B, INPUTS)
    expected = layer(x, states)[0]
    first, state = layer.step(x[0])
    assert_close(first, expected[0], 1e-13)
    assert_close(layer.step(x[1], state)[0], expected[1], 1e-13)
    for detach in (True, False):
        assert_close(torch.cat([output for output, _ in layer.chunks(x, 3, detach=detach)]), expected, 1e-13)
    whole = gradients(layer, layer(x)[0])
    assert_close(gradients(layer, torch.cat([out for out, _ in layer.chunks(x, 3, detach=False)])), whole)
    stream = layer.stream(B)
    assert not any(leaf.requires_grad for leaf in flat(stream.state))
    assert_close(torch.stack([stream.step(x[t]) for t in range(3)]), expected[:3], 1e-13)
    stream.reset(rows=[1])
    assert_close([leaf[1] for leaf in flat(stream.state)], [leaf[1] for leaf in flat(states)], 0.0)
    stream.reset()
    for leaf in flat(stream.state):
        leaf.add_(1.0)
    assert_close(layer(x)[0], expected, 1e-14)


def test_reset_puts_a_learned_start_back_to_zero() -> None:
    layer = un.LSTM(INPUTS, H, 2, learn_initial_state=True)
    with torch.no_grad():
        for parameter in layer.start.parameters():
            parameter.fill_(2.0)
    layer.reset_parameters()
    assert not any(parameter.any() for parameter in layer.start.parameters())


def test_options_around_are_known_to_the_tests() -> None:
    from unroll.nn.classic import LAYER_OPTIONS as KNOWN

    assert set(KNOWN) <= set(LAYER_OPTIONS)
