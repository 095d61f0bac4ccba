"""Equality, ratios, the peak and the summary, against numbers worked out by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from unroll.bench import peak
from unroll.bench.cases import FAMILIES, GRID, SHAPES, STEPS, Case, Shape, chosen
from unroll.bench.contenders import contenders
from unroll.bench.equality import BOUNDS, ROWS, apart
from unroll.bench.measure import _told
from unroll.bench.participant import clock, clock_name, seconds
from unroll.bench.summary import goals, summary

# Equal numbers


def compared(tmp_path: Path, own: list[Any], wanted: list[Any], results: int, dtype: str = "float32") -> Any:
    for name, arrays in (("own", own), ("wanted", wanted)):
        np.savez(tmp_path / f"{name}.npz", *(array.astype(dtype) for array in arrays))
    return apart(tmp_path / "own.npz", tmp_path / "wanted.npz", results, dtype)


def test_a_difference_is_relative_to_the_largest_number_of_its_tensor(tmp_path: Path) -> None:
    wanted = [np.array([4.0, 1.0]), np.array([-100.0, 1.0])]
    own = [np.array([4.0, 1.0 + 4e-6]), np.array([-100.0, 1.0 + 1e-3])]
    found = compared(tmp_path, own, wanted, 1)
    assert (found.forward, found.backward) == (1e-6, 1e-5)
    assert found.equal


@pytest.mark.parametrize("dtype", list(BOUNDS))
@pytest.mark.parametrize("which", [0, 1])
def test_results_gradients_and_each_dtype_have_bounds_of_their_own(dtype: str, which: int, tmp_path: Path) -> None:
    wanted = [np.ones(3), np.ones(3)]
    for factor, equal in ((0.9, True), (1.1, False)):
        own = [one.copy() for one in wanted]
        own[which][1] += factor * BOUNDS[dtype][which]
        assert compared(tmp_path, own, wanted, 1, dtype).equal is equal


def test_numbers_of_another_dtype_are_not_equal(tmp_path: Path) -> None:
    """What was to be compared in float64 says nothing in float32, though it be the same."""
    for name in ("own", "wanted"):
        np.savez(tmp_path / f"{name}.npz", np.ones(2, np.float32))
    files = tmp_path / "own.npz", tmp_path / "wanted.npz"
    assert apart(*files, 1, "float32").equal
    assert not apart(*files, 1, "float64").equal


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
@pytest.mark.parametrize("place", [0, 1])
@pytest.mark.parametrize("whose", ["own", "wanted", "both"])
def test_what_is_no_number_equals_nothing(value: float, place: int, whose: str, tmp_path: Path) -> None:
    own, wanted = [np.ones(2), np.ones(2)], [np.ones(2), np.ones(2)]
    for side, name in ((own, "own"), (wanted, "wanted")):
        if whose in (name, "both"):
            side[place][1] = value
    found = compared(tmp_path, own, wanted, 1)
    assert not found.equal
    assert (found.forward, found.backward)[place] is None


@pytest.mark.parametrize("own", [[np.ones(2)], [np.ones(2), np.ones((1, 2))], [np.ones(2)] * 3])
def test_other_tensors_are_not_equal(own: list[Any], tmp_path: Path) -> None:
    assert not compared(tmp_path, own, [np.ones(2), np.ones(2)], 1).equal


# Times and ratios


def test_a_ratio_is_the_median_of_neighbours_and_a_time_the_median_of_times() -> None:
    case = Case("GRU", "forward", Shape(1, 1, 2, 3))
    running = contenders(case, {"torch", "unroll"})
    times = {"torch": [4e-6, 8e-6, 40e-6], "unroll": [2e-6, 1e-6, 4e-6]}
    row = _told(times, running, case, peak=0.9)
    assert row["microseconds"] == {"torch": 8.0, "unroll": 2.0}
    assert row["faster"] == {"unroll": 8.0}  # of 2, 8 and 10; the ratio of the medians would be 4
    assert row["quartiles"] == {"unroll": [2.0, 10.0]}
    # 2 · 3 gates · 3 units · 5 inputs = 90 operations in 2 µs: 0.045 GFLOP/s
    assert row["share_of_peak"] == {"torch": 0.0125, "unroll": 0.05}
    assert row["repeats"] == 3


def test_a_clock_is_the_processors_on_one_thread_alone() -> None:
    import time

    assert (clock(1), clock(2)) == (time.process_time, time.perf_counter)
    assert (clock_name(1), clock_name(2)) == ("processor", "wall")
    ticks = iter([5.0, 11.0])
    called: list[int] = []
    assert seconds(lambda: called.append(1), 3, lambda: next(ticks)) == 2.0
    assert len(called) == 3


def test_the_peak_is_that_of_the_best_size() -> None:
    """By a clock on which everything takes a second."""
    now = iter(range(1000))
    found = peak.gigaflops(lambda: float(next(now)), quick=True)
    assert found == {name: 2 * max(peak.QUICK_SIZES) ** 3 / 1e9 for name in peak.products()}
    assert "torch.mm" in found


@pytest.mark.parametrize("name", sorted(peak.products()))
def test_what_is_timed_for_the_peak_is_the_product(name: str) -> None:
    n = 33
    a, b = peak._matrices(n)
    with torch.no_grad():
        found = peak.products()[name](n)()
    found = found.to_dense() if found.is_mkldnn else found
    assert torch.allclose(found.double(), a.double() @ b.double(), rtol=0, atol=1e-5)


# The summary


def row(family: str, work: str, shape: Any, faster: dict[str, float], **more: Any) -> dict[str, Any]:
    names = {name: {"forward": 0.0, "backward": None, "equal": True} for name in faster}
    return {
        "family": family, "work": work, **Shape(*shape)._asdict(), "threads": 1, "equal": True, "apart": names,
        "faster": faster, "microseconds": {}, "share_of_peak": {}, **more,
    }  # fmt: skip


def wrong(family: str, work: str, shape: Any, who: str = "unroll") -> dict[str, Any]:
    made = row(family, work, shape, {})
    return made | {"equal": False, "apart": {who: {"forward": 1.0, "backward": None, "equal": False}}}


def of(rows: list[dict[str, Any]], start: str) -> dict[str, Any]:
    (found,) = [line for line in summary(rows) if line["name"].startswith(start)]
    return found


def grid(work: str, family: str, faster: list[float]) -> list[dict[str, Any]]:
    return [row(family, work, shape, {"unroll": value}) for shape, value in zip(GRID, faster, strict=True)]


def test_a_figure_is_the_geometric_mean_over_the_grid() -> None:
    found = of(grid("training", "GRU", [2, 8, 2, 8, 2, 8, 2, 8, 4]), "GRU training")
    assert (found["figure"], found["goal"], found["reached"]) == (4.0, 4.0, True)
    assert (found["over"], found["of"]) == (9, 9)
    missed = of(grid("training", "GRU", [2, 8, 2, 8, 2, 8, 2, 8, 3.9]), "GRU training")
    assert missed["reached"] is False
    assert missed["figure"] == pytest.approx((2**4 * 8**4 * 3.9) ** (1 / 9), abs=1e-4)


def test_the_worst_shape_is_held_to_a_bound_of_its_own() -> None:
    rows = [r for family in FAMILIES for r in grid("forward", family, [9.0] * 8 + [0.94])]
    found = of(rows, "forward, the worst shape")
    assert (found["figure"], found["reached"], found["of"]) == (0.94, False, 27)


OTHER = [row("GRU", "training", (1, 2, 3, 4), {"unroll": 9.0})]


@pytest.mark.parametrize("rows", [grid("training", "GRU", [9.0] * 9)[:8], OTHER], ids=["part", "other"])
def test_a_part_or_other_shapes_give_a_figure_and_no_verdict(rows: list[dict[str, Any]]) -> None:
    found = of(rows, "GRU training")
    assert (found["figure"], found["reached"]) == (9.0, None)


def test_unequal_numbers_miss_a_goal_whatever_the_others_reach() -> None:
    rows = [*grid("training", "GRU", [9.0] * 9)[:8], wrong("GRU", "training", GRID[8])]
    assert of(rows, "GRU training")["reached"] is False
    alone = of([wrong("GRU", "training", GRID[0])], "GRU training")
    assert (alone["figure"], alone["reached"]) == (None, False)
    # What another library got wrong is not held against us.
    rows = grid("training", "GRU", [9.0] * 9)
    rows[0]["apart"]["jax"] = {"forward": 1.0, "backward": None, "equal": False}
    rows[0]["equal"] = False
    assert of(rows, "GRU training")["reached"] is True


def test_other_libraries_are_compared_by_their_times() -> None:
    times = {"microseconds": {"torch": 9.0, "onnx": 6.0, "unroll": 3.0}}
    rows = [row(f, "forward", s, {"unroll": 3.0, "onnx": 1.5}, **times) for f in FAMILIES for s in GRID]
    found = of(rows, "forward, times faster than ONNX Runtime")
    assert (found["figure"], found["reached"], found["over"]) == (2.0, True, 27)
    without = [row(f, "forward", s, {"unroll": 3.0}) for f in FAMILIES for s in GRID]
    assert not [line for line in summary(without) if "ONNX" in line["name"]]


def test_a_cost_is_the_time_over_the_others() -> None:
    shape = SHAPES["ragged"][0]
    rows = [row(f, "ragged", shape, {"unroll ragged": value}) for f, value in zip(FAMILIES, (2.0, 1.25, 0.8))]
    found = of(rows, "ragged")
    assert (found["figure"], found["goal"], found["reached"]) == (1.25, 1.0, False)  # the worst of the three
    shape = SHAPES["options"][0]
    costs = row("LSTM", "options", shape, {"layer norm": 0.5, "peephole": 0.4, "CIFG": 1.0})
    assert of([costs], "LSTM with layer norm")["reached"] is True
    assert of([costs], "LSTM with peephole")["figure"] == 2.5
    assert of([costs], "LSTM with peephole")["reached"] is False


def test_steps_are_judged_by_their_size() -> None:
    rows = [row(f, "step", s, {"unroll": 6.0}) for f in FAMILIES for s in STEPS]
    assert of(rows, "step of batch 1, H = 32")["reached"] is False
    assert of(rows, "step of batch 1, H = 128")["reached"] is True


def test_the_share_of_the_peak_counts_where_matrices_are_large() -> None:
    rows = [
        row(f, "forward", s, {"unroll": 1.0}, share_of_peak={"unroll": 0.8 if s.B >= 32 and s.H >= 128 else 0.01})
        for f in FAMILIES
        for s in GRID
    ]
    found = of(rows, "forward, share of the peak")
    assert (found["figure"], found["reached"], found["of"]) == (0.8, True, 9)


def test_time_and_memory_of_a_long_sequence() -> None:
    rows = [
        row(f, "long", SHAPES["long"][0], {"unroll": 10.0}, memory_mb={"torch": 6000.0, "unroll": 2000.0})
        for f in FAMILIES
    ]
    assert of(rows, "GRU over 20,000 steps, time")["figure"] == 0.1
    assert [of(rows, f"{f} over 20,000 steps, memory")["reached"] for f in FAMILIES] == [True, False, False]


def test_threads_are_summed_up_apart() -> None:
    one, two = grid("training", "GRU", [2.0] * 9), grid("training", "GRU", [8.0] * 9)
    found = summary([*one, *(r | {"threads": 2} for r in two)])
    figures = {line["threads"]: line["figure"] for line in found if line["name"].startswith("GRU training")}
    assert figures == {1: 2.0, 2: 8.0}


def test_every_goal_is_about_cases_that_are_measured() -> None:
    measured = {(case.work, case.family, case.shape) for case in chosen(works=list(SHAPES))}
    names = [goal.name for goal in goals()]
    assert len(set(names)) == len(names)
    for goal in goals():
        assert goal.owed()
        assert {(goal.work, *one) for one in goal.owed()} <= measured


def test_a_sum_over_more_rows_may_round_more_and_a_result_may_not(tmp_path: Path) -> None:
    wanted = [np.ones(3, np.float32), np.ones(3, np.float32)]
    for which, rows, equal in ((1, ROWS, False), (1, 10 * ROWS, True), (1, 3 * ROWS, False), (0, 10 * ROWS, False)):
        own = [one.copy() for one in wanted]
        own[which][1] += 2.5 * BOUNDS["float32"][which]
        for name, tensors in (("own", own), ("wanted", wanted)):
            np.savez(tmp_path / f"{name}.npz", *tensors)
        assert apart(tmp_path / "own.npz", tmp_path / "wanted.npz", 1, "float32", rows).equal == equal
