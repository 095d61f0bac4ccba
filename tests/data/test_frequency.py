"""The step of a series, against pandas' calendar."""

import numpy as np
import pandas as pd
import pytest

from data.making import message
from unroll.data import Frequency, infer_frequency, show_time
from unroll.errors import DataError

PANDAS = [
    ("s", "second", 1), ("15min", "minute", 15), ("30min", "minute", 30), ("h", "hour", 1), ("6h", "hour", 6),
    ("D", "day", 1), ("2D", "day", 2), ("W", "week", 1), ("W-WED", "week", 1), ("28D", "week", 4),
    ("MS", "month", 1), ("ME", "month", 1), ("2MS", "month", 2), ("QS", "quarter", 1), ("QE", "quarter", 1),
    ("YS", "year", 1), ("YE", "year", 1), ("5YS", "year", 5),
    ("250ms", "millisecond", 250), ("10us", "microsecond", 10),
]  # fmt: skip


@pytest.mark.parametrize(("rule", "unit", "count"), PANDAS)
def test_inferred_and_continued_as_pandas_does(rule, unit, count):
    times = pd.date_range("1999-12-31", periods=60, freq=rule).to_numpy().astype("datetime64[us]")
    frequency = infer_frequency(times[:30])
    assert (frequency.unit, frequency.count) == (unit, count)
    assert frequency.after(times[29], 30).tolist() == times[30:].tolist()


@pytest.mark.parametrize(("rule", "unit", "count"), PANDAS)
def test_gaps_do_not_hide_the_step(rule, unit, count):
    times = pd.date_range("1999-12-31", periods=60, freq=rule).to_numpy().astype("datetime64[us]")
    kept = np.delete(times, [3, 17, 18, 40])
    frequency = infer_frequency(kept)
    assert (frequency.unit, frequency.count) == (unit, count)


def test_a_day_of_the_month_that_some_months_lack():
    times = np.array(["2023-12-30", "2024-01-30", "2024-02-29", "2024-03-30"], "datetime64[us]")
    frequency = infer_frequency(times)
    assert (frequency.unit, frequency.anchor) == ("month", 30)
    after = np.array(["2024-04-30", "2024-05-30"], "datetime64[us]")
    assert frequency.after(times[-1], 2).tolist() == after.tolist()


def test_integers():
    assert infer_frequency(np.array([0, 10, 20, 50])) == Frequency("step", 10)
    assert Frequency("step", 10).after(50, 3).tolist() == [60, 70, 80]


@pytest.mark.parametrize(
    ("times", "said"),
    [
        (np.array(["2024-01-01", "2024-01-02", "2024-01-03", "2024-01-04T05:00"], "M8[us]"), "position 3"),
        (np.array(["2024-01-31", "2024-02-28", "2024-03-29", "2024-04-30"], "M8[us]"), "no common step"),
        (np.array([0, 2, 4, 5]), "position 3 (5)"),
        (np.array([7]), "two or more"),
    ],
)
def test_no_common_step(times, said):
    assert said in message(lambda: infer_frequency(times), DataError)


@pytest.mark.parametrize(
    ("frequency", "plural", "seasons"),
    [
        (Frequency("hour"), "hours", (24, 168)),
        (Frequency("minute", 15), "15-minute steps", (96, 672)),
        (Frequency("minute", 30), "30-minute steps", (48, 336)),
        (Frequency("minute"), "minutes", (60, 1_440, 10_080)),
        (Frequency("day"), "days", (7, 365)),
        (Frequency("week"), "weeks", (52,)),
        (Frequency("month"), "months", (12,)),
        (Frequency("quarter"), "quarters", (4,)),
        (Frequency("year"), "years", ()),
        (Frequency("step", 3), "steps", ()),
    ],
)
def test_words_and_seasons(frequency, plural, seasons):
    assert (frequency.plural, frequency.seasons) == (plural, seasons)
    assert Frequency.from_dict(frequency.to_dict()) == frequency


def test_times_are_shown_short():
    shown = {
        "2024-01-31": "2024-01-31",
        "2024-01-31T05": "2024-01-31 05:00",
        "2024-01-31T05:00:07": "2024-01-31 05:00:07",
    }
    for text, expected in shown.items():
        assert show_time(np.datetime64(text, "us")) == expected
    assert show_time(np.int64(17)) == "17"
