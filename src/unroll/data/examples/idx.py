"""The idx files of MNIST and its kin: images of bytes, and their labels in a second file."""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from unroll.data.examples.examples import Examples
from unroll.data.table import file_bytes, unzipped
from unroll.errors import DataError

_NAME = re.compile(r"[-.]idx\d?(-ubyte)?(\.gz)?", re.IGNORECASE)
_BYTE = 0x08
_TYPES = {0x09: "signed bytes", 0x0B: "16-bit numbers", 0x0C: "32-bit numbers", 0x0D: "floats", 0x0E: "doubles"}


def is_idx(path: Path) -> bool:
    """Whether the file is named as one: train-images-idx3-ubyte, images.idx3-ubyte, x.idx, each also with .gz."""
    found = _NAME.search(path.name)
    return found is not None and found.end() == len(path.name)


def read_idx(path: Path) -> np.ndarray:
    """The array of an idx file (also .gz) of unsigned bytes.

    An idx file is two bytes of 0, one for the type, one for the number of dimensions, their sizes as big-endian
    32-bit numbers, and then the values (LeCun, Cortes & Burges, The MNIST database).

    Raises:
        DataError: not such a file, cut short, too long, or of another type.
    """
    data = _unpacked(path)
    if len(data) < 4 or data[:2] != b"\0\0" or data[2] not in (_BYTE, *_TYPES) or not data[3]:
        raise DataError(
            f"{path.name} begins with {data[:4].hex(' ')}",
            expected="the magic number of an idx file: 00 00 08 and the number of dimensions",
            fix="Give the file as it was published, packed by gzip or not",
        )
    if data[2] != _BYTE:
        raise DataError(
            f"{path.name} holds {_TYPES[data[2]]} (type {data[2]:02x})", expected="unsigned bytes (type 08)"
        )
    begin = 4 + 4 * data[3]
    if len(data) < begin:
        raise DataError(
            f"{path.name} is cut in its header: {len(data)} bytes", expected=f"{begin} bytes for {data[3]} dimensions"
        )
    shape = tuple(int(size) for size in np.frombuffer(data, ">u4", data[3], offset=4))
    if len(data) - begin != math.prod(shape):
        kind = "is cut short" if len(data) - begin < math.prod(shape) else "goes on after its values"
        raise DataError(
            f"{path.name} {kind}: {len(data) - begin:,} bytes after its header",
            expected=f"{math.prod(shape):,} for {' x '.join(map(str, shape))}",
            fix="Fetch it again",
        )
    return np.frombuffer(data, np.uint8, offset=begin).reshape(shape)


def read_pixels(path: Path, *, labels: bool = True) -> Examples:
    """Every image of an idx file as a sequence of its pixels, row after row, scaled to 0 to 1.

    The labels are those of the file beside it that is named alike: train-labels-idx1-ubyte for
    train-images-idx3-ubyte.

    Raises:
        DataError: a file cannot be read, there are no labels, or not as many as images.
    """
    images = read_idx(path)
    if images.ndim < 2:
        raise DataError(
            f"{path.name} has one dimension, as labels have", expected="images", fix="Give the file of the images"
        )
    if not images.size:
        raise DataError(f"{path.name} has no pixels: {' x '.join(map(str, images.shape))}", expected="images")
    pixels = images.reshape(len(images), -1, 1).astype(np.float32) / np.float32(255)
    digest = hashlib.sha256(repr(images.shape).encode() + images.tobytes())
    found: list[str | None] = [None] * len(images)
    if labels:
        numbers = _labels(path, len(images))
        digest.update(numbers.tobytes())
        names = [str(k) for k in range(256)]
        found = [names[k] for k in numbers]
    return Examples(
        name=path.name,
        fingerprint=digest.hexdigest(),
        texts=(),
        sequences=tuple(pixels),
        labels=tuple(found),
        where=_Where(path.name, len(images)),
        channels=("pixel",),
        scaled=True,
    )


def _labels(images: Path, count: int) -> np.ndarray:
    path = _beside(images)
    numbers = read_idx(path)
    if numbers.ndim != 1:
        raise DataError(f"{path.name} has {numbers.ndim} dimensions", expected="one: a label per image")
    if len(numbers) != count:
        raise DataError(
            f"{path.name} has {len(numbers):,} labels", expected=f"{count:,}, one per image of {images.name}"
        )
    return numbers


def _beside(images: Path) -> Path:
    """The file of the labels, packed or not."""
    plain = re.sub(r"\.gz$", "", images.name, flags=re.IGNORECASE)
    name = re.sub("idx[2-9]", "idx1", plain.replace("images", "labels"))
    for path in (images.with_name(name), images.with_name(f"{name}.gz")):
        if name != plain and path.exists():
            return path
    raise DataError(
        f"there are no labels for {images.name}",
        expected=f"{name if name != plain else 'images in the name of its file, and labels in that'} beside it",
    )


def _unpacked(path: Path) -> bytes:
    data = file_bytes(path)
    return unzipped(data, path.name) if data[:2] == b"\x1f\x8b" else data


class _Where(Sequence[str]):
    """Names of images made when one is asked for."""

    def __init__(self, name: str, count: int) -> None:
        self._name, self._count = name, count

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, k: Any) -> Any:
        if isinstance(k, slice):
            return [self[i] for i in range(*k.indices(len(self)))]
        return f"image {range(1, self._count + 1)[k]:,} of {self._name}"
