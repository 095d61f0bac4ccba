"""Noise as data: the same masks give the same numbers whole, in steps, in chunks, row by row, watched, or packed."""

from __future__ import annotations

import warnings
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence
from twins import assert_close, build, flat, gradients, normal, random_states

from unroll import nn as un
from unroll.inspect import trace

T, B, INPUTS, H = 7, 4, 3, 5
LENGTHS = [4, 0, 7, 1]
NOISE = {"input_dropout": 0.3, "recurrent_dropout": 0.3, "weight_dropout": 0.3, "dropout": 0.4, "zoneout": (0.3, 0.2)}
FORMS: dict[str, tuple[str, dict[str, Any]]] = {
    "RNN": ("RNN", {}),
    "LSTM": ("LSTM", {"layer_norm": True}),
    "LSTM FGR": ("LSTM", {"variant": "FGR"}),
    "LSTM proj": ("LSTM", {"proj_size": 2}),
    "GRU": ("GRU", {}),
    "GRU before proj": ("GRU", {"reset": "before", "proj_size": 2}),
    "MGU": ("MGU", {}),
}
every_form = pytest.mark.parametrize("form", FORMS)
directions = pytest.mark.parametrize("bidirectional", [False, True], ids=["forward", "both"])


def noisy(form: str, **options: Any) -> un.Recurrent:
    kind, own = FORMS[form]
    return build(kind, INPUTS, H, **{"num_layers": 3, **NOISE, **own, **options})


def given(layer: un.Recurrent) -> tuple[Tensor, list[Any]]:
    """An input and states that need gradients."""
    states = random_states(layer, B)
    for leaf in flat(states):
        leaf.requires_grad_()
    return normal(T, B, INPUTS).requires_grad_(), states


def assert_same_run(layer: un.Recurrent, got: Any, expected: Any, *inputs: Any) -> None:
    assert_close(got, expected)
    assert_close(gradients(layer, got, *inputs), gradients(layer, expected, *inputs))


# The same in every cut


@every_form
def test_steps_with_the_noise_of_their_time_are_the_sequence(form: str) -> None:
    layer = noisy(form)
    (x, states), noise = given(layer), layer.draw(T, B)
    outputs, state = [], states
    for t in range(T):
        output, state = layer.step(x[t], state, noise.narrow(t, 1))
        outputs.append(output)
    assert_same_run(layer, [torch.stack(outputs), state], layer(x, states, noise=noise), x, states)


@every_form
@pytest.mark.parametrize("cuts", [(1,), (3, 4), (6,)], ids=str)
@pytest.mark.parametrize("lengths", [None, LENGTHS], ids=["full", "ragged"])
def test_chunks_with_the_noise_of_their_times_are_the_sequence(form: str, cuts: tuple[int, ...], lengths: Any) -> None:
    layer = noisy(form)
    (x, states), noise = given(layer), layer.draw(T, B)
    outputs, state = [], states
    for begin, end in zip((0, *cuts), (*cuts, T)):
        own = None if lengths is None else [min(max(n - begin, 0), end - begin) for n in lengths]
        output, state = layer(x[begin:end], state, own, noise.narrow(begin, end - begin))
        outputs.append(output)
    assert_same_run(layer, [torch.cat(outputs), state], layer(x, states, lengths, noise), x, states)


@every_form
@directions
@pytest.mark.parametrize("pick", ["slice", "index"])
def test_rows_alone_with_their_own_noise_are_the_ragged_batch(form: str, bidirectional: bool, pick: str) -> None:
    layer = noisy(form, bidirectional=bidirectional)
    (x, states), noise = given(layer), layer.draw(T, B)
    outputs, finals = [], []
    for row, length in enumerate(LENGTHS):
        mine: Any = slice(row, row + 1) if pick == "slice" else torch.tensor([row])
        own = [type(s)(*(leaf[mine] for leaf in s)) for s in states]
        output, final = layer(x[:length, mine], own, noise=noise.rows(mine).narrow(0, length))
        outputs.append(torch.cat([output, output.new_zeros(T - length, *output.shape[1:])]))
        finals.append(final)
    joined = [type(s[0])(*(torch.cat(leaf) for leaf in zip(*s))) for s in zip(*finals)]
    got = [torch.cat(outputs, 1), joined]
    assert_same_run(layer, got, layer(x, states, LENGTHS, noise), x, states)


