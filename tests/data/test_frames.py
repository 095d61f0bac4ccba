"""Dataframes of other libraries as tables."""

import narwhals
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from data.making import message
from unroll.data import read_table, to_series
from unroll.errors import DataError

COLUMNS = {"day": [1, 2, 3], "units": [1.5, None, 2.5], "shop": ["a", "b", "a"]}
FRAMES = {
    "dict": COLUMNS,
    "polars": pl.DataFrame(COLUMNS),
    "lazy": pl.LazyFrame(COLUMNS),
    "pandas": pd.DataFrame(COLUMNS),
    "categorical": pd.DataFrame(COLUMNS).astype({"shop": "category"}),
    "pyarrow": pa.table(COLUMNS),
    "narwhals": narwhals.from_native(pl.DataFrame(COLUMNS)),
}


@pytest.mark.parametrize("kind", FRAMES)
def test_every_frame_is_the_same_table(kind):
    table = read_table(FRAMES[kind])
    assert table.frame["day"].to_list() == [1, 2, 3]
    assert table.missing("units").tolist() == [False, True, False]
    assert table.frame["shop"].to_list() == ["a", "b", "a"]
    assert (table.name, table.first_row, table.row(0)) == ("dataframe", 0, "row 0")


def test_fingerprint_is_of_the_content():
    prints = {read_table(frame).fingerprint for kind, frame in FRAMES.items() if kind != "pandas"}
    assert len(prints) == 1
    assert read_table({**COLUMNS, "day": [1, 2, 4]}).fingerprint not in prints
    renamed = {"d": COLUMNS["day"], "units": COLUMNS["units"], "shop": COLUMNS["shop"]}
    assert read_table(renamed).fingerprint not in prints


@pytest.mark.parametrize(
    ("index", "column"),
    [
        (pd.date_range("2024-01-01", periods=3, name="when"), "when"),
        (pd.date_range("2024-01-01", periods=3), "time"),
        (pd.period_range("2024-01", periods=3, freq="M"), "time"),
    ],
)
def test_a_dated_pandas_index_is_the_time(index, column):
    series_set = to_series(read_table(pd.DataFrame({"units": [1, 2, 4]}, index=index)))
    assert series_set.time_column == column
    assert series_set.series[0].times[0] == np.datetime64("2024-01-01")


def test_a_plain_pandas_index_is_not_a_column():
    frame = pd.DataFrame(COLUMNS)
    assert read_table(frame[frame["shop"] == "a"]).frame.columns == ["day", "units", "shop"]
    assert read_table(pd.Series([1, 2], name="units")).frame.columns == ["units"]


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ([1, 2], "a list"),
        (np.zeros((2, 2)), "a ndarray"),
        ({"a": [1, 2], "b": [1]}, "equal length"),
        ({}, "no columns"),
        ({"a": []}, "no rows"),
        (pd.DataFrame([[1, 2]], columns=["a", "a"]), "more than one column 'a'"),
    ],
)
def test_what_is_no_table(source, said):
    assert said in message(lambda: read_table(source), DataError)


def test_errors_count_dataframe_rows_from_zero():
    found = message(lambda: to_series(read_table({"units": ["1", "2", "?"]})), DataError)
    assert "row 2: '?'" in found
