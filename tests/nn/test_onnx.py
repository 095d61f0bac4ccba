"""ONNX: exported with free batch and time, ONNX Runtime gives an eager layer's numbers."""

from __future__ import annotations

import io
import logging
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from graphs import CLASSICS, HIDDEN, INPUTS, OPTIONS, difference, leaves, ragged, sequence
from torch import Tensor, nn
from torch.export import Dim

from unroll import nn as un

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxscript")
onnxruntime = pytest.importorskip("onnxruntime")

SHAPES = [(1, 1), (2, 5), (100, 3), (7, 4), (5, 1)]
T, B = Dim("T"), Dim("B")


@pytest.fixture(autouse=True)
def afresh() -> Iterator[None]:
    torch.compiler.reset()
    torch.manual_seed(0)
    logging.disable(logging.WARNING)  # the exporter's, about torchvision
    yield
    logging.disable(logging.NOTSET)
    torch.compiler.reset()


def in_onnx_runtime(module: nn.Module, given: dict[str, Any], free: dict[str, Any]) -> tuple[Any, list[str]]:
    """The exported module as a function of the same tensors, and the names of its operators outside of loops."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        program = torch.onnx.export(module, (), kwargs=given, dynamic_shapes=free, dynamo=True, verbose=False)
    assert program is not None
    assert {opset.domain for opset in program.model_proto.opset_import if "pkg" not in opset.domain} == {""}
    kept = io.BytesIO()
    program.save(kept)
    session = onnxruntime.InferenceSession(kept.getvalue(), providers=["CPUExecutionProvider"])
    names = [known.name for known in session.get_inputs()]

    def run(*tensors: Tensor) -> list[Tensor]:
        assert len(tensors) == len(names)
        return [torch.from_numpy(a) for a in session.run(None, dict(zip(names, (t.numpy() for t in tensors))))]

    return run, [node.op_type for node in program.model_proto.graph.node]


@torch.no_grad()
def assert_equal_in_onnx_runtime(layer: un.Recurrent, with_lengths: bool) -> list[str]:
    layer = layer.eval()
    name = "input" if isinstance(layer, un.RNN | un.LSTM | un.GRU) else "x"
    given, free = {name: sequence(layer, 7, 3)}, {name: {0: B, 1: T} if layer.batch_first else {0: T, 1: B}}
    if with_lengths:
        given["lengths"], free["lengths"] = ragged(7, 3), {0: B}
    run, operators = in_onnx_runtime(layer, given, free)
    for steps, rows in SHAPES:
        x, lengths = sequence(layer, steps, rows), ragged(steps, rows)
        got = run(x, lengths) if with_lengths else run(x)
        expected = layer(x, lengths=lengths if with_lengths else None)
        assert difference(got, leaves(expected)) < 1e-5
    return operators


@pytest.mark.parametrize(
    ("name", "options", "with_lengths", "operator", "count"),
    [
        ("LSTM", {"num_layers": 2, "bidirectional": True}, True, "LSTM", 4),
        ("LSTM-nobias", {"bidirectional": True, "batch_first": True}, False, "LSTM", 2),
        ("GRU", {"num_layers": 2, "bidirectional": True, "batch_first": True}, True, "GRU", 4),
        ("GRU", {}, False, "GRU", 1),
        ("RNN", {"num_layers": 2, "bidirectional": True}, True, "Scan", 4),
        ("RNN-relu", {"batch_first": True}, False, "Scan", 1),
        ("LSTM-proj", {"bidirectional": True}, True, "Scan", 2),
    ],
)
def test_a_layer_equals_itself_in_onnx_runtime(
    name: str, options: dict[str, Any], with_lengths: bool, operator: str, count: int
) -> None:
    operators = assert_equal_in_onnx_runtime(CLASSICS[name](INPUTS, HIDDEN, **options), with_lengths)
    recurrent = [known for known in operators if known in ("LSTM", "GRU", "RNN", "Scan")]
    assert recurrent == [operator] * count


@pytest.mark.parametrize("name", ["mgu", "gru_reset_before", "lstm_fgr", "indrnn"])
def test_any_cell_equals_itself_in_onnx_runtime(name: str) -> None:
    layer = un.Recurrent(un.CELLS[name].make(INPUTS, HIDDEN), bidirectional=name == "mgu")
    assert "Scan" in assert_equal_in_onnx_runtime(layer, with_lengths=True)


@pytest.mark.parametrize("options", ["peepholes, projection", "highway, learned start", "mixed cells"])
def test_options_equal_themselves_in_onnx_runtime(options: str) -> None:
    assert_equal_in_onnx_runtime(OPTIONS[options](), with_lengths=True)


def test_layer_norm_and_zoneout_equal_themselves_in_onnx_runtime() -> None:
    layer = un.GRU(INPUTS, 8, layer_norm=True, zoneout=0.2, connection="residual", num_layers=2)
    assert_equal_in_onnx_runtime(layer, with_lengths=True)


@pytest.mark.parametrize("make", [un.LSTM, un.GRU, un.RNN])
def test_an_initial_state_is_an_input_and_that_of_an_empty_row_comes_out_again(make: Callable[..., Any]) -> None:
    layer = make(INPUTS, HIDDEN, bidirectional=True)

    def arguments(steps: int, rows: int) -> tuple[Tensor, Any, Tensor]:
        h = torch.randn(2, rows, HIDDEN)
        hx = (h, torch.randn_like(h)) if make is un.LSTM else h
        return sequence(layer, steps, rows), hx, ragged(steps, rows)

    free_hx = ({1: B}, {1: B}) if make is un.LSTM else {1: B}
    given = dict(zip(("input", "hx", "lengths"), arguments(7, 3)))
    run, _ = in_onnx_runtime(layer, given, {"input": {0: T, 1: B}, "hx": free_hx, "lengths": {0: B}})
    for shape in SHAPES:
        x, hx, lengths = arguments(*shape)
        got, expected = run(x, *leaves(hx), lengths), layer(x, hx, lengths)
        assert difference(got, leaves(expected)) < 1e-5
        assert torch.equal(got[1][:, -1], leaves(hx)[0][:, -1]) == (int(lengths[-1]) == 0)


def test_float64_equals_itself_in_onnx_runtime() -> None:
    layer = un.LSTM(INPUTS, HIDDEN).double()
    x = sequence(layer, 7, 3, torch.float64)
    run, operators = in_onnx_runtime(layer, {"input": x}, {"input": {0: T, 1: B}})
    assert "Scan" in operators
    x = sequence(layer, 40, 2, torch.float64)
    assert difference(run(x), leaves(layer(x))) < 1e-10


class Streamed(nn.Module):
    """One step of a layer with its state as plain tensors."""

    def __init__(self, layer: un.Recurrent) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, x: Tensor, h: Tensor) -> tuple[Tensor, Tensor]:
        output, (state,) = self.layer.step(x, [(h,)])
        return output, state.h


@pytest.mark.parametrize("cell", [un.GRUCell, un.MGUCell])
def test_a_stream_of_steps_in_onnx_runtime_equals_the_sequence(cell: Any) -> None:
    layer = un.Recurrent(cell(INPUTS, HIDDEN))
    given = {"x": torch.randn(3, INPUTS), "h": torch.zeros(3, HIDDEN)}
    run, _ = in_onnx_runtime(Streamed(layer), given, {"x": {0: B}, "h": {0: B}})
    x, h, outputs = sequence(layer, 6, 2), torch.zeros(2, HIDDEN), []
    for x_t in x:
        y, h = run(x_t, h)
        outputs.append(y)
    assert difference((torch.stack(outputs), h), leaves(layer(x))) < 1e-5
