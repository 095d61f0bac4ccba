"""From a table to series: every rule, and the message of every refusal."""

import numpy as np
import pytest

from data.making import made, message, series_of, written
from realdata import real
from unroll.data import Frequency, parse_split, ranges_of, read_table, reject_constant, to_series
from unroll.errors import ConfigError, DataError

DAYS = "date,units,price,shop\n2024-01-01,1,5,A\n2024-01-02,2,6,A\n2024-01-03,4,5,A\n"
LONG = "date,shop,units\n2024-01-01,B,1\n2024-01-01,A,5\n2024-01-02,B,2\n2024-01-02,A,7\n2024-01-03,A,6\n"


def test_target_first_then_features(tmp_path):
    found = series_of(tmp_path, DAYS, targets=["units"], features=["price"])
    series = found.series[0]
    assert (found.targets, found.features, found.channels) == (("units",), ("price",), ("units", "price"))
    assert (found.time_column, found.group_column, found.name) == ("date", None, "sales.csv")
    assert (found.rows, found.missing, found.notes) == (3, 0, ())
    assert series.name == "units"
    assert series.values.tolist() == [[1, 5], [2, 6], [4, 5]]
    assert series.times.dtype == "datetime64[us]"
    assert found.frequency == Frequency("day")


@pytest.mark.parametrize(
    ("targets", "features", "expected"),
    [
        (("all",), None, (("units", "price"), ())),
        (("price",), ("all",), (("price",), ("units",))),
        (("all",), ("price",), (("units",), ("price",))),
        ((), ("price",), (("units",), ("price",))),
    ],
)
def test_all_and_the_only_one(tmp_path, targets, features, expected):
    found = series_of(tmp_path, DAYS, targets=targets, features=features)
    assert (found.targets, found.features) == expected


def test_groups_in_order_of_appearance(tmp_path):
    found = series_of(tmp_path, LONG, targets=["units"], group="shop")
    assert [s.name for s in found.series] == ["B", "A"]
    assert [s.values[:, 0].tolist() for s in found.series] == [[1, 2], [5, 7, 6]]


def test_without_times_rows_are_numbered_in_each_group(tmp_path):
    found = series_of(tmp_path, "shop,units\nB,1\nA,5\nB,2\nA,7\nA,6\n", group="shop")
    assert [s.times.tolist() for s in found.series] == [[0, 1], [0, 1, 2]]
    assert found.time_column is None
    assert found.frequency == Frequency("step")


@pytest.mark.parametrize(
    ("text", "options", "column"),
    [
        ("Month,y\n1949-01,1\n1949-02,2\n", {}, "Month"),
        ("y,when\n1,2024-01-01\n2,2024-01-02\n", {}, "when"),
        ("day,y,when\n1,1,2024-01-01\n1,2,2024-01-02\n", {"targets": ["y"]}, "when"),
        ("step,y\n5,1\n6,2\n", {}, "step"),
        ("year,y\n5,1\n6,2\n", {"time": "none", "targets": ["y"]}, None),
        ("k,y\n5,1\n6,2\n", {"targets": ["y"]}, None),
        ("k,y\n5,1\n6,2\n", {"targets": ["y"], "time": "k"}, "k"),
    ],
)
def test_the_time_column(tmp_path, text, options, column):
    assert series_of(tmp_path, text, **options).time_column == column


def test_missing_words(tmp_path):
    text = "y,z\n1,1\nNaN,2\nna,3\nNULL,4\n,5\n?,6\nn/a,7\n8,8\n"
    found = series_of(tmp_path, text, targets=["y"], na=("?", "n/a"), missing="carry")
    assert np.isnan(found.series[0].values[:, 0]).tolist() == [False] + [True] * 6 + [False]
    assert found.missing == 6
    assert found.notes == ("6 of 8 values missing: carried forward as inputs, never scored",)


def test_gaps_become_rows_of_missing_values(tmp_path):
    text = "date,y\n2024-01-31,1\n2024-02-29,2\n2024-05-31,3\n2024-06-30,4\n"
    found = series_of(tmp_path, text, missing="carry")
    expected = ["2024-01-31", "2024-02-29", "2024-03-31", "2024-04-30", "2024-05-31", "2024-06-30"]
    assert found.series[0].times.tolist() == np.array(expected, "datetime64[us]").tolist()
    assert np.isnan(found.series[0].values[:, 0]).tolist() == [False, False, True, True, False, False]


