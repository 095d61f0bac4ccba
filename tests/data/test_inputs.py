"""What networks read of a row, against plain loops over the table: known columns, masks, times, static columns."""

import datetime as dt
import math

import numpy as np
import polars as pl
import pytest
import torch

from data.making import message
from unroll.data import (
    Inputs,
    Recorded,
    Scaler,
    Windows,
    data_record,
    extended,
    origin_window,
    parse_split,
    ranges_of,
    read_table,
    restore,
    to_series,
)  # fmt: skip
from unroll.errors import ConfigError, LeakageError

PARTS = ("train", "valid", "test")
START = dt.datetime(2024, 1, 30, 21)
TOWNS = {"A": "Oslo", "B": "Pusan", "C": "Oslo"}
SPLIT = "0.6,0.2,0.2"
CASES = {
    "known": {"known": ["p", "q"]},
    "known, masked": {"known": ["p", "q"], "missing": "mask"},
    "masked, since": {"missing": "mask", "since": True},
    "all": {
        "known": ["p", "q"], "static": ["size", "town"], "calendar": "hour,weekday", "missing": "mask", "since": True
    },
    "irregular": {"times": "irregular"},
    "irregular, all": {
        "known": ["q", "p"], "static": ["town"], "calendar": "month", "missing": "mask", "since": True,
        "times": "irregular",
    },
}  # fmt: skip


def table(rows=(60, 75, 66), later=6, share=0.2, irregular=False, seed=0):
    """Three shops by the hour (or now and then), holes everywhere, ``later`` rows without a target at the end."""
    rng, parts = np.random.default_rng(seed), []
    for name, n in zip("ABC", rows, strict=True):
        whole = n + later
        gaps = rng.integers(1, 9, whole) if irregular else np.ones(whole, int)
        columns = {c: rng.normal(3, 2, whole).cumsum() for c in "yzfpq"}
        for c in "yzfp":
            columns[c][rng.random(whole) < share] = np.nan
        for c in "yz":
            columns[c][n - 1], columns[c][n:] = 1.5, np.nan
        times = [START + dt.timedelta(hours=int(k)) for k in np.cumsum(gaps)]
        size = {"A": 1.0, "B": 5.0, "C": 2.5}[name]
        parts.append(pl.DataFrame({"shop": name, "time": times, **columns, "size": size, "town": TOWNS[name]}))
    return pl.concat(parts).with_columns(pl.col(list("yzfpq")).fill_nan(None))


def read(frame, **options):
    asked = {"targets": ["y", "z"], "features": ["f"], "time": "time", "group": "shop", "missing": "carry"}
    return to_series(read_table(frame), **(asked | options))


def windows_of(found, input_length=5, horizon=3):
    bounds = ranges_of(found, parse_split(SPLIT))
    return Windows(found, bounds, Scaler.fit(found, bounds), input_length, horizon)


