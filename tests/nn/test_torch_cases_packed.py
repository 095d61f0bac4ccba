"""What torch's tests hold packed sequences to, through the layers: conversions, orders, lengths, derivatives."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from parity import (
    HIDDEN,
    INPUTS,
    LENGTHS,
    B,
    Kind,
    T,
    assert_same,
    directions,
    every_layer,
    flat,
    gradients,
    normal,
    pair,
    start,
    strided,
)
from torch import Tensor
from torch.nn.utils.rnn import (
    PackedSequence,
    pack_padded_sequence,
    pack_sequence,
    pad_packed_sequence,
    pad_sequence,
    unpack_sequence,
)

from unroll import kernels

TWO = {"num_layers": 2, "bidirectional": True}
narrow = pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=["f16", "bf16"])


def pack(x: Tensor, lengths: list[int] = LENGTHS) -> PackedSequence:
    return pack_padded_sequence(x, torch.tensor(lengths), enforce_sorted=False)


def sequences(dtype: torch.dtype = torch.float32) -> list[Tensor]:
    return [normal(length, INPUTS, seed=length, dtype=dtype) for length in LENGTHS]


# Conversions


@every_layer
@pytest.mark.parametrize("dtype", [torch.float64, torch.float16, torch.bfloat16], ids=["f64", "f16", "bf16"])
def test_a_converted_packed_batch_through_a_converted_layer_is_torchs(kind: Kind, dtype: torch.dtype) -> None:
    theirs, ours = (module.to(dtype) for module in pair(kind, **TWO))
    packed = pack(normal(T, B, INPUTS)).to(dtype)
    packed.data.requires_grad_()
    results = []
    for module in (theirs, ours):
        result = module(packed)
        results.append((result, gradients(module, result, packed.data)))
    assert_same(results[1], results[0])
    assert results[1][0][0].data.dtype == dtype


@every_layer
@narrow
def test_autocast_of_a_packed_batch_is_torchs(kind: Kind, dtype: torch.dtype) -> None:
    theirs, ours = pair(kind, **TWO)
    with torch.no_grad(), torch.autocast("cpu", dtype):
        assert_same(ours(pack(normal(T, B, INPUTS))), theirs(pack(normal(T, B, INPUTS))))


@every_layer
def test_packed_data_of_any_stride_is_torchs(kind: Kind) -> None:
    theirs, ours = pair(kind, **TWO)
    packed = pack(normal(T, B, INPUTS))
    packed = packed._replace(data=strided(*packed.data.shape))
    assert not packed.data.is_contiguous()
    results = [(module(packed), gradients(module, module(packed), packed.data)) for module in (theirs, ours)]
    assert_same(results[1], results[0])


# Orders and lengths


@every_layer
@pytest.mark.parametrize("lengths", [[1], [6], [1, 1, 1], [5, 1], [3, 3], [2, 9, 9, 1, 4]], ids=str)
def test_packed_batches_of_awkward_lengths_are_torchs(kind: Kind, lengths: list[int]) -> None:
    theirs, ours = pair(kind, **TWO)
    x = strided(max(lengths), len(lengths), INPUTS)
    results = [(module(pack(x, lengths)), gradients(module, module(pack(x, lengths)), x)) for module in (theirs, ours)]
    assert_same(results[1], results[0])


@every_layer
@directions
def test_an_unsorted_batch_is_the_sorted_one_with_its_rows_put_back(kind: Kind, bidirectional: bool) -> None:
    _, ours = pair(kind, num_layers=2, bidirectional=bidirectional)
    x, hx = normal(T, B, INPUTS), [leaf.detach() for leaf in flat(start(kind, ours, B))]
    order = torch.tensor(LENGTHS).argsort(descending=True)
    sorted_hx = [leaf[:, order] for leaf in hx]
    ordered = pack_padded_sequence(x[:, order], torch.tensor(LENGTHS)[order])
    expected, end = ours(ordered, tuple(sorted_hx) if len(hx) > 1 else sorted_hx[0])
    got, final = ours(pack(x), tuple(hx) if len(hx) > 1 else hx[0])
    assert_same(got.data, expected.data)
    assert_same([leaf[:, order] for leaf in flat(final)], flat(end))


@every_layer
def test_the_output_keeps_the_batchs_order_and_sizes(kind: Kind) -> None:
    _, ours = pair(kind, **TWO)
    packed = pack(normal(T, B, INPUTS))
    output, _ = ours(packed)
    assert isinstance(output, PackedSequence)
    for name in ("batch_sizes", "sorted_indices", "unsorted_indices"):
        assert getattr(output, name) is getattr(packed, name)
    plain = ours(pack_padded_sequence(normal(T, B, INPUTS), [T] * B))[0]
    assert plain.sorted_indices is plain.unsorted_indices is None


@every_layer
def test_sequences_packed_from_a_list_come_back_as_each_alone(kind: Kind) -> None:
    _, ours = pair(kind, **TWO, dtype=torch.float64)
    given = sequences(torch.float64)
    got = unpack_sequence(ours(pack_sequence(given, enforce_sorted=False))[0])
    for one, x in zip(got, given, strict=True):
        torch.testing.assert_close(one, ours(x)[0], rtol=0, atol=1e-12)


@every_layer
@pytest.mark.parametrize("backend", ["auto", "reference"])
def test_a_packed_batch_is_the_padded_one_with_lengths_to_any_total_length(kind: Kind, backend: str) -> None:
    _, ours = pair(kind, **TWO, batch_first=True, dtype=torch.float64)
    given = sequences(torch.float64)
    padded = pad_sequence(given, batch_first=True, padding_value=float("nan"))
    hx: Any = [leaf.detach() for leaf in flat(start(kind, ours, B, dtype=torch.float64))]
    hx = tuple(hx) if len(hx) > 1 else hx[0]
    with kernels.use(backend):
        output, final = ours(pack_sequence(given, enforce_sorted=False), hx)
        expected, end = ours(padded, hx, LENGTHS)
    for total in (None, T, T + 5):
        values, lengths = pad_packed_sequence(output, batch_first=True, total_length=total)
        assert lengths.tolist() == LENGTHS
        assert not values[:, T:].any()
        torch.testing.assert_close(values[:, :T], expected, rtol=0, atol=1e-12)
    torch.testing.assert_close(flat(final), flat(end), rtol=0, atol=1e-12)


@every_layer
def test_a_layer_feeds_the_next_packed_as_torchs_do(kind: Kind) -> None:
    x, results = strided(T, B, INPUTS), []
    for first, second in zip(pair(kind), pair(kind, kind.options.get("proj_size", HIDDEN), HIDDEN)):
        hidden, state = first(pack(x))
        output, _ = second(hidden, None)
        results.append((output, state, gradients(torch.nn.ModuleList([first, second]), output, x)))
    assert_same(results[1], results[0])


# Derivatives


@every_layer
@pytest.mark.parametrize("backend", ["auto", "reference"])
def test_padding_gets_no_gradient_and_holds_no_number_that_counts(kind: Kind, backend: str) -> None:
    _, ours = pair(kind, **TWO)
    beyond = torch.arange(T).unsqueeze(1) >= torch.tensor(LENGTHS)
    x = normal(T, B, INPUTS).masked_fill(beyond.unsqueeze(-1), float("inf")).requires_grad_()
    with kernels.use(backend):
        output, _ = ours(pack(x))
    grad = gradients(ours, output, x)[-1]
    assert not grad[beyond].any()
    assert grad[~beyond].isfinite().all()
    assert grad[~beyond].any(dim=-1).all()


@every_layer
@pytest.mark.parametrize("backend", ["auto", "reference"])
def test_packed_derivatives_are_finite_differences_twice(kind: Kind, backend: str) -> None:
    _, ours = pair(kind, **TWO, dtype=torch.float64)
    x = normal(3, 2, INPUTS, dtype=torch.float64).requires_grad_()

    def f(x: Tensor) -> list[Tensor]:
        output, final = ours(pack(x, [1, 3]))
        return [output.data, *flat(final)]

    with kernels.use(backend):
        assert torch.autograd.gradcheck(f, x)
        if kind.options.get("nonlinearity") != "relu":
            assert torch.autograd.gradgradcheck(f, x, fast_mode=True)


@every_layer
def test_packed_double_backward_is_torchs(kind: Kind) -> None:
    seconds = []
    for module in pair(kind, **TWO):
        x = strided(T, B, INPUTS)
        first = gradients(module, module(pack(x)), x, create_graph=True)
        penalty = sum((grad.square().sum() for grad in first), torch.zeros(()))
        seconds.append(torch.autograd.grad(penalty, [*module.parameters(), x]))
    assert_same(seconds[1], seconds[0])
