"""The drop-in layers and cells beside torch's own: the same names, numbers, bits and errors.

Both libraries hold the same weights and read the same batch; unless a test says otherwise, every tensor that
comes back is compared bit for bit.
"""

from __future__ import annotations

import copy
import inspect
import io
from typing import Any

import pytest
import safetensors.torch
import torch
from parity import (
    HIDDEN,
    INPUTS,
    B,
    Kind,
    T,
    assert_same,
    assert_same_run,
    biases,
    directions,
    dtypes,
    every_cell,
    every_layer,
    every_module,
    flat,
    gradients,
    initial,
    layers,
    normal,
    order,
    pair,
    start,
    strided,
)
from torch.nn.utils import parametrizations

from unroll import kernels
from unroll import nn as un

pytestmark = pytest.mark.usefixtures("both_backends")


def torch_parameters(kind: Kind) -> dict[str, Any]:
    """Names and defaults of torch's constructor, in order."""
    if kind.name.endswith("Cell"):
        given = inspect.signature(getattr(torch.nn, kind.name)).parameters
        return {name: p.default for name, p in given.items()}
    base = {n: p.default for n, p in inspect.signature(torch.nn.RNNBase).parameters.items() if n != "mode"}
    if kind.name != "LSTM":
        del base["proj_size"]
    if kind.name != "RNN":
        return base
    items = list(base.items())
    return dict([*items[:3], ("nonlinearity", "tanh"), *items[3:]])


@every_module
def test_constructor_takes_torchs_arguments_in_torchs_order(kind: Kind) -> None:
    ours = inspect.signature(getattr(un, kind.name)).parameters
    positional = {n: p.default for n, p in ours.items() if p.kind is p.POSITIONAL_OR_KEYWORD}
    assert list(positional.items()) == list(torch_parameters(kind).items())


@every_module
def test_call_takes_torchs_arguments_by_name(kind: Kind) -> None:
    theirs, ours = pair(kind)
    x = normal(B, INPUTS)
    x = x if kind.name.endswith("Cell") else x.unsqueeze(0)
    assert_same(ours(input=x, hx=None), theirs(input=x, hx=None))


@every_layer
@layers
@directions
@biases
@dtypes
def test_same_seed_draws_the_same_parameters_under_the_same_names(
    kind: Kind, num_layers: int, bidirectional: bool, bias: bool, dtype: torch.dtype
) -> None:
    theirs, ours = pair(kind, num_layers=num_layers, bidirectional=bidirectional, bias=bias, dtype=dtype)
    for _ in range(2):
        assert list(ours.state_dict()) == list(theirs.state_dict())
        assert [n for n, _ in ours.named_parameters()] == [n for n, _ in theirs.named_parameters()]
        assert_same(list(ours.state_dict().values()), list(theirs.state_dict().values()))
        assert_same(ours.all_weights, theirs.all_weights)
        for module in (theirs, ours):
            torch.manual_seed(8)
            module.reset_parameters()


@every_cell
@biases
@dtypes
def test_cells_of_the_same_seed_hold_the_same_parameters(kind: Kind, bias: bool, dtype: torch.dtype) -> None:
    theirs, ours = pair(kind, bias=bias, dtype=dtype)
    assert list(ours.state_dict()) == list(theirs.state_dict())
    assert_same(list(ours.state_dict().values()), list(theirs.state_dict().values()))


@every_module
@biases
def test_weights_load_both_ways(kind: Kind, bias: bool) -> None:
    theirs, ours = pair(kind, bias=bias)
    x = normal(B, INPUTS) if kind.name.endswith("Cell") else normal(T, B, INPUTS)
    for source, target in ((theirs, ours), (ours, theirs)):
        torch.manual_seed(13)
        source.reset_parameters()
        assert target.load_state_dict(source.state_dict()) == ([], [])
        assert_same(target(x), source(x))


@every_module
@biases
def test_repr_is_torchs(kind: Kind, bias: bool) -> None:
    theirs, ours = pair(kind, bias=bias)
    assert repr(ours) == repr(theirs)


@every_layer
def test_repr_names_every_option_as_torch_does(kind: Kind) -> None:
    options = {"num_layers": 3, "bidirectional": True, "batch_first": True, "dropout": 0.25, "bias": False}
    theirs, ours = pair(kind, **options)
    assert repr(ours) == repr(theirs)


