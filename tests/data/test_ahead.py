"""Rows after the last target: what they may hold, what is drawn where they end too early, and bad input."""

import datetime as dt

import numpy as np
import polars as pl
import pytest

from data.making import message
from unroll.data import extended, read_table, to_series
from unroll.data.series.calendar import PARTS, calendar_columns, calendar_values
from unroll.data.series.spans import CELLS, LACKING, NOTHING, THERE, Span, drawn
from unroll.errors import ConfigError, DataError

DAY = dt.date(2024, 2, 25)


def frame(rows=20, later=4, **more):
    whole = rows + later
    held = {
        "day": [DAY + dt.timedelta(days=k) for k in range(whole)],
        "y": [float(k % 5) for k in range(rows)] + [None] * later,
        "f": [float(k % 3) for k in range(rows)] + [None] * later,
        "price": [float(k % 7) for k in range(whole)],
    }
    return pl.DataFrame(held | more)


def read(data, **options):
    return to_series(read_table(data), **({"targets": ["y"], "known": ["price"]} | options))


def test_the_future_is_what_follows_the_last_target():
    found = read(frame(), features=["f"])
    series = found.series[0]
    assert (series.rows, len(series.ahead.times)) == (20, 4)
    assert series.ahead.known[:, 0].tolist() == [20 % 7, 21 % 7, 22 % 7, 23 % 7]
    assert found.notes == ("up to 4 rows after the last target: what is to be forecast",)
    whole = extended(series, found, 3)
    assert whole.rows == 23
    assert np.isnan(whole.values[20:, :2]).all()
    assert whole.values[20:, 2].tolist() == [6.0, 0.0, 1.0]
    assert whole.times[-1].astype(object).date() == DAY + dt.timedelta(days=22)


def test_of_two_targets_the_later_counts():
    z = [1.0, 2.0] * 10 + [3.0, None, None, None]
    found = read(frame(z=z), targets=["y", "z"], missing="carry")
    assert found.series[0].rows == 21


def test_a_gap_in_the_future_is_a_hole():
    data = frame().filter(pl.col("day") != DAY + dt.timedelta(days=21))
    found = read(data)
    assert "has no value at 2024-03-17, which has no row, one of the 3 rows" in message(
        lambda: extended(found.series[0], found, 3), DataError
    )
    carrying = read(data, missing="carry")
    assert np.isnan(extended(carrying.series[0], carrying, 3).values[21, 1])


def test_a_hole_in_the_future_is_named_by_its_row():
    data = frame().with_columns(pl.when(pl.int_range(pl.len()) == 21).then(None).otherwise("price").alias("price"))
    found = read(data)
    told = message(lambda: extended(found.series[0], found, 3), DataError)
    assert "column 'price' of series 'y' has no value in row 21 (2024-03-17)" in told
    assert extended(found.series[0], found, 1).rows == 21


def test_what_ends_too_early_is_drawn():
    found = read(frame(later=2), features=["f"])
    lines = message(lambda: extended(found.series[0], found, 4), DataError).splitlines()
    assert lines[0].startswith("series 'y' is to be forecast 4 rows ahead")
    assert lines[0].endswith("there are 2 rows of 'price'")
    bars = {line.split()[0]: line[28:] for line in lines[1:4]}
    wide = CELLS // 12
    assert bars == {
        "target": THERE * 8 * wide + NOTHING * 4 * wide,
        "feature": THERE * 8 * wide + NOTHING * 4 * wide,
        "known": THERE * 10 * wide + LACKING * 2 * wide,
    }
    ticks = lines[4]
    for row, time in ((20, "2024-03-16 forecast"), (22, "2024-03-18"), (23, "2024-03-19")):
        place = 28 + (row - 12) * wide
        assert ticks[place] == "|"
        assert any(line[place:].startswith(time) for line in lines[5:])
    assert lines[-1].startswith("expected 4 rows after the last target, with 'price' filled in")


def test_no_future_at_all_is_drawn():
    found = read(frame(later=0))
    assert "there are 0 rows of 'price'" in message(lambda: extended(found.series[0], found, 4), DataError)


def test_a_feature_that_ends_before_the_target_is_drawn():
    data = frame().with_columns(pl.when(pl.int_range(pl.len()) < 15).then("f").otherwise(None).alias("f"))
    told = message(lambda: read(data, features=["f"]), DataError)
    assert "feature 'f' ends 2024-03-10" in told
    feature = next(line for line in told.splitlines() if line.startswith("feature"))
    assert feature.count(LACKING) / feature.count(THERE) == 5 / 10
    assert read(data, features=["f"], missing="carry").series[0].rows == 20


def test_a_known_column_that_begins_late_is_drawn_in_training_too():
    data = frame().with_columns(pl.when(pl.int_range(pl.len()) >= 3).then("price").otherwise(None).alias("price"))
    assert "known 'price' begins 2024-02-28" in message(lambda: read(data), DataError)


def test_holes_inside_are_named_by_their_row():
    data = frame().with_columns(pl.when(pl.int_range(pl.len()) == 7).then(None).otherwise("price").alias("price"))
    assert "the first in column 'price' in row 7 (2024-03-03)" in message(lambda: read(data), DataError)


