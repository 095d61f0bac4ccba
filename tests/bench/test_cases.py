"""Which cases a selection means, and what the figures of a case rest on."""

from __future__ import annotations

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

import unroll.nn
from unroll import kernels
from unroll.bench.cases import FAMILIES, GRID, ON_REQUEST, QUICK, SHAPES, WORKS, Case, Shape, chosen, read_shape
from unroll.bench.contenders import LABELS, OTHERS, PARTICIPANTS, contenders, participants
from unroll.bench.torch_layers import ragged_lengths
from unroll.errors import ConfigError


def test_by_default_all_is_measured_but_what_takes_minutes() -> None:
    cases = chosen()
    assert {case.work for case in cases} == set(WORKS) - set(ON_REQUEST)
    for work in ("forward", "training"):
        assert {(c.family, c.shape) for c in cases if c.work == work} == {(f, s) for f in FAMILIES for s in GRID}
    assert len(set(cases)) == len(cases)


def test_every_work_has_shapes_contenders_and_someone_to_equal() -> None:
    assert set(SHAPES) == set(QUICK) == set(WORKS)
    assert set(LABELS) == set(PARTICIPANTS)
    for case in chosen(works=list(WORKS)):
        names = [one.name for one in contenders(case, set(PARTICIPANTS))]
        assert len(set(names)) == len(names)
        for one in contenders(case, set(PARTICIPANTS)):
            # In order, so that what must be equal is there by then.
            assert one.equals is None or names.index(one.equals) < names.index(one.name)
            assert one.against is None or one.against in names
            if one.timed and one.participant != "torch":
                assert one.equals is not None, "nothing is timed whose numbers were not compared"


def test_a_selection_is_a_part_in_the_order_of_works_and_shapes() -> None:
    cases = chosen(["gru", "RNN", "gru"], ["Training"], ["2,3,4,5", "1,2,3,4"])
    expected = [("GRU", (2, 3, 4, 5)), ("RNN", (2, 3, 4, 5)), ("GRU", (1, 2, 3, 4)), ("RNN", (1, 2, 3, 4))]
    assert [(c.family, tuple(c.shape)) for c in cases] == expected
    assert {c.work for c in cases} == {"training"}


def test_a_step_takes_the_sizes_of_a_shape_and_one_step_of_it() -> None:
    cases = chosen(["GRU"], ["step"], ["2,3,4,5", "2,9,4,5"])
    assert [tuple(c.shape) for c in cases] == [(2, 1, 4, 5)]


@pytest.mark.parametrize("text", ["", "1,2,3", "1,2,3,4,5", "1,2,3,x", "1,2,3,0", "-1,2,3,4", "1.5,2,3,4", "1;2;3;4"])
def test_a_shape_that_cannot_be_read_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match=r"batch,steps,input,hidden") as caught:
        read_shape(text)
    assert f"shape '{text}'" in str(caught.value)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ({"families": ["GRUU"]}, "unknown family 'GRUU'. Did you mean 'gru'?"),
        ({"families": ["transformer"]}, "expected one of RNN, LSTM, GRU"),
        ({"works": ["foward"]}, "unknown work 'foward'. Did you mean 'forward'?"),
        ({"families": ["GRU"], "works": ["options"]}, "no case is left"),
    ],
)
def test_a_selection_of_nothing_known_is_refused(arguments: dict[str, list[str]], told: str) -> None:
    with pytest.raises(ConfigError) as caught:
        chosen(**arguments)
    assert told in str(caught.value)


def test_only_libraries_that_are_asked_for_start() -> None:
    forward = chosen(works=["forward"])
    assert participants(forward) == ["torch", "unroll", "onnx", "jax", "eager"]
    assert participants(forward, ["jax"]) == ["torch", "unroll", "jax"]
    assert participants(forward, []) == ["torch", "unroll"]
    assert participants(chosen(works=["step"])) == ["torch", "unroll", "eager"]
    # Without the loop over steps nothing would be there to hold the options to.
    assert participants(chosen(works=["options"]), []) == ["torch", "unroll", "eager"]
    with pytest.raises(ConfigError, match=r"unknown library 'onx'\. Did you mean 'onnx'\?"):
        participants(forward, ["onx"])
    assert set(OTHERS) < set(PARTICIPANTS)


@pytest.mark.parametrize("family", FAMILIES)
def test_operations_are_those_that_torch_counts(family: str) -> None:
    """The loop over steps multiplies each matrix once for every step; a start that needs a gradient makes the
    backward pass whole."""
    shape = Shape(2, 5, 3, 4)
    layer, x = getattr(unroll.nn, family)(shape.I, shape.H), torch.randn(shape.T, shape.B, shape.I, requires_grad=True)
    blank = torch.zeros(1, shape.B, shape.H, requires_grad=True)
    with kernels.use("reference"), FlopCounterMode(display=False) as forward:
        output = layer(x, (blank, blank.clone()) if family == "LSTM" else blank)[0]
    with FlopCounterMode(display=False) as backward:
        output.sum().backward()
    counted = forward.get_total_flops()
    assert Case(family, "forward", shape).operations() == counted
    assert Case(family, "training", shape).operations() == counted + backward.get_total_flops()
    assert Case(family, "ragged", shape).operations() is None


@pytest.mark.parametrize(("B", "T"), [(8, 1000), (4, 50), (1, 100), (3, 2), (2, 1)])
def test_a_ragged_batch_is_as_full_as_it_says(B: int, T: int) -> None:
    lengths = ragged_lengths(Shape(B, T, 2, 3))
    assert lengths.shape == (B,)
    assert 1 <= lengths.min() <= lengths.max() <= T
    if T >= 50:
        assert abs(lengths.sum() / (B * T) - 0.62) < 0.5 / T
        assert B == 1 or lengths.max() == T
