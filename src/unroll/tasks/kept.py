"""Baselines in a run folder, so that new data can be scored beside them: JSON and safetensors, not code."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file, save

from unroll.errors import RunError, reading_record
from unroll.files import write_bytes, write_json
from unroll.train import RunFolder

FIELDS_FILE, ARRAYS_FILE = "baselines.json", "baselines.safetensors"


class Kept(NamedTuple):
    """What a fitted baseline is made of again: plain values, and arrays."""

    fields: Mapping[str, Any]
    arrays: Mapping[str, np.ndarray]


class Keepable(Protocol):
    """A baseline that can be kept."""

    name: str

    def kept(self) -> Kept: ...


def keep(baselines: Sequence[Keepable], folder: Path) -> None:
    """Write ``baselines`` to a run folder; the file of fields last, so that where it is all is there."""
    held = [baseline.kept() for baseline in baselines]
    arrays = {
        f"{k}.{name}": np.ascontiguousarray(array) for k, own in enumerate(held) for name, array in own.arrays.items()
    }
    write_bytes(folder / ARRAYS_FILE, save(arrays))
    write_json(folder / FIELDS_FILE, [{"name": b.name, **own.fields} for b, own in zip(baselines, held)])


def kept_in(folder: Path | None) -> list[tuple[str, Kept]] | None:
    """Name and parts of the baselines of a run folder; None where it keeps none.

    Raises:
        RunError: the files are damaged.
    """
    if folder is None or not (folder / FIELDS_FILE).exists():
        return None
    try:
        arrays = load_file(folder / ARRAYS_FILE)
    except (OSError, SafetensorError) as error:
        raise RunError(
            f"cannot read {folder / ARRAYS_FILE}: {error}",
            expected="the file as the run wrote it",
            fix=f"Restore it, or remove {FIELDS_FILE}: then the baselines are fitted again where the data is at hand",
        ) from error
    found = []
    with reading_record(FIELDS_FILE):
        for k, fields in enumerate(RunFolder(folder).read_json(FIELDS_FILE)):
            own = {name.partition(".")[2]: array for name, array in arrays.items() if name.startswith(f"{k}.")}
            found.append((str(fields["name"]), Kept(fields, own)))
    return found
