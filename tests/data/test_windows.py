"""Windows against plain slices, the ETT protocol, and nothing seen too early."""

import time

import numpy as np
import pytest
import torch

from data.making import made, message
from realdata import real
from unroll.data import (
    Scaler,
    Series,
    Windows,
    detect_season,
    history_window,
    parse_split,
    prepare,
    ranges_of,
    read_table,
    to_series,
)  # fmt: skip
from unroll.errors import ConfigError, DataError, LeakageError

PARTS = ("train", "valid", "test")


def holey(*rows, channels=3, share=0.25, seed=0):
    rng = np.random.default_rng(seed)
    values = [rng.normal(3, 2, (n, channels)).cumsum(axis=0) for n in rows]
    for column in values:
        column[rng.random(column.shape) < share] = np.nan
        column[: len(column) // 12] = np.nan
    return made(*values, targets=("x", "y"), features=("z",))


def windows_of(found, split="0.6,0.2,0.2", input_length=7, horizon=4):
    split = ranges_of(found, parse_split(split))
    return Windows(found, split, Scaler.fit(found, split), input_length, horizon)


def naive(found, part, input_length, horizon, split="0.6,0.2,0.2"):
    """Every window by slicing and carrying in plain Python."""
    bounds = ranges_of(found, parse_split(split))
    for series in found.series:
        a = bounds[series.name].train[1]
        seen = series.values[:a]
        scaled = (series.values - np.nanmean(seen, axis=0)) / np.nanstd(seen, axis=0)
        carried = np.zeros_like(scaled)
        for row in range(len(scaled)):
            for channel in range(scaled.shape[1]):
                before = carried[row - 1, channel] if row else 0.0
                carried[row, channel] = before if np.isnan(scaled[row, channel]) else scaled[row, channel]
        start, end = bounds[series.name].part(part)
        for t in range(start, end):
            if t - input_length < 0 or t + horizon > end:
                continue
            y = scaled[t : t + horizon, :2]
            if np.isnan(y).all():
                continue
            yield carried[t - input_length : t], y, series.values[t : t + horizon, :2], series.name, t


@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize(("input_length", "horizon"), [(1, 1), (7, 4), (12, 1), (3, 9)])
def test_windows_are_plain_slices(part, input_length, horizon):
    found = holey(90, 120, 77)
    windows = windows_of(found, input_length=input_length, horizon=horizon)
    expected = list(naive(found, part, input_length, horizon))
    assert windows.count(part) == len(expected)
    index = np.random.default_rng(1).permutation(len(expected))
    batch, truth = windows.batch(part, index), windows.targets_original(part, index)
    for row, i in enumerate(index):
        x, y, original, name, t = expected[i]
        assert np.allclose(batch.x[row], x, atol=1e-5)
        assert np.array_equal(batch.mask[row], ~np.isnan(y))
        assert np.allclose(batch.y[row], np.nan_to_num(y), atol=1e-5)
        assert np.allclose(batch.last[row], x[-1, :2], atol=1e-5)
        assert np.array_equal(truth.values[row], original, equal_nan=True)
        assert truth.times[row].tolist() == list(range(t, t + horizon))
        assert (found.series[truth.series[row]].name, truth.origins[row]) == (name, t)


def test_shapes_and_types():
    windows = windows_of(holey(90))
    batch = windows.batch("train", [0, 1, 2])
    assert [tuple(t.shape) for t in batch] == [(3, 7, 3), (3, 4, 2), (3, 4, 2), (3, 2), (3, 4, 0)]
    assert [t.dtype for t in batch] == [torch.float32, torch.float32, torch.bool, torch.float32, torch.float32]
    assert not any(torch.isnan(t).any() for t in batch if t.dtype == torch.float32)
    assert windows.batch("train", torch.tensor([], dtype=torch.int64)).x.shape == (0, 7, 3)
    assert windows.targets_original("test", np.array([0])).values.shape == (1, 4, 2)


def test_windows_without_any_observed_target_are_skipped():
    values = np.arange(100.0)
    values[40:50] = np.nan
    windows = windows_of(made(values), input_length=5, horizon=3)
    origins = windows.origins("train")[1]
    assert sorted(set(range(5, 58)) - set(origins.tolist())) == list(range(40, 48))
    values[:60] = np.where(np.arange(60) < 5, values[:60], np.nan)
    assert "no observed value in its 60 train rows" in message(lambda: windows_of(made(values), input_length=5))


def test_every_part_needs_a_window_of_every_series():
    assert "series 'B' has 9 rows" in message(lambda: windows_of(made(np.arange(100), np.arange(9))), DataError)
    windows = windows_of(made(np.arange(100)))
    assert "train, valid or test" in message(lambda: windows.count("dev"), ConfigError)
    with pytest.raises(IndexError):
        windows.batch("test", [10_000])


def altered(found, row, value=1e6):
    series = found.series[0]
    values = series.values.copy()
    values[row] = value
    return made(values, targets=found.targets, features=found.features)


@pytest.mark.parametrize("row", [60, 75, 99])
def test_nothing_after_training_reaches_scaler_season_or_training_batches(row):
    found, changed = (f for f in (holey(100, share=0.1), altered(holey(100, share=0.1), row)))
    bounds = ranges_of(found, parse_split("0.6,0.2,0.2"))
    assert Scaler.fit(found, bounds).to_dict() == Scaler.fit(changed, bounds).to_dict()
    assert detect_season(found, bounds) == detect_season(changed, bounds)
    one, other = windows_of(found), windows_of(changed)
    everything = np.arange(one.count("train"))
    for a, b in zip(one.batch("train", everything), other.batch("train", everything), strict=True):
        assert torch.equal(a, b)


@pytest.mark.parametrize("part", ["valid", "test"])
def test_a_window_sees_nothing_after_its_end_and_its_input_nothing_from_its_origin_on(part):
    found = holey(100, share=0.1)
    windows = windows_of(found)
    for index in range(windows.count(part)):
        origin = int(windows.origins(part)[1][index])
        before = windows.batch(part, [index])
        end = origin + windows.horizon
        if end < 100:
            after = windows_of(altered(found, slice(end, 100))).batch(part, [index])
            assert all(torch.equal(a, b) for a, b in zip(before, after, strict=True))
        changed = windows_of(altered(found, slice(origin, 100)))
        same = np.flatnonzero(changed.origins(part)[1] == origin)
        assert torch.equal(before.x, changed.batch(part, same).x)
        assert torch.equal(before.last, changed.batch(part, same).last)


def test_a_scaler_that_saw_the_test_range_is_refused():
    found = made(np.arange(100.0))
    bounds = ranges_of(found, parse_split("0.6,0.2,0.2"))
    cheating = Scaler(found.targets, (), {}).fit_history(found.series[0])
    windows = Windows(found, bounds, cheating, 7, 4)
    assert windows.batch("train", [0]).x.shape == (1, 7, 1)
    for part in ("valid", "test"):
        assert "series 'A'" in message(lambda part=part: windows.batch(part, [3]), LeakageError)
        with pytest.raises(LeakageError):
            windows.targets_original(part, [0])


def test_history():
    scaler = Scaler(("x",), ("z",), {}).fit_history(
        Series("A", np.arange(4), np.array([[0, 1], [2, 1], [4, 3], [6, 3.0]]))
    )
    history = Series("A", np.arange(3), np.array([[np.nan, 1], [6, np.nan], [np.nan, 3]]))
    x, last = history_window(history, scaler, 5)
    high = (6 - 3) / np.sqrt(5)
    assert x.dtype == torch.float32
    assert np.allclose(x[0], [[0, -1], [0, -1], [0, -1], [high, -1], [high, 1]])
    assert np.allclose(last, [[high]])
    assert torch.equal(history_window(history, scaler, 2)[0], x[:, -2:])
    empty = Series("A", np.arange(0), np.zeros((0, 2)))
    assert "no rows" in message(lambda: history_window(empty, scaler, 5), DataError)
    stranger = Series("B", history.times, history.values)
    assert "series 'B' was not in the training data" in message(lambda: history_window(stranger, scaler, 5), DataError)


def test_history_continues_the_last_test_window():
    found = holey(100)
    windows = windows_of(found, input_length=7, horizon=1)
    t = 99
    at = np.flatnonzero(windows.origins("test")[1] == t)
    if not len(at):
        pytest.fail("the last row must be observed in this seed")
    series = found.series[0]
    x, last = history_window(Series("A", series.times[:t], series.values[:t]), windows.scaler, 7)
    assert torch.equal(x, windows.batch("test", at).x)
    assert torch.equal(last, windows.batch("test", at).last)


def test_etth1_protocol():
    """Naive forecasts of 96 hours on standardised multivariate windows: .512 after a day, 1.294 for the last value."""
    found = to_series(read_table(real("ett/ETTh1.csv")), targets=["all"])
    ready = prepare(found, parse_split("8640,2880,2880"), 96)
    windows, count = ready.windows, ready.windows.count("test")
    assert (count, windows.count("valid"), ready.season) == (2_785, 2_785, 24)
    assert windows.count("train") == 8_640 - 96 - windows.input_length + 1
    errors = torch.zeros(2, dtype=torch.float64)
    for start in range(0, count, 500):
        batch = windows.batch("test", np.arange(start, min(start + 500, count)))
        day = batch.x[:, -24:].repeat(1, 4, 1)
        last = batch.last[:, None].expand_as(batch.y)
        errors += torch.stack([((forecast - batch.y) ** 2).double().sum() for forecast in (day, last)])
    seasonal, repeat = (errors / (count * 96 * 7)).tolist()
    assert round(seasonal, 3) == 0.512
    assert round(repeat, 3) == 1.294


def test_airpassengers_with_defaults():
    found = to_series(read_table(real("classic-series/darts/AirPassengers.csv")))
    ready = prepare(found, parse_split("0.7,0.15,0.15"), 12)
    assert (ready.season, ready.windows.input_length) == (12, 24)
    assert [ready.windows.count(part) for part in PARTS] == [65, 11, 11]


@pytest.mark.parametrize(
    ("path", "layout", "split", "horizon", "counts"),
    [
        ("m4/Hourly-train.csv", "rows", "rest,48,48", 48, (274_426, 414, 414)),
        ("ett/ETTm1.csv", "long", "34560,11520,11520", 96, (34_273, 11_425, 11_425)),
    ],
)
def test_large_sets_are_ready_at_once(path, layout, split, horizon, counts):
    found = to_series(read_table(real(path), layout=layout), targets=["all"])
    started = time.perf_counter()
    ready = prepare(found, parse_split(split), horizon)
    assert time.perf_counter() - started < 2
    assert tuple(ready.windows.count(part) for part in PARTS) == counts
    batch = ready.windows.batch("test", np.arange(256))
    assert torch.isfinite(batch.x).all()


def test_preparing_skips_what_is_too_short_or_constant_in_training():
    rng = np.random.default_rng(0)
    found = made(rng.normal(size=100), rng.normal(size=8), [1.0] * 80 + list(range(20)))
    split = parse_split("0.7,0.15,0.15")
    assert "series 'C' is constant" in message(lambda: prepare(found, split, 4))
    ready = prepare(found, split, 4, skip_bad_series=True)
    assert [s.name for s in ready.series_set.series] == ["A"]
    assert ready.series_set.notes == ("1 series skipped (too short): 'B'", "1 series skipped (constant): 'C'")
