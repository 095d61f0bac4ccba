"""The Transformer encoder: torch's own numbers, and the interface of a recurrent layer."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from models.comparing import assert_close, gradients, normal
from models.encoding import (
    HEADS,
    INPUTS,
    LAYERS,
    B,
    D,
    T,
    ages,
    both,
    build,
    leaves,
    norms,
    ragged,
    started,
)
from unroll.errors import ConfigError
from unroll.models import KeyValueState, TransformerEncoder, sinusoids

# Torch's encoder is the oracle


def torch_twin(layer: TransformerEncoder, dropout: float = 0.0) -> torch.nn.TransformerEncoder:
    """torch's encoder with the weights of ``layer``, for what its projection gives."""
    first = layer.layers[0]
    theirs = torch.nn.TransformerEncoder(
        torch.nn.TransformerEncoderLayer(
            layer.d_model,
            layer.num_heads,
            first.linear1.out_features,
            dropout,
            norm_first=first.norm_first,
            batch_first=True,
        ),
        layer.num_layers,
        norm=None if layer.norm is None else torch.nn.LayerNorm(layer.d_model),
        enable_nested_tensor=False,
    ).double()
    theirs.load_state_dict(torch_names(layer, list(layer.parameters())))
    return theirs


def torch_names(layer: TransformerEncoder, values: Sequence[Tensor]) -> dict[str, Tensor]:
    """``values``, one per parameter of ``layer``, under the names that torch's encoder has for them."""
    own = {name: v.detach() for (name, _), v in zip(layer.named_parameters(), values)}
    named = {}
    for name, value in own.items():
        if "attention" not in name and "project" not in name:
            named[name] = value
    for number in range(layer.num_layers):
        ours, theirs = f"layers.{number}.attention", f"layers.{number}.self_attn"
        for kind in ("weight", "bias"):
            named[f"{theirs}.in_proj_{kind}"] = torch.cat([own[f"{ours}.{n}_proj.{kind}"] for n in "qkv"])
            named[f"{theirs}.out_proj.{kind}"] = own[f"{ours}.out_proj.{kind}"]
    return named


@norms
@both
@ragged
@pytest.mark.parametrize("positions", ["sinusoidal", "none"])
def test_equals_torchs_encoder_gradients_included(
    norm_first: bool, causal: bool, lengths: list[int] | None, positions: str
) -> None:
    layer = build(norm_first=norm_first, causal=causal, positions=positions)
    theirs = torch_twin(layer)
    x = normal(B, T, INPUTS)
    z = layer.project(x)
    if positions == "sinusoidal":
        z = z + sinusoids(torch.arange(T), D, torch.float64)
    beyond = None if lengths is None else torch.arange(T) >= torch.tensor(lengths).unsqueeze(1)
    future = torch.ones(T, T, dtype=torch.bool).triu(1) if causal else None
    # torch's output for a row of nothing but padding is NaN: such a row is left out of the comparison.
    rows = torch.tensor([n > 0 for n in lengths or [T] * B])
    output, _ = layer(x, lengths=lengths)
    expected = theirs(z[rows], mask=future, src_key_padding_mask=None if beyond is None else beyond[rows])
    if beyond is not None:
        expected = expected.masked_fill(beyond[rows].unsqueeze(-1), 0)
    assert not output[~rows].any()
    assert_close([output[rows]], [expected])
    named = dict(theirs.named_parameters())
    of_input, *of_parameters = gradients([output[rows]], [x, *layer.parameters()])
    renamed = torch_names(layer, of_parameters)
    assert_close([of_input, *(renamed[name] for name in named)], gradients([expected], [x, *named.values()]))


@norms
def test_dropout_falls_where_torchs_does(norm_first: bool) -> None:
    """With the same random numbers: one row, because torch lays out the attention of several another way."""
    layer = build(norm_first=norm_first, causal=False, positions="none", dropout=0.3).train()
    theirs = torch_twin(layer, dropout=0.3).train()
    x = normal(1, T, INPUTS)
    torch.manual_seed(4)
    output, _ = layer(x)
    torch.manual_seed(4)
    assert_close([output], [theirs(F.dropout(layer.project(x), 0.3))])
    assert_close([layer.eval()(x)[0]], [theirs.eval()(layer.project(x))])


