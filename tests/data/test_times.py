"""Cells as times."""

import datetime

import numpy as np
import pytest

from data.making import message
from unroll.data import read_table
from unroll.data.series.times import read_times
from unroll.errors import DataError

READABLE = [
    (["2024-01-31", "2024-02-29"], ["2024-01-31", "2024-02-29"]),
    (["2024-1-3", "2024/02/09"], ["2024-01-03", "2024-02-09"]),
    (["2024-01-31T13:05", "2024-01-31 14:05:06"], ["2024-01-31T13:05", "2024-01-31T14:05:06"]),
    (["2024-01-31 13:00:00.25", "2024-01-31 13:00:00,500000001"], ["2024-01-31T13:00:00.25", "2024-01-31T13:00:00.5"]),
    (["2024-01-31T13:00Z", "2024-01-31 14:00:00+00:00"], ["2024-01-31T13:00", "2024-01-31T14:00"]),
    (["2024-01-01T00:30+09:00", "2024-01-01T01:30+0900"], ["2023-12-31T15:30", "2023-12-31T16:30"]),
    (["2024-01-01T00:30-03:30"], ["2024-01-01T04:00"]),
    (["20240131", "20240229"], ["2024-01-31", "2024-02-29"]),
    ([20240131, 20240229], ["2024-01-31", "2024-02-29"]),
    (["1949-01", "1949-12"], ["1949-01-01", "1949-12-01"]),
    (["2024Q1", "2024-Q4"], ["2024-01-01", "2024-10-01"]),
    (["13/02/2024", "01/03/2024"], ["2024-02-13", "2024-03-01"]),
    (["1/2/2024", "1/13/2024"], ["2024-01-02", "2024-01-13"]),
    (["5/5/2024", "6/6/2024"], ["2024-05-05", "2024-06-06"]),
    (["01.02.2024", "02.02.2024 10:30"], ["2024-02-01", "2024-02-02T10:30"]),
    ([" 2024-01-31 "], ["2024-01-31"]),
    ([datetime.date(2024, 1, 31)], ["2024-01-31"]),
    ([datetime.datetime(2024, 1, 31, 5)], ["2024-01-31T05:00"]),
    (["0001-01-01", "9999-12-31"], ["0001-01-01", "9999-12-31"]),
]  # fmt: skip


@pytest.mark.parametrize(("cells", "expected"), READABLE)
def test_readable(cells, expected):
    times, bad = read_times(read_table({"when": cells}), "when")
    assert times.tolist() == np.array(expected, "datetime64[us]").tolist()
    assert not bad.any()


@pytest.mark.parametrize(
    ("name", "cells", "expected"),
    [
        ("step", ["0", "1", "-2"], [0, 1, -2]),
        ("step", [5.0, 6.0], [5, 6]),
        ("time", ["1871", "1872"], [1871, 1872]),
        ("t", [20241301, 20241302], [20241301, 20241302]),
        ("t", [2**60, 2**60 + 1], [2**60, 2**60 + 1]),
    ],
)
def test_integers(name, cells, expected):
    assert read_times(read_table({name: cells}), name)[0].tolist() == expected


@pytest.mark.parametrize("name", ["year", "Date", "ds", "model_year"])
def test_four_digits_are_years_where_the_name_says_so(name):
    times, _ = read_times(read_table({name: ["1871", "1872"]}), name)
    assert times.tolist() == np.array(["1871", "1872"], "datetime64[us]").tolist()


@pytest.mark.parametrize(
    ("cells", "said"),
    [
        (["2024-01-31", "2024-02-30"], ["row 1: '2024-02-30'", "--drop-bad-rows", "--time none"]),
        (["2024-01-31", "soon"], ["row 1: 'soon'"]),
        (["2024-01-31", ""], ["no time in row 1"]),
        (["2024-01-31", None], ["no time in row 1"]),
        (["2024-01-31 24:00", "2024-02-01 00:00"], ["row 0: '2024-01-31 24:00'"]),
        (["1-01", "1-02"], ["row 0: '1-01'"]),
        ([1.5, 2.0], ["row 0: '1.5'"]),
        (["01/02/2024", "02/02/2024"], ["day first or month first", "'01/02/2024' in row 0", "ISO"]),
        (["2024-01-01T00:00Z", "2024-01-01T03:00+02:00"], ["mixes time zones", "row 0", "row 1", "UTC"]),
        (["2024-01-01T00:00", "2024-01-01T03:00+00:00"], ["mixes time zones", "row 0", "row 1"]),
    ],
)
def test_faults(cells, said):
    found = message(lambda: read_times(read_table({"when": cells}), "when"), DataError)
    for part in ("column 'when'", *said):
        assert part in found


def test_bad_rows_can_be_left_to_the_caller():
    table = read_table({"when": ["2024-01-01", "?", "", "2024-01-04"]})
    times, bad = read_times(table, "when", drop_bad_rows=True)
    assert bad.tolist() == [False, True, True, False]
    assert str(times[3]) == "2024-01-04T00:00:00.000000"
    assert "row 0: 'x'" in message(lambda: read_times(read_table({"t": ["x"]}), "t", drop_bad_rows=True), DataError)


def test_zones_of_dataframes_go_to_utc_but_days_stay_days():
    pandas = pytest.importorskip("pandas")
    hours = pandas.DataFrame({"t": pandas.date_range("2020-03-28 22:00", periods=30, freq="h", tz="Europe/Paris")})
    days = pandas.DataFrame({"t": pandas.date_range("2020-03-28", periods=3, tz="Europe/Paris")})
    hourly, _ = read_times(read_table(hours), "t")
    daily, _ = read_times(read_table(days), "t")
    assert set(np.diff(hourly).tolist()) == {datetime.timedelta(hours=1)}
    assert hourly[0] == np.datetime64("2020-03-28T21:00")
    assert daily[0] == np.datetime64("2020-03-28")
    assert set(np.diff(daily).tolist()) == {datetime.timedelta(days=1)}
