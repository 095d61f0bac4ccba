"""The whole measurement: libraries started and stopped, cases one after the other, the result."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from typing import Any

from unroll.bench.cases import ON_REQUEST, Case, chosen
from unroll.bench.contenders import LABELS, participants
from unroll.bench.equality import bounds
from unroll.bench.library import Library
from unroll.bench.measure import Effort, Row, measured, measured_once
from unroll.bench.participant import clock_name
from unroll.bench.summary import summary
from unroll.errors import ConfigError
from unroll.machine import cores, machine, versions

Told = Callable[[str, dict[str, Any]], None]
"""Called with ``"start"``, ``"threads"`` and ``"row"`` as the measurement goes on."""


def measure(
    families: Sequence[str] = (),
    works: Sequence[str] = (),
    shapes: Sequence[str] = (),
    *,
    threads: Sequence[int] | None = None,
    repeats: int | None = None,
    quick: bool = False,
    beside: Sequence[str] | None = None,
    on_event: Told | None = None,
) -> dict[str, Any]:
    """Measure unroll's layers beside torch.nn's and other libraries' on this machine.

    Every library runs in a process of its own and only one of them works at a time. A time is a median over repeats
    that alternate between the libraries; a ratio is the median of the ratios of neighbouring repeats. On one thread
    the processor's time is taken, on several that on the clock. Before anything is timed its numbers are compared
    with torch's; where they differ by more than the ``bounds`` of the result there is no time.

    Args:
        families: among RNN, LSTM and GRU; all by default.
        works: names of ``cases.WORKS``; all but ``"long"`` by default.
        shapes: ``"batch,steps,input,hidden"`` each, instead of those the goals are set for.
        threads: numbers of threads, measured one after the other; 1 and, where there are two cores, 2 by default.
        repeats: how often a case is timed at most.
        quick: a few small shapes and few repeats, for a look in seconds.
        beside: which of ``"onnx"``, ``"jax"`` and ``"eager"`` to run too; all that are installed by default.

    Returns:
        What ``unroll bench --json`` prints: ``rows``, ``summary``, ``peak_gigaflops``, ``missing``, bounds, machine and
        versions. ``equal`` is False where any numbers differ.

    Raises:
        ConfigError: a name, shape or number is wrong.
        RunError: a library failed or its process ended.

    Example::

        >>> unroll.bench.measure(["GRU"], ["forward"], ["32,100,10,20"], threads=[1])["rows"][0]["faster"]["unroll"]
    """
    cases = chosen(families, works, shapes, quick=quick)
    counts = _checked_threads(threads)
    effort = Effort.quick() if quick else Effort()
    if repeats is not None:
        effort = effort._replace(repeats=_checked_repeats(repeats), fewest=min(repeats, effort.fewest))
    names = participants(cases, None if beside is None else list(beside))
    tell: Told = on_event or (lambda event, what: None)
    result: dict[str, Any] = {
        "started": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        "dtype": "float32",
        "bounds": bounds(),
        "machine": machine(),
        "versions": versions(),
        "libraries": {},
        "missing": {},
        "clock": {str(count): clock_name(count) for count in counts},
        "peak_gigaflops": {},
        "product_gigaflops": {},
        "rows": [],
    }
    tell("start", {"cases": len(cases) * len(counts)})
    for count in counts:
        _measure_on(count, cases, names, effort, quick, result, tell)
    result["equal"] = all(row["equal"] for row in result["rows"])
    result["summary"] = summary(result["rows"])
    return result


def _measure_on(
    count: int, cases: Sequence[Case], names: Sequence[str], effort: Effort, quick: bool, result: Row, tell: Told
) -> None:
    repeated = [case for case in cases if case.work not in ON_REQUEST]
    with ExitStack() as stack:
        libraries = {name: stack.enter_context(Library(name, count)) for name in names}  # all start at once
        result["missing"] |= {LABELS[name]: own.missing for name, own in libraries.items() if own.missing}
        present = {name: own for name, own in libraries.items() if not own.missing}
        result["libraries"] |= {name: own.version for name, own in present.items()}
        products = present["torch"].ask("peak", quick=quick)["gigaflops"]
        peak = max(products.values())
        result["product_gigaflops"][str(count)] = products
        result["peak_gigaflops"][str(count)] = peak
        tell("threads", {"threads": count, **result})
        for case in repeated:
            tell("case", {"case": case})
            _keep(measured(case, present, effort, peak), result, tell)
    for case in cases:
        if case not in repeated:
            tell("case", {"case": case})
            _keep(measured_once(case, list(present), count), result, tell)


def _keep(row: Row, result: Row, tell: Told) -> None:
    result["rows"].append(row)
    tell("row", row)


def _checked_threads(threads: Sequence[int] | None) -> list[int]:
    most = cores()
    if threads is None:
        return [1, 2][:most]
    for count in threads:
        if isinstance(count, bool) or not isinstance(count, int) or not 1 <= count <= most:
            raise ConfigError(f"threads {count}", expected=f"whole numbers from 1 to {most}, the cores of this machine")
    if not threads:
        raise ConfigError("no number of threads given", expected=f"whole numbers from 1 to {most}")
    return list(dict.fromkeys(threads))


def _checked_repeats(repeats: int) -> int:
    if isinstance(repeats, bool) or not isinstance(repeats, int) or repeats < 1:
        raise ConfigError(f"repeats {repeats}", expected="a whole number above 0")
    return repeats
