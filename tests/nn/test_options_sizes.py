"""Layers of different sizes and kinds: their states as one per layer and direction, in and out, and in torch's form."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence
from twins import assert_close, assert_is_twin, build, flat, gradients, normal, random_states

from unroll import nn as un
from unroll.inspect import trace

T, B, INPUTS = 7, 4, 3
SIZES = [8, 5, 2]
LENGTHS = [4, 0, 7, 1]
KINDS = ["RNN", "LSTM", "GRU"]
every_kind = pytest.mark.parametrize("kind", KINDS)
directions = pytest.mark.parametrize("bidirectional", [False, True], ids=["forward", "both"])


def sized(kind: str, **options: Any) -> un.Recurrent:
    return build(kind, INPUTS, SIZES, **options)


def given(layer: un.Recurrent) -> tuple[Tensor, list[Any]]:
    states = random_states(layer, B)
    for leaf in flat(states):
        leaf.requires_grad_()
    return normal(T, B, INPUTS).requires_grad_(), states


# Sizes


@every_kind
@directions
@pytest.mark.parametrize(
    "options",
    [{}, {"merge": "sum"}, {"layer_norm": True}, {"zoneout": 0.2, "recurrent_dropout": 0.3, "weight_dropout": 0.3}],
    ids=str,
)
@pytest.mark.parametrize("drawn", [False, True], ids=["evaluation", "training"])
def test_each_layer_has_a_size_of_its_own(kind: str, bidirectional: bool, options: dict[str, Any], drawn: bool) -> None:
    o = options | {"bidirectional": bidirectional, "dropout": 0.3}
    layer = sized(kind, **o)
    assert_is_twin(layer, kind, normal(T, B, INPUTS), o, layer.draw(T, B) if drawn else None)


@every_kind
@directions
def test_sizes_are_torchs_layers_one_upon_the_other(kind: str, bidirectional: bool) -> None:
    layer, x = sized(kind, bidirectional=bidirectional), normal(T, B, INPUTS)
    output, final = layer(x)
    width, factor = INPUTS, 2 if bidirectional else 1
    for number, size in enumerate(SIZES):
        theirs = getattr(torch.nn, kind)(width, size, bidirectional=bidirectional, dtype=torch.float64)
        theirs.load_state_dict({n: getattr(layer, n.replace("_l0", f"_l{number}")) for n in theirs.state_dict()})
        x, end = theirs(x)
        ours = [torch.stack(leaf) for leaf in zip(*final[number * factor :][:factor])]
        assert_close(ours, list(end) if kind == "LSTM" else [end], 1e-12)
        width = size * factor
    assert_close(output, x, 1e-12)


@every_kind
@directions
def test_equal_sizes_are_the_layer_of_one_size(kind: str, bidirectional: bool) -> None:
    options = {"bidirectional": bidirectional, "connection": "residual", "learn_initial_state": True}
    listed, plain = build(kind, INPUTS, [5, 5], **options), build(kind, INPUTS, 5, num_layers=2, **options)
    plain.load_state_dict(listed.state_dict())
    assert listed.num_layers == 2
    assert_close(listed(normal(T, B, INPUTS)), plain(normal(T, B, INPUTS)), 0.0)


@every_kind
def test_one_size_in_a_list_serves_every_layer(kind: str) -> None:
    layer, plain = build(kind, INPUTS, (5,), num_layers=3), build(kind, INPUTS, 5, num_layers=3)
    assert layer.hidden_size == (5,)
    assert_close(layer(normal(T, B, INPUTS)), plain(normal(T, B, INPUTS)), 0.0)


@every_kind
@directions
@pytest.mark.parametrize("lengths", [None, LENGTHS], ids=["full", "ragged"])
def test_states_of_different_sizes_come_out_as_they_go_in(kind: str, bidirectional: bool, lengths: Any) -> None:
    layer = sized(kind, bidirectional=bidirectional)
    x, states = given(layer)
    output, final = layer(x, states, lengths)
    assert isinstance(final, tuple)
    assert [type(s) for s in final] == [type(s) for s in states]
    assert [[leaf.shape for leaf in s] for s in final] == [[leaf.shape for leaf in s] for s in states]
    zeros = layer.initial_state(B, dtype=torch.float64)
    assert not any(leaf.any() for leaf in flat(zeros))
    assert_close(layer(x), layer(x, zeros), 0.0)
    if lengths:
        assert_close([leaf[1] for leaf in flat(final)], [leaf[1] for leaf in flat(states)], 0.0)
    if not bidirectional and not lengths:
        first, middle = layer(x[:3], states)
        second, end = layer(x[3:], middle)
        assert_close([torch.cat([first, second]), end], [output, final])


@every_kind
def test_layers_of_different_sizes_step_stream_chunk_and_trace(kind: str) -> None:
    layer = sized(kind, learn_initial_state=True)
    x = normal(T, B, INPUTS)
    expected, final = layer(x)
    outputs, state = [], None
    for t in range(T):
        output, state = layer.step(x[t], state)
        outputs.append(output)
    assert_close([torch.stack(outputs), state], [expected, final], 1e-13)
    stream = layer.stream(B)
    assert_close(torch.stack([stream.step(x[t]) for t in range(T)]), expected, 1e-13)
    chunked = list(layer.chunks(x, 3))
    assert_close([torch.cat([out for out, _ in chunked]), chunked[-1][1]], [expected, final], 1e-13)
    traced = trace(layer, x)
    assert_close(traced.output, (expected, final), 0.0)
    assert [traced[f"l{n}"].states["h"].shape[-1] for n in range(3)] == SIZES


@every_kind
@directions
def test_layers_of_different_sizes_take_batch_first_single_and_packed_sequences(kind: str, bidirectional: bool) -> None:
    layer = sized(kind, bidirectional=bidirectional)
    turned = sized(kind, bidirectional=bidirectional, batch_first=True)
    x, states = given(layer)
    lengths = [4, 2, 7, 1]
    output, final = layer(x, states, lengths)
    got, end = turned(x.transpose(0, 1), states, lengths)
    assert_close([got.transpose(0, 1), end], [output, final], 0.0)
    packed, end = layer(pack_padded_sequence(x, torch.tensor(lengths), enforce_sorted=False), states)
    assert_close([pad_packed_sequence(packed)[0], end], [output, final], 1e-13)
    row = [type(s)(*(leaf[2] for leaf in s)) for s in states]
    alone, end = layer(x[:, 2], row)
    assert [type(s) for s in end] == [type(s) for s in states]
    assert_close([alone, end], [output[:, 2], [[leaf[2] for leaf in s] for s in final]], 1e-13)


# Both forms of hx


def stacked(states: list[Any]) -> Any:
    leaves = tuple(torch.stack(leaf) for leaf in zip(*states))
    return leaves if len(leaves) > 1 else leaves[0]


OPTIONS: dict[str, tuple[str, dict[str, Any]]] = {
    "RNN": ("RNN", {}),
    "LSTM": ("LSTM", {}),
    "LSTM proj": ("LSTM", {"proj_size": 2}),
    "LSTM FGR": ("LSTM", {"variant": "FGR"}),
    "GRU": ("GRU", {}),
    "GRU before": ("GRU", {"reset": "before"}),
    "GRU proj": ("GRU", {"proj_size": 2}),
}


@pytest.mark.parametrize("form", OPTIONS)
@directions
@pytest.mark.parametrize("lengths", [None, LENGTHS], ids=["full", "ragged"])
@pytest.mark.parametrize("batch", ["batched", "unbatched"])
def test_hx_in_both_forms_gives_the_same_and_comes_back_in_its_own(
    form: str, bidirectional: bool, lengths: Any, batch: str
) -> None:
    kind, own = OPTIONS[form]
    layer = build(kind, INPUTS, 5, num_layers=2, bidirectional=bidirectional, **own)
    x, states = given(layer)
    if batch == "unbatched":
        x, lengths = x[:, 0], None if lengths is None else lengths[:1]
        states = [type(s)(*(leaf[0] for leaf in s)) for s in states]
    output, final = layer(x, stacked(states), lengths)
    got, end = layer(x, states, lengths)
    assert isinstance(end, tuple)
    assert [type(s) for s in end] == [type(s) for s in states]
    assert type(final) is (tuple if len(states[0]) > 1 else Tensor)
    assert [leaf.shape for leaf in flat(final)] == [leaf.shape for leaf in flat(stacked(states))]
    assert_close([got, stacked(end)], [output, final], 0.0)
    assert_close(gradients(layer, [got, end], x, states), gradients(layer, [output, unstacked(final)], x, states))


def unstacked(final: Any) -> list[Any]:
    leaves = [final] if isinstance(final, Tensor) else final
    return list(zip(*(leaf.unbind(0) for leaf in leaves)))


# Cells of different kinds


MIXES = [("LSTM", "GRU"), ("GRU", "LSTM", "RNN"), ("MGU", "LSTM"), ("JANET", "GRU", "MGU")]


def mixed(kinds: tuple[str, ...], **options: Any) -> un.Recurrent:
    torch.manual_seed(0)
    factor = 2 if options.get("bidirectional") and options.get("merge", "concat") == "concat" else 1
    widths = [INPUTS, *(5 * factor for _ in kinds[1:])]
    cells = [getattr(un, f"{kind}Cell")(width, 5) for kind, width in zip(kinds, widths)]
    return un.Recurrent(cells, **options).double()


@pytest.mark.parametrize("kinds", MIXES, ids="-".join)
@directions
@pytest.mark.parametrize("merge", ["concat", "mean"])
@pytest.mark.parametrize("connection", [None, "residual", "highway"])
@pytest.mark.parametrize("drawn", [False, True], ids=["evaluation", "training"])
def test_cells_of_different_kinds_run_as_layers(
    kinds: tuple[str, ...], bidirectional: bool, merge: str, connection: str | None, drawn: bool
) -> None:
    o = {"bidirectional": bidirectional, "merge": merge, "connection": connection}
    layer = mixed(kinds, **o, dropout=0.3, input_dropout=0.3, weight_dropout=0.3)
    assert_is_twin(layer, kinds, normal(T, B, INPUTS), o, layer.draw(T, B) if drawn else None)


@directions
def test_each_cell_keeps_its_own_options(bidirectional: bool) -> None:
    cells = [
        un.LSTMCell(INPUTS, 6, proj_size=4, layer_norm=True, dtype=torch.float64),
        un.GRUCell(4, 5, reset="before", zoneout=0.5, dtype=torch.float64),
    ]
    layer = un.Recurrent(cells, bidirectional=bidirectional, merge="sum")
    for direction in range(layer.directions):
        first, second = (layer.cell_at(number, direction) for number in range(2))
        assert (type(first), first.proj_size, first.layer_norm is None) == (un.LSTMCell, 4, False)
        assert (type(second), second.reset, second.zoneout.h) == (un.GRUCell, "before", 0.5)
    noise = layer.draw(T, B)
    assert [own.cell is None for own in noise.cells] == [True] * layer.directions + [False] * layer.directions
    x, states = given(layer)
    output, final = layer(x, states, LENGTHS, noise)
    assert [type(s).__name__ for s in final] == ["LSTMState"] * layer.directions + ["GRUState"] * layer.directions
    assert_close([leaf[1] for leaf in flat(final)], [leaf[1] for leaf in flat(states)], 0.0)
    alone, end = layer(
        x[:4, :1], [type(s)(*(leaf[:1] for leaf in s)) for s in states], None, noise.rows(slice(0, 1)).narrow(0, 4)
    )
    assert_close(alone, output[:4, :1], 1e-12)
    assert_close([leaf[0] for leaf in flat(end)], [leaf[0] for leaf in flat(final)], 1e-12)


def test_mixed_cells_learn_a_start_of_each_kind_and_stream_from_it() -> None:
    layer = mixed(("LSTM", "GRU"), learn_initial_state=True)
    names = [name for name, _ in layer.named_parameters() if name.startswith("start.")]
    assert names == ["start.h_0_l0", "start.c_0_l0", "start.h_0_l1"]
    with torch.no_grad():
        for parameter in layer.start.parameters():
            parameter.copy_(normal(5))
    x, stream = normal(T, B, INPUTS), layer.stream(B)
    output, final = layer(x, None, [T] * B)
    assert_close(torch.stack([stream.step(x[t]) for t in range(T)]), output, 1e-13)
    saved = stream.save()
    assert sorted(saved) == ["0.c", "0.h", "1.h"]
    assert_close(list(stream.state), list(final), 1e-13)