class ByHand:
    """The numbers of every row of one shop, each by its own loop."""

    def __init__(self, frame, name, found, options):
        every = {n: frame.filter(shop=n) for n in frame["shop"].unique(maintain_order=True)}
        own, end = every[name], ranges_of(found, parse_split(SPLIT))[name].train[1]
        self.times = own["time"].to_list()
        self.rows = found.series[list(every).index(name)].rows
        known = options.get("known", [])
        names = ["y", "z", "f", *known]
        self.columns, self.masks, self.since, self.future = [], [], [], []
        self.first_known = 3
        self.logs = self.steps(name, every, found, end) if options.get("times") == "irregular" else None
        for c in names:
            values = own[c].to_list()
            if c in "yzf":
                values = values[: self.rows] + [None] * (len(values) - self.rows)
            self.columns.append(self.scaled(values, end))
        if self.logs is not None:
            self.columns.append(self.scaled(self.logs, end))
        for part in filter(None, options.get("calendar", "").split(",")):
            turn = {
                "hour": lambda t: (t.hour + t.minute / 60) / 24,
                "weekday": lambda t: t.weekday() / 7,
                "month": lambda t: (t.month - 1) / 12,
            }[part]
            self.columns += [[w(2 * math.pi * turn(t)) for t in self.times] for w in (math.sin, math.cos)]
        if options.get("missing") == "mask":
            self.mask(own, every, found, names, options)
        self.static = [self.encoded(every, name, c) for c in options.get("static", [])]

    def scaled(self, values, end):
        seen = [v for v in values[:end] if v is not None]
        mean = sum(seen) / len(seen)
        deviation = math.sqrt(sum((v - mean) ** 2 for v in seen) / len(seen))
        carried, last = [], None
        for v in values:
            last = v if v is not None else last
            carried.append(0.0 if last is None else (last - mean) / deviation)
        return carried

    def steps(self, name, every, found, end):
        """Logarithms of the steps; the first step is not known and taken to be the second."""
        logs = [math.log((b - a).total_seconds()) for a, b in zip(self.times, self.times[1:])]
        logs = [logs[0], *logs]
        self.mean = sum(logs[:end]) / end
        self.deviation = math.sqrt(sum((v - self.mean) ** 2 for v in logs[:end]) / end)
        return logs

    def mask(self, own, every, found, names, options):
        bounds = ranges_of(found, parse_split(SPLIT))
        for c in names:
            if not any(f[c][: bounds[n].train[1]].null_count() for n, f in every.items()):
                continue
            values = own[c].to_list()
            self.masks.append([0.0 if v is None else 1.0 for v in values])
            if c in options.get("known", []):
                self.future.append(self.masks[-1])
            if options.get("since"):
                self.since.append([math.log1p(self.ago(values, t)) for t in range(len(values))])

    def ago(self, values, t):
        """Che et al. 2018: the step before, and on top of it the time before that where nothing was observed."""
        if t == 0:
            return 0.0
        step = 1.0
        if self.logs is not None:
            step = (self.times[t] - self.times[t - 1]).total_seconds() / math.exp(self.mean)
        return step + (self.ago(values, t - 1) if values[t - 1] is None else 0.0)

    def encoded(self, every, name, column):
        values = {n: f[column][0] for n, f in every.items()}
        if column == "size":
            mean = sum(values.values()) / len(values)
            return [(values[name] - mean) / math.sqrt(sum((v - mean) ** 2 for v in values.values()) / len(values))]
        return [float(values[name] == category) for category in sorted(set(values.values()))]

    def past(self, t):
        return [c[t] for c in self.columns + self.masks + self.since] + [v for one in self.static for v in one]

    def ahead(self, t, origin):
        told = [c[t] for c in self.columns[self.first_known :] + self.future]
        if self.logs is None:
            return told
        passed = (self.times[t] - self.times[origin - 1]).total_seconds()
        return [*told, (math.log(passed) - self.mean) / self.deviation]


@pytest.mark.parametrize("case", CASES)
def test_batches_are_what_loops_over_the_table_give(case):
    options = CASES[case]
    frame = table(irregular="times" in options)
    found = read(frame, **options)
    windows = windows_of(found)
    by_hand = {s.name: ByHand(frame, s.name, found, options) for s in found.series}
    for part in PARTS:
        every = np.arange(windows.count(part))
        batch = windows.batch(part, every)
        series, origins = windows.origins(part)
        assert windows.inputs.future_width == batch.future.shape[-1]
        for row in np.random.default_rng(0).permutation(every)[:25]:
            hand, origin = by_hand[found.series[series[row]].name], int(origins[row])
            past = [hand.past(t) for t in range(origin - 5, origin)]
            np.testing.assert_allclose(batch.x[row], past, atol=2e-5)
            ahead = [hand.ahead(t, origin) for t in range(origin, origin + 3)]
            np.testing.assert_allclose(batch.future[row], np.reshape(ahead, batch.future[row].shape), atol=2e-5)
            np.testing.assert_allclose(batch.last[row], past[-1][:2], atol=2e-5)


@pytest.mark.parametrize("case", CASES)
def test_what_follows_the_data_is_read_as_loops_give(case):
    options = CASES[case]
    frame = table(irregular="times" in options)
    found = read(frame, **options)
    windows = windows_of(found)
    for series in found.series:
        hand = ByHand(frame, series.name, found, options)
        assert series.rows == hand.rows
        whole = extended(series, found, 3)
        x, _, *future = origin_window(whole, windows.scaler, windows.inputs, 5, 3)
        np.testing.assert_allclose(x[0], [hand.past(t) for t in range(hand.rows - 5, hand.rows)], atol=2e-5)
        ahead = [hand.ahead(t, hand.rows) for t in range(hand.rows, hand.rows + 3)]
        if future:
            np.testing.assert_allclose(future[0][0], ahead, atol=2e-5)
        assert bool(future) == (windows.inputs.future_width > 0)
        on = hand.times + [hand.times[-1] + dt.timedelta(hours=k) for k in (1, 2, 3)]
        assert whole.times[-3:].astype("datetime64[us]").tolist() == on[hand.rows : hand.rows + 3]
        assert np.isnan(whole.values[-3:, :3]).all()


