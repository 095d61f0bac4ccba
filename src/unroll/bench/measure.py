"""One case: the same numbers first, then times that alternate between the contenders."""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from unroll.bench.cases import Case
from unroll.bench.contenders import Contender, contenders
from unroll.bench.equality import Apart, apart
from unroll.bench.library import Library

Row = dict[str, Any]


class Effort(NamedTuple):
    """How long to measure: of a contender at one repeat, and of a case."""

    repeats: int = 21
    fewest: int = 5
    seconds_per_repeat: float = 0.03
    seconds_per_case: float = 6.0

    @classmethod
    def quick(cls) -> Effort:
        return cls(5, 3, 0.005, 0.3)


SETTLE = 0.01
"""Seconds for the threads of the library that worked last to fall asleep."""


def measured(case: Case, libraries: Mapping[str, Library], effort: Effort, peak: float) -> Row:
    """The row of ``case``. A contender whose numbers differ has no time there, nor has who is set against it."""
    running = contenders(case, set(libraries))
    with tempfile.TemporaryDirectory() as folder:
        answers = {one.name: _numbers(one, case, libraries, Path(folder)) for one in running}
        differences = dict(_differences(running, answers, Path(folder), case))
    threads = next(iter(libraries.values())).threads
    row = _basis(case, threads, differences, {name: answer["ran"] for name, answer in answers.items()})
    trusted = [one for one in running if one.timed and _trusted(one, running, differences)]
    times = _times(trusted, case, libraries, effort) if trusted and _worth(trusted) else {}
    return row | _told(times, trusted, case, peak)


def measured_once(case: Case, names: Sequence[str], threads: int) -> Row:
    """The row of a case that takes long: one call in a fresh process each, with the most memory it has held."""
    with tempfile.TemporaryDirectory() as folder:
        answers, running = {}, contenders(case, set(names))
        for one in running:
            with Library(one.participant, threads) as library:
                answers[one.name] = library.about("once", case, one.variant, file=str(_file(Path(folder), one)))
        differences = dict(_differences(running, answers, Path(folder), case))
    row = _basis(case, threads, differences, {name: answer["ran"] for name, answer in answers.items()})
    trusted = [one for one in running if _trusted(one, running, differences)]
    times = {one.name: [answers[one.name]["seconds"]] for one in trusted} if _worth(trusted) else {}
    memory = {name: answers[name]["memory_mb"] for name in times}
    before = {name: answers[name]["memory_before_mb"] for name in times}
    return row | _told(times, trusted, case, 0.0) | {"memory_mb": memory, "memory_before_mb": before}


def _file(folder: Path, one: Contender) -> Path:
    return folder / f"{one.name}.npz"


def _numbers(one: Contender, case: Case, libraries: Mapping[str, Library], folder: Path) -> dict[str, Any]:
    return libraries[one.participant].about("numbers", case, one.variant, file=str(_file(folder, one)))


def _differences(
    running: Sequence[Contender], answers: Mapping[str, dict[str, Any]], folder: Path, case: Case
) -> Iterator[tuple[str, Apart]]:
    by_name = {one.name: one for one in running}
    for one in running:
        if one.equals in by_name:
            results = answers[one.equals]["results"]
            files = _file(folder, one), _file(folder, by_name[one.equals])
            yield one.name, apart(*files, results, case.compared_in, case.shape.B * case.shape.T)


def _trusted(one: Contender, running: Sequence[Contender], differences: Mapping[str, Apart]) -> bool:
    """Whether its numbers are those they must be, and so on back to the first."""
    if one.equals is None:
        return True
    before = next((other for other in running if other.name == one.equals), None)
    return differences[one.name].equal and before is not None and _trusted(before, running, differences)


def _worth(trusted: Sequence[Contender]) -> bool:
    """Whether any ratio can be formed: a time alone says nothing."""
    names = {one.name for one in trusted}
    return any(one.against in names for one in trusted)


def _times(
    running: Sequence[Contender], case: Case, libraries: Mapping[str, Library], effort: Effort
) -> dict[str, list[float]]:
    """Seconds of a call of each contender, at each repeat."""

    def timed(one: Contender, calls: int) -> float:
        library = libraries[one.participant]
        if library.threads > 1:
            time.sleep(SETTLE)
        return float(library.about("time", case, one.variant, calls=calls)["seconds"])

    once = {one.name: max(1e-7, timed(one, 1)) for one in running}
    calls = {name: max(1, round(effort.seconds_per_repeat / seconds)) for name, seconds in once.items()}
    # A repeat calls each once more than it times.
    lasts = sum(seconds * (calls[name] + 1) for name, seconds in once.items())
    repeats = max(effort.fewest, min(effort.repeats, round(effort.seconds_per_case / lasts)))
    times: dict[str, list[float]] = {one.name: [] for one in running}
    for repeat in range(repeats):
        for one in running if repeat % 2 else reversed(running):
            times[one.name].append(timed(one, calls[one.name]))
    return times


def _basis(case: Case, threads: int, differences: Mapping[str, Apart], ran: Row) -> Row:
    return {
        "family": case.family,
        "work": case.work,
        **case.shape._asdict(),
        "threads": threads,
        "compared_in": case.compared_in,
        "equal": all(difference.equal for difference in differences.values()),
        "apart": {name: difference._asdict() for name, difference in differences.items()},
        "ran": {name: "+".join(names) for name, names in ran.items()},
    }


def _told(times: Mapping[str, list[float]], trusted: Sequence[Contender], case: Case, peak: float) -> Row:
    """Medians; how many times faster each is than what it is set against; the share of the peak."""
    medians = {name: statistics.median(values) for name, values in times.items()}
    faster, quartiles = {}, {}
    for one in trusted:
        if one.against is not None and one.name in times and one.against in times:
            ratios = [theirs / own for theirs, own in zip(times[one.against], times[one.name])]
            low, ratio, high = statistics.quantiles(ratios, n=4) if len(ratios) > 1 else ratios * 3
            faster[one.name], quartiles[one.name] = round(ratio, 4), [round(low, 4), round(high, 4)]
    operations = case.operations()
    share = {}
    if operations is not None and peak > 0:
        share = {name: float(f"{operations / median / 1e9 / peak:.3g}") for name, median in medians.items()}
    return {
        "microseconds": {name: round(median * 1e6, 3) for name, median in medians.items()},
        "faster": faster,
        "quartiles": quartiles,
        "share_of_peak": share,
        "repeats": max(map(len, times.values()), default=0),
    }