@pytest.mark.parametrize("rows", [1, 9, 44, 45, 1000, 100_000])
def test_drawings_fit_a_terminal(rows):
    names = ["a column with a very long name indeed", "b"]
    spans = [Span("known", name, 0, rows + k, rows + 7) for k, name in enumerate(names)]
    times = np.datetime64("2024-01-01", "us") + np.arange(rows + 7) * np.timedelta64(1, "h")
    lines = drawn([Span("target", "y", 0, rows, rows), *spans], times, rows).splitlines()
    assert max(len(line) for line in lines[:3]) <= 28 + CELLS
    assert len({len(line) for line in lines[:3]}) == 1
    assert lines[0].rstrip(NOTHING)[-1] == THERE
    assert lines[1][-1] == LACKING


def test_columns_of_one_span_share_a_line():
    spans = [Span("known", f"k{n}", 0, 5, 9) for n in range(40)]
    assert "k0 +39" in drawn(spans, np.arange(9), 5).splitlines()[0]


@pytest.mark.parametrize("part", PARTS)
def test_a_calendar_turns_once_in_its_period(part):
    """Against datetime, at the half hours of four years."""
    times = np.datetime64("2023-01-01", "us") + np.arange(0, 4 * 8766 * 2, 37) * np.timedelta64(30, "m")
    count = {
        "minute": lambda t: t.minute / 60,
        "hour": lambda t: (t.hour + t.minute / 60) / 24,
        "weekday": lambda t: t.weekday() / 7,
        "day": lambda t: (t.day - 1) / 31,
        "month": lambda t: (t.month - 1) / 12,
        "yearday": lambda t: (t.timetuple().tm_yday - 1) / 365.2425,
    }[part]
    turns = 2 * np.pi * np.array([count(t) for t in times.tolist()])
    np.testing.assert_allclose(calendar_values(times, [part]), np.stack([np.sin(turns), np.cos(turns)], 1), atol=1e-12)
    assert calendar_columns([part]) == (f"{part} sin", f"{part} cos")


def test_a_calendar_alone_needs_no_rows_of_the_future():
    found = read(frame(later=0), known=[], calendar="weekday")
    whole = extended(found.series[0], found, 5)
    np.testing.assert_array_equal(whole.values[:, 1:], calendar_values(whole.times, ["weekday"]))
    assert whole.rows == 25


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"calendar": "hours"}, "Did you mean 'hour'?"),
        ({"calendar": "hour,hour"}, "names a part twice"),
        ({"calendar": "hour", "time": "none"}, "numbers for times"),
        ({"times": "odd"}, "expected regular or irregular"),
        ({"times": "irregular", "time": "none"}, "has no time column"),
        ({"known": ["prise"]}, "Did you mean 'price'?"),
        ({"known": ["y"]}, "'y' is given twice: as --target and as --known"),
        ({"known": ["price"], "static": ["price"]}, "as --known and as --static"),
        ({"known": ["town"]}, "column 'town' has text"),
        ({"static": ["price"]}, "static column 'price' changes within dataframe: '0.0' in row 0, '1.0' in row 1"),
    ],
)
def test_bad_options_are_named(options, said):
    data = frame(later=0 if "static" in options else 4).with_columns(town=pl.lit("Oslo"))
    asked = {"known": []} | options if "static" in options and "known" not in options else options
    assert said in message(lambda: read(data, **asked), (ConfigError, DataError))


def shops():
    one, other = frame(shop="A", size="3", town="Oslo"), frame(shop="B", size="7", town="Pusan")
    return pl.concat([one, other])


def test_static_columns_are_told_by_series():
    found = read(shops(), group="shop", static=["town", "size"])
    assert [series.static for series in found.series] == [("Oslo", "3"), ("Pusan", "7")]


def test_a_static_column_that_changes_is_named_with_its_rows():
    data = shops().with_columns(
        pl.when(pl.int_range(pl.len()) == 30).then(pl.lit("Bergen")).otherwise("town").alias("town")
    )
    told = message(lambda: read(data, group="shop", static=["town"]), DataError)
    assert "static column 'town' changes within series 'B': 'Pusan' in row 24, 'Bergen' in row 30" in told


def test_a_hole_in_a_static_column():
    rows = pl.int_range(pl.len())
    data = shops().with_columns(pl.when(rows == 26).then(None).otherwise("town").alias("town"))
    told = message(lambda: read(data, group="shop", static=["town"]), DataError)
    assert "static column 'town' has no value in row 26 of series 'B'" in told
    found = read(data, group="shop", static=["town"], missing="mask")
    assert found.series[1].static == ("Pusan",)
    empty = shops().with_columns(pl.when(rows < 24).then("town").otherwise(None).alias("town"))
    assert read(empty, group="shop", static=["town"], missing="carry").series[1].static == (None,)


def test_a_series_without_a_target_has_no_history():
    data = shops().with_columns(pl.when(pl.col("shop") == "A").then("y").otherwise(None).alias("y"))
    assert "series 'B' has no value of 'y'" in message(lambda: read(data, group="shop"), DataError)


def test_two_rows_of_one_time_are_refused_in_the_future_too():
    data = pl.concat([frame(), frame()[-1:]])
    assert "have the same time" in message(lambda: read(data), DataError)
