"""What an option refuses: every message says which one, what came, and what would have been right."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

from unroll import nn as un
from unroll.errors import ConfigError
from unroll.nn.options import LayerNorm, Zoneout

T, B, INPUTS, H = 5, 2, 3, 4
KINDS = {"RNN": un.RNN, "LSTM": un.LSTM, "GRU": un.GRU}


def made(kind: str, *, hidden: Any = H, **options: Any) -> Callable[[], Any]:
    return lambda: KINDS[kind](INPUTS, hidden, **options)


def cell(kind: Any, **options: Any) -> Callable[[], Any]:
    return lambda: kind(INPUTS, H, **options)


def stack(*cells: Any, **options: Any) -> Callable[[], Any]:
    return lambda: un.Recurrent(list(cells), **options)


MERGES = "one of concat, sum, mean, product"
RATE = "a probability between 0 and 1"
VARIANTS = "one of V, NIG, NFG, NOG, NIAF, NOAF, CIFG, NP, FGR"

# call, type of error, which option and what came, what would fit
TABLE: dict[str, tuple[Callable[[], Any], type[Exception], list[str]]] = {
    # Unknown names
    "option, near": (
        made("LSTM", peephole=True),
        TypeError,
        ["LSTM has no option 'peephole'", "Did you mean 'peepholes'?", "variant, peepholes, coupled, activation"],
    ),
    "option of a cell, near": (
        cell(un.GRUCell, zone_out=0.1),
        TypeError,
        ["GRUCell has no option 'zone_out'", "Did you mean 'zoneout'?", "reset, update, activation, gate_activation"],
    ),
    "option of a layer in a cell": (
        cell(un.LSTMCell, merge="sum"),
        TypeError,
        ["LSTMCell has no option 'merge'", "It has variant, peepholes"],
    ),
    "option of another kind": (
        made("GRU", variant="NP"),
        TypeError,
        ["GRU has no option 'variant'", "reset, update", "merge, input_dropout, weight_dropout, connection"],
    ),
    "option of another kind, LSTM": (made("LSTM", reset="before"), TypeError, ["LSTM has no option 'reset'", "clip"]),
    "option of another kind, RNN": (made("RNN", activation="relu"), TypeError, ["RNN has no option 'activation'"]),
    "nonlinearity of a gated layer": (
        made("GRU", nonlinearity="relu"),
        TypeError,
        ["GRU has no option 'nonlinearity'", "activation, gate_activation", "learn_initial_state"],
    ),
    "option of a cell that has few": (cell(un.MGUCell, peepholes=True), TypeError, ["MGUCell has no option", "clip"]),
    "variant, case": (
        made("LSTM", variant="cifg"),
        ConfigError,
        ["unknown LSTM variant 'cifg'", "Did you mean 'CIFG'?", VARIANTS],
    ),
    "variant, far": (made("LSTM", variant="peephole"), ConfigError, ["unknown LSTM variant 'peephole'", VARIANTS]),
    "merge": (
        made("LSTM", merge="summ", bidirectional=True),
        ConfigError,
        ["unknown merge 'summ'", "Did you mean 'sum'?", MERGES],
    ),
    "merge of cells": (stack(un.MGUCell(INPUTS, H), merge="ave"), ConfigError, ["unknown merge 'ave'", MERGES]),
    "connection": (
        made("RNN", connection="residal", num_layers=2),
        ConfigError,
        ["unknown connection 'residal'", "Did you mean 'residual'?", "one of residual, highway"],
    ),
    "activation": (
        made("LSTM", activation="tahn"),
        ConfigError,
        ["unknown activation 'tahn'", "Did you mean 'tanh'?", "softsign, tanh, or a function of one tensor"],
    ),
    "gate activation": (
        made("GRU", gate_activation="sigmoidal"),
        ConfigError,
        ["unknown activation 'sigmoidal'", "Did you mean 'sigmoid'?", "one of elu, gelu"],
    ),
    "nonlinearity": (made("RNN", nonlinearity="rel"), ValueError, ["Unknown nonlinearity 'rel'", "'tanh' or 'relu'"]),
    "reset": (made("GRU", reset="befor"), ValueError, ["Unknown reset 'befor'", "'after' or 'before'"]),
    "update": (made("GRU", update="wirte"), ValueError, ["Unknown update 'wirte'", "'keep' or 'write'"]),
    "dropped weight": (
        made("LSTM", weight_dropout={"weight_hx": 0.1}),
        ConfigError,
        ["weight_dropout of 'weight_hx'", "LSTMCell does not have", "Did you mean 'weight_", "weight_ih, weight_hh"],
    ),
    "dropped weight by its flat name": (
        made("LSTM", weight_dropout={"weight_hh_l0": 0.1}, num_layers=2),
        ConfigError,
        ["weight_dropout of 'weight_hh_l0'", "Did you mean 'weight_hh'?", "names among"],
    ),
    "dropped weight at rate zero": (
        made("GRU", weight_dropout={"nonsense": 0.0}),
        ConfigError,
        ["weight_dropout of 'nonsense'", "names among weight_ih, weight_hh, bias_ih, bias_hh"],
    ),
    "dropped bias of a layer without": (
        made("GRU", weight_dropout={"bias_hh": 0.1}, bias=False),
        ConfigError,
        ["weight_dropout of 'bias_hh'", "names among weight_ih, weight_hh."],
    ),
    "dropped weight of another cell": (
        stack(un.IndRNNCell(INPUTS, H), weight_dropout=0.1),
        ConfigError,
        ["weight_dropout of 'weight_hh'", "IndRNNCell does not have", "weight, u, bias", '{"name": rate}'],
    ),
    # Wrong values
    **{
        f"{option} of {value!r}": (made("LSTM", **{option: value}), ConfigError, [f"{option}={value!r}", RATE])
        for option in ("input_dropout", "recurrent_dropout", "weight_dropout")
        for value in (1.5, -0.1, True, "0.1", float("nan"), None)
    },
    "weight_dropout by name": (
        made("LSTM", weight_dropout={"weight_ih": 2}),
        ConfigError,
        ["weight_dropout=2", RATE],
    ),
    **{
        f"zoneout of {value!r}": (made("GRU", zoneout=value), ConfigError, ["zoneout", said, RATE])
        for value, said in ((1.5, "1.5"), (True, "True"), ((0.1, -1), "-1"), ("ab", "'a'"))
    },
    "Zoneout itself": (lambda: Zoneout(0.1, 7), ConfigError, ["zoneout of 7", RATE]),
    **{
        f"zoneout of {value!r}": (
            made("LSTM", zoneout=value),
            ConfigError,
            [f"zoneout={value!r}", "(rate of h, rate of c)"],
        )
        for value in ((0.1,), (0.1, 0.2, 0.3), None, {"h": 0.1})
    },
    **{
        f"clip of {value!r}": (made("LSTM", clip=value), ConfigError, [f"clip={value!r}", "a positive bound", "3.0"])
        for value in (0, -1.0, True, "3", float("nan"))
    },
    **{
        f"layer_norm of {value!r}": (
            made("GRU", layer_norm=value),
            ConfigError,
            [f"layer_norm={value!r}", "True, False, or LayerNorm"],
        )
        for value in (1, "yes", 1e-5, LayerNorm)
    },
    **{
        f"forget_bias of {value!r}": (
            made(kind, forget_bias=value),
            ConfigError,
            [f"forget_bias={value!r}", "a number such as 1.0"],
        )
        for kind, value in (("LSTM", "one"), ("GRU", True), ("RNN", "one"))
    },
    "activation of a number": (
        made("LSTM", activation=3),
        ConfigError,
        ["activation is a int", "a name or a function"],
    ),
    "activation of None": (made("GRU", gate_activation=None), ConfigError, ["NoneType", "a name or a function"]),
    "activation with parameters": (
        made("RNN", nonlinearity=torch.nn.PReLU()),
        ConfigError,
        ["PReLU has parameters", "a function without any", "a cell of your own"],
    ),
    "merge of None": (made("LSTM", merge=None), ConfigError, ["unknown merge 'None'", MERGES]),
    "connection of True": (made("LSTM", connection=True), ConfigError, ["'True'", "one of residual, highway"]),
    "projection below zero": (
        made("RNN", proj_size=-1),
        ValueError,
        ["proj_size should be a positive integer or zero"],
    ),
    "projection of the hidden size": (made("GRU", proj_size=H), ValueError, ["proj_size", "smaller than hidden_size"]),
    "projection of one of the sizes": (
        made("LSTM", hidden=[8, 5, 2], proj_size=3),
        ValueError,
        ["proj_size has to be smaller than hidden_size"],
    ),
    "no sizes": (made("LSTM", hidden=[]), ValueError, ["one cell or more", "one per layer"]),
    "no cells": (stack(), ValueError, ["one cell or more", "one per layer"]),
    "sizes of zero": (made("GRU", hidden=[8, 0]), ValueError, ["hidden_size must be greater than zero"]),
    "sizes of words": (made("GRU", hidden=[8, "5"]), TypeError, ["hidden_size should be of type int, got: str"]),
    "a cell by name": (lambda: un.Recurrent("gru"), TypeError, ["cell should be a Cell, got: str"]),  # type: ignore[arg-type]
    "a cell among cells by name": (stack(un.GRUCell(3, 4), "gru"), TypeError, ["cell should be a Cell, got: str"]),
    # Options that do not fit
    "forget bias without a gate": (
        made("RNN", forget_bias=1.0),
        ConfigError,
        ["forget_bias=1", "RNNCell", "no gate that keeps", "a forget or update gate", "Leave forget_bias out"],
    ),
    "forget bias without its gate": (
        made("LSTM", variant="NFG", forget_bias=1.0),
        ConfigError,
        ["forget_bias=1", "no gate that keeps", "Leave forget_bias out"],
    ),
    "forget bias without biases": (
        made("LSTM", bias=False, forget_bias=1.0),
        ConfigError,
        ["LSTMCell has no biases", "expected bias=True"],
    ),
    **{
        f"coupled {variant}": (
            made("LSTM", variant=variant, coupled=True),
            ConfigError,
            [f"coupled=True with variant {variant}", "both gates, i and f", "Leave coupled out, or take variant CIFG"],
        )
        for variant in ("NIG", "NFG")
    },
    **{
        f"{connection} over other widths": (
            made("LSTM", hidden=[4, 4, 5], connection=connection),
            ConfigError,
            [f"{connection} connection over layer 2", "takes 4 features and gives 5", "the same hidden size"],
        )
        for connection in ("residual", "highway")
    },
    "more layers than sizes": (
        made("LSTM", hidden=[8, 5, 2], num_layers=2),
        ValueError,
        ["num_layers=2", "3 cells were given", "one per layer"],
    ),
    "cells that do not fit each other": (
        stack(un.LSTMCell(INPUTS, 4), un.GRUCell(5, 4)),
        ValueError,
        ["cell 1 reads 5 features", "layer 0 gives 4"],
    ),
    "cells that do not fit both directions": (
        stack(un.LSTMCell(INPUTS, 4), un.GRUCell(4, 4), bidirectional=True),
        ValueError,
        ["cell 1 reads 4 features", "layer 0 gives 8"],
    ),
}


@pytest.mark.parametrize("name", TABLE)
def test_a_refusal_says_which_option_why_and_what_would_fit(name: str) -> None:
    call, error, parts = TABLE[name]
    with pytest.raises(error) as raised:
        call()
    assert type(raised.value) is error
    for part in parts:
        assert part in str(raised.value)


# States and noise at the call


SIZED = [8, 5]


def called(given: Callable[[Any], Any], **options: Any) -> Callable[[], Any]:
    layer = un.LSTM(INPUTS, SIZED, **options)
    return lambda: layer(torch.randn(T, B, INPUTS), given(layer))


STATES: dict[str, tuple[Callable[[], Any], type[Exception], list[str]]] = {
    "a stacked state for different sizes": (
        called(lambda layer: (torch.zeros(2, B, 8), torch.zeros(2, B, 8))),
        ValueError,
        ["hidden sizes (8, 5)", "one state per layer and direction", "initial_state", "not a stacked tensor"],
    ),
    "a state too few": (
        called(lambda layer: layer.initial_state(B)[:1]),
        RuntimeError,
        ["Expected 2 states, one per layer and direction, got 1"],
    ),
    "a state of other rows": (
        called(lambda layer: layer.initial_state(B + 1)),
        RuntimeError,
        ["Expected state[0] of shapes (2, 8), (2, 8)", "got (3, 8), (3, 8)"],
    ),
    "states in the wrong order": (
        called(lambda layer: layer.initial_state(B)[::-1]),
        RuntimeError,
        ["Expected state[0] of shapes (2, 8), (2, 8)", "got (2, 5), (2, 5)"],
    ),
    "states of the other direction missing": (
        called(lambda layer: layer.initial_state(B)[::2], bidirectional=True),
        RuntimeError,
        ["Expected 4 states", "got 2"],
    ),
    "states of another kind": (
        called(lambda layer: [un.GRUState(s.h) for s in layer.initial_state(B)]),
        RuntimeError,
        ["Expected state[0] of shapes (2, 8), (2, 8)", "got (2, 8)"],
    ),
}


@pytest.mark.parametrize("name", STATES)
def test_a_state_that_does_not_fit_is_refused(name: str) -> None:
    call, error, parts = STATES[name]
    with pytest.raises(error) as raised:
        call()
    for part in parts:
        assert part in str(raised.value)


NOISY = {"recurrent_dropout": 0.2, "input_dropout": 0.1, "zoneout": 0.1, "dropout": 0.2}
NOISES: dict[str, tuple[Callable[[un.Recurrent], Any], str]] = {
    "fewer steps": (lambda layer: layer.draw(T - 1, B), f"Expected noise for {T} steps and {B} rows"),
    "more steps": (lambda layer: layer.draw(T + 1, B), f"Expected noise for {T} steps and {B} rows"),
    "more rows": (lambda layer: layer.draw(T, B + 1), f"Expected noise for {T} steps and {B} rows"),
    "one row": (lambda layer: layer.draw(T, 1), f"Expected noise for {T} steps and {B} rows"),
    "more layers": (lambda layer: un.LSTM(INPUTS, H, 3, **NOISY).draw(T, B), "Expected noise for 2 layers"),
    "fewer layers": (lambda layer: un.LSTM(INPUTS, H, zoneout=0.1).draw(T, B), "Expected noise for 2 layers"),
}


@pytest.mark.parametrize("name", NOISES)
@pytest.mark.parametrize(
    ("kind", "how"),
    [("LSTM", "layer"), ("LSTM", "packed"), ("LSTM", "step"), ("Recurrent", "layer"), ("Recurrent", "step")],
)
def test_noise_drawn_for_something_else_is_refused(name: str, kind: str, how: str) -> None:
    layer = un.LSTM(INPUTS, H, 2, **NOISY)
    if kind == "Recurrent":
        cell = un.LSTMCell(INPUTS, H, recurrent_dropout=0.2, zoneout=0.1)
        layer = un.Recurrent(cell, 2, input_dropout=0.1, dropout=0.2)
    given, said = NOISES[name]
    noise, x = given(layer), torch.randn(T, B, INPUTS)
    if how == "packed":
        x = torch.nn.utils.rnn.pack_padded_sequence(x, torch.tensor([T] * B))
    if how == "step":
        noise, said = noise.narrow(0, 2 if "steps" in name else 1), said.replace(f"{T} steps", "1 steps")
    with pytest.raises(RuntimeError) as raised:
        layer.step(x[0], noise=noise) if how == "step" else layer(x, noise=noise)
    assert said in str(raised.value)
    assert "draw" in str(raised.value)