@every_form
@directions
def test_what_lies_in_the_padding_reaches_nothing(form: str, bidirectional: bool) -> None:
    layer = noisy(form, bidirectional=bidirectional)
    (x, states), noise = given(layer), layer.draw(T, B)
    spoilt = x.detach().clone()
    for row, length in enumerate(LENGTHS):
        spoilt[length:, row] = float("nan")
    spoilt.requires_grad_()
    got, expected = layer(spoilt, states, LENGTHS, noise), layer(x, states, LENGTHS, noise)
    assert_close(got, expected, 0.0)
    assert_close(gradients(layer, got, spoilt, states), gradients(layer, expected, x, states), 0.0)


@every_form
@directions
def test_batch_first_and_one_sequence_take_the_same_noise(form: str, bidirectional: bool) -> None:
    layer, turned = (noisy(form, bidirectional=bidirectional, batch_first=flag) for flag in (False, True))
    x, noise = normal(T, B, INPUTS), layer.draw(T, B)
    output, final = layer(x, noise=noise)
    got, end = turned(x.transpose(0, 1), noise=noise)
    assert_close([got.transpose(0, 1), end], [output, final], 1e-14)
    alone, last = layer(x[:, 2], noise=noise.rows(slice(2, 3)))
    assert_close(alone, output[:, 2], 1e-13)
    assert_close(flat(last)[0].flatten(), flat(final)[0][..., 2, :].flatten(), 1e-13)


# In evaluation and in training


@every_form
@directions
def test_given_noise_acts_in_evaluation_as_in_training(form: str, bidirectional: bool) -> None:
    layer = noisy(form, bidirectional=bidirectional)
    x, noise, other = normal(T, B, INPUTS), layer.draw(T, B), layer.draw(T, B)
    trained = layer(x, noise=noise)
    layer.eval()
    assert_close(layer(x, noise=noise), trained, 0.0)
    assert not torch.equal(layer(x, noise=other)[0], trained[0])
    assert not torch.equal(layer(x)[0], trained[0])


@pytest.mark.parametrize("option", ["input_dropout", "recurrent_dropout", "dropout"])
def test_monte_carlo_means_of_a_linear_net_are_its_evaluation(option: str) -> None:
    """Without nonlinearity every mask of mean 1 that is read once leaves the mean where it was."""
    layer = build("RNN", INPUTS, H, num_layers=2, nonlinearity="identity", **{option: 0.5}).eval()
    torch.manual_seed(0)
    samples, x = 4000, normal(2, 1, INPUTS).expand(2, 4000, INPUTS)
    with torch.no_grad():
        drawn = layer(x, noise=layer.draw(2, samples))[0][-1]
        mean = layer(x)[0][-1, 0]
    error = drawn.std(0) / samples**0.5
    assert bool((error > 0).all())
    assert bool(((drawn.mean(0) - mean).abs() < 5 * error).all())


@every_form
@directions
def test_training_without_noise_draws_from_torchs_generator(form: str, bidirectional: bool) -> None:
    layer, x = noisy(form, bidirectional=bidirectional), normal(T, B, INPUTS)
    torch.manual_seed(3)
    first, second = layer(x), layer(x)
    torch.manual_seed(3)
    again, given_noise = layer(x), layer(x, noise=layer.draw(T, B))
    assert_close(again, first, 0.0)
    assert_close(given_noise, second, 0.0)
    assert not torch.equal(first[0], second[0])


def test_evaluation_leaves_the_generator_alone() -> None:
    layer = noisy("LSTM").eval()
    before = torch.get_rng_state()
    layer(normal(T, B, INPUTS))
    layer.step(normal(B, INPUTS))
    assert torch.equal(torch.get_rng_state(), before)


@every_form
def test_a_step_and_a_chunk_in_training_draw_anew(form: str) -> None:
    layer, x = noisy(form), normal(T, B, INPUTS)
    torch.manual_seed(3)
    got = [layer.step(x[0]) for _ in range(2)]
    torch.manual_seed(3)
    expected = [layer.step(x[0], noise=layer.draw(1, B)) for _ in range(2)]
    assert_close(got, expected, 0.0)
    assert not torch.equal(got[0][0], got[1][0])
    torch.manual_seed(3)
    chunked = list(layer.chunks(x, 4))
    torch.manual_seed(3)
    first, state = layer(x[:4])
    assert_close(chunked, [(first, state), layer(x[4:], state)], 0.0)


