"""The drop-in layers and cells beside torch's own: the same names, numbers, bits and errors.

Both libraries hold the same weights and read the same batch; unless a test says otherwise, every tensor that
comes back is compared bit for bit.
"""

from __future__ import annotations

import copy
import inspect
import io
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import pytest
import safetensors.torch
import torch
from torch import Tensor
from torch.nn.utils import parametrizations
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence

from unroll import kernels
from unroll import nn as un
from unroll.inspect import trace

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


def assert_same(got: Any, expected: Any) -> None:
    assert type(got) is type(expected)
    pairs = list(zip(flat(got), flat(expected), strict=True))
    assert pairs
    for g, e in pairs:
        assert g.dtype == e.dtype
        assert g.shape == e.shape
        assert torch.equal(g, e)


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


# Construction


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
    positional = {n: p.default for n, p in ours.items() if p.kind is not inspect.Parameter.KEYWORD_ONLY}
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


# Numbers


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


# Packed sequences


def pack(x: Tensor, lengths: Sequence[int], *, batch_first: bool, enforce_sorted: bool) -> PackedSequence:
    return pack_padded_sequence(x, torch.tensor(lengths), batch_first=batch_first, enforce_sorted=enforce_sorted)


packed_orders = pytest.mark.parametrize(
    ("lengths", "enforce_sorted"),
    [([7, 5, 3, 1], True), ([7, 5, 3, 1], False), (LENGTHS, False), ([4, 4, 4, 4], False), ([2, 7, 2, 7], False)],
    ids=["sorted-enforced", "sorted", "unsorted", "equal", "ties"],
)


def assert_same_packed_run(theirs: Any, ours: Any, x: Tensor, hx: list[Any], **how: Any) -> None:
    results = []
    for module in (theirs, ours):
        torch.manual_seed(6)
        result = module(pack(x, **how), *hx)
        results.append((result, gradients(module, result, x, *hx), torch.get_rng_state()))
    assert isinstance(results[1][0][0], PackedSequence)
    assert_same(results[1], results[0])


@every_layer
@packed_orders
@directions
@initial
@pytest.mark.parametrize(
    ("num_layers", "dropout"), [(1, 0.0), (3, 0.0), (3, 0.4)], ids=["one-layer", "three", "three-dropout"]
)
def test_packed_sequences_are_torchs(
    kind: Kind,
    lengths: list[int],
    enforce_sorted: bool,
    bidirectional: bool,
    given: bool,
    num_layers: int,
    dropout: float,
) -> None:
    theirs, ours = pair(kind, num_layers=num_layers, bidirectional=bidirectional, dropout=dropout)
    hx = [start(kind, ours, B)] if given else []
    how = {"lengths": lengths, "batch_first": False, "enforce_sorted": enforce_sorted}
    assert_same_packed_run(theirs, ours, strided(T, B, INPUTS), hx, **how)


@every_layer
@dtypes
@biases
def test_packed_sequences_of_a_batch_first_layer_are_torchs(kind: Kind, dtype: torch.dtype, bias: bool) -> None:
    theirs, ours = pair(kind, num_layers=2, bidirectional=True, batch_first=True, bias=bias, dtype=dtype)
    hx = [start(kind, ours, B, dtype=dtype)]
    how = {"lengths": LENGTHS, "batch_first": True, "enforce_sorted": False}
    assert_same_packed_run(theirs, ours, strided(B, T, INPUTS, dtype=dtype), hx, **how)


@every_layer
@dtypes
def test_rows_of_hx_and_final_states_belong_to_the_callers_rows(kind: Kind, dtype: torch.dtype) -> None:
    """Each row of an unsorted packed batch ends where it ends alone from its own row of hx."""
    _, ours = pair(kind, num_layers=2, bidirectional=True, dtype=dtype)
    x, hx = normal(T, B, INPUTS, dtype=dtype), start(kind, ours, B, dtype=dtype)
    output, final = ours(pack(x, LENGTHS, batch_first=False, enforce_sorted=False), hx)
    padded, lengths = pad_packed_sequence(output)
    assert lengths.tolist() == LENGTHS
    tolerance = 1e-12 if dtype == torch.float64 else 1e-6
    for row, length in enumerate(LENGTHS):
        own = tuple(leaf[:, row : row + 1] for leaf in flat(hx))
        alone, end = ours(x[:length, row : row + 1], own if len(own) > 1 else own[0])
        torch.testing.assert_close(padded[:length, row : row + 1], alone, rtol=0, atol=tolerance)
        for leaf, expected in zip(flat(final), flat(end), strict=True):
            torch.testing.assert_close(leaf[:, row : row + 1], expected, rtol=0, atol=tolerance)


REFERENCE = {**LAYERS, "GRU-before": Kind("GRU", {"reset": "before"})}


