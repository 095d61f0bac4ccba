"""Input lengths that fit, and options that really do what the message says."""

import re

import numpy as np
import pytest

from data.making import made, message
from unroll.data import Scaler, Windows, drop_short, fit_lengths, parse_split, ranges_of, window_count
from unroll.errors import ConfigError, DataError


def noise(*rows):
    rng = np.random.default_rng(0)
    return made(*(rng.normal(size=n) for n in rows))


def windows(found, split, input_length, horizon):
    split = ranges_of(found, parse_split(split))
    return Windows(found, split, Scaler.fit(found, split), input_length, horizon)


@pytest.mark.parametrize(
    ("rows", "horizon", "season", "expected"),
    [
        (10_000, 96, 24, 96),
        (10_000, 12, 168, 336),
        (10_000, 12, 365, 512),
        (10_000, 1, None, 16),
        (10_000, 1_000, None, 512),
        (144, 12, 12, 24),
        (60, 12, 12, 19),
        (40, 12, None, 5),
        (30, 12, None, 2),
    ],
)
def test_default_input(rows, horizon, season, expected):
    found = noise(rows)
    assert fit_lengths(found, ranges_of(found, parse_split("0.7,0.15,0.15")), horizon, season) == expected


def test_the_shortest_series_decides_and_the_user_overrides():
    found = noise(1_000, 60)
    split = ranges_of(found, parse_split("0.7,0.15,0.15"))
    assert fit_lengths(found, split, 12, 12) == 19
    assert fit_lengths(found, split, 12, 12, input=100) == 100
    assert "--input 0" in message(lambda: fit_lengths(found, split, 12, 12, input=0), ConfigError)
    assert "--horizon 0" in message(lambda: fit_lengths(found, split, 0, 12), ConfigError)


@pytest.mark.parametrize("rows", [5, 7, 8, 20, 36, 61, 100])
@pytest.mark.parametrize("input_length", [1, 5, 48])
@pytest.mark.parametrize("horizon", [1, 4, 12, 30])
@pytest.mark.parametrize("split", ["0.7,0.15,0.15", "0.2,0.4,0.4"])
def test_every_option_offered_fits(rows, input_length, horizon, split):
    """What a message offers is applied as written; alternatives stand apart by "or", combinations by "with … and"."""
    found = noise(rows)
    bounds = ranges_of(found, parse_split(split))["A"]
    if all(window_count(bounds, input_length, horizon, part) for part in ("train", "valid", "test")):
        assert windows(found, split, input_length, horizon).count("train") > 0
        return
    said = message(lambda: windows(found, split, input_length, horizon), DataError)
    offers = said[said.rindex("Give ") :].split(", or ")
    assert offers
    for offer in offers:
        given = dict(re.findall(r"--(\w+) ([\w,.]*\w)", offer))
        assert given
        chosen = {"split": split, "input": input_length, "horizon": horizon} | given
        fitting = windows(found, chosen["split"], int(chosen["input"]), int(chosen["horizon"]))
        assert all(fitting.count(part) > 0 for part in ("train", "valid", "test"))


def test_the_message_says_what_there_is_and_what_is_needed():
    said = message(lambda: windows(noise(30), "0.7,0.15,0.15", 20, 3), DataError)
    assert "series 'A' has 30 rows (21 train, 4 valid, 5 test)" in said
    assert "23 or more training rows (input 20 + horizon 3) and 3 or more in each of valid and test" in said
    assert "Give --input 18" in said


def test_three_rows_are_never_enough():
    assert "more rows" in message(lambda: windows(noise(3), "1,1,1", 2, 1), DataError)


def test_many_series_list_the_first_three():
    said = message(lambda: windows(noise(100, 8, 9, 10, 11, 12), "0.7,0.15,0.15", 16, 2), DataError)
    assert "series 'B' has 8 rows" in said
    assert "series 'D' has 10 rows" in said
    assert "series 'E'" not in said
    assert "and 2 more of 6 series" in said
    assert "--skip-bad-series" in said


def test_short_series_are_dropped_with_a_note():
    found = noise(100, 8, 200)
    kept = drop_short(found, parse_split("0.7,0.15,0.15"), 4)
    assert [s.name for s in kept.series] == ["A", "C"]
    assert kept.notes == ("1 series skipped (too short): 'B'",)
    assert drop_short(kept, parse_split("rest,10,10"), 4) is kept
    assert [s.name for s in drop_short(found, parse_split("rest,50,50"), 4).series] == ["C"]
    assert "no series is long enough" in message(lambda: drop_short(found, parse_split("0.7,0.15,0.15"), 60), DataError)
