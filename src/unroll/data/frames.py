"""Any dataframe as a polars one."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import polars as pl

from unroll.errors import DataError


def to_polars(source: Any) -> pl.DataFrame:
    """polars, pandas (a named or dated index becomes a column), pyarrow, narwhals, or a dict of columns.

    Raises DataError for anything else, for duplicate column names and for columns of different lengths.
    """
    if isinstance(source, pl.LazyFrame):
        source = source.collect()
    if type(source).__module__.partition(".")[0] == "pandas":
        source = _flat_pandas(source)
    try:
        frame = source if isinstance(source, pl.DataFrame) else _converted(source)
        return frame.with_columns(pl.col(pl.Categorical, pl.Enum).cast(pl.String))
    except DataError:
        raise
    except Exception as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise DataError(
            f"a {type(source).__name__} that cannot be turned into a table: {reason}",
            expected="columns of equal length, each of one type",
        ) from error


def frame_fingerprint(frame: pl.DataFrame) -> str:
    """sha256 of the column names and of every value as text: the same for equal frames, whatever made them."""
    digest = hashlib.sha256("\x1f".join(frame.columns).encode())
    for column in frame.get_columns():
        plain = not (column.dtype.is_nested() or column.dtype == pl.Object)
        text = pl.DataFrame([column]).write_csv(include_header=False) if plain else repr(column.to_list())
        digest.update(b"\x1e" + text.encode())
    return digest.hexdigest()


def _converted(source: Any) -> pl.DataFrame:
    if isinstance(source, Mapping):
        return pl.DataFrame({str(name): values for name, values in source.items()}, strict=False)
    if hasattr(source, "__arrow_c_stream__"):
        return pl.DataFrame(source)
    if hasattr(source, "__dataframe__"):
        return pl.from_dataframe(source)
    raise DataError(
        f"a {type(source).__name__}",
        expected="the path of a file, a dataframe (polars, pandas, pyarrow, narwhals) or a dict of columns",
    )


def _flat_pandas(source: Any) -> Any:
    """A pandas frame without index: a dated or named index first becomes a column, as its owner sees it."""
    frame = source.to_frame() if source.ndim == 1 else source
    dated = hasattr(frame.index, "to_timestamp") or str(frame.index.dtype).startswith("datetime64")
    if dated or any(name is not None for name in frame.index.names):
        name = frame.index.names[0]
        frame = frame.rename_axis(["time"]) if frame.index.nlevels == 1 and name is None else frame
        frame = frame.reset_index()
    frame = frame.copy(deep=False)
    frame.columns = [str(column) for column in frame.columns]
    repeated = frame.columns[frame.columns.duplicated()]
    if len(repeated):
        raise DataError(f"the dataframe has more than one column '{repeated[0]}'", expected="distinct names")
    for column in frame.columns:
        if hasattr(frame[column].array, "to_timestamp"):
            frame[column] = frame[column].dt.to_timestamp()
    return frame
