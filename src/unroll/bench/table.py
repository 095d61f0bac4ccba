"""The measurement as text: a line for each row as it comes, then what it comes to."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from unroll.bench.cases import WORKS

Row = dict[str, Any]

_SHORT = {"onnx": "ONNX", "jax": "JAX", "eager": "eager"}
_NAME = 25
_SUMMARY = 52


def opening(result: Row, threads: int) -> str:
    """Where it is measured, and who takes part."""
    on, products = result["machine"], result["product_gigaflops"][str(threads)]
    counted = "1 thread" if threads == 1 else f"{threads} threads"
    lines = [
        f"{on['processor']} · {counted}, {result['clock'][str(threads)]} time · {result['dtype']} · "
        "matrix product " + ", ".join(f"{name} {value:.0f}" for name, value in products.items()) + " GFLOP/s",
        *(f"not measured: {name} ({why})" for name, why in result["missing"].items()),
    ]
    return "\n".join(lines) + "\n"


def heading(work: str) -> str:
    """What the lines below are, and their columns."""
    columns = {
        "forward": _SPEED,
        "training": _SPEED,
        "step": _SPEED,
        "ragged": f"{'padded':>10}{'ragged':>10}{'cost':>7}   {'torch packed':>12}   ran",
        "options": f"{'plain':>10}{'layer norm':>12}{'peephole':>10}{'CIFG':>7}   ran",
        "captured": f"{'plain':>10}{'captured':>10}{'cost':>7}   ran",
        "long": f"{'torch':>10}{'unroll':>10}{'faster':>8}{'torch MB':>11}{'unroll MB':>11}   ran",
    }[work]
    return f"\n{work}: {WORKS[work]}\n{'':<6}{'B,T,I,H':<{_NAME - 6}}{columns}\n"


_SPEED = (
    f"{'torch':>9}{'unroll':>9}{'faster':>7}{'(middle half)':>15}  {'ran':<9}{'peak':>5}"
    + "".join(f"{name:>6}" for name in _SHORT.values())
)  # fmt: skip


def line(row: Row) -> str:
    """One row; no time of whoever's numbers differ."""
    name = f"{row['family']:<6}{','.join(str(row[size]) for size in 'BTIH'):<{_NAME - 6}}"
    told = _LINES[row["work"]](row) if row["faster"] else ""
    return "\n".join([(name + told).rstrip(), *_wrong(row)]) + "\n"


def closing(result: Row) -> str:
    """Every goal with its figure."""
    lines = [""]
    for threads in dict.fromkeys(line["threads"] for line in result["summary"]):
        own = [line for line in result["summary"] if line["threads"] == threads]
        lines.append(f"{'on ' + str(threads) + (' thread' if threads == 1 else ' threads'):<{_SUMMARY}}"
                     f"{'figure':>8}{'goal':>10}")  # fmt: skip
        lines += map(_goal, own)
    if not result["equal"]:
        lines.append("Some numbers differ by more than they may: no speed is printed for those.")
    return "\n".join(lines) + "\n"


def _goal(line: Row) -> str:
    sign = ">=" if line["at_least"] else "<="
    figure = "none" if line["figure"] is None else f"{line['figure']:.2f}"
    verdict = {True: "reached", False: "missed"}.get(line["reached"])
    over = f"over {line['over']} of {line['of']} rows" if line["over"] < line["of"] else "over other rows"
    goal = f"{sign} {line['goal']:.4g}"
    return f"  {line['name']:<{_SUMMARY - 2}}{figure:>8}{goal:>10}   {verdict or over}"


def _speed(row: Row) -> str:
    text = _times(row, "torch", "unroll", width=9)
    if "unroll" in row["faster"]:
        low, high = map(_ratio, row["quartiles"]["unroll"])
        text += f"{_ratio(row['faster']['unroll']):>7}{f'({low} … {high})':>15}"
    else:
        text += f"{'':>22}"
    share = row["share_of_peak"].get("unroll")
    text += f"  {row['ran']['unroll']:<9}" + (f"{share:>5.0%}" if share is not None else f"{'':>5}")
    for name in _SHORT:
        text += f"{_ratio(row['faster'][name]) if name in row['faster'] else '':>6}"
    return text


def _ragged(row: Row) -> str:
    text = _times(row, "unroll padded", "unroll ragged") + _cost(row, "unroll ragged", 7)
    return f"{text}   {_cost(row, 'torch packed', 12)}   {row['ran']['unroll ragged']}"


def _options(row: Row) -> str:
    costs = _cost(row, "layer norm", 12) + _cost(row, "peephole", 10) + _cost(row, "CIFG", 7)
    ran = dict.fromkeys(row["ran"][name] for name in ("plain", "layer norm", "peephole", "CIFG"))
    return f"{_times(row, 'plain')}{costs}   {', '.join(ran)}"


def _captured(row: Row) -> str:
    return f"{_times(row, 'unroll', 'captured')}{_cost(row, 'captured', 7)}   {row['ran']['captured']}"


def _long(row: Row) -> str:
    memory = "".join(f"{row['memory_mb'].get(name) or 0:>11,.0f}" for name in ("torch", "unroll"))
    return f"{_times(row, 'torch', 'unroll')}{_ratio(row['faster']['unroll']):>8}{memory}   {row['ran']['unroll']}"


_LINES = {
    "forward": _speed,
    "training": _speed,
    "step": _speed,
    "ragged": _ragged,
    "options": _options,
    "captured": _captured,
    "long": _long,
}


def _times(row: Row, *names: str, width: int = 10) -> str:
    return "".join(f"{_duration(row['microseconds'].get(name)):>{width}}" for name in names)


def _cost(row: Row, name: str, width: int) -> str:
    return f"{_ratio(1 / row['faster'][name]) if name in row['faster'] else '':>{width}}"


def _ratio(value: float) -> str:
    return f"{value:.2f}" if value < 9.995 else f"{value:.1f}" if value < 99.95 else f"{value:.0f}"


def _duration(microseconds: float | None) -> str:
    if microseconds is None:
        return ""
    for unit, size in (("µs", 1.0), ("ms", 1e3)):
        if microseconds < 999.5 * size:
            return f"{microseconds / size:.3g} {unit}"
    return f"{microseconds / 1e6:.3g} s"


def _wrong(row: Row) -> Iterator[str]:
    """Who differs, and by how much."""
    for name, difference in row["apart"].items():
        if not difference["equal"]:
            parts = [f"{difference[part]:.2g}" for part in ("forward", "backward") if difference[part] is not None]
            told = f"by {' and '.join(parts)} of the largest number" if parts else "or are not finite"
            yield f"{'':<6}numbers of {name} differ {told}: no speed"
