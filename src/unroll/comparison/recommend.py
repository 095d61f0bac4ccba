"""What the figures say, in words: which forecaster to use, why, and what they do not settle."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from unroll.comparison.statistics import Interval

LEVEL = "level with"


@dataclass(frozen=True)
class Entry:
    """A forecaster in the running: its interval on the main metric, its cost, its gradient's reach."""

    name: str
    score: Interval
    parameters: int
    network: bool
    horizon: int | None = None
    span: int | None = None
    higher: bool = False
    """Whether a higher score is better."""

    @property
    def rank(self) -> float:
        """The lower, the better."""
        assert self.score.mean is not None
        return -self.score.mean if self.higher else self.score.mean


@dataclass(frozen=True)
class Answer:
    """``winner`` is set only where one interval lies clear of every other."""

    recommended: str | None
    winner: str | None
    sentences: list[str]
    warnings: list[str]

    def to_dict(self) -> dict[str, Any]:
        return {
            "recommended": self.recommended,
            "winner": self.winner,
            "sentences": self.sentences,
            "warnings": self.warnings,
        }


def recommend(
    entries: Sequence[Entry], gains: Mapping[tuple[str, str], Interval], *, metric: str, season: int | None, unit: str
) -> Answer:
    """Choose among ``entries``; ``gains[a, b]`` says by what share a's score is below b's, or by how much it is
    above where more is better.

    Among the networks level with the best one (their paired difference may be zero) and clearly better than the best
    baseline, the one with the fewest parameters is recommended; where there is none, that baseline is.
    """
    scored = [e for e in entries if e.score.mean is not None]
    networks = sorted((e for e in scored if e.network), key=_rank)
    baselines = sorted((e for e in scored if not e.network), key=_rank)
    if not networks:
        return Answer(None, None, ["No candidate was trained to the end, so nothing can be recommended."], [])
    best = networks[0]
    level = [e for e in networks[1:] if _level(gains.get((best.name, e.name)))]
    warnings = [w for b in baselines if (w := _not_beaten(best, b, gains, metric))]
    winner = _winner(scored)
    rival = baselines[0] if baselines else None
    clear = [e for e in [best, *level] if rival is None or _clearly(gains.get((e.name, rival.name)))]
    if rival is not None and not clear:
        gain = gains.get((best.name, rival.name))
        return _for_baseline(rival, best, gain, winner, warnings, _reach(networks, season, unit), metric)
    chosen = min(clear, key=lambda e: (e.parameters, e.rank))
    gain = gains.get((chosen.name, rival.name)) if rival else None
    reasons = _reasons(chosen, best, level, rival, gain, metric)
    sentence = f"Use {chosen.name}: {', '.join(reasons)}."
    sentences = [sentence, *_undecided(winner, networks), *_reach(networks, season, unit)]
    return Answer(chosen.name, winner, sentences, warnings)


def percent(share: float) -> str:
    """0.083 as "8 %", 0.004 as "0.4 %"."""
    value = 100 * share
    return f"{value:.0f} %" if abs(value) >= 1 or value == 0 else f"{value:.1g} %"


def difference(share: float, higher: bool) -> str:
    """A gain in words: a share of the other's score, or percentage points where more is better."""
    told = percent(share)
    return told.replace(" %", " point" if told == "1 %" else " points") if higher else told


def _rank(entry: Entry) -> float:
    return entry.rank


def _order(entry: Entry) -> str:
    return "higher" if entry.higher else "lower"


def _level(gain: Interval | None) -> bool:
    return gain is None or gain.low is None or gain.high is None or gain.low <= 0 <= gain.high


def _clearly(gain: Interval | None) -> bool:
    return gain is not None and gain.low is not None and gain.low > 0


def _winner(entries: Sequence[Entry]) -> str | None:
    ranked = sorted(entries, key=_rank)
    first = ranked[0]
    return first.name if all(not first.score.overlaps(e.score) for e in ranked[1:]) and len(ranked) > 1 else None


