"""torch.export: programs with free batch and time that give an eager layer's numbers, and can be kept in a file."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from graphs import CLASSICS, HIDDEN, INPUTS, OPTIONS, difference, gradients, leaves, ragged, sequence
from torch import Tensor, nn
from torch.export import Dim, ExportedProgram, export
from torch.fx import GraphModule

from unroll import nn as un

SHAPES = [(1, 1), (2, 5), (100, 3), (7, 4), (5, 1)]


@pytest.fixture(autouse=True)
def afresh() -> Iterator[None]:
    torch.compiler.reset()
    torch.manual_seed(0)
    yield
    torch.compiler.reset()


def exported(layer: un.Recurrent, with_lengths: bool, *, T: Any, B: Any, strict: bool = False) -> ExportedProgram:
    given, free = (sequence(layer, 7, 3, torch.float64),), {0: B, 1: T} if layer.batch_first else {0: T, 1: B}
    if not with_lengths:
        return export(layer, given, dynamic_shapes=(free,), strict=strict)
    dims = {("input" if isinstance(layer, un.RNN | un.LSTM | un.GRU) else "x"): free, "lengths": {0: B}}
    return export(layer, given, {"lengths": ragged(7, 3)}, dynamic_shapes=dims, strict=strict)


@torch.no_grad()
def assert_equal_everywhere(program: Any, layer: un.Recurrent, with_lengths: bool) -> None:
    for T, B in SHAPES:
        x, keywords = sequence(layer, T, B, torch.float64), {"lengths": ragged(T, B)} if with_lengths else {}
        assert difference(program(x, **keywords), layer(x, **keywords)) < 1e-10


@pytest.mark.parametrize(
    ("name", "options", "strict", "with_lengths"),
    [
        ("LSTM", {"num_layers": 2, "bidirectional": True}, False, True),
        ("LSTM-proj", {}, True, False),
        ("GRU", {"bidirectional": True, "batch_first": True}, True, True),
        ("GRU", {"num_layers": 2}, False, False),
        ("RNN", {"bidirectional": True}, True, False),
        ("RNN-relu", {"batch_first": True}, False, True),
    ],
)
def test_a_layer_is_exported_with_free_batch_and_time(
    name: str, options: dict[str, Any], strict: bool, with_lengths: bool
) -> None:
    layer = CLASSICS[name](INPUTS, HIDDEN, **options).double()
    program = exported(layer, with_lengths, T=Dim("T"), B=Dim("B"), strict=strict)
    assert_equal_everywhere(program.module(), layer, with_lengths)


@pytest.mark.parametrize("free", [Dim.AUTO, Dim.DYNAMIC], ids=["auto", "dynamic"])
def test_dimensions_need_no_names(free: Any) -> None:
    layer = un.LSTM(INPUTS, HIDDEN).double()
    assert_equal_everywhere(exported(layer, True, T=free, B=free).module(), layer, True)


@pytest.mark.parametrize("name", ["mgu", "lstm_fgr"])
def test_any_cell_is_exported_with_lengths(name: str) -> None:
    layer = un.Recurrent(un.CELLS[name].make(INPUTS, HIDDEN), bidirectional=name == "mgu").double()
    assert_equal_everywhere(exported(layer, True, T=Dim("T"), B=Dim("B")).module(), layer, True)


@pytest.mark.parametrize("options", ["layer norm, zoneout", "highway, learned start", "mixed cells"])
def test_options_are_exported_with_lengths(options: str) -> None:
    layer = OPTIONS[options]().double().eval()
    assert_equal_everywhere(exported(layer, True, T=Dim("T"), B=Dim("B")).module(), layer, True)


def test_an_initial_state_is_an_input_with_a_free_batch() -> None:
    layer = un.LSTM(INPUTS, HIDDEN, bidirectional=True)
    T, B = Dim("T"), Dim("B")

    def arguments(steps: int, rows: int) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        return sequence(layer, steps, rows), (torch.randn(2, rows, HIDDEN), torch.randn(2, rows, HIDDEN))

    program = export(layer, arguments(7, 3), dynamic_shapes=({0: T, 1: B}, ({1: B}, {1: B}))).module()
    for shape in SHAPES:
        given = arguments(*shape)
        with torch.no_grad():
            assert difference(program(*given), layer(*given)) < 1e-5


class Streamed(nn.Module):
    """One step of a layer with its state as plain tensors."""

    def __init__(self, layer: un.Recurrent) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, x: Tensor, h: Tensor) -> tuple[Tensor, Tensor]:
        output, (state,) = self.layer.step(x, [(h,)])
        return output, state.h


@pytest.mark.parametrize("cell", [un.GRUCell, un.MGUCell])
def test_a_step_is_exported_for_streaming(cell: Any) -> None:
    layer = un.Recurrent(cell(INPUTS, HIDDEN))
    B = Dim("B")
    given = (torch.randn(3, INPUTS), torch.zeros(3, HIDDEN))
    program = export(Streamed(layer), given, dynamic_shapes=({0: B}, {0: B})).module()
    x, h, outputs = sequence(layer, 6, 2), torch.zeros(2, HIDDEN), []
    for x_t in x:
        y, h = program(x_t, h)
        outputs.append(y)
    assert difference((torch.stack(outputs), h), (layer(x)[0], layer(x)[1][0].h)) < 1e-6


class Tagged(nn.Module):
    """Output and stacked state of a cell's layer as plain tensors."""

    def __init__(self, cell: un.Cell) -> None:
        super().__init__()
        self.layer = un.Recurrent(cell, bidirectional=True)

    def forward(self, x: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        output, states = self.layer(x, lengths=lengths)
        return output, torch.stack([state.h for state in states])


@pytest.mark.parametrize("module", [un.LSTM(INPUTS, HIDDEN), Tagged(un.MGUCell(INPUTS, HIDDEN))], ids=["LSTM", "MGU"])
def test_a_program_is_kept_in_a_file_of_json_and_raw_weights(module: nn.Module) -> None:
    T, B = Dim("T"), Dim("B")
    names = ("input", "lengths") if isinstance(module, un.LSTM) else ("x", "lengths")
    x, lengths = torch.randn(7, 3, INPUTS), ragged(7, 3)
    program = export(
        module, (), dict(zip(names, (x, lengths))), dynamic_shapes=dict(zip(names, ({0: T, 1: B}, {0: B})))
    )
    kept = io.BytesIO()
    torch.export.save(program, kept)
    files = [name.partition("/")[2] for name in zipfile.ZipFile(kept).namelist()]
    assert "models/model.json" in files
    assert sum(name.startswith("data/weights/weight_") for name in files) == len(module.state_dict())
    kept.seek(0)
    loaded = torch.export.load(kept)
    assert not any("unroll" in str(node.target) for node in loaded.graph.nodes)
    other = dict(zip(names, (torch.randn(20, 5, INPUTS), ragged(20, 5))))
    assert difference(loaded.module()(**other), module(**other)) < 1e-6


def test_the_state_of_a_cell_is_not_kept_in_a_file_but_as_plain_tensors() -> None:
    program = exported(un.Recurrent(un.MGUCell(INPUTS, HIDDEN)).double(), False, T=Dim("T"), B=Dim("B"))
    with pytest.raises(NotImplementedError, match="namedtuple"):
        torch.export.save(program, io.BytesIO())


def nodes(program: ExportedProgram) -> int:
    return sum(len(part.graph.nodes) for part in program.graph_module.modules() if isinstance(part, GraphModule))


@pytest.mark.parametrize("make", [lambda: un.LSTM(INPUTS, HIDDEN), lambda: un.Recurrent(un.MGUCell(INPUTS, HIDDEN))])
def test_a_program_does_not_grow_with_time_even_decomposed(make: Any) -> None:
    layer, sizes = make(), []
    for T in (3, 300):
        program = export(layer, (torch.randn(T, 2, INPUTS),))
        sizes.append((nodes(program), nodes(program.run_decompositions())))
    assert sizes[0] == sizes[1]


def test_a_program_of_an_eager_layer_is_differentiable() -> None:
    layer = un.GRU(INPUTS, HIDDEN).double()
    T, B = Dim("T"), Dim("B")
    x = sequence(layer, 7, 3, torch.float64)
    program = export(layer, (x,), dynamic_shapes=({0: T, 1: B},)).module()
    x = sequence(layer, 9, 2, torch.float64).requires_grad_()
    got = gradients(program(x), [x, *program.parameters()])
    assert difference(got, gradients(layer(x), [x, *layer.parameters()])) < 1e-10
    assert len(leaves(got)) == 5


def test_lengths_out_of_range_end_the_run_of_a_program() -> None:
    layer = un.LSTM(INPUTS, HIDDEN)
    program = exported(layer.double(), True, T=Dim("T"), B=Dim("B")).module()
    with pytest.raises(RuntimeError, match="lengths must lie between 0 and the time length"):
        program(sequence(layer, 4, 2, torch.float64), lengths=torch.tensor([5, 1]))
