"""Baselines on real data give the figures that others published."""

import csv
from dataclasses import replace

import pytest

from realdata import real
from tasks.making import task_of
from unroll.tasks import LastValue, SeasonalNaive
from unroll.tasks.forecast.scores import seasonal_scale


@pytest.fixture(scope="module")
def m4_hourly(tmp_path_factory):
    """Training and test rows joined, one series per line, as a file."""
    parts = []
    for part in ("train", "test"):
        with open(real(f"m4/Hourly-{part}.csv"), newline="") as stream:
            parts.append([[cell for cell in row if cell not in ("", "NA")] for row in csv.reader(stream)][1:])
    rows = [[*first, *then[1:]] for first, then in zip(*parts, strict=True)]
    assert all(first[0] == then[0] for first, then in zip(*parts))
    longest = max(map(len, rows))
    path = tmp_path_factory.mktemp("m4") / "hourly.csv"
    with open(path, "w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["id", *(f"V{k}" for k in range(1, longest))])
        writer.writerows([*row, *[""] * (longest - len(row))] for row in rows)
    return task_of(str(path), layout="rows", horizon=48, season=24, split="rest,48,48")


@pytest.mark.parametrize(
    ("baseline", "mase", "smape"), [(SeasonalNaive(24), 1.193, 13.912), (LastValue(), 11.608, 43.003)]
)
def test_m4_hourly(m4_hourly, baseline, mase, smape):
    """M4 competition, Evaluation and Ranks: sNaive and Naive.

    The competition scales by all rows before the test range, unroll by the training range alone.
    """
    assert m4_hourly.windows.count("test") == 414
    every, ranges = m4_hourly.series_set.series, m4_hourly.ranges
    before = {s.name: seasonal_scale(s.values[: ranges[s.name].test[0]], 24) for s in every}
    scores = replace(m4_hourly, mase_scales=before).errors(baseline).scores()
    assert round(scores["MASE"], 3) == mase
    assert round(scores["sMAPE"], 3) == smape


def test_etth1_seasonal_naive():
    task = task_of(str(real("ett/ETTh1.csv")), "all", horizon=96, input=96, season=24, split="8640,2880,2880")
    assert len(task.targets) == 7
    assert task.windows.count("test") == 2880 - 96 + 1
    assert round(task.errors(SeasonalNaive(24)).scaled()["MSE"], 3) == 0.512
