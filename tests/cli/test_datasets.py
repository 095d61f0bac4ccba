"""Every data set's own command reads its files, where real data are at hand."""

from __future__ import annotations

import shlex

import pytest

from realdata import ROOT
from unroll import api
from unroll.data.known import datasets
from unroll.data.registry import locate
from unroll.errors import DataError
from unroll.tasks import TASKS, prepare

from .harness import unroll

LARGEST = 6_000_000
"""Larger sets take a minute; their readers are those of the smaller ones."""
OF_A_TASK = [known for known in datasets() if known.task in TASKS]


@pytest.mark.parametrize("known", OF_A_TASK, ids=lambda known: known.name)
def test_its_command_reads_it(known, tmp_path, monkeypatch):
    monkeypatch.setenv("UNROLL_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("UNROLL_DATA", str(ROOT))
    monkeypatch.chdir(tmp_path)
    if sum(file.bytes for file in known.files) > LARGEST:
        pytest.skip("large: read by hand when its entry changes")
    if locate(known.name) is None:
        pytest.skip(f"real data not here: {known.name} (set UNROLL_DATA to its folder)")

    def stop(source, data, options, *_, **__):
        prepare(source, data, options)
        raise DataError("training would begin")

    for name in ("run_comparison", "run_training"):
        monkeypatch.setattr(api, name, stop)
    assert unroll(*shlex.split(known.command)[1:]).message == "error: training would begin"
