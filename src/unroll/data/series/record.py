"""What a run keeps of its data (data.json), and what is needed of it to predict later."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from unroll.data.series.frequency import Frequency
from unroll.data.series.inputs import Inputs
from unroll.data.series.scale import Scaler, time_to_json
from unroll.data.series.series import Series, SeriesSet
from unroll.data.series.split import PARTS, Ranges
from unroll.data.series.windows import Windows
from unroll.errors import reading_record


@dataclass(frozen=True, eq=False)
class Recorded:
    """The columns, the lengths, the scaler and the inputs of a saved run."""

    fingerprint: str
    targets: tuple[str, ...]
    features: tuple[str, ...]
    time_column: str | None
    group_column: str | None
    frequency: Frequency
    season: int | None
    input_length: int
    horizon: int
    scaler: Scaler
    inputs: Inputs
    known: tuple[str, ...] = ()
    static: tuple[str, ...] = ()


def data_record(
    series_set: SeriesSet,
    ranges: Mapping[str, Ranges],
    scaler: Scaler,
    windows: Windows,
    season: int | None = None,
) -> dict[str, Any]:
    """JSON values: where the data came from, how it was split, and all that was fitted on it."""
    return {
        "source": series_set.name,
        "fingerprint": series_set.fingerprint,
        "columns": {
            "targets": list(series_set.targets),
            "features": list(series_set.features),
            "known": list(series_set.known),
            "static": list(series_set.static),
            "time": series_set.time_column,
            "group": series_set.group_column,
        },
        "frequency": series_set.frequency.to_dict(),
        "season": season,
        "input": windows.input_length,
        "horizon": windows.horizon,
        "rows": series_set.rows,
        "missing": series_set.missing,
        "windows": {part: windows.count(part) for part in PARTS},
        "series": [_series_record(series, ranges[series.name]) for series in series_set.series],
        "scaler": scaler.to_dict(),
        "inputs": windows.inputs.to_dict(),
        "notes": list(series_set.notes),
    }


def restore(record: Mapping[str, Any]) -> Recorded:
    """What ``data_record`` kept. Raises RunError where a part is missing or damaged."""
    with reading_record():
        columns, scaler = record["columns"], Scaler.from_dict(record["scaler"])
        plain = Inputs(len(scaler.targets) + len(scaler.features))  # of a run before there were other channels
        return Recorded(
            fingerprint=record["fingerprint"],
            targets=tuple(columns["targets"]),
            features=tuple(columns["features"]),
            time_column=columns["time"],
            group_column=columns["group"],
            frequency=Frequency.from_dict(record["frequency"]),
            season=record["season"],
            input_length=int(record["input"]),
            horizon=int(record["horizon"]),
            scaler=scaler,
            inputs=Inputs.from_dict(record["inputs"]) if "inputs" in record else plain,
            known=tuple(columns.get("known", ())),
            static=tuple(columns.get("static", ())),
        )


def _series_record(series: Series, ranges: Ranges) -> dict[str, Any]:
    parts = {}
    for part in PARTS:
        start, end = ranges.part(part)
        times = [time_to_json(series.times[k]) for k in (start, end - 1)] if end > start else []
        parts[part] = {"rows": [start, end], "times": times}
    return {"name": series.name, "rows": series.rows, **parts}
