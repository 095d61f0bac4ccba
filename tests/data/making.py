"""Small tables and series sets for the tests of unroll.data."""

import hashlib

import numpy as np
import pytest
import yaml

from unroll.data import Frequency, Series, SeriesSet, read_table, to_series
from unroll.data.registry import known
from unroll.errors import UnrollError

STEPS = Frequency("step")


def written(folder, text, name="sales.csv"):
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def series_of(folder, text, *, delimiter=None, na=(), layout="long", **options):
    return to_series(read_table(written(folder, text), delimiter=delimiter, na=na, layout=layout), **options)


def made(*values, targets=None, features=(), frequency=STEPS):
    """A set of series A, B, … with integer times, from arrays (rows,) or (rows, channels)."""
    columns = [np.asarray(v, float).reshape(len(v), -1) for v in values]
    names = targets or tuple(f"t{i}" for i in range(columns[0].shape[1] - len(features)))
    series = tuple(Series(chr(ord("A") + i), np.arange(len(column)), column) for i, column in enumerate(columns))
    return SeriesSet(series, names, tuple(features), None, None, frequency, "made", "0")


def message(call, kind=UnrollError):
    with pytest.raises(kind) as caught:
        call()
    return str(caught.value)


def write_set(name, **content):
    """One more data set."""
    facts = {"title": name, "task": "forecast", "licence": "none", "source": "here"}
    (known.SETS / f"{name}.yaml").write_text(yaml.safe_dump(facts | content))


def entry(name, content, **more):
    """A file of a data set, as its description has it."""
    return {"name": name, "bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()} | more
