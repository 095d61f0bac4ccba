"""What a download holds: the content of a gzip file, or one member of an archive, checked as it is read."""

from __future__ import annotations

import gzip
import hashlib
import lzma
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from unroll.data.registry.known import DataFile
from unroll.errors import DataError
from unroll.files import write_atomically

CHUNK = 1 << 20
_BROKEN = (EOFError, zlib.error, lzma.LZMAError, gzip.BadGzipFile, zipfile.BadZipFile, tarfile.TarError)


def gzip_holds(path: Path, sha256: str, size: int) -> bool:
    """Whether a gzip file holds this content; False where it cannot be read. No more than ``size`` is unpacked."""
    try:
        with gzip.open(path, "rb") as stream:
            return _digest(stream, size) == (sha256, size)
    except (OSError, *_BROKEN):
        return False


def extract(archive: Path, file: DataFile, path: Path) -> None:
    """Write the member of ``archive`` that is ``file`` to ``path``, which only ever holds all of it.

    Members are only read, under the one name that is asked for; where they are stored is not up to the archive.

    Raises:
        DataError: the archive is damaged, lacks the member, or holds another content under its name.
        RunError: the folder cannot be written or its disk is full.
    """

    def write(aside: Path) -> None:
        try:
            with _member(archive, file) as stream, open(aside, "wb") as out:
                found = _digest(stream, file.bytes, out)
        except _BROKEN as error:
            fix = "Fetch it again"
            raise DataError(f"{archive.name} is damaged: {error}", expected="a whole archive", fix=fix) from error
        if found != (file.sha256, file.bytes):
            raise DataError(
                f"{_inside(archive, file)} has {_size(found[1], file.bytes)} bytes and sha256 {found[0]}",
                expected=f"{file.bytes:,} bytes and sha256 {file.sha256}",
                fix="The archive was checked: the entry of this data set is wrong",
            )

    write_atomically(path, write)


@contextmanager
def _member(archive: Path, file: DataFile) -> Iterator[IO[bytes]]:
    assert file.packed is not None
    assert file.packed.member is not None
    name = file.packed.member
    absent = DataError(
        f"{archive.name} has no file {name}", expected="a plain file of that name in it", fix="Fetch it again"
    )
    if file.packed.form == "zip":
        with zipfile.ZipFile(archive) as held:
            if name not in held.namelist() or name.endswith("/"):
                raise absent
            with held.open(name) as stream:
                yield stream
        return
    with tarfile.open(archive) as held_tar:
        # A link could lead to any file of this machine: only what the archive itself holds is read.
        found = next((each for each in held_tar if each.name == name and each.isreg()), None)
        stream_or_none = None if found is None else held_tar.extractfile(found)
        if stream_or_none is None:
            raise absent
        yield stream_or_none


def _digest(stream: Any, size: int, out: IO[bytes] | None = None) -> tuple[str, int]:
    """Checksum and size, copied to ``out``; it stops one byte after ``size``, however much more there would be."""
    digest, done = hashlib.sha256(), 0
    while done <= size and (chunk := stream.read(min(CHUNK, size + 1 - done))):
        digest.update(chunk)
        done += len(chunk)
        if out is not None:
            out.write(chunk)
    return digest.hexdigest(), done


def _inside(archive: Path, file: DataFile) -> str:
    assert file.packed is not None
    return f"{file.packed.member} in {archive.name}"


def _size(found: int, wanted: int) -> str:
    return f"more than {wanted:,}" if found > wanted else f"{found:,}"
