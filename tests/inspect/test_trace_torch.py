"""The trace of torch.nn's own modules, held against the drop-ins over the same weights and against torch's results."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence
from torch_models import (
    HIDDEN,
    INPUT,
    INPUTS,
    KINDS,
    TOKENS,
    B,
    Fault,
    Model,
    T,
    assert_same,
    assert_same_trace,
    condition,
    ends,
    normal,
    pair,
)

from unroll import nn as un
from unroll.errors import ConfigError
from unroll.inspect import LayerTrace, gradient_by_lag, keep_timescale, trace


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("bidirectional", [False, True], ids=["forward", "both"])
@pytest.mark.parametrize("batch_first", [False, True], ids=["time-first", "batch-first"])
@pytest.mark.parametrize("bias", [False, True], ids=["no-bias", "bias"])
@pytest.mark.parametrize("given", INPUT)
def test_a_torch_layer_shows_what_its_drop_in_shows(
    kind: str, bidirectional: bool, batch_first: bool, bias: bool, given: str
) -> None:
    options = {"bidirectional": bidirectional, "batch_first": batch_first, "bias": bias}
    theirs, ours = pair(kind, INPUTS, HIDDEN, 2, **options)
    assert_same_trace(trace(theirs, INPUT[given]), trace(ours, INPUT[given]))


SIZES: dict[str, tuple[str, tuple[int, int], dict[str, Any]]] = {
    "relu": ("RNN", (INPUTS, HIDDEN), {"nonlinearity": "relu"}),
    "projected": ("LSTM", (INPUTS, HIDDEN), {"proj_size": 3, "bidirectional": True}),
    "projected-no-bias": ("LSTM", (INPUTS, HIDDEN), {"proj_size": 1, "bias": False}),
    "one-unit": ("GRU", (1, 1), {}),
    "odd": ("LSTM", (5, 17), {}),
}


@pytest.mark.parametrize("case", SIZES)
@pytest.mark.parametrize("steps", [1, 63])
def test_every_option_and_size_is_traced(case: str, steps: int) -> None:
    kind, sizes, options = SIZES[case]
    theirs, ours = pair(kind, *sizes, 2, **options)
    x = normal(steps, 2, sizes[0])
    assert_same_trace(trace(theirs, x), trace(ours, x))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("given", ["padded", "one", "unsorted"])
def test_the_trace_starts_at_the_state_that_is_given(kind: str, given: str) -> None:
    theirs, ours = pair(kind, INPUTS, HIDDEN, 2, bidirectional=True)
    batch = {"padded": (T,), "one": (), "unsorted": (4,)}[given]
    leaf = normal(4, *batch, HIDDEN, seed=7)
    state = (leaf, normal(4, *batch, HIDDEN, seed=8)) if kind == "LSTM" else leaf
    assert_same_trace(trace(theirs, INPUT[given], state), trace(ours, INPUT[given], state))
    assert_same_trace(trace(theirs, INPUT[given], hx=state), trace(theirs, INPUT[given], state))


@pytest.mark.parametrize("given", ["padded", "sorted", "unsorted"])
def test_the_last_states_are_those_that_torch_gives(given: str) -> None:
    theirs, _ = pair("LSTM", INPUTS, HIDDEN, 3, bidirectional=True)
    seen = trace(theirs, INPUT[given])
    _, (h_n, c_n) = theirs(INPUT[given])
    for position, (name, layer) in enumerate(seen.layers.items()):
        reverse = name.endswith("reverse")
        torch.testing.assert_close(ends(layer, "h", reverse), h_n[position].detach(), rtol=0, atol=1e-12)
        torch.testing.assert_close(ends(layer, "c", reverse), c_n[position].detach(), rtol=0, atol=1e-12)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("given", ["padded", "one", "unsorted"])
@pytest.mark.parametrize("batch_first", [False, True], ids=["time-first", "batch-first"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=["float32", "float64"])
@pytest.mark.parametrize("grad", [False, True], ids=["no-grad", "grad"])
def test_dropout_in_training_is_that_of_the_run(
    kind: str, given: str, batch_first: bool, dtype: torch.dtype, grad: bool
) -> None:
    torch.manual_seed(3)
    layer = getattr(nn, kind)(INPUTS, 17, 3, dropout=0.5, bidirectional=True, batch_first=batch_first).to(dtype)
    with torch.set_grad_enabled(grad):
        torch.manual_seed(9)
        seen = trace(layer, INPUT[given].to(dtype))
        after = torch.get_rng_state()
        torch.manual_seed(9)
        output, final = layer(INPUT[given].to(dtype))
    assert after.equal(torch.get_rng_state())
    flat = (seen.output[0], output)
    assert torch.equal(*((value.data for value in flat) if isinstance(output, PackedSequence) else flat))
    final = final if kind == "LSTM" else (final,)
    for position, (name, traced) in enumerate(seen.layers.items()):
        for leaf, expected in zip(("h", "c"), final):
            expected = expected.detach() if given != "one" else expected.detach().unsqueeze(1)
            found = ends(traced, leaf, name.endswith("reverse"))
            torch.testing.assert_close(
                found, expected[position], rtol=0, atol=2e-6 if dtype is torch.float32 else 1e-12
            )


def test_a_hand_replay_of_the_gru_gives_the_same_gates() -> None:
    layer = nn.GRU(INPUTS, HIDDEN).double()
    x = normal(T, 1, INPUTS)
    seen = trace(layer, x)["l0"]
    W, U, b, c = (p.detach().numpy() for p in layer.parameters())
    h = np.zeros(HIDDEN)
    for t in range(T):
        a, u = W @ x[t, 0].numpy() + b, U @ h + c
        r, z = (1 / (1 + np.exp(-(a + u)[:8]))).reshape(2, HIDDEN)
        n = np.tanh(a[8:] + r * u[8:])
        h = (1 - z) * n + z * h
        assert list(seen.signals) == ["r", "z", "n"]
        for value, expected in zip((*seen.signals.values(), seen.states["h"]), (r, z, n, h)):
            np.testing.assert_allclose(value[0, t].numpy(), expected, rtol=0, atol=1e-14)


def test_names_are_the_paths_in_the_users_model() -> None:
    seen = trace(Model(again=2), TOKENS)
    second = [f"body.second.l0{direction}{again}" for again in ("", "#2") for direction in ("", "_reverse")]
    assert list(seen.layers) == ["body.encoder.l0", "body.encoder.l1", *second]
    assert list(seen["body.encoder.l1"].signals) == ["i", "f", "g", "o"]
    assert list(seen["body.encoder.l1"].states) == ["h", "c"]


def test_a_shared_layer_has_its_first_name_and_numbers() -> None:
    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first = self.second = nn.RNN(INPUTS, INPUTS)

        def forward(self, x: Tensor) -> Tensor:
            return self.second(self.first(x)[0])[0]

    seen = trace(Twice().double(), normal(T, B, INPUTS))
    assert list(seen.layers) == ["first.l0", "first.l0#2"]
    assert list(seen["first.l0"].signals) == ["a"]
    last = seen["first.l0#2"].states["h"].transpose(0, 1)
    torch.testing.assert_close(last, seen.output.detach(), rtol=0, atol=1e-12)


def test_layers_of_unroll_and_of_torch_are_traced_in_the_order_they_run() -> None:
    class Mixed(nn.Sequential):
        def forward(self, x: Tensor) -> Tensor:
            for layer in self:
                x = layer(x)[0]
            return x

    model = Mixed(nn.GRU(INPUTS, HIDDEN), un.LSTM(HIDDEN, HIDDEN), nn.RNN(HIDDEN, 1)).double()
    assert list(trace(model, normal(T, B, INPUTS)).layers) == ["0.l0", "1.l0", "2.l0"]


def test_the_page_shows_what_the_trace_gives() -> None:
    page = (Path(__file__).parents[2] / "docs" / "swap-torch-layers.md").read_text(encoding="utf-8")
    (block,) = [b for b in re.findall(r"```python\n(.*?)```", page, flags=re.S) if "class Tagger" in b]
    names: dict[str, Any] = {}
    exec(block, names)
    seen = names["t"]
    assert f"list(t.layers)  # {', '.join(seen.layers)}\n" in block
    assert seen["encoder.l1"].signals["f"].shape == (3, 20, 16)
    assert seen["encoder.l1"].states["c"].shape == (3, 20, 16)
    torch.testing.assert_close(seen["smoother.l0"].states["h"], seen.output.detach(), rtol=0, atol=1e-6)


def test_a_model_without_recurrence_is_told_both_families() -> None:
    with pytest.raises(ConfigError, match=r"Linear ran no recurrent layer of unroll or torch.nn[\s\S]*LSTM"):
        trace(nn.Linear(INPUTS, 1), normal(B, INPUTS).float())


@pytest.mark.parametrize("kind", KINDS)
def test_the_gradient_by_lag_of_a_torch_layer_is_that_of_its_drop_in(kind: str) -> None:
    theirs, ours = pair(kind, INPUTS, HIDDEN, 2)
    x, lengths = normal(B, T, INPUTS), torch.tensor([4, 6, 1])
    one, other = (
        gradient_by_lag(layer, x, lambda last: last.square().sum(1), lengths=lengths) for layer in (theirs, ours)
    )
    assert one == other
    assert one.span == T - 1


def test_the_gradient_by_lag_reads_the_weights_of_now_and_leaves_the_layer_alone() -> None:
    layer = nn.RNN(INPUTS, HIDDEN, bidirectional=False).double()
    with torch.no_grad():
        layer.weight_hh_l0.copy_(0.5 * torch.eye(HIDDEN))
        layer.weight_ih_l0.zero_()
        layer.bias_ih_l0.zero_()
        layer.bias_hh_l0.zero_()
    before, rng = condition(layer), torch.get_rng_state()
    reach = gradient_by_lag(layer, normal(B, T, INPUTS), lambda last: last.sum(1))
    assert condition(layer) == before
    assert rng.equal(torch.get_rng_state())
    expected = [k * np.log10(0.5) for k in range(T)]
    assert reach.median == pytest.approx(expected, abs=1e-12)


def test_the_gradient_by_lag_refuses_a_forward_it_does_not_know() -> None:
    with pytest.raises(ConfigError, match="Fault has a forward of its own"):
        gradient_by_lag(Fault(INPUTS, HIDDEN), normal(B, T, INPUTS).float(), lambda last: last.sum(1))


def test_the_keep_timescale_of_a_torch_model_is_read_off_its_trace() -> None:
    theirs, ours = pair("LSTM", INPUTS, HIDDEN, 2)
    x = normal(T, B, INPUTS)
    found, expected = keep_timescale(trace(theirs, x)), keep_timescale(trace(ours, x))
    assert found is not None
    assert expected is not None
    assert found.gate == "f"
    assert found.units == pytest.approx(expected.units, abs=1e-9)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_on_a_gpu_the_trace_is_that_of_the_cpu_and_dropout_out_of_reach_is_refused() -> None:
    torch.manual_seed(0)
    layer, x = nn.LSTM(INPUTS, HIDDEN, 3, dropout=0.5, bidirectional=True).double(), INPUT["unsorted"]
    seen = trace(layer.eval(), x)
    there = trace(layer.cuda(), x.to("cuda"))
    for name, layer_trace in there.layers.items():
        signals, states, mask, keep_gate = layer_trace
        cpu = LayerTrace(
            {k: v.cpu() for k, v in signals.items()}, {k: v.cpu() for k, v in states.items()}, mask.cpu(), keep_gate
        )
        assert_same(cpu, seen[name], atol=1e-10)
    with pytest.raises(ConfigError, match="cannot be repeated"):
        trace(layer.train(), x.to("cuda"))
    with torch.backends.cudnn.flags(enabled=False):
        torch.cuda.manual_seed(1)
        again = trace(layer, x.to("cuda"))
        after = torch.cuda.get_rng_state()
        torch.cuda.manual_seed(1)
        output, (h_n, _) = layer(x.to("cuda"))
    assert after.equal(torch.cuda.get_rng_state())
    assert torch.equal(output.data, again.output[0].data)
    for position, (name, traced) in enumerate(again.layers.items()):
        torch.testing.assert_close(
            ends(traced, "h", name.endswith("reverse")), h_n[position].detach(), rtol=0, atol=1e-10
        )