@pytest.mark.parametrize("size", [1, 2, 8, 17])
def test_positions_are_the_published_sinusoids(size: int) -> None:
    expected = [
        [
            math.sin(p / 10000 ** (j / size)) if j % 2 == 0 else math.cos(p / 10000 ** ((j - 1) / size))
            for j in range(size)
        ]
        for p in (0, 1, 62, 100_000)
    ]
    position = torch.tensor([[0, 1], [62, 100_000]])
    got = sinusoids(position, size, torch.float64)
    assert_close([got], [torch.tensor(expected, dtype=torch.float64).view(2, 2, size)])
    assert_close([sinusoids(position, size)], [got.float()], 0)


# The interface of a recurrent layer


@both
def test_one_sequence_goes_without_a_batch_dimension_state_and_lengths_too(causal: bool) -> None:
    layer, x = build(causal=causal), normal(T, INPUTS)
    output, state = layer(x, lengths=[5])
    wide, wide_state = layer(x.unsqueeze(0), lengths=[5])
    assert torch.equal(output, wide.squeeze(0))
    for got, expected in zip(state, wide_state, strict=True):
        assert all(torch.equal(g, e.squeeze(0)) for g, e in zip(got, expected, strict=True))
    if causal:
        again, _ = layer(x, state)
        wide_again, _ = layer(x.unsqueeze(0), wide_state)
        assert torch.equal(again, wide_again.squeeze(0))


@both
@ragged
def test_both_layouts_hold_the_same_numbers(causal: bool, lengths: list[int] | None) -> None:
    x = normal(B, T, INPUTS)
    batch, state = build(causal=causal)(x, lengths=lengths)
    time, same = build(causal=causal, batch_first=False)(x.transpose(0, 1), lengths=lengths)
    assert_close([time.transpose(0, 1), *leaves(same)], [batch, *leaves(state)], 1e-14)


@both
@pytest.mark.parametrize("shape", [(0, T), (B, 0), (0, 0)], ids=str)
def test_nothing_in_gives_nothing_out(causal: bool, shape: tuple[int, int]) -> None:
    layer = build(causal=causal)
    for lengths in (None, [0] * shape[0] if shape[1] == 0 else [T] * shape[0]):
        output, state = layer(normal(*shape, INPUTS), lengths=lengths)
        assert output.shape == (*shape, D)
        assert ages(state) == ([[shape[1]] * shape[0]] * LAYERS if causal else [])


def test_a_carried_state_goes_through_an_empty_chunk_unchanged() -> None:
    layer = build()
    before = started(layer)
    for lengths in (None, [0] * B):
        output, after = layer(normal(B, 0, INPUTS), before, lengths)
        assert output.shape == (B, 0, D)
        assert ages(after) == ages(before)
        assert_close(leaves(after), leaves(before), 0)