def test_noise_has_the_dtype_asked_for_or_that_of_the_weights() -> None:
    layer = un.LSTM(INPUTS, H, 2, **NOISE)
    for dtype, noise in ((torch.float32, layer.draw(T, B)), (torch.float64, layer.draw(T, B, dtype=torch.float64))):
        masks = [*noise.between, *(own.input for own in noise.cells)]
        for own in noise.cells:
            masks += [*own.cell.held.values(), *own.cell.steps.values()]
        assert {mask.dtype for mask in masks} == {dtype}


# Law 5: watching changes nothing


@every_form
@directions
@pytest.mark.parametrize("lengths", [None, LENGTHS], ids=["full", "ragged"])
def test_a_trace_in_training_gives_the_same_bits_and_leaves_the_generator_where_it_was(
    form: str, bidirectional: bool, lengths: Any
) -> None:
    layer = noisy(form, bidirectional=bidirectional)
    x, states = given(layer)
    torch.manual_seed(5)
    plain = layer(x, states, lengths)
    rng = torch.get_rng_state()
    torch.manual_seed(5)
    traced = trace(layer, x, states, lengths)
    assert torch.equal(torch.get_rng_state(), rng)
    assert layer.training
    assert_close(traced.output, plain, 0.0)
    assert_close(gradients(layer, traced.output, x, states), gradients(layer, plain, x, states), 0.0)


@every_form
@directions
def test_a_trace_holds_what_the_noisy_run_went_through(form: str, bidirectional: bool) -> None:
    layer = noisy(form, bidirectional=bidirectional)
    x, noise = normal(T, B, INPUTS), layer.draw(T, B)
    traced = trace(layer, x, None, LENGTHS, noise)
    final = traced.output[1]
    if isinstance(layer, un.RNN | un.LSTM | un.GRU):
        final = list(zip(*(leaf.unbind(0) for leaf in ((final,) if isinstance(final, Tensor) else final))))
    names = [f"l{n}{d}" for n in range(3) for d in ("", "_reverse")[: layer.directions]]
    assert list(traced.layers) == names
    for name, end in zip(names, final, strict=True):
        for seen, leaf in zip(traced[name].states.values(), end, strict=True):
            for row, length in enumerate(LENGTHS):
                if length:
                    t = 0 if name.endswith("reverse") else length - 1
                    assert_close(seen[row, t], leaf[row], 1e-13)


# Packed sequences


def packed_of(x: Tensor, lengths: list[int], is_sorted: bool) -> PackedSequence:
    return pack_padded_sequence(x, torch.tensor(lengths), enforce_sorted=is_sorted)


@pytest.mark.parametrize("form", [form for form in FORMS if FORMS[form][0] in ("RNN", "LSTM", "GRU")])
@directions
@pytest.mark.parametrize("lengths", [[4, 1, 7, 3], [7, 4, 3, 1]], ids=["unsorted", "sorted"])
@pytest.mark.parametrize("given_noise", [True, False], ids=["given", "drawn"])
def test_a_packed_sequence_in_training_is_the_padded_batch_with_lengths(
    form: str, bidirectional: bool, lengths: list[int], given_noise: bool
) -> None:
    layer = noisy(form, bidirectional=bidirectional)
    x, states = given(layer)
    noise = layer.draw(T, B) if given_noise else None
    torch.manual_seed(5)
    output, final = layer(packed_of(x, lengths, lengths[0] == T), states, noise=noise)
    rng = torch.get_rng_state()
    padded, _ = pad_packed_sequence(output)
    torch.manual_seed(5)
    expected = layer(x, states, lengths, noise)
    assert torch.equal(torch.get_rng_state(), rng)
    assert_same_run(layer, [padded, final], expected, x, states)


@pytest.mark.parametrize("option", [name for name in NOISE if name != "dropout"])
def test_a_packed_sequence_draws_each_mask_once(option: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        layer = build("GRU", INPUTS, H, **{option: 0.3})
        x, lengths = normal(T, B, INPUTS), [4, 1, 7, 3]
        torch.manual_seed(5)
        output, _ = layer(packed_of(x, lengths, False))
        torch.manual_seed(5)
        assert_close(pad_packed_sequence(output)[0], layer(x, lengths=lengths)[0])
