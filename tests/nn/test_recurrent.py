"""``Recurrent`` over any cell: a researcher's own, the registered ones, and what it refuses."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import pytest
import torch
from torch import Tensor, nn

from unroll import nn as un
from unroll.inspect import trace

T, B, INPUTS, HIDDEN = 6, 4, 3, 5
LENGTHS = [4, 0, 6, 1]


class MGUState(NamedTuple):
    h: Tensor


class MGUCell(un.Cell):
    """Minimal gated unit (Zhou et al. 2016, arXiv:1603.09420), as a researcher would write it."""

    keep_gate = "keep"

    def __init__(self, input_size: int, hidden_size: int, *, scale: float = 0.5) -> None:
        super().__init__()
        self.input_size, self.output_size, self.scale = input_size, hidden_size, scale
        self.gate = nn.Linear(input_size + hidden_size, hidden_size)
        self.candidate = nn.Linear(input_size + hidden_size, hidden_size)

    def initial_state(self, batch_size: int, *, device: Any = None, dtype: Any = None) -> MGUState:
        return MGUState(torch.zeros(batch_size, self.output_size, device=device, dtype=dtype))

    def step(self, x: Tensor, state: MGUState) -> un.Step:
        f = self.gate(torch.cat([x, state.h], -1)).sigmoid()
        n = self.candidate(torch.cat([x, f * state.h], -1)).tanh()
        h = (1 - f) * state.h + f * n * 2 * self.scale
        return un.Step(h, MGUState(h), {"keep": 1 - f})


class PairState(NamedTuple):
    table: Tensor
    steps: Tensor


class PairCell(un.Cell):
    """A state of two leaves, one of them a matrix per row, and an output that is no part of it."""

    def __init__(self, input_size: int) -> None:
        super().__init__()
        self.input_size = self.output_size = input_size
        self.weight = nn.Parameter(torch.full((input_size,), 0.5))

    def initial_state(self, batch_size: int, *, device: Any = None, dtype: Any = None) -> PairState:
        shape = (batch_size, self.input_size, self.input_size)
        return PairState(
            torch.zeros(shape, device=device, dtype=dtype), torch.ones(batch_size, 1, device=device, dtype=dtype)
        )

    def step(self, x: Tensor, state: PairState) -> un.Step:
        table = 0.9 * state.table + x.unsqueeze(-1) * x.unsqueeze(-2)
        output = (table @ self.weight) / state.steps
        return un.Step(output, PairState(table, state.steps + 1), {})


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def mgu(**options: Any) -> un.Recurrent:
    torch.manual_seed(2)
    return un.Recurrent(MGUCell(INPUTS, HIDDEN, scale=0.4), **options).double()


def by_hand(layer: un.Recurrent, x: Tensor) -> tuple[Tensor, list[Any]]:
    """One sequence (T, 1, features) through plain loops over ``step``, from zero states."""
    final: list[Any] = []
    for number in range(layer.num_layers):
        outputs = []
        for direction in range(2 if layer.bidirectional else 1):
            cell = layer.cell_at(number, direction)
            state, out = cell.initial_state(1, dtype=x.dtype), {}
            for t in sorted(range(len(x)), reverse=direction == 1):
                out[t], state, _ = cell.step(x[t], state)
            outputs.append(torch.stack([out[t] for t in range(len(x))]) if out else x.new_zeros(0, 1, cell.output_size))
            final.append(state)
        x = torch.cat(outputs, -1)
    return x, final


def leaves(states: Sequence[Any]) -> list[Tensor]:
    return [leaf for state in states for leaf in state]


def assert_close(got: Sequence[Tensor], expected: Sequence[Tensor], tolerance: float = 1e-12) -> None:
    for g, e in zip(got, expected, strict=True):
        torch.testing.assert_close(g, e, rtol=0, atol=tolerance)


# A cell of one's own


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("num_layers", [1, 3])
def test_a_cell_of_ones_own_is_stacked_turned_and_run_over_ragged_batches(bidirectional: bool, num_layers: int) -> None:
    layer = mgu(num_layers=num_layers, bidirectional=bidirectional)
    x = normal(T, B, INPUTS)
    output, final = layer(x, lengths=LENGTHS)
    assert output.shape == (T, B, HIDDEN * (1 + bidirectional))
    for row, length in enumerate(LENGTHS):
        alone, end = by_hand(layer, x[:length, row : row + 1])
        assert_close([output[:length, row : row + 1]], [alone])
        assert not output[length:, row].any()
        assert_close([leaf[row : row + 1] for leaf in leaves(final)], leaves(end))


def test_a_cell_of_ones_own_runs_in_chunks_and_steps_with_the_same_gradients() -> None:
    layer, x = mgu(num_layers=2), normal(T, B, INPUTS).requires_grad_()
    whole = layer(x)
    first, state = layer(x[:4])
    rest = []
    for t in range(4, T):
        output, state = layer.step(x[t], state)
        rest.append(output)
    pieces = torch.cat([first, torch.stack(rest)]), state
    gradients = [torch.autograd.grad(out.sin().sum(), [x, *layer.parameters()]) for out, _ in (whole, pieces)]
    assert_close([pieces[0], *leaves(pieces[1])], [whole[0], *leaves(whole[1])])
    assert_close(gradients[1], gradients[0])


def test_a_cell_of_ones_own_is_traced_with_its_own_signals() -> None:
    layer = mgu(num_layers=2, batch_first=True)
    traced = trace(layer, normal(B, T, INPUTS), None, LENGTHS)
    assert list(traced.layers) == ["l0", "l1"]
    assert list(traced["l0"].signals) == ["keep"]
    assert traced["l1"].keep_gate == "keep"
    mask = traced["l1"].mask
    assert torch.equal(traced["l1"].states["h"][mask], traced.output[0].detach()[mask])


def test_further_layers_keep_the_cells_options() -> None:
    layer = mgu(num_layers=3, bidirectional=True)
    assert [cell.scale for cell in layer.cells] == [0.4] * 6
    assert [cell.input_size for cell in layer.cells] == [INPUTS, INPUTS] + [2 * HIDDEN] * 4


@pytest.mark.parametrize(
    ("cell", "told"),
    [
        (un.LSTMCell(3, 5, False, proj_size=2), {"bias": False, "proj_size": 2, "hidden_size": 5}),
        (un.GRUCell(3, 5, bias=False, reset="before"), {"bias": False, "reset": "before", "hidden_size": 5}),
        (un.RNNCell(input_size=3, hidden_size=5, nonlinearity="relu"), {"bias": True, "nonlinearity": "relu"}),
        (MGUCell(3, hidden_size=5, scale=0.1), {"scale": 0.1, "output_size": 5}),
    ],
    ids=["positional", "keyword-only", "input-by-name", "own"],
)
def test_like_changes_the_input_width_and_nothing_else(cell: un.Cell, told: dict[str, Any]) -> None:
    other = cell.like(7)
    assert type(other) is type(cell)
    assert other.input_size == 7
    assert {name: getattr(other, name) for name in told} == told
    assert all(a is not b for a in other.parameters() for b in cell.parameters())
    assert other.like(3).input_size == 3


def test_states_of_several_leaves_and_dimensions_run_ragged_both_ways() -> None:
    layer = un.Recurrent(PairCell(INPUTS), 2).double()
    x = normal(T, B, INPUTS)
    output, final = layer(x, lengths=LENGTHS)
    assert [tuple(leaf.shape) for leaf in leaves(final)] == [(B, INPUTS, INPUTS), (B, 1)] * 2
    for row, length in enumerate(LENGTHS):
        alone, end = by_hand(layer, x[:length, row : row + 1])
        assert_close([output[:length, row : row + 1]], [alone])
        assert_close([leaf[row : row + 1] for leaf in leaves(final)], leaves(end))


def test_a_cell_of_several_leaves_is_called_as_torchs_cells_are() -> None:
    cell, x = PairCell(INPUTS).double(), normal(B, INPUTS)
    table, count = cell(x, cell(x))
    once = x.unsqueeze(-1) * x.unsqueeze(-2)
    assert_close([table, count], [1.9 * once, torch.full((B, 1), 3.0, dtype=torch.float64)])
    alone = cell(x[0], cell(x[0]))
    assert_close(alone, [table[0], count[0]])
    with pytest.raises(ValueError, match=r"Expected hx\[0\] to be 2D or 3D, got 1D"):
        cell(x, (count[:, 0], count))
    with pytest.raises(RuntimeError, match=r"Expected hx of shapes \(4, 3, 3\), \(4, 1\), got \(2, 3, 3\), \(4, 1\)"):
        cell(x, (table[:2], count))
    with pytest.raises(RuntimeError, match="Expected a state of 2 tensors, got 1"):
        cell(x, table)
    with pytest.raises(RuntimeError, match="input has inconsistent input_size: got 2 expected 3"):
        cell(x[:, :2])


def test_a_cell_that_says_nothing_says_what_it_lacks() -> None:
    cell = un.Cell()
    with pytest.raises(NotImplementedError, match=r"Cell must define initial_state\(batch_size"):
        cell.initial_state(1)
    with pytest.raises(NotImplementedError, match=r"Cell must define step\(x, state\)"):
        cell.step(torch.zeros(1, 1), None)
    with pytest.raises(TypeError, match="cell should be a Cell, got: Linear"):
        un.Recurrent(nn.Linear(2, 2))  # type: ignore[arg-type]


# Steps

EVERY = [*un.CELLS, "LSTM", "GRU", "RNN", "LSTM-proj", "GRU-before"]


def build(name: str, num_layers: int) -> un.Recurrent:
    torch.manual_seed(3)
    if name in un.CELLS:
        return un.Recurrent(un.CELLS[name].make(INPUTS, HIDDEN), num_layers).double()
    family, _, option = name.partition("-")
    options: dict[str, dict[str, Any]] = {"": {}, "proj": {"proj_size": 2}, "before": {"reset": "before"}}
    layer: un.Recurrent = getattr(un, family)(INPUTS, HIDDEN, num_layers, **options[option])
    return layer.double()


@pytest.mark.parametrize("name", EVERY)
@pytest.mark.parametrize("num_layers", [1, 3])
@pytest.mark.parametrize("batch", [1, 4])
def test_steps_in_a_loop_equal_the_sequence(name: str, num_layers: int, batch: int) -> None:
    layer, x = build(name, num_layers), normal(T, batch, INPUTS).requires_grad_()
    states = [
        type(s)(*(normal(*leaf.shape, seed=k).requires_grad_() for k, leaf in enumerate(s, 5)))
        for s in layer.initial_state(batch)
    ]
    outputs, state = [], tuple(states)
    for t in range(T):
        output, state = layer.step(x[t], state)
        outputs.append(output)
    stepped = [torch.stack(outputs), *leaves(state)]
    if name in un.CELLS:
        whole, final = layer(x, states)
        expected = [whole, *leaves(final)]
    else:
        stacked = tuple(torch.stack(leaf) for leaf in zip(*states))
        whole, final = layer(x, stacked if len(stacked) > 1 else stacked[0])
        split = (final,) if isinstance(final, Tensor) else final
        expected = [whole, *(leaf[k] for k in range(num_layers) for leaf in split)]
    assert_close(stepped, expected)
    inputs = [x, *leaves(states), *layer.parameters()]
    losses = [sum((p.sin().sum() for p in parts), torch.zeros(())) for parts in (stepped, expected)]
    got, wanted = (torch.autograd.grad(loss, inputs) for loss in losses)
    assert_close(got, wanted)


@pytest.mark.parametrize("name", EVERY)
def test_steps_start_from_the_initial_state(name: str) -> None:
    layer, x = build(name, 2), normal(1, B, INPUTS)
    assert_close([layer.step(x[0])[0]], [layer(x)[0][0]])


@pytest.mark.parametrize("build_layer", [mgu, lambda **o: un.LSTM(INPUTS, HIDDEN, **o)], ids=["own", "LSTM"])
def test_a_bidirectional_layer_has_no_step(build_layer: Any) -> None:
    with pytest.raises(RuntimeError, match="its backward direction starts at the sequence's end"):
        build_layer(bidirectional=True).step(torch.zeros(B, INPUTS))


@pytest.mark.parametrize("name", EVERY)
@pytest.mark.parametrize("shape", [(INPUTS,), (B, INPUTS + 1), (T, B, INPUTS)], ids=str)
def test_a_step_takes_one_time_of_a_batch(name: str, shape: tuple[int, ...]) -> None:
    with pytest.raises(RuntimeError, match=r"a step takes \(batch, 3\), got "):
        build(name, 1).step(normal(*shape))


# Edges


@pytest.mark.parametrize("name", EVERY)
@pytest.mark.parametrize("shape", [(0, B), (T, 0), (0, 0)], ids=["no-time", "no-rows", "neither"])
@pytest.mark.parametrize("ragged", [False, True])
def test_nothing_in_gives_nothing_out_and_the_state_back(name: str, shape: tuple[int, int], ragged: bool) -> None:
    layer = build(name, 2)
    lengths = [0] * shape[1] if ragged else None
    output, final = layer(normal(*shape, INPUTS), None, lengths)
    assert output.shape == (*shape, layer.output_size)
    assert output.dtype == torch.float64
    flat = final if isinstance(final, tuple) else (final,)
    for leaf in (leaf for part in flat for leaf in ([part] if isinstance(part, Tensor) else part)):
        assert shape[1] in leaf.shape
        assert not leaf.any()


@pytest.mark.parametrize("name", EVERY)
def test_one_sequence_needs_no_batch(name: str) -> None:
    layer, x = build(name, 2), normal(T, INPUTS)
    output, final = layer(x)
    batched, batched_final = layer(x.unsqueeze(1))
    assert_close([output], [batched.squeeze(1)])
    again, _ = layer(x, final)
    assert_close([again], [layer(x.unsqueeze(1), batched_final)[0].squeeze(1)])


@pytest.mark.parametrize("name", EVERY)
def test_dropout_acts_between_layers_only(name: str) -> None:
    """With everything dropped, the last layer hears only zeros, and is itself left whole."""
    layer = build(name, 2)
    layer.dropout = 1.0
    x = normal(T, B, INPUTS)
    output, _ = layer.train()(x)
    second = layer.cell_at(1)
    state = second.initial_state(B, dtype=torch.float64)
    for t in range(T):
        expected, state, _ = second.step(x.new_zeros(B, second.input_size), state)
        assert_close([output[t]], [expected])
    assert_close([layer.step(x[0])[0]], [output[0]])
    assert not torch.equal(layer.eval()(x)[0], output)
    single = build(name, 1)
    plain = single(x)[0]
    single.dropout = 1.0
    assert_close([single.train()(x)[0]], [plain])


# Errors


@pytest.mark.parametrize(
    ("lengths", "said"),
    [
        ([6, 6, 6], r"lengths must hold 4 integers, one per sequence, got \(3,\)"),
        ([[6, 6, 6, 6]], r"lengths must hold 4 integers, one per sequence, got \(1, 4\)"),
        (6, r"lengths must hold 4 integers, one per sequence, got \(\)"),
        ([6.0, 6.0, 6.0, 6.0], r"lengths must hold 4 integers, one per sequence, got \(4,\) torch.float32"),
        ([True, True, True, True], r"lengths must hold 4 integers, one per sequence, got \(4,\) torch.bool"),
        ([6, -1, 6, 6], "lengths must lie between 0 and the time length 6, got -1 to 6"),
        ([6, 7, 6, 6], "lengths must lie between 0 and the time length 6, got 6 to 7"),
    ],
    ids=["too-few", "two-dimensional", "one-for-all", "floats", "bools", "negative", "beyond-T"],
)
@pytest.mark.parametrize("name", ["lstm", "LSTM", "gru_reset_before"])
def test_lengths_that_do_not_fit_are_refused(name: str, lengths: Any, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        build(name, 1)(normal(T, B, INPUTS), None, lengths)


@pytest.mark.parametrize("lengths", [(4, 0, 6, 1), torch.tensor([4, 0, 6, 1], dtype=torch.uint8)], ids=["tuple", "u8"])
def test_lengths_may_be_any_integers(lengths: Any) -> None:
    layer, x = build("lstm", 1), normal(T, B, INPUTS)
    assert_close([layer(x, None, lengths)[0]], [layer(x, None, LENGTHS)[0]])


@pytest.mark.parametrize("how", ["forward", "step"])
@pytest.mark.parametrize("name", ["lstm", "rnn"])
def test_states_that_do_not_fit_are_refused(name: str, how: str) -> None:
    layer = build(name, 2)
    run, x = (layer, normal(T, B, INPUTS)) if how == "forward" else (layer.step, normal(B, INPUTS))
    for count in (0, 1, 3):
        states = build(name, count).initial_state(B, dtype=torch.float64) if count else ()
        with pytest.raises(RuntimeError, match=f"Expected 2 states, one per layer and direction, got {count}"):
            run(x, states)
    good = layer.initial_state(B, dtype=torch.float64)
    narrow = layer.initial_state(B - 1, dtype=torch.float64)
    with pytest.raises(RuntimeError, match=r"Expected state\[1\] of shapes \(4, 5\).*, got \(3, 5\)"):
        run(x, (good[0], narrow[1]))
    with pytest.raises(
        RuntimeError, match=r"Expected state\[0\] of shapes \(4, 5\).*, got \(4, 5\), \(4, 5\), \(4, 5\)"
    ):
        run(x, ((good[0][0],) * 3, good[1]))


@pytest.mark.parametrize("shape", [(INPUTS,), (1, T, B, INPUTS)], ids=str)
def test_input_of_other_dimensions_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=f"Recurrent: Expected input to be 2D or 3D, got {len(shape)}D instead"):
        mgu()(normal(*shape))


def test_input_of_another_width_is_refused() -> None:
    with pytest.raises(RuntimeError, match="Expected 3, got 4"):
        mgu()(normal(T, B, INPUTS + 1))


@pytest.mark.parametrize("dropout", [-0.1, 1.1, True, "half", None])
def test_dropout_must_be_a_share(dropout: Any) -> None:
    with pytest.raises(ValueError, match="dropout should be a number in range"):
        un.Recurrent(MGUCell(INPUTS, HIDDEN), 2, dropout=dropout)
