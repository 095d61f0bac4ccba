"""The gradient by lag against closed forms, finite differences and the adjoint recursion written out."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import pytest
import torch
from torch import Tensor

from unroll import nn as un
from unroll.errors import ConfigError
from unroll.inspect import GradientByLag, gradient_by_lag, trace
from unroll.inspect.gradient import FLOOR

T, B, INPUTS, HIDDEN = 9, 3, 2, 4


class DecayState(NamedTuple):
    h: Tensor


class DecayCell(un.Cell):
    """h_t = a h_{t-1} + x_t, one ``a`` per unit: the gradient at lag k is a^k times that of the last step."""

    def __init__(self, input_size: int, a: list[float]) -> None:
        super().__init__()
        self.input_size = self.output_size = input_size
        self.register_buffer("a", torch.tensor(a, dtype=torch.float64))

    def initial_state(self, batch_size: int, *, device: Any = None, dtype: Any = None) -> DecayState:
        return DecayState(torch.zeros(batch_size, self.output_size, device=device, dtype=dtype))

    def step(self, x: Tensor, state: DecayState) -> un.Step:
        h = self.get_buffer("a") * state.h + x
        return un.Step(h, DecayState(h), {})


class ReadoutCell(DecayCell):
    """Its output is computed from the state instead of being a part of it."""

    def step(self, x: Tensor, state: DecayState) -> un.Step:
        h = self.get_buffer("a") * state.h + x
        return un.Step(2 * h, DecayState(h), {})


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def decay(*a: float) -> un.Recurrent:
    return un.Recurrent(DecayCell(len(a), list(a)))


def squares(output: Tensor) -> Tensor:
    """A loss per sequence whose gradient differs from sequence to sequence."""
    return (output - 0.3).square().sum(dim=1)


def layer_of(name: str, num_layers: int) -> un.Recurrent:
    torch.manual_seed(1)
    if name == "GRU-before":
        return un.GRU(INPUTS, HIDDEN, num_layers, reset="before", dtype=torch.float64)
    if name == "LSTM-proj":
        return un.LSTM(INPUTS, HIDDEN, num_layers, proj_size=3, dtype=torch.float64)
    layer: un.Recurrent = getattr(un, name)(INPUTS, HIDDEN, num_layers, dtype=torch.float64)
    return layer


def values(curve: list[float | None]) -> list[float]:
    assert None not in curve
    return [v for v in curve if v is not None]


# Closed forms


@pytest.mark.parametrize("a", [0.9, 0.5, -0.7, 1.0, 1.3])
def test_a_linear_recurrence_decays_by_its_factor(a: float) -> None:
    found = gradient_by_lag(decay(a, a, a), normal(B, T, 3), squares)
    for curve in (found.median, found.q25, found.q75):
        assert values(curve) == pytest.approx([k * math.log10(abs(a)) for k in range(T)], abs=1e-12)
    assert found.lags == list(range(T))
    assert (found.span, found.sequences) == (T - 1, B)


def test_units_join_in_one_norm() -> None:
    a = torch.tensor([0.9, 0.3, -0.6], dtype=torch.float64)
    found = gradient_by_lag(decay(*a.tolist()), normal(B, T, 3), lambda output: output.sum(dim=1))
    expected = [float((a**k).norm() / a.new_ones(3).norm()) for k in range(T)]
    assert values(found.median) == pytest.approx([math.log10(e) for e in expected], abs=1e-12)


# Finite differences


def loss_from(layer: un.Recurrent, x: Tensor, state: list[Any], start: int, loss: Any) -> float:
    """The loss when the layer goes on from ``state`` after ``start`` steps."""
    current: Any = state
    output = current[-1][0]
    for t in range(start, x.shape[1]):
        output, current = layer.step(x[:, t], current)
    return float(loss(output).sum())


def slope(layer: un.Recurrent, x: Tensor, reached: list[Any], steps: int, loss: Any) -> float:
    """Norm of dL/ds by moving every coordinate of the joined state after ``steps`` steps, one at a time."""
    eps, total = 1e-5, 0.0
    for part, own in enumerate(reached):
        for which, leaf in enumerate(own):
            for unit in range(leaf.shape[1]):
                moved = []
                for sign in (1, -1):
                    other = leaf.clone()
                    other[0, unit] += sign * eps
                    state = list(reached)
                    state[part] = own._replace(**{own._fields[which]: other})
                    moved.append(loss_from(layer, x, state, steps, loss))
                total += ((moved[0] - moved[1]) / (2 * eps)) ** 2
    return math.sqrt(total)


@pytest.mark.parametrize("name", ["RNN", "LSTM", "GRU", "GRU-before", "LSTM-proj"])
@pytest.mark.parametrize("num_layers", [1, 2])
def test_the_gradient_is_the_slope_of_the_loss_in_the_state(name: str, num_layers: int) -> None:
    layer, x = layer_of(name, num_layers), normal(1, T, INPUTS)
    found = gradient_by_lag(layer, x, squares)
    with torch.no_grad():
        slopes, state = [], list(layer.initial_state(1, dtype=torch.float64))
        for t in range(T):
            state = list(layer.step(x[:, t], state)[1])
            slopes.append(slope(layer, x, state, t + 1, squares))
    expected = [math.log10(slopes[T - 1 - k] / slopes[-1]) for k in range(T)]
    assert values(found.median) == pytest.approx(expected, abs=1e-7)


# The adjoint recursion


def lstm_adjoint(layer: un.LSTM, x: Tensor, last: Tensor) -> list[float]:
    """‖(dL/dh_t, dL/dc_t)‖ for t = T … 1 of one sequence from traced gates, each with the other held fixed."""
    seen = trace(layer, x)["l0"]
    i, f, g, o = (seen.signals[name][0] for name in "ifgo")
    c = torch.cat([x.new_zeros(1, HIDDEN), seen.states["c"][0]])
    W = layer.get_parameter("weight_hh_l0").detach()
    dh, dc = last, torch.zeros_like(last)
    norms = []
    for t in reversed(range(T)):
        norms.append(float(torch.cat([dh, dc]).norm()))
        through = dc + dh * o[t] * (1 - c[t + 1].tanh() ** 2)
        d_i, d_f = through * g[t] * i[t] * (1 - i[t]), through * c[t] * f[t] * (1 - f[t])
        d_g, d_o = through * i[t] * (1 - g[t] ** 2), dh * c[t + 1].tanh() * o[t] * (1 - o[t])
        dh, dc = W.T @ torch.cat([d_i, d_f, d_g, d_o]), through * f[t]
    return norms


def test_lstm_gradients_follow_the_adjoint_recursion_over_its_gates() -> None:
    layer, x = un.LSTM(INPUTS, HIDDEN, batch_first=True, dtype=torch.float64), normal(1, T, INPUTS)
    top = layer(x)[0][0, -1].detach().requires_grad_()
    (last,) = torch.autograd.grad(squares(top.unsqueeze(0)).sum(), top)
    norms = lstm_adjoint(layer, x, last)
    found = gradient_by_lag(layer, x, squares)
    assert values(found.median) == pytest.approx([math.log10(n / norms[0]) for n in norms], abs=1e-10)


def test_it_is_the_total_gradient_and_not_that_of_the_outputs() -> None:
    """A loss of the last output leaves nothing in any earlier row of ``output.grad``; the state's gradient stays."""
    layer, x = layer_of("LSTM", 1), normal(B, T, INPUTS)
    output, _ = layer(x.transpose(0, 1))
    output.retain_grad()
    squares(output[-1]).sum().backward()
    assert output.grad is not None
    direct = output.grad.norm(dim=(1, 2))
    assert direct[-1] > 0
    assert not direct[:-1].any()
    assert all(v > -6 for v in values(gradient_by_lag(layer, x, squares).median))