def test_missing_features_are_noted_apart(tmp_path):
    found = series_of(tmp_path, "y,z\n1,1\n2,\n3,3\n", targets=["y"], features=["z"], missing="carry")
    assert (found.missing, found.notes) == (0, ("1 of 3 feature values missing: carried forward",))


def test_sorting(tmp_path):
    text = "date,shop,y\n2024-01-02,A,2\n2024-01-01,B,3\n2024-01-01,A,1\n2024-01-02,B,4\n"
    found = series_of(tmp_path, text, group="shop", sort=True)
    assert [s.values[:, 0].tolist() for s in found.series] == [[1, 2], [3, 4]]


def test_bad_rows_can_be_dropped(tmp_path):
    text = "date,y\n2024-01-01,1\n2024-01-02,x\n2024-01-03,inf\nsoon,4\n2024-01-05,5\n2024-01-06,6\n2024-01-07,7\n"
    found = series_of(tmp_path, text, drop_bad_rows=True, missing="carry")
    assert found.series[0].values[:, 0].tolist()[::4] == [1, 5]
    assert np.isnan(found.series[0].values[1:4]).all()
    assert found.notes[0] == "3 bad rows dropped, the first: row 3"
    assert found.missing == 3


def test_dropped_rows_leave_their_place_where_rows_are_numbered(tmp_path):
    found = series_of(tmp_path, "y\n1\nx\n3\n4\n", drop_bad_rows=True, missing="carry")
    assert np.isnan(found.series[0].values[:, 0]).tolist() == [False, True, False, False]


def test_bad_series_can_be_skipped(tmp_path):
    text = "date,shop,y\n" + "".join(
        f"{day},{shop},{value}\n"
        for shop, days, values in (
            ("A", ("2024-01-01", "2024-01-02", "2024-01-03"), (1, 2, 3)),
            ("B", ("2024-01-01", "2024-01-02", "2024-01-03"), (7, 7, 7)),
            ("C", ("2024-01-01", "2024-01-02 05:00", "2024-01-03"), (1, 2, 3)),
            ("D", ("2024-01-01", "2024-02-01", "2024-03-01"), (1, 2, 3)),
            ("E", ("2024-01-01", "2024-01-02", "2024-01-03"), (3, 2, 1)),
        )
        for day, value in zip(days, values, strict=True)
    )
    found = series_of(tmp_path, text, group="shop", skip_bad_series=True)
    assert [s.name for s in found.series] == ["A", "E"]
    assert found.notes == (
        "2 series skipped (irregular times): 'C', 'D'",
        "1 series skipped (constant): 'B'",
    )


def test_one_series_per_row_needs_no_columns(tmp_path):
    found = series_of(tmp_path, "id,V1,V2,V3\n7,1,2,3\n8,4,5\n", layout="rows")
    assert [(s.name, s.values[:, 0].tolist()) for s in found.series] == [("7", [1, 2, 3]), ("8", [4, 5])]
    assert (found.group_column, found.time_column, found.targets) == ("id", "step", ("value",))


def test_a_history_to_predict_from_may_be_short_or_constant(tmp_path):
    step = Frequency("month", 1, 1)
    one = series_of(tmp_path, "date,y\n2024-01-01,3\n", frequency=step)
    assert (one.rows, one.frequency) == (1, step)
    assert series_of(tmp_path, "date,y\n2024-01-01,3\n2024-02-01,3\n", frequency=step).rows == 2
    found = message(lambda: series_of(tmp_path, "date,y\n2024-01-01,3\n2024-01-02,4\n", frequency=step))
    assert "row 3 (2024-01-02) is off the months" in found


