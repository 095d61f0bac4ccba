"""torch.nn's layers and cells, and what is the same for everything that is called as they are."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from unroll.bench.cases import Case, Shape
from unroll.bench.participant import Call, Prepared

FULL = 0.62
"""The share of a ragged batch that is no padding."""
STEPS_COMPARED = 5


class TorchLayers:
    """Runs the cases with ``torch.nn``."""

    def __init__(self, threads: int) -> None:
        torch.set_num_threads(threads)

    def version(self) -> str:
        return str(torch.__version__)

    def ran(self, call: Call) -> list[str]:
        call()
        return ["torch"]

    def prepare(self, case: Case, variant: str) -> Prepared:
        if case.work == "step":
            return self.stepping(case)
        if case.work == "forward":
            layer, x, _ = made(self.layer(case.family, case.shape, variant), case.shape)
            forward = without_gradient(lambda: flat(layer(x)))
            return Prepared(forward, forward, results(case))
        timed = self.training(case, variant, torch.float32)
        if case.compared_in == "float32":
            return timed
        return timed._replace(numbers=self.in_float64(case, variant, timed.call))

    def training(self, case: Case, variant: str, dtype: torch.dtype) -> Prepared:
        layer, x, weight = made(self.layer(case.family, case.shape, variant), case.shape)
        layer, x, weight = layer.to(dtype), x.to(dtype), weight.to(dtype)
        run = self.runner(layer, x, case, variant)
        return training(layer, x, weight, run, results(case), last_only=case.work == "long")

    def in_float64(self, case: Case, variant: str, timed: Call) -> Callable[[], list[Tensor]]:
        """The numbers of a training step in float64, run as ``timed`` is."""
        return lambda: list(self.training(case, variant, torch.float64).numbers())

    def layer(self, family: str, shape: Shape, variant: str) -> Callable[[], nn.Module]:
        """How to make the layer, once the seed is set."""
        return lambda: getattr(torch.nn, family)(shape.I, shape.H)

    def runner(self, layer: nn.Module, x: Tensor, case: Case, variant: str) -> Callable[[], Any]:
        """The forward pass of a training step."""
        if variant != "ragged":
            return lambda: layer(x)
        lengths = ragged_lengths(case.shape)

        def packed() -> Any:
            output, final = layer(pack_padded_sequence(x, lengths, enforce_sorted=False))
            return pad_packed_sequence(output, total_length=case.shape.T)[0], final

        return packed

    def stepping(self, case: Case) -> Prepared:
        family, shape = case.family, case.shape
        layer, x, _ = made(self.layer(family, shape, ""), shape)
        cell, held = getattr(torch.nn, f"{family}Cell")(shape.I, shape.H), _Held()
        cell.load_state_dict({name.removesuffix("_l0"): weight for name, weight in layer.state_dict().items()})
        # Instead of no_grad around every step, which costs as much as a part of one.
        cell.requires_grad_(False)
        x = x[0]

        def step() -> Tensor:
            held.state = cell(x, held.state)
            return held.state[0] if isinstance(held.state, tuple) else held.state

        return steps(step)


class _Held:
    """The state between two steps."""

    state: Any = None


def made(make: Callable[[], nn.Module], shape: Shape) -> tuple[nn.Module, Tensor, Tensor]:
    """A layer, its input (T, batch, features), and the gradient its output is given, all from one seed."""
    torch.manual_seed(0)
    layer = make()
    draw = torch.Generator().manual_seed(1)
    x = torch.randn(shape.T, shape.B, shape.I, generator=draw)
    return layer, x, torch.randn(shape.T, shape.B, shape.H, generator=draw)


def results(case: Case) -> int:
    """How many tensors a call of the layer gives: output, h and, of an LSTM, c."""
    return 3 if case.family == "LSTM" else 2


def training(
    layer: nn.Module, x: Tensor, weight: Tensor, run: Callable[[], Any], results: int, *, last_only: bool = False
) -> Prepared:
    """Forward, backward, every gradient. ``last_only``: of the output the last step alone is compared."""
    x.requires_grad_()
    parameters = list(layer.parameters())

    def step() -> list[Tensor]:
        x.grad = None
        for parameter in parameters:
            parameter.grad = None
        given = flat(run())
        given[0].backward(weight)
        return given

    def numbers() -> list[Tensor]:
        output, *final = step()
        grads = [t.grad if t.grad is not None else torch.zeros(()) for t in (x, *parameters)]
        return [output[-1] if last_only else output, *final, *grads]

    return Prepared(numbers, step, results)


def steps(step: Callable[[], Tensor]) -> Prepared:
    return Prepared(lambda: [step().clone() for _ in range(STEPS_COMPARED)], step, STEPS_COMPARED)


def ragged_lengths(shape: Shape) -> Tensor:
    """Lengths from 24 % to 100 % of T, in mixed order: 62 % of the batch is full."""
    longest_last = torch.linspace(2 * FULL - 1, 1, shape.B) if shape.B > 1 else torch.tensor([FULL])
    order = torch.randperm(shape.B, generator=torch.Generator().manual_seed(2))
    lengths = (longest_last * shape.T).round().clamp(min=1).long()
    return lengths[order]


def flat(result: Any) -> list[Tensor]:
    return [result] if isinstance(result, Tensor) else [tensor for part in result for tensor in flat(part)]


def without_gradient(call: Callable[[], Any]) -> Callable[[], Any]:
    def run() -> Any:
        with torch.no_grad():
            return call()

    return run