def _not_beaten(best: Entry, baseline: Entry, gains: Mapping[tuple[str, str], Interval], metric: str) -> str:
    gain = gains.get((best.name, baseline.name))
    if gain is not None and gain.mean is not None and gain.mean > 0 and (gain.low is None or gain.low > 0):
        return ""
    scores = f"{metric} {_figure(best)} against {_figure(baseline)}"
    if gain is None or gain.mean is None or gain.mean <= 0:
        return f"No candidate beats the baseline {baseline.name}: the best, {best.name}, has {scores}."
    return f"No candidate clearly beats the baseline {baseline.name}: {best.name} has {scores}, within chance."


def _for_baseline(
    rival: Entry,
    best: Entry,
    gain: Interval | None,
    winner: str | None,
    warnings: list[str],
    reach: list[str],
    metric: str,
) -> Answer:
    ahead = gain is not None and gain.mean is not None and gain.mean > 0
    if gain is not None and gain.low is None and ahead:
        share = difference(gain.mean or 0.0, best.higher)
        why = f"{best.name} scores {share} {_order(best)}, but there are too few test windows to tell that from chance"
    elif ahead:
        assert gain is not None
        low, high = -(gain.low or 0.0), gain.high or 0.0
        costs = f"{_count(best.parameters)} parameters instead of {_count(rival.parameters)}"
        worse, better = (difference(share, best.higher) for share in (low, high))
        why = f"{best.name} is {LEVEL} it (from {worse} worse to {better} better) and has {costs}"
    else:
        why = f"no network has a {_order(best)} {metric}"
    return Answer(rival.name, winner, [f"Use {rival.name}: {why}.", *reach], warnings)


def _reasons(
    chosen: Entry, best: Entry, level: Sequence[Entry], rival: Entry | None, gain: Interval | None, metric: str
) -> list[str]:
    reasons = []
    if rival is not None and gain is not None and gain.mean is not None:
        better = difference(gain.mean, chosen.higher)
        reasons.append(f"{better} better than the best baseline, {rival.name} ({_range(gain, chosen.higher)})")
    others = [e for e in [best, *level] if e.name != chosen.name]
    for other in others:
        cost = f" at {_fraction(chosen.parameters / other.parameters)} of its parameters"
        reasons.append(f"{LEVEL} {other.name}{cost if chosen.parameters < other.parameters else ''}")
    if not others:
        reasons.append(f"the {'highest' if chosen.higher else 'lowest'} {metric} of the networks")
    return reasons


def _undecided(winner: str | None, networks: Sequence[Entry]) -> list[str]:
    if winner is not None or len(networks) < 2:
        return []
    rest = [e.name for e in networks[1:] if networks[0].score.overlaps(e.score)]
    if not rest:
        return []
    return [f"Their intervals overlap, so {_listed([networks[0].name, *rest])} have no winner."]


def _reach(networks: Sequence[Entry], season: int | None, unit: str) -> list[str]:
    """A sentence for each network whose gradient fades before one season."""
    if season is None or season < 2:
        return []
    return [
        f"{e.name} hardly sees a whole season: its gradient falls below 1 % after {e.horizon} of {season} {unit}."
        for e in networks
        if e.horizon is not None and e.horizon < season and e.span is not None and e.span >= season
    ]


def _range(gain: Interval, higher: bool) -> str:
    if gain.low is None or gain.high is None:
        return "too few windows for an interval"
    return f"{percent(gain.low).removesuffix(' %')} … {difference(gain.high, higher)}"


def _figure(entry: Entry) -> str:
    return f"{entry.score.mean:.3g}"


def _count(number: int) -> str:
    return f"{number / 1000:.1f} k" if number >= 1000 else str(number)


def _fraction(share: float) -> str:
    words = {1 / 4: "a quarter", 1 / 3: "a third", 1 / 2: "half", 2 / 3: "two thirds", 3 / 4: "three quarters"}
    near = min(words, key=lambda value: abs(value - share))
    return words[near] if abs(near - share) < 0.03 else f"{100 * share:.0f} %"


def _listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
