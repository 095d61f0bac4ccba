"""The step between the rows of a series: found from its times, counted in calendar units, carried into the future."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, cast

import numpy as np

from unroll.errors import DataError

Unit = Literal[
    "microsecond",
    "millisecond",
    "second",
    "minute",
    "hour",
    "day",
    "week",
    "month",
    "quarter",
    "year",
    "step",
    "irregular",
]

_MICROSECONDS: dict[str, int] = {
    "microsecond": 1,
    "millisecond": 1_000,
    "second": 1_000_000,
    "minute": 60_000_000,
    "hour": 3_600_000_000,
    "day": 86_400_000_000,
    "week": 604_800_000_000,
}
_MONTHS: dict[str, int] = {"month": 1, "quarter": 3, "year": 12}
_LARGEST_FIRST = ("week", "day", "hour", "minute", "second", "millisecond", "microsecond")
_DAY = _MICROSECONDS["day"]
# Cycles people live by, in units: within the hour, the day, the week, the year.
_CYCLES: dict[str, tuple[int, ...]] = {
    "second": (60, 3_600, 86_400),
    "minute": (60, 1_440, 10_080),
    "hour": (24, 168),
    "day": (7, 365),
    "week": (52,),
    "month": (12,),
    "quarter": (4,),
}
# A cycle of fewer rows than this is seen as smoothness, not as a season, where the unit has longer cycles.
_FEWEST = {"second": 12, "minute": 12}


@dataclass(frozen=True)
class Frequency:
    """``count`` units from one row to the next.

    ``anchor`` is the day of the month on which the rows of a monthly, quarterly or yearly series fall (31: the last
    day of every month); None takes it from the last time. The unit "irregular" is no step at all: every row says when.
    """

    unit: Unit
    count: int = 1
    anchor: int | None = None

    @property
    def plural(self) -> str:
        """``"weeks"``, ``"15-minute steps"``, ``"steps"``: what the rows are."""
        if self.unit == "irregular":
            return "rows"
        if self.count == 1 or self.unit == "step":
            return f"{self.unit}s"
        return f"{self.count}-{self.unit} steps"

    @property
    def seasons(self) -> tuple[int, ...]:
        """Likely season lengths, in rows."""
        fewest = self.count * _FEWEST.get(self.unit, 2)
        cycles = _CYCLES.get(self.unit, ())
        return tuple(cycle // self.count for cycle in cycles if cycle % self.count == 0 and cycle >= fewest)

    def after(self, last_time: Any, n: int) -> np.ndarray:
        """The next ``n`` times after ``last_time``: (n,) datetime64[us], or int64 for integer steps.

        Raises DataError for irregular times, which only the data can tell.
        """
        if self.unit == "irregular":
            raise DataError("irregular times do not say when the next row is", expected="the times to forecast")
        ahead = np.arange(1, n + 1, dtype=np.int64)
        if self.unit == "step":
            return np.int64(last_time) + ahead * self.count
        last = np.asarray(last_time, "datetime64[us]")
        if self.unit not in _MONTHS:
            return last + (ahead * self.count * _MICROSECONDS[self.unit]).astype("timedelta64[us]")
        month, day, of_day = _calendar(last[None])
        anchor = self.anchor or (31 if day[0] == _days_in(month)[0] else int(day[0]))
        months = month + ahead * self.count * _MONTHS[self.unit]
        return _from_calendar(months, np.minimum(anchor, _days_in(months)), of_day)

    def to_dict(self) -> dict[str, Any]:
        return {"unit": self.unit, "count": self.count, "anchor": self.anchor}

    @classmethod
    def from_dict(cls, record: dict[str, Any]) -> Frequency:
        return cls(cast(Unit, record["unit"]), int(record["count"]), record.get("anchor"))


def infer_frequency(times: np.ndarray) -> Frequency:
    """The common step of increasing ``times`` (gaps allowed): the most frequent difference, in its largest unit.

    Raises DataError where there are fewer than two times, or no common step (naming the first time off it).
    """
    if len(times) < 2:
        raise DataError(f"{len(times)} time(s)", expected="two or more, to know the step between them")
    frequency = most_common_step(times)
    wrong = grid_steps(times, frequency)[1]
    if wrong is not None:
        raise DataError(
            f"no common step: position {wrong:,} ({show_time(times[wrong])}) does not lie a whole number of "
            f"{frequency.plural} after {show_time(times[0])}",
            expected="times at a regular step (gaps are allowed)",
        )
    return frequency


def most_common_step(times: np.ndarray) -> Frequency:
    """The most frequent difference between neighbouring ``times``; some may lie off its grid."""
    if times.dtype.kind != "M":
        return Frequency("step", _mode(np.diff(times)))
    ticks = times.astype("datetime64[us]").astype(np.int64)
    differences = np.diff(ticks)
    if differences.min() >= 28 * _DAY:
        calendar = _calendar_step(times)
        if calendar is not None:
            return calendar
    step = _mode(differences)
    unit = next(unit for unit in _LARGEST_FIRST if step % _MICROSECONDS[unit] == 0)
    return Frequency(cast(Unit, unit), step // _MICROSECONDS[unit])


def grid_steps(times: np.ndarray, frequency: Frequency) -> tuple[np.ndarray, int | None]:
    """How many steps each time lies after the first, and the position of the first that lies off the grid."""
    if frequency.unit in _MONTHS:
        month, day, of_day = _calendar(times)
        count = frequency.count * _MONTHS[frequency.unit]
        anchor = frequency.anchor or int(day.max())
        wrong = (day != np.minimum(anchor, _days_in(month))) | (of_day != of_day[0])
        distance = month - month[0]
    else:
        ticks = times.astype(np.int64)
        count = frequency.count * _MICROSECONDS.get(frequency.unit, 1)
        distance, wrong = ticks - ticks[0], np.zeros(len(ticks), bool)
    wrong = wrong | (distance % count != 0)
    return distance // count, int(np.argmax(wrong)) if wrong.any() else None


def grid_times(first: Any, steps: int, frequency: Frequency) -> np.ndarray:
    """``steps`` regular times beginning with ``first``."""
    kind = np.int64 if frequency.unit == "step" else "datetime64[us]"
    return np.concatenate([np.asarray([first], kind), frequency.after(first, steps - 1)])


def show_time(time: Any) -> str:
    """A time as short as it is exact: 1958-03-29, 2016-07-01 05:00, 17."""
    if not isinstance(time, np.datetime64):
        return str(int(time))
    text = str(np.datetime_as_string(time, unit="us")).replace("T", " ")
    text = text.removesuffix(".000000").removesuffix(":00")
    return text.removesuffix(" 00:00")


def _mode(differences: np.ndarray) -> int:
    """The most frequent difference; of equals the smallest if all are its multiples, else the first to appear."""
    steps, first, counts = np.unique(differences, return_index=True, return_counts=True)
    equals = np.flatnonzero(counts == counts.max())
    if not (differences % steps[equals[0]]).any():
        return int(steps[equals[0]])
    return int(differences[first[equals].min()])


def _calendar_step(times: np.ndarray) -> Frequency | None:
    month, day, of_day = _calendar(times)
    length = _days_in(month)
    anchor = 31 if bool((day == length).all()) else int(day.max())
    if (day != np.minimum(anchor, length)).any() or (of_day != of_day[0]).any():
        return None
    months = _mode(np.diff(month))
    unit: Unit = "year" if months % 12 == 0 else "quarter" if months % 3 == 0 else "month"
    return Frequency(unit, months // _MONTHS[unit], anchor)


def _calendar(times: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Months since 1970-01, day of the month and microseconds of the day of each time."""
    month = times.astype("datetime64[M]")
    day = times.astype("datetime64[D]")
    of_day = (times.astype("datetime64[us]") - day).astype(np.int64)
    return month.astype(np.int64), (day - month.astype("datetime64[D]")).astype(np.int64) + 1, of_day


def _from_calendar(month: np.ndarray, day: np.ndarray, of_day: np.ndarray) -> np.ndarray:
    days = month.astype("datetime64[M]").astype("datetime64[D]") + (day - 1).astype("timedelta64[D]")
    return days.astype("datetime64[us]") + of_day.astype("timedelta64[us]")


def _days_in(month: np.ndarray) -> np.ndarray:
    start = month.astype("datetime64[M]").astype("datetime64[D]")
    end = (month + 1).astype("datetime64[M]").astype("datetime64[D]")
    return (end - start).astype(np.int64)