@pytest.mark.parametrize("kind", REFERENCE.values(), ids=REFERENCE)
@packed_orders
@directions
def test_packed_sequences_without_torchs_operator_equal_lengths(
    kind: Kind, lengths: list[int], enforce_sorted: bool, bidirectional: bool
) -> None:
    layer = getattr(un, kind.name)(INPUTS, HIDDEN, 2, bidirectional=bidirectional, dtype=torch.float64, **kind.options)
    x, hx = normal(T, B, INPUTS, dtype=torch.float64), start(kind, layer, B, dtype=torch.float64)
    with kernels.use("reference"):
        output, final = layer(pack(x, lengths, batch_first=False, enforce_sorted=enforce_sorted), hx)
    expected, expected_final = layer(x, hx, lengths)
    padded, _ = pad_packed_sequence(output, total_length=T)
    for got, other in zip(flat((padded, final)), flat((expected, expected_final)), strict=True):
        torch.testing.assert_close(got, other, rtol=0, atol=1e-12)


@pytest.mark.parametrize("kind", REFERENCE.values(), ids=REFERENCE)
@directions
@pytest.mark.parametrize("training", [False, True], ids=["eval", "train"])
def test_watching_a_packed_batch_changes_nothing(kind: Kind, bidirectional: bool, training: bool) -> None:
    layer = getattr(un, kind.name)(INPUTS, HIDDEN, 3, bidirectional=bidirectional, dropout=0.4, **kind.options)
    x, hx = normal(T, B, INPUTS), start(kind, layer, B)
    packed = pack(x, LENGTHS, batch_first=False, enforce_sorted=False)
    layer.train(training)
    torch.manual_seed(1)
    plain, rng = layer(packed, hx), torch.get_rng_state()
    torch.manual_seed(1)
    traced = trace(layer, packed, hx)
    assert_same(traced.output, plain)
    assert torch.equal(torch.get_rng_state(), rng)
    padded, _ = pad_packed_sequence(plain[0], batch_first=True)
    top = [t.states["h"] for name, t in traced.layers.items() if name.startswith("l2")]
    mask = traced["l2"].mask
    assert mask.sum(dim=1).tolist() == LENGTHS
    torch.testing.assert_close(torch.cat(top, -1)[mask], padded.detach()[mask], rtol=0, atol=1e-6)


def test_a_packed_sequence_and_lengths_together_are_refused() -> None:
    packed = pack(normal(T, B, INPUTS), LENGTHS, batch_first=False, enforce_sorted=False)
    with pytest.raises(ValueError, match="brings its own lengths"):
        un.GRU(INPUTS, HIDDEN)(packed, None, LENGTHS)


# Life as a module


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


# Errors


def hx_for(name: str, *shape: int, dtype: torch.dtype = torch.float32) -> Any:
    h = normal(*shape, dtype=dtype)
    return (h, h) if name.startswith("LSTM") else h


Mistake = Callable[[Any, str], Any]

