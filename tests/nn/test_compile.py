"""torch.compile takes every layer whole: one graph whatever T is, the same numbers and gradients.

Of the cells and options a sample is compiled, which takes seconds each; see ``sampling``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import pytest
import torch
from functorch.compile import make_boxed_func
from graphs import CLASSICS, HIDDEN, INPUTS, OPTIONS, difference, gradients, leaves, ragged, sequence
from sampling import sampled
from torch import Tensor, nn
from torch._dynamo.testing import CompileCounterWithBackend
from torch.fx import GraphModule

from unroll import kernels, trace
from unroll import nn as un

T, B = 6, 3
LENGTHS = [6, 0, 2]


def named(layer: un.Recurrent) -> str:
    return type(layer.cell_at(0)).__name__


@pytest.fixture(autouse=True)
def afresh() -> Iterator[None]:
    torch.compiler.reset()
    torch.manual_seed(0)
    yield
    torch.compiler.reset()


def compiled(function: Any, backend: str = "aot_eager") -> Any:
    return torch.compile(function, fullgraph=True, backend=backend)


def assert_same_training(layer: un.Recurrent, backend: str, ragged_batch: bool) -> None:
    """Outputs, final states and all gradients of float64, from the same random state."""
    layer = layer.double()
    x = sequence(layer, T, B, torch.float64).requires_grad_()
    lengths = torch.tensor(LENGTHS) if ragged_batch else None
    results = []
    for call in (layer, compiled(layer, backend)):
        torch.manual_seed(1)
        results.append(call(x, lengths=lengths))
    assert difference(*results) < 1e-10
    inputs = [x, *layer.parameters()]
    expected, got = (gradients(result, inputs) for result in results)
    assert difference(got, expected) < 1e-10


@pytest.mark.parametrize("make", [un.RNN, un.LSTM, un.GRU])
@pytest.mark.parametrize("options", [{}, {"num_layers": 2, "bidirectional": True, "batch_first": True}], ids=str)
def test_a_layer_compiles_without_a_graph_break(make: Any, options: dict[str, Any]) -> None:
    layer = make(INPUTS, HIDDEN, **options)
    x = torch.randn(5, 2, INPUTS)
    assert difference(compiled(layer, "eager")(x), layer(x)) < 1e-6


@sampled("name, ragged_batch", list(CLASSICS), [False, True], each=1)
def test_a_compiled_stack_trains_as_an_eager_one(name: str, ragged_batch: bool) -> None:
    layer = CLASSICS[name](INPUTS, HIDDEN, num_layers=2, bidirectional=True, batch_first=True)
    assert_same_training(layer, "aot_eager", ragged_batch)


STEPPED = [name for name in un.CELLS if name not in ("rnn", "rnn_relu", "lstm", "gru")]


@sampled("backend, name, bidirectional", ["eager", "aot_eager"], STEPPED, [False, True], each=3)
def test_a_compiled_cell_trains_as_an_eager_one(backend: str, name: str, bidirectional: bool) -> None:
    layer = un.Recurrent(un.CELLS[name].make(INPUTS, HIDDEN), bidirectional=bidirectional)
    assert_same_training(layer, backend, ragged_batch=True)


@sampled("backend, options, ragged_batch", ["eager", "aot_eager"], list(OPTIONS), [False, True], each=3)
def test_a_compiled_layer_with_options_draws_and_trains_as_an_eager_one(
    backend: str, options: str, ragged_batch: bool
) -> None:
    assert_same_training(OPTIONS[options](), backend, ragged_batch)


@pytest.mark.parametrize("options", ["recurrent and input dropout"])
def test_a_compiled_layer_evaluates_without_noise_and_with_the_noise_it_is_given(options: str) -> None:
    layer = OPTIONS[options]().eval()
    x, call = sequence(layer, T, B), compiled(layer, "eager")
    assert difference(call(x), layer(x)) < 1e-6
    noise = layer.draw(T, B)
    assert difference(call(x, noise=noise), layer(x, noise=noise)) < 1e-6


class OwnState(NamedTuple):
    h: Tensor


class OwnCell(un.Cell):
    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__()
        self.input_size, self.output_size, self.hidden_size = input_size, hidden_size, hidden_size
        self.product = nn.Linear(input_size + hidden_size, hidden_size)

    def initial_state(self, batch_size: int, *, device: Any = None, dtype: Any = None) -> OwnState:
        return OwnState(torch.zeros(batch_size, self.hidden_size, device=device, dtype=dtype))

    def step(self, x: Tensor, state: OwnState) -> un.Step:
        h = self.product(torch.cat([x, state.h], -1)).tanh()
        return un.Step(h, OwnState(h), {"h": h})


def test_a_cell_of_ones_own_trains_as_an_eager_one() -> None:
    assert_same_training(un.Recurrent(OwnCell(INPUTS, HIDDEN), 2), "aot_eager", ragged_batch=True)


@pytest.mark.parametrize("layer", [un.LSTM(INPUTS, HIDDEN, 2), un.Recurrent(OwnCell(INPUTS, HIDDEN), 2)], ids=named)
def test_states_of_every_form_go_in_and_come_out(layer: un.Recurrent) -> None:
    call, x = compiled(layer, "eager"), sequence(layer, T, B)
    cells = [type(s)(*(torch.randn_like(leaf) for leaf in s)) for s in layer.initial_state(B)]
    got, expected = call(x, cells), layer(x, cells)
    assert difference(got, expected) < 1e-6
    assert [type(s) for s in got[1]] == [type(s) for s in expected[1]]
    if isinstance(layer, un.LSTM):
        stacked = tuple(torch.stack(leaf) for leaf in zip(*cells))
        assert difference(call(x, stacked), layer(x, stacked)) < 1e-6
    assert difference(call(x[:, 0]), layer(x[:, 0])) < 1e-6


@pytest.mark.parametrize("layer", [un.GRU(INPUTS, HIDDEN, 2), un.Recurrent(un.MGUCell(INPUTS, HIDDEN))], ids=named)
def test_states_and_sequences_of_any_strides_compile(layer: un.Recurrent) -> None:
    x = torch.randn(INPUTS, B, 2 * T).permute(2, 1, 0)[::2]
    cells = [type(s)(*(torch.randn(HIDDEN, B).t() for _ in s)) for s in layer.initial_state(B)]
    assert difference(compiled(layer, "eager")(x, cells), layer(x, cells)) < 1e-6
    same = [type(s)(*(torch.randn(1, HIDDEN).expand(B, HIDDEN) for _ in s)) for s in cells]
    assert difference(compiled(layer, "eager")(x, same), layer(x, same)) < 1e-6


@pytest.mark.parametrize(("steps", "rows"), [(0, 3), (6, 0), (1, 1)])
@pytest.mark.parametrize("layer", [un.GRU(INPUTS, HIDDEN, 2), un.Recurrent(OwnCell(INPUTS, HIDDEN))], ids=named)
def test_empty_and_single_steps_and_rows_compile(layer: un.Recurrent, steps: int, rows: int) -> None:
    x = torch.randn(steps, rows, INPUTS)
    assert difference(compiled(layer, "eager")(x), layer(x)) < 1e-6


@pytest.mark.parametrize("layer", [un.LSTM(INPUTS, HIDDEN, 2), un.Recurrent(un.MGUCell(INPUTS, HIDDEN))], ids=named)
def test_steps_chunks_and_streams_compile(layer: un.Recurrent) -> None:
    x, lengths = sequence(layer, T, B), torch.tensor(LENGTHS)
    state = layer.step(x[0])[1]
    assert difference(compiled(layer.step, "eager")(x[1], state), layer.step(x[1], state)) < 1e-6

    def in_chunks(x: Tensor, lengths: Tensor) -> list[Tensor]:
        return [output for output, _ in layer.chunks(x, 4, None, lengths)]

    assert difference(compiled(in_chunks, "eager")(x, lengths), in_chunks(x, lengths)) < 1e-6
    stream, other = layer.stream(B), layer.stream(B)
    advance = compiled(stream.step, "eager")
    assert difference([advance(x[t]) for t in range(T)], [other.step(x[t]) for t in range(T)]) < 1e-6


@pytest.mark.parametrize("make", [un.RNNCell, un.LSTMCell, un.GRUCell, OwnCell])
def test_a_cell_alone_compiles_before_it_ever_ran(make: Any) -> None:
    cell, x = make(INPUTS, HIDDEN), torch.randn(B, INPUTS)
    state = compiled(cell, "eager")(x)
    assert difference(state, cell(x)) < 1e-6
    assert difference(compiled(cell, "eager")(x, state), cell(x, state)) < 1e-6


class Tagger(nn.Module):
    def __init__(self, make: Callable[[], un.Recurrent]) -> None:
        super().__init__()
        self.embedding = nn.Embedding(20, INPUTS)
        self.encoder = make()
        self.head = nn.Linear(self.encoder.output_size, 5)

    def forward(self, words: Tensor, lengths: Tensor) -> Tensor:
        return self.head(self.encoder(self.embedding(words), lengths=lengths)[0])


@pytest.mark.parametrize(
    "make",
    [
        lambda: un.LSTM(INPUTS, HIDDEN, 2, bidirectional=True, batch_first=True),
        lambda: un.GRU(INPUTS, HIDDEN, batch_first=True, reset="before"),
    ],
    ids=["operator", "scan"],
)
def test_a_model_with_loss_and_backward_is_one_graph_and_another_time_length_compiles_no_third(make: Any) -> None:
    model, counter = Tagger(make), CompileCounterWithBackend("aot_eager")

    def loss(words: Tensor, lengths: Tensor, tags: Tensor) -> Tensor:
        return nn.functional.cross_entropy(model(words, lengths).flatten(0, 1), tags.flatten())

    call = torch.compile(loss, backend=counter)
    graphs = []
    for steps in (5, 9, 17, 40):
        words, tags = torch.randint(20, (B, steps)), torch.randint(5, (B, steps))
        lengths = ragged(steps, B)
        expected = torch.autograd.grad(loss(words, lengths, tags), list(model.parameters()))
        got = torch.autograd.grad(call(words, lengths, tags), list(model.parameters()))
        assert difference(got, expected) < 1e-5
        graphs.append(counter.frame_count)
    assert graphs == [1, 2, 2, 2]  # the second says that T varies
    explained = torch._dynamo.explain(loss)(words, lengths, tags)
    assert (explained.graph_count, explained.graph_break_count) == (1, 0)


def captured_nodes(layer: un.Recurrent, T: int) -> int:
    """Nodes of the graph, those of its inner graphs among them, and of the one autograd makes of it."""
    counts: list[int] = []

    def count(graph: GraphModule, _: Any) -> Any:
        inner = [part for part in graph.modules() if isinstance(part, GraphModule)]
        counts.append(sum(len(part.graph.nodes) for part in inner))
        return make_boxed_func(graph.forward)

    torch.compiler.reset()
    backend = torch._dynamo.backends.common.aot_autograd(fw_compiler=count, bw_compiler=count)
    lengths = torch.full((B,), T)
    output, _ = torch.compile(layer, fullgraph=True, backend=backend)(torch.randn(T, B, INPUTS), lengths=lengths)
    output.sum().backward()
    assert len(counts) == 2
    return sum(counts)


@pytest.mark.parametrize("layer", [un.GRU(INPUTS, HIDDEN), un.Recurrent(un.MGUCell(INPUTS, HIDDEN))], ids=named)
def test_the_graph_of_a_long_sequence_is_no_larger_than_that_of_a_short_one(layer: un.Recurrent) -> None:
    assert captured_nodes(layer, 3) == captured_nodes(layer, 300)


@pytest.mark.parametrize("layer", [un.LSTM(INPUTS, HIDDEN), un.Recurrent(un.MGUCell(INPUTS, HIDDEN))], ids=named)
def test_lengths_out_of_range_end_the_run_of_a_compiled_layer(layer: un.Recurrent) -> None:
    call, x = compiled(layer, "eager"), sequence(layer, T, B)
    for wrong in ([T + 1, 1, 1], [2, -1, 0]):
        with pytest.raises(RuntimeError, match="lengths must lie between 0 and the time length"):
            call(x, lengths=torch.tensor(wrong))
    assert difference(call(x, lengths=torch.tensor(LENGTHS)), layer(x, lengths=LENGTHS)) < 1e-6
    with pytest.raises(Exception, match="lengths must hold 3 integers"):
        call(x, lengths=torch.tensor([1, 2]))


def test_lengths_as_a_list_and_of_other_integers_compile() -> None:
    layer = un.RNN(INPUTS, HIDDEN)
    call, x = compiled(layer, "eager"), sequence(layer, T, B)
    assert difference(call(x, lengths=LENGTHS), layer(x, lengths=LENGTHS)) < 1e-6
    assert difference(call(x, lengths=torch.tensor(LENGTHS, dtype=torch.int32)), layer(x, lengths=LENGTHS)) < 1e-6


def test_a_packed_sequence_breaks_the_graph_and_gives_the_same_numbers() -> None:
    layer = un.LSTM(INPUTS, HIDDEN)
    packed = nn.utils.rnn.pack_sequence([torch.randn(4, INPUTS), torch.randn(2, INPUTS)])
    got, expected = torch.compile(layer, backend="eager")(packed), layer(packed)
    assert difference((got[0].data, got[1]), (expected[0].data, expected[1])) < 1e-6


def test_a_compiled_layer_is_traced_uncompiled_and_runs_under_any_backend() -> None:
    layer = un.LSTM(INPUTS, HIDDEN, 2)
    call, x = compiled(layer, "eager"), sequence(layer, T, B)
    expected = layer(x)
    for _ in range(2):
        traced = trace(call, x)
        assert [name.rpartition(".")[2] for name in traced.layers] == ["l0", "l1"]
        assert difference(traced.output, expected) < 1e-6
        assert difference(call(x), expected) < 1e-6
    with kernels.use("reference"):
        assert difference(call(x), expected) < 1e-6


@pytest.mark.parametrize("name", ["RNN", "LSTM", "GRU", "RNN with layer norm"])
def test_a_layer_compiles_under_autocast(name: str) -> None:
    layer = CLASSICS[name](INPUTS, HIDDEN) if name in CLASSICS else un.RNN(INPUTS, HIDDEN, layer_norm=True)
    x = sequence(layer, T, B)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        got, expected = compiled(layer)(x), layer(x)
    assert difference([t.float() for t in leaves(got)], [t.float() for t in leaves(expected)]) < 0.02
    found = torch.autograd.grad(leaves(got)[0].float().sum(), list(layer.parameters()), allow_unused=True)
    assert all(gradient is None or gradient.dtype == torch.float32 for gradient in found)


@pytest.mark.parametrize(
    "layer",
    [un.LSTM(INPUTS, HIDDEN, bidirectional=True), un.RNN(INPUTS, HIDDEN, nonlinearity="softsign")],
    ids=str,
)
def test_inductor_gives_the_same_numbers_and_gradients(layer: un.Recurrent) -> None:
    x, lengths = sequence(layer, T, B).requires_grad_(), torch.tensor(LENGTHS)
    got, expected = compiled(layer, "inductor")(x, lengths=lengths), layer(x, lengths=lengths)
    assert difference(got, expected) < 1e-5
    inputs = [x, *layer.parameters()]
    assert difference(gradients(got, inputs), gradients(expected, inputs)) < 1e-5


@pytest.mark.parametrize(
    ("steps", "rows", "lengths"), [(1, 1, None), (5, 3, [5, 0, 3]), (5, 3, [0, 0, 0]), (60, 2, [60, 7])]
)
@pytest.mark.parametrize("name", ["RNN", "LSTM", "LSTM-proj", "GRU"])
def test_the_operator_in_the_graph_is_what_torch_asks_of_one(
    name: str, steps: int, rows: int, lengths: list[int] | None
) -> None:
    layer = CLASSICS[name](INPUTS, HIDDEN)
    operator = layer.cell_at(0).operator()
    assert operator is not None
    x = torch.randn(steps, rows, INPUTS, requires_grad=True)
    state = [torch.randn_like(leaf).requires_grad_() for leaf in layer.initial_state(rows)[0]]
    weights = [weight.detach().requires_grad_() for weight in operator.weights]
    ends, reverse = None if lengths is None else torch.tensor(lengths), steps == 5
    checks = ("test_schema", "test_autograd_registration", "test_faketensor", "test_aot_dispatch_static")
    arguments = (x, state, weights, ends, operator.name, operator.has_biases, reverse)
    torch.library.opcheck(torch.ops.unroll.fused_layer.default, arguments, test_utils=checks)