@every_layer
@layers
@directions
@order
@biases
@dtypes
@initial
def test_outputs_states_and_gradients_are_torchs(
    kind: Kind,
    num_layers: int,
    bidirectional: bool,
    batch_first: bool,
    bias: bool,
    dtype: torch.dtype,
    given: bool,
) -> None:
    theirs, ours = pair(
        kind, num_layers=num_layers, bidirectional=bidirectional, batch_first=batch_first, bias=bias, dtype=dtype
    )
    x = strided(*((B, T) if batch_first else (T, B)), INPUTS, dtype=dtype)
    assert_same_run(theirs, ours, x, *([start(kind, ours, B, dtype=dtype)] if given else []))


@every_layer
@pytest.mark.parametrize("shape", [(1, 1), (1, 5), (64, 1), (11, 33)], ids=str)
def test_awkward_shapes_are_torchs(kind: Kind, shape: tuple[int, int]) -> None:
    theirs, ours = pair(kind, INPUTS, 17, 2, bidirectional=True)
    assert_same_run(theirs, ours, strided(*shape, INPUTS))


@every_layer
@directions
@order
@initial
@dtypes
def test_unbatched_input_is_torchs(
    kind: Kind, bidirectional: bool, batch_first: bool, given: bool, dtype: torch.dtype
) -> None:
    theirs, ours = pair(kind, num_layers=2, bidirectional=bidirectional, batch_first=batch_first, dtype=dtype)
    assert_same_run(theirs, ours, strided(T, INPUTS, dtype=dtype), *([start(kind, ours, dtype=dtype)] if given else []))


@every_layer
@directions
@order
@pytest.mark.parametrize("num_layers", [2, 3])
@pytest.mark.parametrize("training", [False, True], ids=["eval", "train"])
def test_dropout_drops_what_torch_drops(
    kind: Kind, bidirectional: bool, batch_first: bool, num_layers: int, training: bool
) -> None:
    theirs, ours = pair(kind, num_layers=num_layers, bidirectional=bidirectional, batch_first=batch_first, dropout=0.4)
    x = strided(*((B, T) if batch_first else (T, B)), INPUTS)
    assert_same_run(theirs.train(training), ours.train(training), x)


@every_layer
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=["f16", "bf16"])
def test_low_precision_forward_is_torchs(kind: Kind, dtype: torch.dtype) -> None:
    theirs, ours = (module.to(dtype) for module in pair(kind, num_layers=2, bidirectional=True))
    x = normal(T, B, INPUTS).to(dtype)
    with torch.no_grad():
        assert_same(ours(x), theirs(x))


@every_layer
def test_autocast_is_torchs(kind: Kind) -> None:
    theirs, ours = pair(kind, num_layers=2)
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        assert_same(ours(normal(T, B, INPUTS)), theirs(normal(T, B, INPUTS)))


@every_layer
def test_an_empty_batch_is_torchs(kind: Kind) -> None:
    theirs, ours = pair(kind, num_layers=2, bidirectional=True)
    assert_same(ours(normal(T, 0, INPUTS)), theirs(normal(T, 0, INPUTS)))


@every_cell
@biases
@dtypes
@initial
@pytest.mark.parametrize("batch", [(), (1,), (B,), (0,)], ids=["unbatched", "one", "some", "none"])
def test_cell_outputs_and_gradients_are_torchs(
    kind: Kind, bias: bool, dtype: torch.dtype, given: bool, batch: tuple[int, ...]
) -> None:
    theirs, ours = pair(kind, bias=bias, dtype=dtype)
    h = normal(*batch, HIDDEN, seed=2, dtype=dtype).requires_grad_()
    c = normal(*batch, HIDDEN, seed=3, dtype=dtype).requires_grad_()
    hx = (h, c) if kind.name == "LSTMCell" else h
    assert_same_run(theirs, ours, strided(*batch, INPUTS, dtype=dtype), *([hx] if given else []))


@every_cell
def test_a_cell_without_hidden_units_runs_as_torchs(kind: Kind) -> None:
    theirs, ours = pair(kind, INPUTS, 0)
    assert_same(ours(normal(B, INPUTS)), theirs(normal(B, INPUTS)))


@every_layer
@biases
def test_double_backward_is_torchs(kind: Kind, bias: bool) -> None:
    seconds = []
    for module in pair(kind, num_layers=2, bidirectional=True, bias=bias, dtype=torch.float64):
        x = strided(T, B, INPUTS, dtype=torch.float64)
        first = gradients(module, module(x), x, create_graph=True)
        penalty = sum((g.square().sum() for g in first), torch.zeros(()))
        seconds.append(torch.autograd.grad(penalty, [*module.parameters(), x]))
    assert_same(seconds[1], seconds[0])


