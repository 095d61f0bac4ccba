"""A stream on the engine: the step loop's numbers, in memory of the user's, and never with weights that are no more."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from unroll import kernels
from unroll import nn as un
from unroll.kernels import cpu

if cpu.native() is None:
    pytest.skip("this installation has no engine", allow_module_level=True)

T, INPUTS = 7, 3
OPTIONS: dict[str, dict[str, Any]] = {
    "norm": {"layer_norm": True},
    "projection": {"proj_size": 2},
    "clip-zoneout": {"clip": 0.3, "zoneout": (0.2, 0.4)},
    "all": {"variant": "V", "layer_norm": True, "proj_size": 3, "clip": 0.4, "zoneout": 0.1},
}
MAKE: dict[str, Any] = {
    **{name: entry.make for name, entry in un.CELLS.items()},
    **{f"lstm-{name}": lambda i, h, own=own: un.LSTMCell(i, h, **own) for name, own in OPTIONS.items()},
}
every = pytest.mark.parametrize("name", MAKE)
sizes = pytest.mark.parametrize(("B", "H"), [(1, 5), (3, 17), (9, 40)])


def build(name: str, H: int, dtype: torch.dtype = torch.float64, num_layers: int = 2) -> un.Recurrent:
    torch.manual_seed(0)
    return un.Recurrent(MAKE[name](INPUTS, H), num_layers=num_layers).to(dtype).eval()


def by_loop(layer: un.Recurrent, x: Tensor, state: Any = None) -> tuple[Tensor, Any]:
    with torch.no_grad(), kernels.use("reference"):
        return layer(x, state)


def flat(state: Any) -> list[Tensor]:
    return [leaf for part in state for leaf in part]


@every
@sizes
def test_steps_are_those_of_the_loop(name: str, B: int, H: int) -> None:
    layer, x = build(name, H), torch.randn(T, B, INPUTS, dtype=torch.float64)
    expected, final = by_loop(layer, x)
    stream = layer.stream(B)
    for number, (row, wanted) in enumerate(zip(x, expected)):
        before = flat(stream.state)
        copies = [leaf.clone() for leaf in before]
        output = stream.step(row)
        assert (output - wanted).abs().max() < 1e-12, number
        # What was read of the state stays what it was.
        assert all(torch.equal(a, b) for a, b in zip(before, copies))
    assert all((a - b).abs().max() < 1e-12 for a, b in zip(flat(stream.state), flat(final)))


def test_what_the_engine_knows_is_run_by_it() -> None:
    ran = {}
    for name in MAKE:
        stream = build(name, 4).stream(1)
        with kernels.recording() as heard:
            stream.step(torch.zeros(1, INPUTS, dtype=torch.float64))
        ran[name] = heard[0] == "cpu"
    assert {name for name, own in ran.items() if not own} == {"lstm_fgr", "indrnn", "sru", "qrnn", "qrnn_f", "qrnn_ifo"}


@pytest.mark.parametrize("name", ["gru", "lstm-all", "indrnn"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_output_is_written_where_the_user_says(name: str, dtype: torch.dtype) -> None:
    layer, x = build(name, 6, dtype), torch.randn(T, 2, INPUTS, dtype=dtype)
    stream, twin, arrays = (layer.stream(2) for _ in range(3))
    out = torch.full((2, layer.output_size), float("nan"), dtype=dtype)
    array = np.full((2, layer.output_size), np.nan, out.numpy().dtype)
    for row in x:
        expected = twin.step(row)
        assert stream.step(row, out) is out
        assert torch.equal(out, expected)
        assert arrays.step(row.numpy(), array) is array or np.shares_memory(array, array)
        assert np.array_equal(array, expected.numpy())
        assert np.array_equal(layer.step(row, None)[0].shape, array.shape)


def test_an_array_gives_an_array() -> None:
    stream = build("gru", 4, torch.float32).stream(1)
    assert isinstance(stream.step(np.zeros((1, INPUTS), np.float32)), np.ndarray)


def test_an_output_of_another_shape_or_dtype_is_refused_and_one_of_other_strides_filled() -> None:
    layer, x = build("lstm", 4, torch.float32), torch.randn(2, INPUTS)
    expected = layer.stream(2).step(x)
    for wrong in (torch.empty(2, 5), torch.empty(1, 4), torch.empty(2, 4, dtype=torch.float64)):
        with pytest.raises(RuntimeError, match=r"out must be \(2, 4\) in torch.float32, got"):
            layer.stream(2).step(x, wrong)
    wide = torch.full((2, 8), 7.0)
    layer.stream(2).step(x, wide[:, ::2])
    assert torch.equal(wide[:, ::2], expected)
    assert (wide[:, 1::2] == 7).all()


@pytest.mark.parametrize("wrong", [torch.zeros(2, 4), torch.zeros(3, INPUTS), torch.zeros(INPUTS)])
def test_an_input_of_another_shape_is_refused(wrong: Tensor) -> None:
    stream = build("gru", 4, torch.float32).stream(2)
    stream.step(torch.zeros(2, INPUTS))
    with pytest.raises(RuntimeError):
        stream.step(wrong)


def test_an_input_that_stands_for_its_negative_is_read_so() -> None:
    layer, x = build("gru", 4), torch.randn(1, INPUTS, dtype=torch.float64)
    lazy = torch._neg_view(x)
    stream = layer.stream(1)
    stream.step(x)
    twin = layer.stream(1)
    twin.step(x)
    assert torch.equal(stream.step(lazy), twin.step(-x))


def test_an_input_of_other_strides_is_read_as_it_says() -> None:
    layer, x = build("gru", 4), torch.randn(INPUTS, 2, dtype=torch.float64)
    assert torch.equal(layer.stream(2).step(x.t()), layer.stream(2).step(x.t().contiguous()))


@pytest.mark.parametrize("change", ["in place", "loaded", "replaced"])
def test_weights_that_change_are_read_anew(change: str) -> None:
    layer, x = build("gru", 4), torch.randn(2, 1, INPUTS, dtype=torch.float64)
    stream = layer.stream(1)
    stream.step(x[0])
    middle = stream.state
    with torch.no_grad():
        if change == "in place":
            layer.cells[0].weight_hh.mul_(-2)
        elif change == "loaded":
            layer.load_state_dict({name: -2 * p for name, p in layer.state_dict().items()})
        else:
            layer.cells[0].weight_hh = torch.nn.Parameter(layer.cells[0].weight_hh * -2)
            stream = layer.stream(1)
            stream.state = middle
    expected, _ = by_loop(layer, x[1:], middle)
    assert (stream.step(x[1]) - expected[0]).abs().max() < 1e-12


def test_the_backend_in_force_and_the_mode_are_those_of_the_step() -> None:
    layer, x = build("lstm", 4), torch.randn(4, 1, INPUTS, dtype=torch.float64)
    stream, twin = layer.stream(1), layer.stream(1)
    for row, backend in zip(x, ("auto", "reference", "torch", "cpu")):
        with kernels.use(backend), kernels.recording() as heard:
            got = stream.step(row)
        assert heard[0] == {"auto": "cpu"}.get(backend, backend)
        assert (got - twin.step(row)).abs().max() < 1e-12


def test_a_state_that_is_set_is_gone_on_from() -> None:
    layer, x = build("lstm-clip-zoneout", 4), torch.randn(3, 2, INPUTS, dtype=torch.float64)
    stream = layer.stream(2)
    stream.step(x[0])
    state = tuple(type(own)(*(torch.randn_like(leaf) for leaf in own)) for own in stream.state)
    stream.state = state
    expected, final = by_loop(layer, x[1:], state)
    assert (torch.stack([stream.step(row) for row in x[1:]]) - expected).abs().max() < 1e-12
    assert all((a - b).abs().max() < 1e-12 for a, b in zip(flat(stream.state), flat(final)))
