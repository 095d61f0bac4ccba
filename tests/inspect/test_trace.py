"""The trace of a module: names, gates and states at every sequence's own steps."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from unroll import nn as un
from unroll.errors import ConfigError
from unroll.inspect import Trace, trace

T, B, INPUTS, HIDDEN = 6, 3, 2, 4
LENGTHS = [4, 6, 1]


class Network(nn.Module):
    """Two recurrent layers below other modules, the second called as often as asked."""

    def __init__(self, again: int = 1) -> None:
        super().__init__()
        torch.manual_seed(5)
        self.again = again
        self.encoder = un.LSTM(INPUTS, HIDDEN, 2, batch_first=True)
        self.blocks = nn.ModuleList([nn.Linear(HIDDEN, HIDDEN), un.GRU(HIDDEN, HIDDEN, bidirectional=True)])

    def forward(self, x: Tensor) -> Tensor:
        x = self.blocks[0](self.encoder(x)[0])
        for _ in range(self.again):
            x = self.blocks[1](x)[0][..., :HIDDEN]
        return x


def normal(*shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(1))


def rows(of: Trace, name: str, row: int, length: int) -> dict[str, Tensor]:
    layer = of[name]
    return {key: value[row, :length] for key, value in [*layer.signals.items(), *layer.states.items()]}


def test_names_carry_the_path_inside_the_module() -> None:
    seen = trace(Network(), normal(B, T, INPUTS))
    assert list(seen.layers) == ["encoder.l0", "encoder.l1", "blocks.1.l0", "blocks.1.l0_reverse"]


def test_a_layer_of_its_own_has_no_path() -> None:
    seen = trace(un.RNN(INPUTS, HIDDEN, 2, bidirectional=True), normal(T, B, INPUTS))
    assert list(seen.layers) == ["l0", "l0_reverse", "l1", "l1_reverse"]


def test_further_calls_of_a_layer_are_numbered() -> None:
    network, x = Network(again=3), normal(B, T, INPUTS)
    seen = trace(network, x)
    names = [n for n in seen.layers if n.startswith("blocks")]
    assert names == [f"blocks.1.l0{direction}{again}" for again in ("", "#2", "#3") for direction in ("", "_reverse")]
    last = seen["blocks.1.l0#3"].states["h"].transpose(0, 1)
    torch.testing.assert_close(last, seen.output.detach(), rtol=0, atol=1e-6)


def test_a_module_without_a_recurrent_layer_is_refused() -> None:
    with pytest.raises(ConfigError, match="Linear ran no recurrent layer of unroll"):
        trace(nn.Linear(INPUTS, 2), normal(T, B, INPUTS))


def test_a_layer_that_is_not_called_is_refused() -> None:
    class Idle(Network):
        def forward(self, x: Tensor) -> Tensor:
            return x

    with pytest.raises(ConfigError, match="Idle ran no recurrent layer"):
        trace(Idle(), normal(B, T, INPUTS))


def test_an_unknown_name_lists_the_known_ones() -> None:
    seen = trace(un.GRU(INPUTS, HIDDEN, 2), normal(T, B, INPUTS))
    with pytest.raises(KeyError, match="no layer 'l2' in this trace; it has l0, l1"):
        seen["l2"]


def test_gates_and_states_are_those_of_the_equation() -> None:
    layer = un.LSTM(INPUTS, HIDDEN, batch_first=True, dtype=torch.float64)
    x = normal(B, T, INPUTS).double()
    seen = trace(layer, x)["l0"]
    h = torch.cat([x.new_zeros(B, 1, HIDDEN), seen.states["h"]], 1)[:, :-1]
    c = torch.cat([x.new_zeros(B, 1, HIDDEN), seen.states["c"]], 1)[:, :-1]
    W, U = layer.get_parameter("weight_ih_l0"), layer.get_parameter("weight_hh_l0")
    b = layer.get_parameter("bias_ih_l0") + layer.get_parameter("bias_hh_l0")
    i, f, g, o = (x @ W.T + h @ U.T + b).detach().chunk(4, -1)
    expected = {"i": i.sigmoid(), "f": f.sigmoid(), "g": g.tanh(), "o": o.sigmoid()}
    assert list(seen.signals) == list(expected)
    for name, value in expected.items():
        torch.testing.assert_close(seen.signals[name], value, rtol=0, atol=1e-12)
    kept = expected["f"] * c + expected["i"] * expected["g"]
    torch.testing.assert_close(seen.states["c"], kept, rtol=0, atol=1e-12)
    torch.testing.assert_close(seen.states["h"], expected["o"] * kept.tanh(), rtol=0, atol=1e-12)


FAMILIES: dict[str, Any] = {
    "RNN": un.RNN,
    "LSTM": un.LSTM,
    "GRU": un.GRU,
    "GRU-before": lambda *a, **k: un.GRU(*a, reset="before", **k),
}


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("bidirectional", [False, True])
def test_a_ragged_row_shows_what_it_shows_alone(family: str, bidirectional: bool) -> None:
    torch.manual_seed(2)
    layer = FAMILIES[family](INPUTS, HIDDEN, 2, bidirectional=bidirectional, batch_first=True).double()
    x = normal(B, T, INPUTS).double()
    together = trace(layer, x, None, LENGTHS)
    for row, length in enumerate(LENGTHS):
        alone = trace(layer, x[row : row + 1, :length])
        assert list(together.layers) == list(alone.layers)
        for name in together.layers:
            assert together[name].mask[row].tolist() == [t < length for t in range(T)]
            expected = rows(alone, name, 0, length)
            for key, value in rows(together, name, row, length).items():
                torch.testing.assert_close(value, expected[key], rtol=0, atol=1e-12)


def test_a_given_state_is_where_the_trace_starts() -> None:
    layer = un.GRU(INPUTS, HIDDEN, batch_first=True, dtype=torch.float64)
    x = normal(B, T, INPUTS).double()
    whole = trace(layer, x)["l0"]
    _, state = layer(x[:, :2])
    rest = trace(layer, x[:, 2:], state)["l0"]
    for name in ("r", "z", "n"):
        torch.testing.assert_close(rest.signals[name], whole.signals[name][:, 2:], rtol=0, atol=1e-12)


def test_one_sequence_is_traced_as_a_batch_of_one() -> None:
    seen = trace(un.RNN(INPUTS, HIDDEN), normal(T, INPUTS))["l0"]
    assert seen.states["h"].shape == (1, T, HIDDEN)
    assert seen.mask.all()


def test_the_output_keeps_its_graph_and_the_trace_has_none() -> None:
    network = Network()
    seen = trace(network, normal(B, T, INPUTS))
    seen.output.sum().backward()
    assert all(p.grad is not None for p in network.encoder.parameters())
    for layer in seen.layers.values():
        assert not any(v.requires_grad for v in (*layer.signals.values(), *layer.states.values()))


def test_a_failed_call_leaves_nothing_watching() -> None:
    layer = un.GRU(INPUTS, HIDDEN)
    seen: list[un.Call] = []
    with un.watching(seen.append):
        with pytest.raises(RuntimeError, match="Expected 2, got 5"):
            trace(layer, normal(T, B, 5))
        layer(normal(T, B, INPUTS))
    layer(normal(T, B, INPUTS))
    assert [(call.owner, call.layer, call.direction) for call in seen] == [(layer, 0, 0)]
