"""unroll.data: readers, splits, scaling, windows and data sets."""

from __future__ import annotations

from unroll.data.ahead import extended
from unroll.data.buckets import length_batches, padded_steps
from unroll.data.build import to_series
from unroll.data.constant import reject_constant
from unroll.data.examples import Examples, labelled, read_documents
from unroll.data.frequency import Frequency, infer_frequency, show_time
from unroll.data.inputs import Inputs
from unroll.data.lengths import drop_short, fit_lengths, window_count
from unroll.data.number_examples import array_examples, read_long_table, read_ts_examples
from unroll.data.number_examples import carried as carried_sequences
from unroll.data.prepare import Prepared, prepare
from unroll.data.ragged import Ragged, RaggedBatch
from unroll.data.record import Recorded, data_record, restore
from unroll.data.scale import Scaler
from unroll.data.season import detect_season
from unroll.data.series import Series, SeriesSet, carried
from unroll.data.split import DEFAULT_SPLIT, PARTS, Ranges, Split, parse_split, ranges, ranges_of
from unroll.data.stratified import stratified
from unroll.data.table import Table, read_table
from unroll.data.textrows import TextRows, read_text_rows
from unroll.data.tokens import UNITS, usual_unit
from unroll.data.vocabulary import Vocabulary
from unroll.data.windows import Batch, Targets, Windows, history_window, origin_window

__all__ = [
    "DEFAULT_SPLIT",
    "PARTS",
    "UNITS",
    "Batch",
    "Examples",
    "Frequency",
    "Inputs",
    "Prepared",
    "Ragged",
    "RaggedBatch",
    "Ranges",
    "Recorded",
    "Scaler",
    "Series",
    "SeriesSet",
    "Split",
    "Table",
    "Targets",
    "TextRows",
    "Vocabulary",
    "Windows",
    "array_examples",
    "carried",
    "carried_sequences",
    "data_record",
    "detect_season",
    "drop_short",
    "extended",
    "fit_lengths",
    "history_window",
    "infer_frequency",
    "labelled",
    "length_batches",
    "origin_window",
    "padded_steps",
    "parse_split",
    "prepare",
    "ranges",
    "ranges_of",
    "read_documents",
    "read_long_table",
    "read_table",
    "read_text_rows",
    "read_ts_examples",
    "reject_constant",
    "restore",
    "show_time",
    "stratified",
    "to_series",
    "usual_unit",
    "window_count",
]