@both
def test_says_what_a_recurrent_layer_says_of_itself(causal: bool) -> None:
    layer = build(causal=causal)
    said = (layer.input_size, layer.output_size, layer.num_layers, layer.batch_first, layer.bidirectional)
    assert said == (INPUTS, D, LAYERS, True, not causal)
    blank = layer.initial_state(3, dtype=torch.float64)
    assert [s.keys.shape for s in blank] == ([(3, HEADS, 0, D // HEADS)] * LAYERS if causal else [])
    x = normal(3, T, INPUTS)
    assert torch.equal(layer(x, blank)[0], layer(x)[0])


@both
@ragged
def test_float32_stays_float32(causal: bool, lengths: list[int] | None) -> None:
    layer, x = build(causal=causal), normal(B, T, INPUTS).detach()
    precise, _ = layer(x, lengths=lengths)
    output, state = layer.float()(x.float(), lengths=lengths)
    assert {output.dtype, *(leaf.dtype for leaf in leaves(state))} == {torch.float32}
    assert_close([output.double()], [precise], 1e-5)


def test_a_stream_is_saved_forked_and_reset_row_by_row() -> None:
    layer, x = build(), normal(6, B, INPUTS).detach()
    stream = layer.stream(B)
    outputs = [stream.step(x[t]) for t in range(3)]
    assert_close([torch.stack(outputs, 1)], [layer(x[:3].transpose(0, 1))[0]])
    saved, fork = stream.save(), stream.fork()
    stream.reset(rows=[1, 4])
    onward = torch.stack([stream.step(x[t]) for t in range(3, 6)], 1)
    anew, whole = (layer(x[begin:].transpose(0, 1))[0][:, -3:] for begin in (3, 0))
    new = torch.tensor([False, True, False, False, True])
    assert_close([onward[new], onward[~new]], [anew[new], whole[~new]])
    assert_close([fork.step(x[3])], [whole[:, 0]])
    stream.restore(saved)
    stream.reset(rows=new)
    assert_close([stream.step(x[3])], [onward[:, 0]])
    stream.reset()
    assert_close([stream.step(x[3])], [anew[:, 0]])
    with pytest.raises(ValueError, match=r"state '1.values' must be \(5, 2, 3, 4\), got none"):
        stream.restore({name: leaf for name, leaf in saved.items() if name != "1.values"})
    with pytest.raises(ValueError, match=r"state '0.length' must be \(5,\), got \(4,\)"):
        stream.restore(saved | {"0.length": saved["0.length"][:4]})


# What it refuses


@pytest.mark.parametrize("what", ["step", "chunks", "stream"])
def test_a_whole_encoder_has_no_steps_and_says_why(what: str) -> None:
    layer = build(causal=False)
    arguments = {"step": (torch.zeros(B, INPUTS),), "chunks": (torch.zeros(B, T, INPUTS), 2), "stream": (B,)}[what]
    with pytest.raises(RuntimeError, match=f"no {what}: each step attends to those after it.*causal=True"):
        getattr(layer, what)(*arguments)


def test_an_input_or_state_that_does_not_fit_is_refused_by_name() -> None:
    layer, x = build(), torch.zeros(B, T, INPUTS, dtype=torch.float64)
    _, state = layer(x)
    with pytest.raises(ValueError, match="Expected input to be 2D or 3D, got 1D"):
        layer(x[0, 0])
    with pytest.raises(RuntimeError, match=r"input must have 3 features .* got \(5, 7, 2\)"):
        layer(x[..., :2])
    with pytest.raises(RuntimeError, match=r"a step takes \(batch, 3\), got \(5, 7, 3\)"):
        layer.step(x)
    with pytest.raises(ValueError, match="between 0 and the time length 7, got 8 to 8"):
        layer(x, lengths=[8] * B)
    with pytest.raises(RuntimeError, match="Expected 2 states, one per layer, got 1"):
        layer(x, state[:1])
    with pytest.raises(RuntimeError, match=r"Expected state\[0\] of shapes \(2, 2, 7, 4\), .* got \(5, 2, 7, 4\)"):
        layer(x[:2], state)
    with pytest.raises(RuntimeError, match=r"Expected state\[1\] of shapes"):
        layer(x, (state[0], KeyValueState(state[1].keys[:, :, 1:], state[1].values[:, :, 1:], state[1].length)))
    with pytest.raises(RuntimeError, match="causal=False keeps no state"):
        build(causal=False)(x, state)
    with pytest.raises(ValueError, match="a chunk must hold 1 step or more, got 0"):
        next(layer.chunks(x, 0))


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"d_model": 6, "num_heads": 4}, "d_model=6 cannot be shared by num_heads=4"),
        ({"positions": "sinusoid"}, "unknown positions 'sinusoid'. Did you mean 'sinusoidal'?"),
        ({"num_layers": 0}, "num_layers=0"),
        ({"input_size": True}, "input_size=True"),
        ({"d_model": 0}, "d_model=0"),
        ({"feedforward_size": 0}, "feedforward_size=0"),
        ({"dropout": -0.1}, "dropout=-0.1"),
    ],
)
def test_a_wrong_option_is_named_with_what_to_change(options: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        build(**options)
    assert said in str(caught.value)
