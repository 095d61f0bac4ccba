"""The .ts files of the UCR and UEA archives (Bagnall et al. 2018)."""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np

from unroll.errors import DataError

MISSING = "?"


@dataclass(frozen=True, eq=False)
class TsFile:
    """``sequences`` (T, channels) float64 with NaN where missing; labels None where the file has none."""

    sequences: list[np.ndarray]
    labels: list[str | None]
    lines: list[int]


def read_ts(text: str, name: str) -> TsFile:
    """Read the text of a .ts file: a header of @ lines, then one case per line, channels and label between colons.

    Raises:
        DataError: no @data, time stamps, a target that is a number, channels of unequal length, a cell that is no
            number, a label that the header does not know; each with its row.
    """
    header: dict[str, list[str]] = {}
    found = TsFile([], [], [])
    inside = False
    for number, raw in enumerate(text.split("\n"), 1):
        line = raw.strip()
        if not line or line.startswith("#"):
            continue
        if inside:
            _case(line, number, name, header, found)
        elif line.lower() == "@data":
            inside = True
            _check_header(header, name)
        elif line.startswith("@"):
            key, *values = line[1:].split()
            header[key.lower()] = values
        else:
            raise DataError(
                f"{name} has data in row {number:,} before its @data", expected="@ lines, @data, then one case per row"
            )
    if not found.sequences:
        raise DataError(f"{name} has no cases", expected="@data and then one case per row")
    return found


def _check_header(header: dict[str, list[str]], name: str) -> None:
    if _true(header, "timestamps"):
        raise DataError(f"{name} has time stamps", expected="@timeStamps false", fix="Write the values alone")
    if _true(header, "targetlabel"):
        raise DataError(
            f"{name} has numbers to predict, not classes (@targetLabel true)", expected="@classLabel true and its names"
        )


def _true(header: dict[str, list[str]], key: str) -> bool:
    return header.get(key, ["false"])[:1] == ["true"]


def _case(line: str, number: int, name: str, header: dict[str, list[str]], found: TsFile) -> None:
    parts = line.split(":")
    label = None
    if _true(header, "classlabel"):
        label = parts.pop().strip()
        if label not in header["classlabel"][1:]:
            raise DataError(
                f"{name} has the class '{label}' in row {number:,}",
                expected=f"one of @classLabel: {', '.join(header['classlabel'][1:])}",
            )
    channels = [_numbers(part, number, name) for part in parts]
    lengths = {len(channel) for channel in channels}
    if len(lengths) != 1:
        raise DataError(
            f"{name} has channels of {', '.join(map(str, sorted(lengths)))} values in row {number:,}",
            expected="as many values in every channel of a case",
        )
    width = found.sequences[0].shape[1] if found.sequences else len(channels)
    if width != len(channels):
        raise DataError(
            f"{name} has {len(channels)} channels in row {number:,} and {width} in its first case",
            expected="as many channels in every case",
        )
    found.sequences.append(np.stack(channels, axis=1))
    found.labels.append(label)
    found.lines.append(number)


def _numbers(part: str, number: int, name: str) -> np.ndarray:
    cells = [cell.strip() for cell in part.split(",")] if part.strip() else []
    try:
        return np.array([np.nan if cell == MISSING else float(cell) for cell in cells], dtype=np.float64)
    except ValueError as error:
        cell = re.sub(r"^.*: ", "", str(error))
        raise DataError(
            f"{name} has {cell} in row {number:,}", expected="numbers between commas, ? if missing"
        ) from None