TEXT = "date,units\n" + "".join(
    f"{t},{k}\n" for k, t in enumerate(np.arange("2020-01-01", "2023-04-16", dtype="M8[D]"))
)
REFUSED = [
    (
        TEXT + "2023-04-16,n/a\n",
        {},
        [
            "column 'units' has text in row 1,203: 'n/a'",
            "expected a number",
            "Give --na n/a to read it as missing, or --drop-bad-rows.",
        ],
    ),
    ('y\n1\n"3,5"\n2\n3\n', {}, ["row 3: '3,5'", "decimals with a point: 3.5", "--na 3,5"]),
    ('y\n1\n"1,234"\n2\n3\n', {}, ["row 3: '1,234'", "without thousands commas: 1234"]),
    ("y\n1\nout of stock\n3\n", {}, ["--na 'out of stock'"]),
    ("y\n1\ninf\n3\n", {}, ["column 'y' has inf in row 3", "--drop-bad-rows"]),
    ("y\n1\n-inf\n3\n", {}, ["-inf in row 3", "--na=-inf"]),
    ("y\n1\n-2e30\n3\n", {}, ["-2e30 in row 3", "1e+30"]),
    ("y\nx\n1\n", {"drop_bad_rows": True}, ["1 row"]),
    (
        "date,y\n2024-01-01,1\n2024-01-02,\n2024-01-03,\n",
        {},
        [
            "2 of 3 values are missing",
            "column 'y' in row 3 (2024-01-02)",
            "Give --missing carry: inputs repeat the last seen value, and missing values are never scored",
        ],
    ),
    (
        "date,y\n2024-01-01,1\n2024-01-02,2\n2024-01-05,3\n",
        {},
        ["2 of 5 times are missing", "first 2024-01-03", "between row 3 and row 4", "--missing carry"],
    ),
    (
        "date,s,y\n1,A,1\n2,A,2\n1,B,1\n2,B,\n",
        {"group": "s", "time": "date"},
        ["1 of 4 values", "row 5 (2) of series 'B'"],
    ),
    (
        "date,y\n2024-01-01,1\n2024-01-03,2\n2024-01-02,3\n",
        {},
        ["row 4 is earlier (2024-01-02) than row 3", "Give --sort"],
    ),
    (
        "date,y\n2024-01-01,1\n2024-01-01,2\n",
        {},
        ["row 2 and row 3", "same time in column 'date': 2024-01-01", "--time none"],
    ),
    ("date,y\n2024-01-01,1\n2024-01-02,2\n2024-01-01,3\n", {"sort": True}, ["row 2 and row 4"]),
    (
        "No,year,y\n1,2024,1\n2,2024,2\n3,2024,5\n",
        {"targets": ["y"]},
        ["row 2 and row 3", "column 'year'", "--time No"],
    ),
    (LONG, {"targets": ["units"]}, ["row 2 and row 3", "Give --group shop"]),
    (LONG + "2024-01-03,A,9\n", {"group": "shop"}, ["row 6 and row 7 of series 'A'", "Remove one"]),
    ("date,s,y\n2024-01-01,,1\n", {"group": "s"}, ["column 's' has no value in row 2"]),
    (
        "date,y\n2024-01-01,1\n2024-01-02,2\n2024-01-03 07:00,3\n2024-01-04,4\n",
        {},
        ["series 'y' has no regular step", "row 4 (2024-01-03 07:00)", "esample", "--time none"],
    ),
    (
        "date,y\n2024-01-01,1\n2024-01-02,2\n9024-01-03,3\n",
        {},
        ["series 'y' has 3 rows over", "row 4 (9024-01-03)", "Correct that time"],
    ),
    (
        "date,s,y\n2024-01-01,A,1\n2024-01-02,A,2\n2024-01-03,A,3\n2024-01-01,B,1\n2024-02-01,B,2\n2024-03-01,B,3\n",
        {"group": "s"},
        ["series 'B' is in months and series 'A' in days", "--skip-bad-series"],
    ),
    ("y\n3\n3\n3\n", {}, ["series 'y' is constant: 3.0 in all 3 rows", "Give another --target"]),
    ("s,y\nA,1\nA,2\nB,3\nB,3\n", {"group": "s"}, ["series 'B' is constant: 3.0 in all 2 rows", "--skip-bad-series"]),
    ("s,y\nA,1\nA,1\nB,3\nB,3\n", {"group": "s", "skip_bad_series": True}, ["no series is left", "all 2"]),
    ("x,y\n1,3\n2,3\n", {"targets": ["all"]}, ["target 'y' of series 'all' is constant", "Leave it out"]),
    ("x,y\n1,3\n2,\n3,\n", {"targets": ["y"], "missing": "carry"}, ["constant: 3.0"]),
    ("y\n1\n", {}, ["sales.csv has 1 row", "two or more"]),
    ("s,y\nA,1\nB,2\n", {"group": "s"}, ["1 row in every series"]),
    (
        DAYS,
        {"targets": ["unit"]},
        ["no column 'unit' in sales.csv", "Did you mean 'units'?", "date, units, price, shop"],
    ),
    (DAYS, {"targets": ["UNITS"]}, ["Did you mean 'units'?"]),
    (DAYS, {"targets": ["units"], "time": "day"}, ["no column 'day'", "--time"]),
    (DAYS, {"targets": ["units"], "group": "shops"}, ["Did you mean 'shop'?", "--group"]),
    (DAYS, {"targets": ["units"], "features": ["units"]}, ["'units' is given twice", "--target", "--feature"]),
    (DAYS, {"targets": ["units", "units"]}, ["'units' is given twice"]),
    (DAYS, {"targets": ["shop"]}, ["column 'shop' has text: 'A' in row 2", "units, price"]),
    (DAYS, {}, ["no target given", "2 columns of numbers: units, price", "--target price, or --target all"]),
    ("a,b\nx,y\n", {}, ["no column of numbers"]),
    ("id,V1,V2\nX,1,2\nY,3,x\n", {"layout": "rows"}, ["column 'V2' has text in row 3: 'x'"]),
]


