"""Chronological ranges."""

import pytest

from data.making import made, message
from unroll.data import Ranges, parse_split, ranges, ranges_of
from unroll.errors import ConfigError, DataError


@pytest.mark.parametrize(
    ("text", "rows", "expected"),
    [
        ("0.7,0.15,0.15", 144, (100, 122, 144)),
        ("0.7,0.15,0.15", 30, (21, 25, 30)),
        ("0.7, 0.15, 0.15", 100, (70, 85, 100)),
        ("0.6,0.2,0.2", 10, (6, 8, 10)),
        ("0.5,0.2,0.2", 100, (50, 70, 90)),
        ("0.1,0.2,0.7", 10, (1, 3, 10)),
        ("8640,2880,2880", 17_420, (8_640, 11_520, 14_400)),
        ("rest,48,48", 700, (604, 652, 700)),
        ("600,rest,48", 700, (600, 652, 700)),
        ("600,48,REST", 700, (600, 648, 700)),
    ],
)
def test_ranges(text, rows, expected):
    a, b, c = expected
    split = parse_split(text)
    assert ranges(rows, split) == Ranges((0, a), (a, b), (b, c))
    assert parse_split(split.text) == split


@pytest.mark.parametrize("rows", range(1, 200))
def test_ranges_follow_each_other_and_lose_no_row(rows):
    found = ranges(rows, parse_split("0.7,0.15,0.15"))
    assert found.train[0] == 0
    assert found.train[1] == found.valid[0] <= found.valid[1] == found.test[0] <= found.test[1] == rows


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("0.7,0.3", "2 part(s)"),
        ("", "1 part(s)"),
        ("0.7,0.2,0.2", "sums to 1.1"),
        ("0.7,x,0.2", "contains 'x'"),
        ("0.7,10,0.2", "mixes"),
        ("0.8,rest,0.1", "rest goes with row counts"),
        ("rest,rest,10", "more than once"),
        ("0,10,10", "empty part"),
        ("-5,10,10", "empty part"),
        ("1.5,0.1,0.1", "fractions below 1"),
        ("nan,0.1,0.1", "fractions below 1"),
    ],
)
def test_unreadable(text, said):
    found = message(lambda: parse_split(text), ConfigError)
    assert said in found
    assert "Give --split 0.7,0.15,0.15" in found


def test_more_rows_asked_for_than_there_are():
    split = parse_split("8640,2880,2880")
    assert "the series has 100 rows\nexpected 14,400 or more" in message(lambda: ranges(100, split), DataError)
    found = message(lambda: ranges_of(made(range(20_000), range(100)), split), DataError)
    assert "series 'B' has 100 rows" in found
    assert "--skip-bad-series" in found
    assert "expected 97 or more" in message(lambda: ranges(96, parse_split("rest,48,48")), DataError)


@pytest.mark.parametrize(
    ("rows", "split", "said"),
    [
        (3, "0.7,0.15,0.15", ["(2 train, 0 valid, 1 test)", "Give more rows: a series needs 4"]),
        (4, "0.9,0.05,0.05", ["(3 train, 0 valid, 1 test)", "Give --split rest,1,1"]),
        (20, "0.02,0.49,0.49", ["(0 train, 10 valid, 10 test)", "Give --split rest,5,5"]),
        (2, "0.7,0.15,0.15", ["2 rows", "Give more rows"]),
    ],
)
def test_a_part_without_rows(rows, split, said):
    found = message(lambda: ranges_of(made(range(rows)), parse_split(split)), DataError)
    for part in ("series 'A'", *said):
        assert part in found


def test_an_unknown_part():
    assert "train, valid or test" in message(lambda: ranges(10, parse_split("0.7,0.1,0.1")).part("dev"), ConfigError)
