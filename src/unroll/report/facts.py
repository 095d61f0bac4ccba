"""What a result says, read once for the terminal and the page: who was best, in which order, drawn how."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from unroll.report import format as fmt
from unroll.report.style import BASELINE, Look, look_of

Result = Mapping[str, Any]

FILLED, HOLLOW, PALE = "filled", "hollow", "pale"


@dataclass(frozen=True, eq=False)
class Entry:
    """A candidate or a baseline with its score on the metric of the task."""

    name: str
    look: Look
    fill: str
    is_baseline: bool
    mean: float | None
    low: float | None
    high: float | None
    raw: Mapping[str, Any]

    @property
    def label(self) -> str:
        return fmt.clean(self.name)

    @property
    def named(self) -> str:
        """The name in a sentence."""
        return self.short(36)

    def short(self, width: int) -> str:
        return fmt.shorten(self.label, width)


def metric_of(result: Result) -> str:
    return str(result["task"].get("metric") or "score")


def higher_is_better(result: Result) -> bool:
    return bool(result["task"].get("better") == "higher")


def words_of(result: Result) -> Mapping[str, Any]:
    """What the task itself calls things; nothing for a forecast, whose words are the report's own."""
    found: Mapping[str, Any] = result.get("words") or {}
    return found


def keeps_last(result: Result) -> bool:
    """Whether networks were scored with the weights of their last epoch, not of the lowest validation loss."""
    train = ((result.get("repeat") or {}).get("config") or {}).get("train") or {}
    return bool(train.get("keep") == "last")


def examples_of(result: Result, part: str) -> str:
    """``343 test windows``; empty where nothing was counted."""
    data = result["data"]
    number = (data.get("examples") or data.get("windows") or {}).get(part)
    kind = {"valid": "validation"}.get(part, part)
    return fmt.plural(number, f"{kind} {words_of(result).get('example', 'window')}") if number else ""


def candidates(result: Result) -> list[Entry]:
    """Best first; those without a score last. A family's second and third member get another filling."""
    metric, seen, entries = metric_of(result), dict[str, int](), []
    for raw in result["candidates"]:
        look = look_of(raw.get("cell"))
        rank = seen[look.name] = seen.get(look.name, -1) + 1
        entries.append(_entry(raw, look, (FILLED, HOLLOW, PALE)[rank % 3], False, metric))
    return _ordered(result, entries)


def baselines(result: Result) -> list[Entry]:
    metric = metric_of(result)
    return _ordered(result, [_entry(raw, BASELINE, HOLLOW, True, metric) for raw in result["baselines"]])


def best_baseline(result: Result) -> Entry | None:
    return next((b for b in baselines(result) if b.mean is not None), None)


def entries(result: Result) -> list[Entry]:
    return candidates(result) + baselines(result)


def decimals(result: Result) -> int:
    """The decimals every score of this result is shown with."""
    return fmt.decimals_of((e.mean, e.low, e.high) for e in entries(result))


def score_of(raw: Mapping[str, Any], metric: str) -> tuple[float | None, float | None, float | None]:
    found = (raw.get("scores") or {}).get(metric) or {}
    return found.get("mean"), found.get("low"), found.get("high")


def interval_of(result: Result) -> float | None:
    """The share that intervals around forecasts were made for."""
    found: float | None = result["task"].get("interval")
    return found


def held(result: Result) -> list[tuple[Entry, tuple[float | None, float | None, float | None]]]:
    """Who has intervals around forecasts, and what share of the truth they held, with its own interval."""
    if interval_of(result) is None:
        return []
    told = [(e, score_of(e.raw, "coverage")) for e in entries(result)]
    return [(e, share) for e, share in told if share[0] is not None]


def coverage(result: Result) -> list[str]:
    """For each of ``entries`` the share held beside the one asked for: ``88 / 90 %``."""
    asked = fmt.share(interval_of(result))
    shares = {e.name: f"{100 * (share[0] or 0.0):.0f} / {asked}" for e, share in held(result)}
    return [shares.get(e.name, "") for e in entries(result)]


def metrics(result: Result) -> list[str]:
    """Every metric that anyone has a score on, that of the task first."""
    names = dict.fromkeys([metric_of(result)])
    for raw in [*result["candidates"], *result["baselines"]]:
        names.update(dict.fromkeys(raw.get("scores") or {}))
    return list(names)


