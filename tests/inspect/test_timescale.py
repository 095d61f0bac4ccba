"""How long a gate keeps its state: the definition, on traces whose gates are known."""

from __future__ import annotations

import math
from collections.abc import Mapping

import pytest
import torch
from torch import Tensor, nn

from unroll import nn as un
from unroll.inspect import KeepTimescale, LayerTrace, Trace, keep_timescale, trace
from unroll.inspect.timescale import LONGEST


def made(keep: list[list[float]], lengths: list[int] | None = None, gate: str = "f") -> Trace:
    """A trace of one unit whose keep gate takes these values, one list per sequence."""
    values = torch.tensor(keep, dtype=torch.float64).unsqueeze(-1)
    B, T = values.shape[:2]
    mask = torch.arange(T) < torch.tensor(lengths or [T] * B).unsqueeze(1)
    return Trace(None, {"l0": LayerTrace({gate: values}, {}, mask, gate)})


def tau(of: Trace) -> float:
    found = keep_timescale(of)
    assert found is not None
    assert len(found.units) == 1
    return found.units[0]


@pytest.mark.parametrize("f", [0.01, 0.5, 0.9, 0.999])
def test_a_constant_gate_keeps_for_its_closed_form(f: float) -> None:
    assert tau(made([[f] * 7, [f] * 7])) == pytest.approx(-1 / math.log(f), rel=1e-13)


@pytest.mark.parametrize("bias", [-2.0, 0.0, 1.0, 4.0])
@pytest.mark.parametrize("family", ["LSTM", "GRU"])
def test_a_gate_set_by_its_bias_keeps_for_its_closed_form(family: str, bias: float) -> None:
    layer = getattr(un, family)(2, 3, 2, dtype=torch.float64)
    with torch.no_grad():
        for name, parameter in layer.named_parameters():
            parameter.fill_(bias if name.startswith("bias_ih") else 0.0)
    found = keep_timescale(trace(layer, torch.randn(5, 4, 2, dtype=torch.float64)))
    assert found is not None
    assert found.gate == {"LSTM": "f", "GRU": "z"}[family]
    assert found.units == pytest.approx([1 / math.log1p(math.exp(-bias))] * 6, rel=1e-12)


def test_the_mean_over_time_is_geometric() -> None:
    """What is left after the steps is the product of the gates, so e^{-T/τ} is that product."""
    gates = [0.2, 0.99, 0.7, 0.999]
    found = tau(made([gates]))
    assert math.exp(-len(gates) / found) == pytest.approx(math.prod(gates), rel=1e-13)
    assert found != pytest.approx(-1 / math.log(sum(gates) / 4), rel=0.1)
    assert found != pytest.approx(sum(1 / (1 - f) for f in gates) / 4, rel=0.1)


def test_steps_beyond_a_sequences_end_do_not_count() -> None:
    nan = math.nan
    ragged = made([[0.5, 0.9, nan, nan], [0.7, nan, nan, nan], [nan] * 4], lengths=[2, 1, 0])
    assert tau(ragged) == pytest.approx(-3 / math.log(0.5 * 0.9 * 0.7), rel=1e-13)


def test_padding_does_not_change_a_layers_timescale() -> None:
    torch.manual_seed(3)
    layer = un.LSTM(2, 4, batch_first=True, dtype=torch.float64)
    x = torch.randn(3, 6, 2, dtype=torch.float64)
    full = keep_timescale(trace(layer, x[:, :4]))
    padded = keep_timescale(trace(layer, x, None, [4, 4, 4]))
    assert full is not None
    assert padded is not None
    assert padded.units == pytest.approx(full.units, rel=1e-12)


@pytest.mark.parametrize("f", [1.0, 1 - 1e-9])
def test_a_gate_that_never_lets_go_is_reported_as_the_longest(f: float) -> None:
    assert tau(made([[f] * 5])) == LONGEST == 1e6


def test_a_gate_that_is_shut_keeps_nothing() -> None:
    assert 0 < tau(made([[0.0] * 5])) < 0.01


def test_units_come_layer_by_layer() -> None:
    class Two(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.plain, self.last = un.GRU(2, 3), un.RNN(3, 3), un.LSTM(3, 2, 2)

        def forward(self, x: Tensor) -> Tensor:
            output: Tensor = self.last(self.plain(self.first(x)[0])[0])[0]
            return output

    seen = trace(Two(), torch.randn(5, 4, 2))
    found = keep_timescale(seen)
    assert found is not None
    assert found.gate == "f"
    gates: Mapping[str, str] = {"first.l0": "z", "last.l0": "f", "last.l1": "f"}
    expected = [-1 / seen[n].signals[g].double().log().mean(dim=(0, 1)) for n, g in gates.items()]
    assert found.units == pytest.approx(torch.cat(expected).tolist(), rel=1e-12)


def test_a_layer_without_a_keep_gate_has_no_timescale() -> None:
    assert keep_timescale(trace(un.RNN(2, 3), torch.randn(5, 4, 2))) is None


@pytest.mark.parametrize("shape", [(0, 4), (5, 0)], ids=["no-steps", "no-sequences"])
def test_no_steps_have_no_timescale(shape: tuple[int, int]) -> None:
    assert keep_timescale(trace(un.LSTM(2, 3), torch.randn(*shape, 2))) is None


def test_quantiles_are_over_units() -> None:
    found = KeepTimescale("f", [1.0, 2.0, 3.0, 4.0, 5.0])
    assert [found.quantile(q) for q in (0, 0.25, 0.5, 1)] == [1, 2, 3, 5]
