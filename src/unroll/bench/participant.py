"""What a library must do to take part, and the clock it is timed by."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Protocol

from unroll.bench.cases import Case

Call = Callable[[], Any]


class Prepared(NamedTuple):
    """A case made ready.

    Attributes:
        numbers: computes the work once and gives every tensor of it, results before gradients.
        call: the work alone, to be timed.
        results: how many of the numbers are results; the rest are gradients.
    """

    numbers: Callable[[], Sequence[Any]]
    call: Call
    results: int


class Participant(Protocol):
    """A library in its own process. Making one fails with ImportError where the library is not installed."""

    def __init__(self, threads: int) -> None: ...

    def version(self) -> str: ...

    def prepare(self, case: Case, variant: str) -> Prepared:
        """Weights and inputs depend on the case alone, so that all libraries compute the same."""
        ...

    def ran(self, call: Call) -> list[str]:
        """What ran inside ``call``, by name."""
        ...


def clock(threads: int) -> Callable[[], float]:
    """On one thread the processor's time for the process, so that other work on the machine counts as little as
    possible; on several the time on the clock."""
    return time.process_time if threads == 1 else time.perf_counter


def clock_name(threads: int) -> str:
    return "processor" if threads == 1 else "wall"


def seconds(call: Call, calls: int, now: Callable[[], float]) -> float:
    """Seconds of one call, over ``calls`` of them."""
    begin = now()
    for _ in range(calls):
        call()
    return (now() - begin) / calls
