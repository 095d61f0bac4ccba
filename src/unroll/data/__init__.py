"""unroll.data: readers, splits, scaling, windows and data sets."""

from __future__ import annotations

from unroll.data.examples.buckets import length_batches, padded_steps
from unroll.data.examples.examples import Examples, labelled, read_documents
from unroll.data.examples.number_examples import array_examples, read_long_table, read_ts_examples
from unroll.data.examples.number_examples import carried as carried_sequences
from unroll.data.examples.ragged import Ragged, RaggedBatch
from unroll.data.examples.stratified import stratified
from unroll.data.examples.textrows import TextRows, read_text_rows
from unroll.data.examples.tokens import UNITS, usual_unit
from unroll.data.examples.vocabulary import Vocabulary
from unroll.data.series.ahead import extended
from unroll.data.series.build import to_series
from unroll.data.series.constant import reject_constant
from unroll.data.series.frequency import Frequency, infer_frequency, show_time
from unroll.data.series.inputs import Inputs
from unroll.data.series.lengths import drop_short, fit_lengths, window_count
from unroll.data.series.prepare import Prepared, prepare
from unroll.data.series.record import Recorded, data_record, restore
from unroll.data.series.scale import Scaler
from unroll.data.series.season import detect_season
from unroll.data.series.series import Series, SeriesSet, carried
from unroll.data.series.split import DEFAULT_SPLIT, PARTS, Ranges, Split, parse_split, ranges, ranges_of
from unroll.data.series.windows import Batch, Targets, Windows, history_window, origin_window
from unroll.data.table import Table, read_table

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
