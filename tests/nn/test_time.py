"""Chunks and streams: the same numbers as the whole sequence, and gradients cut exactly where they should be."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from safetensors.torch import load, save
from torch import Tensor

from unroll import nn as un

T, B, INPUTS, H = 11, 3, 2, 4
LAYERS = {
    **{name: lambda name=name, **k: un.Recurrent(un.CELLS[name].make(INPUTS, H), **k) for name in un.CELLS},
    "LSTM": lambda num_layers=1, batch_first=False: un.LSTM(INPUTS, H, num_layers, batch_first=batch_first),
    "GRU": lambda num_layers=1, batch_first=False: un.GRU(INPUTS, H, num_layers, batch_first=batch_first),
}
every = pytest.mark.parametrize("name", LAYERS)


def build(name: str, **options: Any) -> un.Recurrent:
    torch.manual_seed(0)
    layer: un.Recurrent = LAYERS[name](**options).double()
    return layer


def leaves(state: Any) -> list[Tensor]:
    return [state] if isinstance(state, Tensor) else [leaf for part in state for leaf in leaves(part)]


def sequence(batch_first: bool = False) -> Tensor:
    generator = torch.Generator().manual_seed(1)
    shape = (B, T, INPUTS) if batch_first else (T, B, INPUTS)
    return torch.randn(shape, generator=generator, dtype=torch.float64, requires_grad=True)


@every
@pytest.mark.parametrize("size", [1, 4, 11, 50])
@pytest.mark.parametrize("batch_first", [False, True], ids=["time-first", "batch-first"])
@pytest.mark.parametrize("lengths", [None, [11, 0, 6]], ids=["full", "ragged"])
def test_undetached_chunks_give_the_numbers_and_gradients_of_one_run(
    name: str, size: int, batch_first: bool, lengths: list[int] | None
) -> None:
    layer, x = build(name, num_layers=2, batch_first=batch_first), sequence(batch_first)
    whole, final = layer(x, None, lengths)
    pieces = list(layer.chunks(x, size, lengths=lengths, detach=False))
    joined = torch.cat([output for output, _ in pieces], 1 if batch_first else 0)
    assert torch.allclose(joined, whole, atol=1e-12)
    for got, expected in zip(leaves(pieces[-1][1]), leaves(final), strict=True):
        assert torch.allclose(got, expected, atol=1e-12)
    parameters = [x, *layer.parameters()]
    for got, expected in zip(
        torch.autograd.grad(joined.square().sum(), parameters), torch.autograd.grad(whole.square().sum(), parameters)
    ):
        assert torch.allclose(got, expected, atol=1e-10)


@every
def test_detached_chunks_give_the_numbers_of_one_run_and_cut_the_gradient_at_each_border(name: str) -> None:
    layer, x = build(name), sequence()
    whole, _ = layer(x)
    pieces = list(layer.chunks(x, 4))
    assert torch.allclose(torch.cat([output for output, _ in pieces]), whole, atol=1e-12)
    for number, (output, _) in enumerate(pieces):
        (grad,) = torch.autograd.grad(output[-1].sum(), x, retain_graph=True)
        reached = grad.abs().sum(dim=(1, 2)).nonzero().flatten().tolist()
        assert reached
        assert min(reached) >= 4 * number
        assert max(reached) < 4 * number + len(output)


@every
def test_a_stream_steps_through_what_the_layer_gives(name: str) -> None:
    layer, x = build(name, num_layers=2), sequence()
    stream = layer.stream(B)
    outputs = torch.stack([stream.step(x[t]) for t in range(T)])
    assert torch.allclose(outputs, layer(x)[0], atol=1e-12)
    assert not outputs.requires_grad


@every
def test_a_stream_is_saved_restored_and_forked(name: str) -> None:
    layer, x = build(name, num_layers=2), sequence().detach()
    stream = layer.stream(B)
    for t in range(5):
        stream.step(x[t])
    saved, fork = load(save(stream.save())), stream.fork()
    ahead = torch.stack([stream.step(x[t]) for t in range(5, T)])
    assert torch.equal(torch.stack([fork.step(x[t]) for t in range(5, T)]), ahead)
    again = layer.stream(B)
    again.restore(saved)
    assert torch.equal(torch.stack([again.step(x[t]) for t in range(5, T)]), ahead)


@every
@pytest.mark.parametrize("rows", [[1], torch.tensor([False, True, False])], ids=["numbers", "mask"])
def test_a_row_is_reset_without_the_others(name: str, rows: Any) -> None:
    layer, x = build(name), sequence().detach()
    stream = layer.stream(B)
    for t in range(5):
        stream.step(x[t])
    stream.reset(rows)
    rest = torch.stack([stream.step(x[t]) for t in range(5, T)])
    whole = layer(x)[0][5:]
    assert torch.allclose(rest[:, [0, 2]], whole[:, [0, 2]], atol=1e-12)
    assert torch.allclose(rest[:, 1], layer(x[5:])[0][:, 1], atol=1e-12)
    stream.reset()
    assert torch.allclose(stream.step(x[0]), layer(x[:1])[0][0], atol=1e-12)


def test_what_cannot_be_cut_is_refused() -> None:
    both = un.GRU(INPUTS, H, bidirectional=True)
    with pytest.raises(RuntimeError, match="cannot run in chunks"):
        list(both.chunks(torch.randn(T, B, INPUTS), 3))
    with pytest.raises(RuntimeError, match="has no stream"):
        both.stream(B)
    with pytest.raises(ValueError, match="1 step or more, got 0"):
        list(un.GRU(INPUTS, H).chunks(torch.randn(T, B, INPUTS), 0))
    with pytest.raises(ValueError, match=r"state '0.h' must be \(3, 4\), got \(2, 4\)"):
        un.GRU(INPUTS, H).stream(3).restore({"0.h": torch.zeros(2, 4)})