CONSTRUCTION: dict[str, Mistake] = {
    "bias is text": lambda make, _: make(3, 4, bias="yes"),
    "bias is a number": lambda make, _: make(3, 4, bias=1),
    "batch_first is a number": lambda make, _: make(3, 4, batch_first=1),
    "input_size is text": lambda make, _: make("3", 4),
    "hidden_size is a float": lambda make, _: make(3, 4.0),
    "input_size zero": lambda make, _: make(0, 4),
    "hidden_size zero": lambda make, _: make(3, 0),
    "hidden_size negative": lambda make, _: make(3, -1),
    "num_layers zero": lambda make, _: make(3, 4, 0),
    "num_layers negative": lambda make, _: make(3, 4, -2),
    "num_layers is a float": lambda make, _: make(3, 4, 2.0),
    "dropout above one": lambda make, _: make(3, 4, 2, dropout=1.5),
    "dropout negative": lambda make, _: make(3, 4, 2, dropout=-0.1),
    "dropout is a bool": lambda make, _: make(3, 4, 2, dropout=True),
}
CALL: dict[str, Mistake] = {
    "one dimension": lambda make, _: make(3, 4)(normal(3)),
    "four dimensions": lambda make, _: make(3, 4)(normal(1, 5, 2, 3)),
    "wrong width": lambda make, _: make(3, 4)(normal(5, 2, 4)),
    "wrong width unbatched": lambda make, _: make(3, 4)(normal(5, 4)),
    "double into float": lambda make, _: make(3, 4)(normal(5, 2, 3, dtype=torch.float64)),
    "integers": lambda make, _: make(3, 4)(torch.ones(5, 2, 3, dtype=torch.long)),
    "a list": lambda make, _: make(3, 4)([1.0, 2.0, 3.0]),
    "hx of another batch": lambda make, n: make(3, 4)(normal(5, 2, 3), hx_for(n, 1, 3, 4)),
    "hx of more layers": lambda make, n: make(3, 4)(normal(5, 2, 3), hx_for(n, 2, 2, 4)),
    "hx too wide": lambda make, n: make(3, 4)(normal(5, 2, 3), hx_for(n, 1, 2, 5)),
    "hx without layers": lambda make, n: make(3, 4)(normal(5, 2, 3), hx_for(n, 2, 4)),
    "hx with a batch for one sequence": lambda make, n: make(3, 4)(normal(5, 3), hx_for(n, 1, 1, 4)),
    "hx in batch-first order": lambda make, n: make(3, 4, batch_first=True)(normal(5, 2, 3), hx_for(n, 1, 2, 4)),
    "hx of another dtype": lambda make, n: make(3, 4)(normal(5, 2, 3), hx_for(n, 1, 2, 4, dtype=torch.float64)),
}
PACKED_CALL: dict[str, Mistake] = {
    "wrong width": lambda make, _: make(3, 4)(pack_padded_sequence(normal(5, 2, 4), [5, 3])),
    "no features": lambda make, _: make(3, 4)(pack_padded_sequence(normal(5, 2), [5, 3])),
    "too many dimensions": lambda make, _: make(3, 4)(pack_padded_sequence(normal(5, 2, 3, 3), [5, 3])),
    "hx of another batch": lambda make, n: make(3, 4)(
        pack_padded_sequence(normal(5, 2, 3), [5, 3]), hx_for(n, 1, 3, 4)
    ),
}
CELL_CALL: dict[str, Mistake] = {
    "no dimensions": lambda make, _: make(3, 4)(torch.tensor(1.0)),
    "three dimensions": lambda make, _: make(3, 4)(normal(1, 2, 3)),
    "wrong width": lambda make, _: make(3, 4)(normal(2, 4)),
    "wrong width unbatched": lambda make, _: make(3, 4)(normal(4)),
    "double into float": lambda make, _: make(3, 4)(normal(2, 3, dtype=torch.float64)),
    "hx of another batch": lambda make, n: make(3, 4)(normal(2, 3), hx_for(n, 3, 4)),
    "hx too wide": lambda make, n: make(3, 4)(normal(2, 3), hx_for(n, 2, 5)),
    "hx of three dimensions": lambda make, n: make(3, 4)(normal(2, 3), hx_for(n, 1, 2, 4)),
    "hx without a batch": lambda make, n: make(3, 4)(normal(2, 3), hx_for(n, 4)),
    "hx with a batch for one row": lambda make, n: make(3, 4)(normal(3), hx_for(n, 1, 4)),
}
OWN_WORDS = {"a list", "no features", "too many dimensions"}
"""Mistakes where torch's text is that of an internal failure."""


def error_of(mistake: Mistake, make: Any, name: str) -> Exception | None:
    try:
        mistake(make, name)
    except Exception as error:
        return error
    return None


def assert_same_error(mistake: Mistake, name: str, *, same_text: bool) -> None:
    expected = error_of(mistake, getattr(torch.nn, name), name)
    got = error_of(mistake, getattr(un, name), name)
    assert expected is not None
    assert type(got) is type(expected)
    if same_text:
        assert str(got).replace("D instead", "D tensor instead") == str(expected).replace(
            "D instead", "D tensor instead"
        )


@pytest.mark.parametrize("name", ["RNN", "LSTM", "GRU"])
@pytest.mark.parametrize("mistake", [*CONSTRUCTION, *CALL])
def test_a_layers_mistakes_raise_torchs_error(name: str, mistake: str) -> None:
    assert_same_error({**CONSTRUCTION, **CALL}[mistake], name, same_text=mistake not in OWN_WORDS)


@pytest.mark.parametrize("name", ["RNN", "LSTM", "GRU"])
@pytest.mark.parametrize("mistake", PACKED_CALL)
def test_mistakes_in_packed_sequences_raise_torchs_error(name: str, mistake: str) -> None:
    # torch's LSTM does not check a packed input itself, so its text is that of the product that fails.
    assert_same_error(PACKED_CALL[mistake], name, same_text=name != "LSTM" and mistake not in OWN_WORDS)


@pytest.mark.parametrize("name", ["RNNCell", "LSTMCell", "GRUCell"])
@pytest.mark.parametrize("mistake", CELL_CALL)
def test_a_cells_mistakes_raise_torchs_error(name: str, mistake: str) -> None:
    assert_same_error(CELL_CALL[mistake], name, same_text=True)


@pytest.mark.parametrize("proj_size", [-1, 4, 5])
def test_projections_that_do_not_fit_raise_torchs_error(proj_size: int) -> None:
    assert_same_error(lambda make, _: make(3, 4, proj_size=proj_size), "LSTM", same_text=True)


def test_an_unknown_nonlinearity_raises_torchs_error() -> None:
    assert_same_error(lambda make, _: make(3, 4, nonlinearity="gelu"), "RNN", same_text=True)


@pytest.mark.parametrize("name", ["RNN", "LSTM", "GRU"])
def test_dropout_on_one_layer_warns_as_torch_does(name: str) -> None:
    said = []
    for library in (torch.nn, un):
        with pytest.warns(UserWarning, match="dropout option adds dropout") as caught:
            getattr(library, name)(3, 4, dropout=0.5)
        said.append([str(w.message) for w in caught])
    assert said[0] == said[1]
    assert caught[0].filename == __file__
