"""The contract test for cells, shipped: ``check_cell(MyCell)`` holds a cell to the five laws.

In float64, over one and two layers, one and both directions, on full and ragged batches with an empty row: outputs,
final states and all gradients, those of the initial state included, to 1e-10.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from unroll import kernels
from unroll.inspect import trace
from unroll.nn import Cell, Recurrent, Step
from unroll.nn.noise import Noise

TOLERANCE = 1e-10
T, LENGTHS = 7, (7, 0, 4, 1)


class ContractError(AssertionError):
    """A cell breaks a law; the message says which, where, and by how much."""


def check_cell(make: Callable[[int, int], Cell], *, input_size: int = 3, hidden_size: int = 4, seed: int = 0) -> None:
    """Raise ContractError unless the cell that ``make(input_size, hidden_size)`` builds keeps the contract.

    ``make`` is a cell class, or a function that builds one with its options.

    Example::

        >>> check_cell(MyCell)
        >>> check_cell(lambda i, h: MyCell(i, h, reset="before"))
    """
    torch.manual_seed(seed)
    cell = make(input_size, hidden_size).double()
    _check_shapes(cell, input_size)
    for num_layers in (1, 2):
        for bidirectional in (False, True):
            layer = Recurrent(copy.deepcopy(cell), num_layers, bidirectional=bidirectional).double()
            where = f"with {num_layers} layer(s), {'both directions' if bidirectional else 'one direction'}"
            _check_laws(layer, where)
    _check_gradients(cell)


def _check_shapes(cell: Cell, input_size: int) -> None:
    B = 3
    if cell.input_size != input_size:
        raise ContractError(f"input_size is {cell.input_size}, built with {input_size}: it must be the first argument")
    state = cell.initial_state(B, dtype=torch.float64)
    if not hasattr(state, "_fields"):
        raise ContractError(f"initial_state gives a {type(state).__name__}: it must be a NamedTuple of tensors")
    step = cell.step(torch.randn(B, input_size, dtype=torch.float64), state)
    if tuple(step.output.shape) != (B, cell.output_size):
        raise ContractError(
            f"step's output is {tuple(step.output.shape)}, expected (batch, output_size) = {(B, cell.output_size)}"
        )
    for name, before, after in zip(state._fields, state, step.state, strict=True):
        if before.shape != after.shape or before.dtype != after.dtype:
            raise ContractError(
                f"state '{name}' goes in as {tuple(before.shape)} {before.dtype} and comes out as "
                f"{tuple(after.shape)} {after.dtype}: a step must keep both"
            )
    for name, signal in step.signals.items():
        if signal.shape[:1] != (B,):
            raise ContractError(f"signal '{name}' is {tuple(signal.shape)}, expected the batch first")
    if cell.keep_gate is not None and cell.keep_gate not in step.signals:
        raise ContractError(f"keep_gate is '{cell.keep_gate}', but the signals are {', '.join(step.signals) or 'none'}")


def _check_laws(layer: Recurrent, where: str) -> None:
    B = len(LENGTHS)
    x = torch.randn(T, B, layer.input_size, dtype=torch.float64, requires_grad=True)
    states = [
        type(s)(*(torch.randn_like(leaf).mul_(0.5).requires_grad_() for leaf in s))
        for s in layer.initial_state(B, dtype=torch.float64)
    ]
    noise = layer.draw(T, B, dtype=torch.float64)
    whole = layer(x, states, noise=noise)
    _same("sequence = steps", where, layer, x, states, whole, _by_hand(layer, x, states, noise))
    if not layer.bidirectional:
        first, middle = layer(x[:3], states, noise=noise.narrow(0, 3))
        second, final = layer(x[3:], middle, noise=noise.narrow(3, T - 3))
        _same("sequence = chunks", where, layer, x, states, (torch.cat([first, second]), final), whole)
    ragged = layer(x, states, LENGTHS, noise)
    _same("ragged = alone", where, layer, x, states, ragged, _alone(layer, x, states, noise))
    with kernels.use("reference"):
        _same("backend = reference", where, layer, x, states, layer(x, states, LENGTHS, noise), ragged)
    traced = trace(layer, x, states, LENGTHS, noise).output
    _same("watching changes nothing", where, layer, x, states, traced, ragged, tolerance=0.0)


def _by_hand(layer: Recurrent, x: Tensor, states: Sequence[Any], noise: Noise) -> tuple[Tensor, list[Any]]:
    """Plain loops over ``step``."""
    final: list[Any] = []
    for number in range(layer.num_layers):
        outputs = []
        for direction in range(layer.directions):
            cell, state, out = layer.cell_at(number, direction), states[len(final)], {}
            own = noise.cells[len(final)].cell
            times = range(x.shape[0])
            for t in reversed(times) if direction else times:
                out[t], state, _ = cell.step(x[t], state) if own is None else _noisy_step(cell)(x[t], state, own.at(t))
            outputs.append(torch.stack([out[t] for t in times]))
            final.append(state)
        x = torch.cat(outputs, -1)
    return x, final


def _noisy_step(cell: Cell) -> Callable[..., Step]:
    """``step`` of a cell that draws, and so takes its masks."""
    return cell.step


def _alone(layer: Recurrent, x: Tensor, states: Sequence[Any], noise: Noise) -> tuple[Tensor, list[Any]]:
    """Each row by itself, in its own length."""
    rows, finals = [], []
    for row, length in enumerate(LENGTHS):
        mine = slice(row, row + 1)
        own = [kernels.map_state(lambda leaf, r=mine: leaf[r], s) for s in states]
        output = x.new_zeros(0, 1, layer.output_size)
        if length:
            output, own = _by_hand(layer, x[:length, mine], own, noise.rows(mine))
        rows.append(torch.cat([output, output.new_zeros(T - length, 1, layer.output_size)]))
        finals.append(own)
    return torch.cat(rows, 1), [kernels.map_state(lambda *leaf: torch.cat(leaf), *s) for s in zip(*finals)]


def _same(
    law: str,
    where: str,
    layer: Recurrent,
    x: Tensor,
    states: Sequence[Any],
    got: tuple[Tensor, Sequence[Any]],
    expected: tuple[Tensor, Sequence[Any]],
    tolerance: float = TOLERANCE,
) -> None:
    pairs = [("output", got[0], expected[0])]
    for number, (a, b) in enumerate(zip(got[1], expected[1], strict=True)):
        pairs += [(f"final state {number}.{name}", u, v) for name, u, v in zip(b._fields, a, b)]
    inputs = {"x": x, **{f"initial state {n}.{f}": leaf for n, s in enumerate(states) for f, leaf in zip(s._fields, s)}}
    inputs |= dict(layer.named_parameters())
    for name, a, b in zip(inputs, _gradients(got, inputs), _gradients(expected, inputs)):
        pairs.append((f"gradient of {name}", a, b))
    for name, a, b in pairs:
        error = float((a - b).detach().abs().max()) if b.numel() else 0.0
        if not error <= tolerance * max(1.0, float(b.detach().abs().max()) if b.numel() else 1.0):
            raise ContractError(f"{law} is broken {where}: {name} differs by {error:.3g}")


def _gradients(result: tuple[Tensor, Sequence[Any]], inputs: dict[str, Tensor]) -> list[Tensor]:
    """Of a loss that weighs every number of the result differently."""
    parts = [result[0], *(leaf for s in result[1] for leaf in s)]
    generator = torch.Generator().manual_seed(11)
    loss = sum((p * torch.randn(p.shape, generator=generator, dtype=p.dtype)).sum() for p in parts)
    assert isinstance(loss, Tensor)
    grads = torch.autograd.grad(loss, list(inputs.values()), allow_unused=True, retain_graph=True)
    return [torch.zeros_like(leaf) if grad is None else grad for grad, leaf in zip(grads, inputs.values())]


def _check_gradients(cell: Cell) -> None:
    """First and second derivatives of a step against finite differences."""
    x = torch.randn(2, cell.input_size, dtype=torch.float64, requires_grad=True)
    state = cell.initial_state(2, dtype=torch.float64)
    leaves = [torch.randn_like(leaf).requires_grad_() for leaf in state]

    def function(x: Tensor, *leaves: Tensor) -> tuple[Tensor, ...]:
        step = cell.step(x, type(state)(*leaves))
        return (step.output, *step.state)

    for name, check in (("first", torch.autograd.gradcheck), ("second", torch.autograd.gradgradcheck)):
        try:
            check(function, (x, *leaves))
        except RuntimeError as error:
            raise ContractError(f"the {name} derivative of step is not that of finite differences: {error}") from error