@every_module
def test_copies_are_equal_and_apart(kind: Kind) -> None:
    _, ours = pair(kind)
    x = normal(B, INPUTS) if kind.name.endswith("Cell") else normal(T, B, INPUTS)
    buffer = io.BytesIO()
    torch.save(ours, buffer)
    buffer.seek(0)
    before = ours(x)
    for twin in (copy.deepcopy(ours), torch.load(buffer, weights_only=False)):
        assert_same(twin(x), before)
        with torch.no_grad():
            for parameter in twin.parameters():
                parameter.zero_()
        assert_same(ours(x), before)


@every_module
@pytest.mark.parametrize("form", ["torch", "safetensors"])
def test_saved_weights_come_back(kind: Kind, form: str, tmp_path: Any) -> None:
    theirs, ours = pair(kind)
    path = tmp_path / "weights"
    if form == "torch":
        torch.save(ours.state_dict(), path)
        weights = torch.load(path, weights_only=True)
    else:
        safetensors.torch.save_file(ours.state_dict(), path)
        weights = safetensors.torch.load_file(path)
    with torch.no_grad():
        for parameter in theirs.parameters():
            parameter.zero_()
    theirs.load_state_dict(weights)
    x = normal(B, INPUTS) if kind.name.endswith("Cell") else normal(T, B, INPUTS)
    assert_same(ours(x), theirs(x))


@every_layer
def test_changing_dtype_and_back_keeps_torchs_numbers(kind: Kind) -> None:
    theirs, ours = (module.double() for module in pair(kind, num_layers=2, bidirectional=True))
    assert {p.dtype for p in ours.parameters()} == {torch.float64}
    assert_same_run(theirs, ours, strided(T, B, INPUTS, dtype=torch.float64))
    assert_same_run(theirs.float(), ours.float(), strided(T, B, INPUTS))


@every_layer
def test_flattening_parameters_changes_no_number(kind: Kind) -> None:
    theirs, ours = pair(kind, num_layers=2)
    theirs.flatten_parameters()
    ours.flatten_parameters()
    assert_same(ours(normal(T, B, INPUTS)), theirs(normal(T, B, INPUTS)))


@every_module
def test_functional_call_reads_the_weights_it_is_given(kind: Kind) -> None:
    theirs, ours = pair(kind)
    x = normal(B, INPUTS) if kind.name.endswith("Cell") else normal(T, B, INPUTS)
    before = ours(x)
    weights = {name: normal(*p.shape, seed=21) for name, p in ours.named_parameters()}
    expected = torch.func.functional_call(theirs, weights, (x,))
    assert_same(torch.func.functional_call(ours, weights, (x,)), expected)
    with kernels.use("reference"):
        replayed = torch.func.functional_call(ours, weights, (x,))
    for got, other in zip(flat(replayed), flat(expected), strict=True):
        torch.testing.assert_close(got, other, rtol=0, atol=1e-5)
    assert_same(ours(x), before)


@every_layer
def test_a_parametrised_weight_is_the_one_that_runs(kind: Kind) -> None:
    theirs, ours = pair(kind, num_layers=2)
    parametrizations.weight_norm(ours, "weight_hh_l1")
    with torch.no_grad():
        ours.parametrizations.weight_hh_l1.original0.mul_(0.5)
        theirs.weight_hh_l1.copy_(ours.weight_hh_l1)
    x = normal(T, B, INPUTS)
    assert_same(ours(x), theirs(x))


@every_cell
def test_a_cells_parametrised_or_plain_weight_is_the_one_that_runs(kind: Kind) -> None:
    x = normal(B, INPUTS)
    theirs, ours = pair(kind)
    parametrizations.weight_norm(ours, "weight_hh")
    with torch.no_grad():
        ours.parametrizations.weight_hh.original0.mul_(0.5)
        theirs.weight_hh.copy_(ours.weight_hh)
    assert_same(ours(x, ours(x)), theirs(x, theirs(x)))
    theirs, ours = pair(kind)
    dropped = normal(*ours.weight_ih.shape, seed=5)
    for module in (theirs, ours):
        del module.weight_ih
        module.weight_ih = dropped
    assert_same(ours(x), theirs(x))


@every_layer
def test_a_replaced_parameter_is_the_one_that_runs(kind: Kind) -> None:
    theirs, ours = pair(kind)
    for module in (theirs, ours):
        module.weight_ih_l0 = torch.nn.Parameter(normal(*module.weight_ih_l0.shape, seed=5))
    x = normal(T, B, INPUTS)
    assert_same(ours(x), theirs(x))
