"""unroll.data: readers, splits, scaling, windows and data sets."""

from __future__ import annotations

from unroll.data.build import to_series
from unroll.data.constant import reject_constant
from unroll.data.frequency import Frequency, infer_frequency, show_time
from unroll.data.lengths import drop_short, fit_lengths, window_count
from unroll.data.prepare import Prepared, prepare
from unroll.data.record import Recorded, data_record, restore
from unroll.data.scale import Scaler
from unroll.data.season import detect_season
from unroll.data.series import Series, SeriesSet, carried
from unroll.data.split import DEFAULT_SPLIT, PARTS, Ranges, Split, parse_split, ranges, ranges_of
from unroll.data.table import Table, read_table
from unroll.data.windows import Batch, Targets, Windows, history_window

__all__ = [
    "DEFAULT_SPLIT",
    "PARTS",
    "Batch",
    "Frequency",
    "Prepared",
    "Ranges",
    "Recorded",
    "Scaler",
    "Series",
    "SeriesSet",
    "Split",
    "Table",
    "Targets",
    "Windows",
    "carried",
    "data_record",
    "detect_season",
    "drop_short",
    "fit_lengths",
    "history_window",
    "infer_frequency",
    "parse_split",
    "prepare",
    "ranges",
    "ranges_of",
    "read_table",
    "reject_constant",
    "restore",
    "show_time",
    "to_series",
    "window_count",
]
