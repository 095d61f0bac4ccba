"""What it comes to: geometric means over the shapes, beside the goals."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

from unroll.bench.cases import FAMILIES, OPTIONS_FAMILY, SHAPES, STEPS, Shape

Row = dict[str, Any]
Value = Callable[[Row], "float | None"]


def _any(shape: Shape) -> bool:
    return True


class Goal(NamedTuple):
    """One figure owed.

    Attributes:
        name: what is measured.
        work: the work whose rows count.
        bound: the value to reach; ``least`` says whether it is to be at least that, or at most.
        value: what of a row counts; None where it says nothing.
        who: the contenders whose numbers must be equal for it.
        families: whose rows count.
        only: which shapes count.
        gather: how the rows become one figure.
    """

    name: str
    work: str
    bound: float
    least: bool
    value: Value
    families: Sequence[str] = FAMILIES
    only: Callable[[Shape], bool] = _any
    gather: Callable[[Sequence[float]], float] = statistics.geometric_mean
    who: Sequence[str] = ("unroll",)

    def counts(self, row: Row) -> bool:
        return row["work"] == self.work and row["family"] in self.families and self.only(_shape(row))

    def wrong(self, row: Row) -> bool:
        """Whether numbers in ``row`` differ, so that there is no figure."""
        return any(name in row["apart"] and not row["apart"][name]["equal"] for name in self.who)

    def owed(self) -> set[tuple[str, Shape]]:
        """The rows that the goal was set for."""
        return {(family, shape) for family in self.families for shape in SHAPES[self.work] if self.only(shape)}


def summary(rows: Sequence[Row]) -> list[Row]:
    """Every goal that ``rows`` say something about, for each number of threads.

    ``reached`` is None where other shapes were measured than the goal is set for, or fewer: it is then a figure and
    no verdict. A row whose numbers were not equal makes it False.
    """
    return [
        line
        for threads in dict.fromkeys(row["threads"] for row in rows)
        for line in _summary([row for row in rows if row["threads"] == threads], threads)
    ]


def _summary(rows: Sequence[Row], threads: int) -> Iterator[Row]:
    for goal in goals():
        counted = [row for row in rows if goal.counts(row)]
        values = {(row["family"], _shape(row)): value for row in counted if (value := goal.value(row)) is not None}
        wrong = any(map(goal.wrong, counted))
        if not values and not wrong:
            continue
        figure = goal.gather(list(values.values())) if values else None
        reached = None
        if wrong:
            reached = False
        elif figure is not None and set(values) == goal.owed():
            reached = figure >= goal.bound if goal.least else figure <= goal.bound
        yield {
            "name": goal.name,
            "threads": threads,
            "figure": None if figure is None else round(figure, 4),
            "goal": goal.bound,
            "at_least": goal.least,
            "reached": reached,
            "over": len(values),
            "of": len(goal.owed()),
        }


_CAPTURED, _RAGGED = ("unroll", "captured"), ("unroll padded", "unroll ragged")


def goals() -> Iterator[Goal]:
    """The figures owed. A time under another's is how many times faster; a time over another's is a cost."""
    faster = _faster("unroll")
    for work, bounds in (("training", (2.5, 1.25, 4.0)), ("forward", (2.5, 1.3, 3.0))):
        for family, bound in zip(FAMILIES, bounds):
            yield Goal(f"{family} {work}, times faster than torch.nn", work, bound, True, faster, (family,))
    yield Goal("forward, times faster than ONNX Runtime", "forward", 1.5, True, _than_onnx, who=("unroll", "onnx"))
    for work in ("training", "forward"):
        yield Goal(f"{work}, the worst shape beside torch.nn", work, 0.95, True, faster, gather=min)
    for shape, bound in zip(STEPS, (8.0, 5.0)):
        name = f"step of batch 1, H = {shape.H}, times faster than a cell"
        yield Goal(name, "step", bound, True, faster, only=shape.__eq__)
    yield Goal(
        "all gates captured, cost at worst", "captured", 1.3, False, _cost("captured"), gather=max, who=_CAPTURED
    )
    for variant in ("layer norm", "peephole", "CIFG"):
        name = f"LSTM with {variant}, cost beside a plain one"
        yield Goal(name, "options", 2.0, False, _cost(variant), (OPTIONS_FAMILY,), who=("plain", variant))
    yield Goal(
        "ragged, cost beside padded at worst", "ragged", 1.0, False, _cost("unroll ragged"), gather=max, who=_RAGGED
    )
    for work in ("training", "forward"):
        yield Goal(f"{work}, share of the peak, B >= 32, H >= 128", work, 0.7, True, _share, only=_matrix_bound)
    for family in FAMILIES:
        yield Goal(f"{family} over 20,000 steps, time", "long", 1 / 8, False, _cost("unroll"), (family,))
        most = 1 / 2 if family == "RNN" else 1 / 4
        yield Goal(f"{family} over 20,000 steps, memory", "long", most, False, _memory, (family,))


def _shape(row: Row) -> Shape:
    return Shape(row["B"], row["T"], row["I"], row["H"])


def _matrix_bound(shape: Shape) -> bool:
    return shape.B >= 32 and shape.H >= 128


def _faster(name: str) -> Value:
    return lambda row: row["faster"].get(name)


def _cost(name: str) -> Value:
    def cost(row: Row) -> float | None:
        faster = row["faster"].get(name)
        return None if faster is None else 1 / faster

    return cost


def _than_onnx(row: Row) -> float | None:
    times = row["microseconds"]
    return times["onnx"] / times["unroll"] if {"onnx", "unroll"} <= times.keys() else None


def _share(row: Row) -> float | None:
    share: float | None = row["share_of_peak"].get("unroll")
    return share


def _memory(row: Row) -> float | None:
    memory = row.get("memory_mb", {})
    own, theirs = memory.get("unroll"), memory.get("torch")
    return own / theirs if own and theirs else None
