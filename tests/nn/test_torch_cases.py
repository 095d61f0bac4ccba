"""What torch's tests hold its recurrent layers and cells to, as properties: sizes, states, dropout, graphs, modules."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from parity import (
    HIDDEN,
    INPUTS,
    LAYERS,
    B,
    Kind,
    T,
    assert_same,
    assert_same_run,
    directions,
    dtypes,
    every_cell,
    every_layer,
    every_module,
    flat,
    gradients,
    layers,
    normal,
    order,
    pair,
    start,
    strided,
)
from torch import Tensor, nn

TWO = {"num_layers": 2, "bidirectional": True}


def input_for(kind: Kind, dtype: torch.dtype = torch.float32) -> Tensor:
    return normal(B, INPUTS, dtype=dtype) if kind.name.endswith("Cell") else normal(T, B, INPUTS, dtype=dtype)


def error_of(call: Any) -> tuple[type, str]:
    with pytest.raises(Exception) as caught:  # noqa: PT011  (which one is the question)
        call()
    return caught.type, str(caught.value)


# Sizes


def one_off(shape: tuple[int, ...]) -> Iterator[tuple[int, ...]]:
    """``shape`` with one dimension a little larger."""
    for dim, size in enumerate(shape):
        yield (*shape[:dim], size + 1, *shape[dim + 1 :])


@every_layer
@layers
@directions
@order
@pytest.mark.parametrize("batch", [(), (B,)], ids=["unbatched", "batched"])
def test_a_state_off_by_one_anywhere_raises_torchs_error(
    kind: Kind, num_layers: int, bidirectional: bool, batch_first: bool, batch: tuple[int, ...]
) -> None:
    theirs, ours = pair(kind, num_layers=num_layers, bidirectional=bidirectional, batch_first=batch_first)
    x = normal(*((B, T) if batch_first and batch else (T, *batch)), INPUTS)
    given, seen = [leaf.detach() for leaf in flat(start(kind, ours, *batch))], 0
    for position, leaf in enumerate(given):
        for shape in one_off(tuple(leaf.shape)):
            hx: Any = [*given[:position], normal(*shape), *given[position + 1 :]]
            hx = tuple(hx) if len(hx) > 1 else hx[0]
            assert error_of(lambda hx=hx: ours(x, hx)) == error_of(lambda hx=hx: theirs(x, hx))
            seen += 1
    assert seen == len(given) * (2 + len(batch))


@every_cell
@pytest.mark.parametrize("batch", [(), (B,)], ids=["unbatched", "batched"])
def test_a_cells_state_off_by_one_anywhere_raises_torchs_error(kind: Kind, batch: tuple[int, ...]) -> None:
    theirs, ours = pair(kind)
    leaves = 2 if kind.name == "LSTMCell" else 1
    for position in range(leaves):
        for shape in one_off((*batch, HIDDEN)):
            hx: Any = [normal(*batch, HIDDEN)] * leaves
            hx[position] = normal(*shape)
            hx = tuple(hx) if leaves > 1 else hx[0]
            x = normal(*batch, INPUTS)
            assert error_of(lambda hx=hx, x=x: ours(x, hx)) == error_of(lambda hx=hx, x=x: theirs(x, hx))


@pytest.mark.parametrize("leaf", [0, 1])
@directions
def test_a_projected_lstm_takes_h_and_c_of_their_own_widths_only(leaf: int, bidirectional: bool) -> None:
    theirs, ours = pair(LAYERS["LSTM-proj"], bidirectional=bidirectional)
    stack = 2 if bidirectional else 1
    hx = [normal(stack, B, 2), normal(stack, B, HIDDEN)]
    hx[leaf] = hx[1 - leaf]
    x = normal(T, B, INPUTS)
    assert error_of(lambda: ours(x, tuple(hx))) == error_of(lambda: theirs(x, tuple(hx)))


@every_module
@pytest.mark.parametrize("where", ["module", "input"])
def test_tensors_on_two_devices_raise_torchs_error(kind: Kind, where: str) -> None:
    theirs, ours = pair(kind, device="meta" if where == "module" else "cpu")
    x = input_for(kind).to("meta" if where == "input" else "cpu")
    assert error_of(lambda: ours(x)) == error_of(lambda: theirs(x))


@every_module
@pytest.mark.parametrize("change", ["missing", "extra", "wider"])
def test_weights_that_do_not_fit_raise_torchs_error(kind: Kind, change: str) -> None:
    theirs, ours = pair(kind)
    weights = ours.state_dict()
    name = next(iter(weights))
    if change == "missing":
        del weights[name]
    elif change == "extra":
        weights["weight_ih_l7"] = weights[name]
    else:
        weights[name] = normal(*weights[name].shape[:-1], INPUTS + 1)
    assert error_of(lambda: ours.load_state_dict(weights)) == error_of(lambda: theirs.load_state_dict(weights))


# States


@every_layer
@directions
@dtypes
@pytest.mark.parametrize("batch", [(), (1,), (B,)], ids=["unbatched", "one", "some"])
def test_a_state_of_zeros_is_the_state_left_out(
    kind: Kind, bidirectional: bool, dtype: torch.dtype, batch: tuple[int, ...]
) -> None:
    _, ours = pair(kind, num_layers=2, bidirectional=bidirectional, dtype=dtype)
    zeros = [torch.zeros_like(leaf) for leaf in flat(start(kind, ours, *batch, dtype=dtype))]
    x = normal(T, *batch, INPUTS, dtype=dtype)
    assert_same(ours(x, tuple(zeros) if len(zeros) > 1 else zeros[0]), ours(x))


@every_layer
def test_a_state_of_any_stride_is_torchs(kind: Kind) -> None:
    theirs, ours = pair(kind, **TWO)
    hx = tuple(leaf.detach().transpose(0, 1).contiguous().transpose(0, 1) for leaf in flat(start(kind, ours, B)))
    assert not hx[0].is_contiguous()
    hx = tuple(leaf.requires_grad_() for leaf in hx)
    assert_same_run(theirs, ours, strided(T, B, INPUTS), hx if len(hx) > 1 else hx[0])
    wide = tuple(leaf.detach()[:, :1].expand(-1, B, -1) for leaf in hx)
    x = normal(T, B, INPUTS)
    assert_same(ours(x, wide if len(wide) > 1 else wide[0]), theirs(x, wide if len(wide) > 1 else wide[0]))


def test_an_lstms_state_may_come_as_a_list() -> None:
    theirs, ours = pair(LAYERS["LSTM"])
    x, hx = normal(T, B, INPUTS), [normal(1, B, HIDDEN, seed=2), normal(1, B, HIDDEN, seed=3)]
    assert_same(ours(x, hx), theirs(x, hx))


# Dropout


@directions
@pytest.mark.parametrize("p", [0.25, 0.5, 0.9])
def test_dropout_zeroes_its_share_and_scales_the_rest(bidirectional: bool, p: float) -> None:
    """Layer 0 puts out ones, layer 1 hands on what it reads: each entry is 0 or 1 / (1 - p)."""
    width = 64
    _, layer = pair(LAYERS["RNN-relu"], width, width, num_layers=2, bidirectional=bidirectional, dropout=p)
    with torch.no_grad():
        for name, parameter in layer.named_parameters():
            parameter.zero_()
            if name.startswith("bias_ih_l0"):
                parameter.fill_(1)
            elif name.startswith("weight_ih_l1"):
                parameter[:, :width].copy_(torch.eye(width))
    torch.manual_seed(0)
    output = layer(normal(20, 8, width))[0][..., :width]
    dropped = output == 0
    torch.testing.assert_close(output[~dropped], torch.full_like(output[~dropped], 1 / (1 - p)), rtol=0, atol=1e-5)
    deviation = (p * (1 - p) / output.numel()) ** 0.5
    assert abs(dropped.float().mean() - p) < 5 * deviation
    assert not torch.equal(dropped[0], dropped[1])


@every_layer
def test_dropout_of_everything_leaves_the_next_layer_its_biases(kind: Kind) -> None:
    _, layer = pair(kind, num_layers=2, dropout=1.0)
    _, top = pair(kind, layer.output_size, HIDDEN)
    top.load_state_dict({name.replace("_l1", "_l0"): w for name, w in layer.state_dict().items() if "_l1" in name})
    expected = top(torch.zeros(T, B, layer.output_size))[0]
    torch.testing.assert_close(layer(normal(T, B, INPUTS))[0], expected, rtol=0, atol=1e-6)


@every_layer
def test_dropout_can_be_changed_after_construction_as_in_torch(kind: Kind) -> None:
    theirs, ours = pair(kind, num_layers=3)
    for p in (0.0, 0.5, 1.0, 0.2):
        theirs.dropout = ours.dropout = p
        for training in (False, True):
            assert_same_run(theirs.train(training), ours.train(training), strided(T, B, INPUTS))


@every_layer
def test_dropout_is_drawn_anew_at_each_call_and_the_same_from_the_same_seed(kind: Kind) -> None:
    _, layer = pair(kind, num_layers=2, dropout=0.5)
    x, outputs = normal(T, B, INPUTS), []
    for seed in (1, 1, None):
        if seed is not None:
            torch.manual_seed(seed)
        outputs.append(layer(x)[0])
    assert_same(outputs[1], outputs[0])
    assert not torch.equal(outputs[2], outputs[0])


# Graphs


@every_module
def test_a_retained_graph_gives_the_same_gradients_twice_and_then_is_gone(kind: Kind) -> None:
    _, ours = pair(kind)
    loss = sum(leaf.square().sum() for leaf in flat(ours(input_for(kind))))
    parameters = list(ours.parameters())
    first = torch.autograd.grad(loss, parameters, retain_graph=True)
    assert_same(torch.autograd.grad(loss, parameters), first)
    with pytest.raises(RuntimeError, match="backward through the graph a second time"):
        torch.autograd.grad(loss, parameters)


@every_module
def test_any_one_parameter_learns_alone_as_in_torch(kind: Kind) -> None:
    theirs, ours = pair(kind, **({} if kind.name.endswith("Cell") else TWO))
    x = input_for(kind)
    for name, _ in ours.named_parameters():
        found = []
        for module in (theirs, ours):
            for other, parameter in module.named_parameters():
                parameter.requires_grad_(other == name)
                parameter.grad = None
            sum(leaf.square().sum() for leaf in flat(module(x))).backward()
            found.append({n: p.grad for n, p in module.named_parameters()})
        assert [n for n, g in found[1].items() if g is not None] == [name]
        assert_same(found[1][name], found[0][name])


@every_layer
def test_training_step_by_step_is_torchs(kind: Kind) -> None:
    """Dropout, clipping by the norm over all parameters, Adam: after five steps, the same bits."""
    modules = pair(kind, num_layers=2, bidirectional=True, dropout=0.3)
    for module in modules:
        torch.manual_seed(5)
        optimizer = torch.optim.Adam(module.parameters(), lr=0.01)
        for seed in range(5):
            optimizer.zero_grad()
            module(normal(T, B, INPUTS, seed=seed))[0].square().sum().backward()
            torch.nn.utils.clip_grad_norm_(module.parameters(), 0.5)
            optimizer.step()
    theirs, ours = modules
    assert_same(list(ours.state_dict().values()), list(theirs.state_dict().values()))
    assert_same(*(nn.utils.parameters_to_vector(module.parameters()) for module in (ours, theirs)))


@every_module
@pytest.mark.parametrize("guard", [torch.no_grad, torch.inference_mode])
def test_without_gradients_the_numbers_stay(kind: Kind, guard: Any) -> None:
    theirs, ours = pair(kind)
    x = input_for(kind)
    with guard():
        got, expected = ours(x), theirs(x)
    assert_same(got, expected)
    assert not any(leaf.requires_grad for leaf in flat(got))


@every_layer
def test_a_checkpointed_layer_gives_the_same_gradients(kind: Kind) -> None:
    _, ours = pair(kind, num_layers=2, dropout=0.3)
    x = strided(T, B, INPUTS)
    results = []
    for run in (ours, lambda x: torch.utils.checkpoint.checkpoint(ours, x, use_reentrant=False)):
        torch.manual_seed(2)
        results.append(gradients(ours, run(x), x))
    assert_same(results[1], results[0])


# Modules


@every_module
def test_hooks_see_what_torchs_see(kind: Kind) -> None:
    seen: list[list[Any]] = []
    for module in pair(kind):
        calls: list[Any] = []
        module.register_forward_pre_hook(
            lambda _, args, kwargs, c=calls: c.append((args, *kwargs.values())), with_kwargs=True
        )
        module.register_forward_hook(lambda _, args, output, c=calls: c.append(flat((args, output))))
        module.register_full_backward_hook(lambda _, gin, gout, c=calls: c.append((flat(gin), flat(gout))))
        x = input_for(kind).requires_grad_()
        sum(leaf.square().sum() for leaf in flat(module(x, hx=None))).backward()
        seen.append(calls)
    assert len(seen[1]) == 3
    assert_same(seen[1], seen[0])


@every_module
def test_a_module_stands_in_a_tree_as_torchs_does(kind: Kind) -> None:
    theirs, ours = (nn.ModuleDict({"rnn": module, "head": nn.Linear(2, 2)}) for module in pair(kind))
    assert [name for name, _ in ours.named_modules()] == [name for name, _ in theirs.named_modules()]
    assert list(ours.state_dict()) == list(theirs.state_dict())
    assert list(ours["rnn"].buffers()) == []


@every_module
def test_options_are_attributes_of_torchs_names(kind: Kind) -> None:
    theirs, ours = pair(kind)
    names = [name for name in vars(theirs) if not name.startswith("_") and name not in ("training", "mode")]
    assert {"input_size", "hidden_size", "bias"} <= set(names)
    assert {name: getattr(ours, name) for name in names} == {name: getattr(theirs, name) for name in names}


@every_module
def test_the_default_dtype_is_the_modules_own_and_its_states(kind: Kind) -> None:
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        theirs, ours = pair(kind)
        x = input_for(kind, torch.float64)
        assert {p.dtype for p in ours.parameters()} == {torch.float64}
        assert_same(ours(x), theirs(x))
    finally:
        torch.set_default_dtype(before)
    assert_same(ours(x), theirs(x))


@every_layer
def test_flattening_again_and_again_between_changes_changes_nothing(kind: Kind) -> None:
    theirs, ours = pair(kind, **TWO)
    for change in (nn.Module.double, nn.Module.float, copy.deepcopy, nn.Module.eval, nn.Module.train):
        theirs, ours = change(theirs), change(ours)
        for _ in range(3):
            assert ours.flatten_parameters() is None
        theirs.flatten_parameters()
        dtype = next(ours.parameters()).dtype
        assert_same(ours(normal(T, B, INPUTS, dtype=dtype)), theirs(normal(T, B, INPUTS, dtype=dtype)))
