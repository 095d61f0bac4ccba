"""Pairs of layers and cells, torch's and ours, of the same weights, and what makes their runs the same."""

from __future__ import annotations

from typing import Any, NamedTuple

import pytest
import torch
from torch import Tensor

from unroll import kernels
from unroll import nn as un

INPUTS, HIDDEN, T, B = 3, 5, 7, 4


LENGTHS = [3, 7, 1, 5]


class Kind(NamedTuple):
    name: str
    options: dict[str, Any] = {}  # noqa: RUF012  (never changed)


LAYERS = {
    "RNN": Kind("RNN"),
    "RNN-relu": Kind("RNN", {"nonlinearity": "relu"}),
    "LSTM": Kind("LSTM"),
    "LSTM-proj": Kind("LSTM", {"proj_size": 2}),
    "GRU": Kind("GRU"),
}


CELLS = {
    "RNNCell": Kind("RNNCell"),
    "RNNCell-relu": Kind("RNNCell", {"nonlinearity": "relu"}),
    "LSTMCell": Kind("LSTMCell"),
    "GRUCell": Kind("GRUCell"),
}


every_layer = pytest.mark.parametrize("kind", LAYERS.values(), ids=LAYERS)


every_cell = pytest.mark.parametrize("kind", CELLS.values(), ids=CELLS)


every_module = pytest.mark.parametrize("kind", [*LAYERS.values(), *CELLS.values()], ids=[*LAYERS, *CELLS])


dtypes = pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=["f32", "f64"])


layers = pytest.mark.parametrize("num_layers", [1, 2, 3])


directions = pytest.mark.parametrize("bidirectional", [False, True], ids=["forward", "both"])


order = pytest.mark.parametrize("batch_first", [False, True], ids=["time-first", "batch-first"])


biases = pytest.mark.parametrize("bias", [True, False], ids=["bias", "no-bias"])


initial = pytest.mark.parametrize("given", [False, True], ids=["hx-omitted", "hx-given"])


def pair(kind: Kind, *sizes: Any, **options: Any) -> tuple[Any, Any]:
    """torch's module and ours, each built from the same seed."""
    built = []
    for library in (torch.nn, un):
        torch.manual_seed(4)
        built.append(getattr(library, kind.name)(*(sizes or (INPUTS, HIDDEN)), **kind.options, **options))
    return built[0], built[1]


def normal(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def strided(*shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
    """A leaf that is not contiguous and needs a gradient."""
    return normal(*shape[:-1], 2 * shape[-1], seed=1, dtype=dtype)[..., ::2].requires_grad_()


def start(kind: Kind, layer: Any, *batch: int, dtype: torch.dtype = torch.float32) -> Any:
    """A non-zero hx as torch takes it."""
    stack = layer.num_layers * (2 if layer.bidirectional else 1)
    h = normal(stack, *batch, layer.proj_size or HIDDEN, seed=2, dtype=dtype).requires_grad_()
    return (h, normal(stack, *batch, HIDDEN, seed=3, dtype=dtype).requires_grad_()) if kind.name == "LSTM" else h


def flat(value: Any) -> list[Tensor]:
    """All tensors in a result, a packed sequence's order included."""
    if value is None:
        return []
    if isinstance(value, Tensor):
        return [value]
    return [tensor for part in value for tensor in flat(part)]


TOLERANCE = {torch.float32: 2e-5, torch.float64: 1e-10}


def assert_same(got: Any, expected: Any) -> None:
    assert type(got) is type(expected)
    pairs = list(zip(flat(got), flat(expected), strict=True))
    assert pairs
    for g, e in pairs:
        assert g.dtype == e.dtype
        assert g.shape == e.shape
        assert_equal(g, e)


def assert_equal(got: Tensor, expected: Tensor) -> None:
    """To the bit where torch's operators run; our engine has roundings of its own."""
    if kernels.backend() == "torch" or not got.is_floating_point() or got.dtype not in TOLERANCE:
        assert torch.equal(got, expected)
    elif got.numel():
        largest = max(1.0, float(expected.abs().max()))
        assert float((got - expected).abs().max()) <= TOLERANCE[got.dtype] * largest


def gradients(module: torch.nn.Module, result: Any, *inputs: Any, create_graph: bool = False) -> tuple[Tensor, ...]:
    """Of a loss that weighs every entry differently, for every parameter and input."""
    parts = [part for part in flat(result) if part.requires_grad]
    loss = sum(((p * normal(*p.shape, seed=9, dtype=p.dtype)).sum() for p in parts), torch.zeros(()))
    return torch.autograd.grad(loss, [*module.parameters(), *flat(inputs)], create_graph=create_graph)


def assert_same_run(theirs: Any, ours: Any, *inputs: Any) -> None:
    """Outputs, states and gradients, with the generator at the same place."""
    results = []
    for module in (theirs, ours):
        torch.manual_seed(6)
        result = module(*inputs)
        state = torch.get_rng_state()
        results.append((result, gradients(module, result, *inputs), state))
    (expected, expected_grads, expected_rng), (got, got_grads, rng) = results
    assert_same(got, expected)
    assert_same(got_grads, expected_grads)
    assert torch.equal(rng, expected_rng)