# Ragged batches


@pytest.mark.parametrize("name", ["LSTM", "GRU"])
def test_lags_count_back_from_each_sequences_own_end(name: str) -> None:
    layer, x = layer_of(name, 2), normal(B, T, INPUTS)
    lengths = [4, T, 6]
    poisoned = x.clone()
    for row, length in enumerate(lengths):
        poisoned[row, length:] = 1e3
    found = gradient_by_lag(layer, poisoned, squares, lengths=torch.tensor(lengths))
    alone = [
        values(gradient_by_lag(layer, x[row : row + 1, :length], squares).median) for row, length in enumerate(lengths)
    ]
    for k in range(T):
        there = torch.tensor([curve[k] for curve in alone if k < len(curve)], dtype=torch.float64)
        for curve, q in ((found.q25, 0.25), (found.median, 0.5), (found.q75, 0.75)):
            assert curve[k] == pytest.approx(float(there.quantile(q)), abs=1e-12)


def test_lags_end_with_the_longest_sequence() -> None:
    """Steps that no sequence has are no vanished gradient."""
    found = gradient_by_lag(decay(1.0), normal(B, T, 1), squares, lengths=torch.tensor([2, 4, 3]))
    assert (found.span, found.horizon) == (3, None)
    assert values(found.median) == [0.0] * 4