@pytest.mark.parametrize("case", CASES)
def test_inputs_come_back_from_json(case):
    options = CASES[case]
    found = read(table(irregular="times" in options), **options)
    windows = windows_of(found)
    bounds = ranges_of(found, parse_split(SPLIT))
    back: Recorded = restore(data_record(found, bounds, windows.scaler, windows))
    assert back.inputs.to_dict() == windows.inputs.to_dict()
    assert (back.known, back.static) == (found.known, found.static)
    assert back.frequency == found.frequency
    whole = extended(found.series[1], found, 3)
    first = origin_window(whole, windows.scaler, windows.inputs, 5, 3)
    second = origin_window(whole, back.scaler, back.inputs, 5, 3)
    assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))


def changed(frame, column, rows, value=1e6):
    row = pl.int_range(pl.len()).over("shop")
    inside = (row >= rows[0]) & (row < rows[1]) & pl.col(column).is_not_null()
    return frame.with_columns(pl.when(inside).then(pl.lit(value)).otherwise(pl.col(column)).alias(column))


@pytest.mark.parametrize("column", list("yzfpq"))
def test_a_forecast_reads_of_the_future_what_is_known_and_nothing_else(column):
    """Every value from the origin on is another one: only the known columns' show, and only in ``future``."""
    options = CASES["all"]
    frame = table()
    found = read(frame, **options)
    windows = windows_of(found)
    part, origin = "test", int(windows.origins("test")[1][2])
    index = np.flatnonzero(windows.origins(part)[1] == origin)[:1]
    before = windows.batch(part, index)
    after = windows_of(read(changed(frame, column, (origin, 10**9)), **options)).batch(part, index)
    assert torch.equal(before.x, after.x)
    assert torch.equal(before.last, after.last)
    assert torch.equal(before.future, after.future) == (column not in "pq")
    later = windows_of(read(changed(frame, column, (origin + 3, 10**9)), **options)).batch(part, index)
    assert all(torch.equal(a, b) for a, b in zip(before, later, strict=True))


@pytest.mark.parametrize("column", list("yzfpq"))
def test_what_follows_training_changes_nothing_that_is_fitted(column):
    def fitted(frame, **options):
        found = read(frame, **options)
        bounds = ranges_of(found, parse_split("30,10,10"))
        return Scaler.fit(found, bounds).to_dict(), Inputs.fit(found, bounds).to_dict()

    for case in ("all", "irregular, all"):
        options, frame = CASES[case], table(irregular=case != "all", share=0.1)
        holes = frame.with_columns(
            pl.when(pl.int_range(pl.len()).over("shop") < 30).then(pl.col("q")).otherwise(None).alias("q")
        )
        assert fitted(frame, **options) == fitted(changed(frame, column, (30, 10**9)), **options)
        assert fitted(frame, **options) == fitted(holes, **options)
        assert fitted(frame, **options) != fitted(changed(frame, column, (0, 30)), **options)


def test_known_columns_are_defended_as_the_others():
    found = read(table(), known=["p"])
    bounds = ranges_of(found, parse_split(SPLIT))
    cheating = Scaler(found.targets, found.features, {}, found.future)
    for series in found.series:
        cheating = cheating.fit_history(series)
    with pytest.raises(LeakageError):
        Windows(found, bounds, cheating, 5, 3).batch("test", [0])


@pytest.mark.parametrize("poison", [0.0, -7.0, 1e9])
def test_what_stands_in_a_missing_place_does_not_matter(poison):
    """A cell left empty, and any number that is said to mean missing."""
    frame = table()
    filled = frame.with_columns(pl.col(list("yzfp")).cast(pl.String).fill_null(str(poison)))
    one = read(frame, **CASES["all"])
    asked = {"targets": ["y", "z"], "features": ["f"], "time": "time", "group": "shop"} | CASES["all"]
    other = to_series(read_table(filled, na=[str(poison)]), **asked)
    first, second = windows_of(one), windows_of(other)
    for part in PARTS:
        every = np.arange(first.count(part))
        pairs = zip(first.batch(part, every), second.batch(part, every), strict=True)
        assert all(torch.equal(a, b) for a, b in pairs)


def test_channels_without_holes_in_training_have_no_mask():
    found = read(table(), missing="mask", known=["q"])
    assert windows_of(found).inputs.masked == (0, 1, 2)
    assert windows_of(read(table(share=0.0), missing="mask")).inputs.masked == ()


def test_since_needs_masks():
    assert "--missing mask" in message(lambda: read(table(), since=True), ConfigError)