def seeds_of(result: Result) -> str:
    """``seeds 0, 1 and 2``."""
    return numbered("seed", result["repeat"].get("seeds") or []) or "no seeds"


def numbered(word: str, numbers: Sequence[int]) -> str:
    """``seed 0``, ``seeds 0, 1 and 3``, ``seeds 0 to 9``."""
    if len(numbers) > 3 and list(numbers) == list(range(numbers[0], numbers[0] + len(numbers))):
        return f"{word}s {numbers[0]} to {numbers[-1]}"
    plural = "s" if len(numbers) > 1 else ""
    return f"{word}{plural} {fmt.listing([str(n) for n in numbers])}" if numbers else ""


def unit_of(result: Result) -> str:
    return str(result["data"].get("unit") or "rows")


def overlaps(one: Entry, other: Entry) -> bool:
    """Whether the two intervals share a value; entries without an interval are taken at their mean."""
    if one.mean is None or other.mean is None:
        return False
    low, high = one.low if one.low is not None else one.mean, one.high if one.high is not None else one.mean
    other_low = other.low if other.low is not None else other.mean
    other_high = other.high if other.high is not None else other.mean
    return low <= other_high and other_low <= high


def shape_of_data(result: Result) -> str:
    """``2,284 weeks: 1,599 train, 342 valid, 343 test``."""
    data = result["data"]
    split = ", ".join(f"{fmt.count(n)} {part}" for part, n in (data.get("split") or {}).items())
    series = f"{fmt.count(data['series'])} series, " if (data.get("series") or 1) > 1 else ""
    return f"{series}{fmt.count(data.get('rows'))} {unit_of(result)}" + (f": {split}" if split else "")


def told_of_data(result: Result) -> str:
    """Its shape, and what there is to say of it."""
    notes = [str(n) for n in result["data"].get("notes") or []]
    return ". ".join([shape_of_data(result), *(note[:1].upper() + note[1:] for note in notes)])


def job_of(result: Result) -> str:
    """``forecast co2, 12 steps ahead``, or what the task calls itself."""
    task = result["task"]
    if "job" in words_of(result):
        return fmt.clean(words_of(result)["job"])
    targets = fmt.listing([fmt.clean(t) for t in task.get("targets") or []]) or "the series"
    ahead = f", {fmt.plural(task['horizon'], 'step')} ahead" if task.get("horizon") else ""
    return f"{fmt.clean(task.get('name', 'compare'))} {targets}{ahead}"


def unbroken(result: Result, text: str) -> str:
    """``text`` with no line break inside a short name."""
    for entry in entries(result):
        if len(entry.name) <= 24:
            text = text.replace(entry.name, entry.name.replace(" ", "\u00a0"))
    return text


def curves(raw: Mapping[str, Any]) -> Iterator[tuple[int, list[tuple[int, float]]]]:
    """Per seed, the (epoch, validation loss) pairs that exist."""
    for curve in raw.get("curves") or []:
        pairs = [(e, v) for e, v in zip(curve["epoch"], curve["valid_loss"]) if v is not None]
        if pairs:
            yield curve["seed"], pairs


def failures(result: Result) -> list[str]:
    """Failed trials, those of one candidate with one reason told once."""
    seeds: dict[tuple[str, str], list[Any]] = {}
    for failure in result.get("failures") or []:
        why = (fmt.clean(failure.get("candidate", "")), fmt.clean(failure.get("why") or "no reason was recorded"))
        seeds.setdefault(why, []).append(failure.get("seed"))
    told = []
    for (name, reason), found in seeds.items():
        which = numbered("seed", [n for n in found if n is not None])
        told.append(f"{name}{', ' if which else ''}{which}: {reason}")
    return told


def _entry(raw: Mapping[str, Any], look: Look, fill: str, is_baseline: bool, metric: str) -> Entry:
    return Entry(str(raw["name"]), look, fill, is_baseline, *score_of(raw, metric), raw)


def _ordered(result: Result, entries: list[Entry]) -> list[Entry]:
    """Best first, those without a score last."""
    sign = -1.0 if higher_is_better(result) else 1.0
    return sorted(entries, key=lambda e: (e.mean is None, sign * (e.mean or 0.0)))