def test_a_sequence_that_the_loss_does_not_see_is_left_out() -> None:
    weight = torch.tensor([1.0, 0.0, 1.0], dtype=torch.float64)
    found = gradient_by_lag(decay(0.5), normal(B, T, 1), lambda output: weight * squares(output))
    assert found.sequences == 2
    assert values(found.q25) == pytest.approx([k * math.log10(0.5) for k in range(T)], abs=1e-12)


# Floor and horizon


def test_what_is_below_the_floor_is_none() -> None:
    found = gradient_by_lag(decay(2e-4), normal(B, 12, 1), squares)
    per_step = math.log10(2e-4)
    kept = [k for k in range(12) if k * per_step >= FLOOR]
    assert kept == list(range(9))
    assert [k for k, v in enumerate(found.median) if v is not None] == kept
    assert values(found.median[:9]) == pytest.approx([k * per_step for k in kept], abs=1e-12)


def test_nothing_at_all_is_none_and_ends_the_horizon() -> None:
    found = gradient_by_lag(decay(0.0), normal(B, 4, 1), squares)
    assert found.median == found.q25 == found.q75 == [0.0, None, None, None]
    assert found.horizon == 1


@pytest.mark.parametrize(("a", "horizon"), [(0.5, 7), (-0.5, 7), (0.9, 44), (0.99, None), (1.0, None), (1.1, None)])
def test_the_horizon_is_the_first_lag_below_a_hundredth(a: float, horizon: int | None) -> None:
    assert gradient_by_lag(decay(a), normal(2, 60, 1), squares).horizon == horizon


# What it needs and what it leaves


@pytest.mark.parametrize("frozen", [False, True])
def test_the_layer_is_left_as_it_was(frozen: bool) -> None:
    layer, x = layer_of("LSTM", 2).eval(), normal(B, T, INPUTS)
    layer.requires_grad_(not frozen)
    rng = torch.get_rng_state()
    with torch.no_grad():
        found = gradient_by_lag(layer, x, squares)
    assert found == gradient_by_lag(layer_of("LSTM", 2), x, squares)
    assert isinstance(found, GradientByLag)
    assert all(p.grad is None and p.requires_grad is not frozen for p in layer.parameters())
    assert not layer.training
    assert torch.equal(torch.get_rng_state(), rng)


def test_a_bidirectional_layer_is_refused() -> None:
    layer = un.GRU(INPUTS, HIDDEN, bidirectional=True, dtype=torch.float64)
    with pytest.raises(ConfigError, match="expected a unidirectional layer"):
        gradient_by_lag(layer, normal(B, T, INPUTS), squares)


@pytest.mark.parametrize("lengths", [[0, 3, 4], [3, 4, T + 1], [3, 4], [3, 4, 5, 6], [-1, 3, 4]], ids=str)
def test_lengths_that_do_not_fit_are_refused(lengths: list[int]) -> None:
    with pytest.raises(
        ConfigError, match=rf"do not fit {B} sequences of {T} steps\nexpected {B} lengths from 1 to {T}"
    ):
        gradient_by_lag(layer_of("GRU", 1), normal(B, T, INPUTS), squares, lengths=torch.tensor(lengths))


@pytest.mark.parametrize("shape", [(0, T), (B, 0)], ids=["no-sequences", "no-steps"])
def test_an_empty_batch_is_refused(shape: tuple[int, int]) -> None:
    with pytest.raises(ConfigError, match="do not fit"):
        gradient_by_lag(layer_of("GRU", 1), normal(*shape, INPUTS), squares)


@pytest.mark.parametrize("loss", [lambda y: y.detach().sum(dim=1), lambda y: 0 * y.sum(dim=1)], ids=["cut", "zero"])
def test_a_loss_that_does_not_depend_on_the_state_is_refused(loss: Any) -> None:
    with pytest.raises(ConfigError, match="the loss does not depend on the last state"):
        gradient_by_lag(layer_of("GRU", 1), normal(B, T, INPUTS), loss)


def test_of_an_output_read_off_inside_the_step_lag_0_is_the_last_state_the_loss_sees() -> None:
    layer = un.Recurrent(ReadoutCell(2, [0.5, 0.5]), batch_first=True).double()
    x = torch.randn(B, T, 2, dtype=torch.float64)
    found = gradient_by_lag(layer, x, lambda last: last.square().sum(1))
    reference = gradient_by_lag(
        un.Recurrent(DecayCell(2, [0.5, 0.5]), batch_first=True).double(), x, lambda last: last.square().sum(1)
    )
    assert found.span == T - 2
    assert found.median == pytest.approx(reference.median[:-1], abs=1e-12)
