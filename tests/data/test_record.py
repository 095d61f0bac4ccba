"""data.json: written, read, and enough to predict with."""

import json

import numpy as np
import pytest
import torch

from data.making import made, message
from realdata import real
from unroll.data import (
    data_record,
    history_window,
    parse_split,
    prepare,
    read_table,
    restore,
    to_series,
)  # fmt: skip
from unroll.errors import RunError


def record_of(ready):
    record = data_record(ready.series_set, ready.ranges, ready.scaler, ready.windows, ready.season)
    return json.loads(json.dumps(record, allow_nan=False))


def test_a_saved_run_predicts_like_the_one_that_saved_it():
    table = read_table(real("classic-series/statsmodels/co2.csv"))
    ready = prepare(to_series(table, missing="carry"), parse_split("0.7,0.15,0.15"), 12)
    record = record_of(ready)
    assert record["fingerprint"] == table.fingerprint
    assert record["windows"] == {"train": 1_476, "valid": 332, "test": 332}
    assert record["series"][0]["train"]["rows"] == [0, 1_598]
    assert record["series"][0]["train"]["times"][0].startswith("1958-03-29")
    assert record["notes"] == ["59 of 2,284 values missing: carried forward as inputs, never scored"]
    back = restore(record)
    again = to_series(
        table, targets=back.targets, features=back.features, time=back.time_column,
        group=back.group_column, missing="carry", frequency=back.frequency,
    )  # fmt: skip
    expected = history_window(ready.series_set.series[0], ready.scaler, ready.windows.input_length)
    found = history_window(again.series[0], back.scaler, back.input_length)
    assert all(torch.equal(a, b) for a, b in zip(expected, found, strict=True))
    assert (back.season, back.horizon, back.input_length) == (52, 12, 104)


def test_integer_steps():
    ready = prepare(made(np.random.default_rng(0).normal(size=100)), parse_split("rest,10,10"), 5)
    record = record_of(ready)
    assert record["series"][0]["test"] == {"rows": [90, 100], "times": [90, 99]}
    assert restore(record).scaler.to_dict() == ready.scaler.to_dict()


@pytest.mark.parametrize("part", ["scaler", "columns", "frequency", "input"])
def test_a_damaged_record(part):
    record = record_of(prepare(made(np.random.default_rng(0).normal(size=100)), parse_split("rest,10,10"), 5))
    del record[part]
    assert part in message(lambda: restore(record), RunError)
