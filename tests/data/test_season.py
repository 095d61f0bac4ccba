"""The season of known series."""

import numpy as np
import pytest

from data.making import made
from realdata import real
from unroll.data import Frequency, detect_season, parse_split, ranges_of, read_table, to_series

DEFAULT = "0.7,0.15,0.15"
KNOWN = [
    ("classic-series/statsmodels/co2.csv", {"missing": "carry"}, DEFAULT, (52,)),
    ("classic-series/darts/AirPassengers.csv", {}, DEFAULT, (12,)),
    ("classic-series/darts/monthly-milk.csv", {}, DEFAULT, (12,)),
    ("classic-series/darts/wineind.csv", {}, DEFAULT, (12,)),
    ("classic-series/darts/ausbeer.csv", {}, DEFAULT, (4,)),
    ("classic-series/darts/woolyrnq.csv", {}, DEFAULT, (4,)),
    ("classic-series/darts/taylor.csv", {}, DEFAULT, (48, 336)),
    ("classic-series/darts/taxi_new_york_passengers.csv", {}, DEFAULT, (48, 336)),
    ("classic-series/statsmodels/sunspots.csv", {}, DEFAULT, (11,)),
    ("classic-series/statsmodels/nile.csv", {}, DEFAULT, (None,)),
    ("ett/ETTh1.csv", {"targets": ["OT"]}, "8640,2880,2880", (24,)),
    ("ett/ETTh1.csv", {"targets": ["all"]}, "8640,2880,2880", (24,)),
    ("ett/ETTm1.csv", {"targets": ["all"]}, DEFAULT, (96,)),
]  # fmt: skip


def season(series_set, split=DEFAULT):
    return detect_season(series_set, ranges_of(series_set, parse_split(split)))


@pytest.mark.parametrize(("path", "options", "split", "expected"), KNOWN)
def test_real(path, options, split, expected):
    assert season(to_series(read_table(real(path)), **options), split) in expected


def test_m4_hourly():
    assert season(to_series(read_table(real("m4/Hourly-train.csv"), layout="rows")), "rest,48,48") == 24


@pytest.mark.parametrize("rows", [60, 300, 2_000])
@pytest.mark.parametrize("unit", ["step", "day", "hour", "month"])
def test_chance_is_no_season(rows, unit):
    noise = np.random.default_rng(1).normal(size=rows)
    assert season(made(noise, frequency=Frequency(unit))) is None
    assert season(made(np.cumsum(noise), frequency=Frequency(unit))) is None


@pytest.mark.parametrize("period", [3, 7, 11, 17, 40])
def test_a_cycle_of_any_length(period):
    rows = np.arange(400)
    wave = np.sin(2 * np.pi * rows / period) + 0.01 * rows
    assert season(made(wave)) == period
    wave[::9] = np.nan
    assert season(made(wave)) == period


def test_series_vote_and_the_constant_and_the_short_abstain():
    rows = np.arange(300)
    waves = [np.sin(2 * np.pi * rows / 12 + k) for k in range(5)]
    assert season(made(*waves, np.ones(300), np.arange(8), np.full(300, np.nan))) == 12
    assert season(made(np.ones(100))) is None
    assert season(made(np.arange(8))) is None


def test_only_training_rows_count():
    rows = np.arange(300)
    wave = np.sin(2 * np.pi * rows / 12)
    changed = np.where(rows < 210, wave, np.random.default_rng(0).normal(size=300) * 100)
    assert season(made(changed)) == 12