@pytest.mark.parametrize(("text", "options", "said"), REFUSED)
def test_refused(tmp_path, text, options, said):
    found = message(lambda: series_of(tmp_path, text, **options), DataError)
    for part in said:
        assert part in found


def test_missing_is_an_option_of_three_words(tmp_path):
    assert "error, carry or mask" in message(
        lambda: series_of(tmp_path, DAYS, targets=["units"], missing="zero"), ConfigError
    )


@pytest.mark.parametrize("read", [True, False])
def test_text_among_numbers_is_an_error_only_where_the_column_is_used(tmp_path, read):
    table = read_table(written(tmp_path, "y,z\n1,1\n2,x\n3,3\n4,4\n"))
    if read:
        assert "'z' has text in row 3" in message(lambda: to_series(table, targets=["all"]), DataError)
    else:
        assert to_series(table, targets=["y"]).rows == 4


def test_constant_in_training_only():
    found = made([1.0] * 70 + list(range(30)), range(100))
    split = ranges_of(found, parse_split("0.7,0.15,0.15"))
    assert "series 'A' is constant: 1.0 in all 70 training rows" in message(lambda: reject_constant(found, split))
    kept = reject_constant(found, split, skip=True)
    assert [s.name for s in kept.series] == ["B"]
    assert kept.notes == ("1 series skipped (constant): 'A'",)
    assert reject_constant(found) is found


def test_a_target_never_seen_in_training():
    found = made([np.nan] * 70 + list(range(30)))
    split = ranges_of(found, parse_split("0.7,0.15,0.15"))
    assert "series 'A' has no values in its 70 training rows" in message(lambda: reject_constant(found, split))


REAL = [
    ("classic-series/statsmodels/co2.csv", {"missing": "carry"}, 2_284, 59, "week", "1958-03-29"),
    ("classic-series/darts/AirPassengers.csv", {}, 144, 0, "month", "1949-01-01"),
    ("classic-series/darts/monthly-milk-incomplete.csv", {"missing": "carry"}, 168, 13, "month", "1962-01-01"),
    ("classic-series/darts/ausbeer.csv", {}, 211, 0, "quarter", "1956-01-01"),
    ("classic-series/darts/us_gasoline.csv", {"sort": True}, 1_578, 0, "week", "1991-02-08"),
    ("classic-series/darts/temps.csv", {"missing": "carry"}, 3_652, 2, "day", "1981-01-01"),
    ("classic-series/darts/taxi_new_york_passengers.csv", {}, 10_320, 0, "minute", "2014-07-01"),
    ("classic-series/statsmodels/nile.csv", {}, 100, 0, "year", "1871-01-01"),
    ("ett/ETTh1.csv", {"targets": ["all"]}, 17_420, 0, "hour", "2016-07-01"),
]  # fmt: skip


@pytest.mark.parametrize(("path", "options", "rows", "missing", "unit", "first"), REAL)
def test_real_files(path, options, rows, missing, unit, first):
    found = to_series(read_table(real(path)), **options)
    assert (found.rows, found.missing, found.frequency.unit) == (rows, missing, unit)
    assert found.series[0].times[0] == np.datetime64(first)
    assert (
        np.unique(
            np.diff(found.series[0].times.astype("M8[M]" if unit in ("month", "quarter", "year") else "M8[us]"))
        ).size
        == 1
    )


def test_real_values_are_those_numpy_reads():
    path = real("ett/ETTh1.csv")
    expected = np.loadtxt(path, delimiter=",", skiprows=1, usecols=range(1, 8))
    assert np.array_equal(to_series(read_table(path), targets=["all"]).series[0].values, expected)


def test_pollution_names_the_column_that_counts():
    table = read_table(real("classic-series/jbrownlee/pollution.csv"))
    assert "--time No" in message(lambda: to_series(table, targets=["pm2.5"]), DataError)
    assert to_series(table, targets=["pm2.5"], time="No", missing="carry").missing == 2_067
