"""One file from the network to the disk: whole and with the right checksum, or not there at all."""

from __future__ import annotations

import hashlib
import http.client
import os
import re
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import urlsplit

from unroll.errors import DataError, RunError
from unroll.files import not_writable

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

TIMEOUT = 30.0  # seconds without a byte
CHUNK = 1 << 16
ATTEMPTS = 4  # of a connection that is cut, or of a server that is busy
BUSY = (408, 425, 429, 500, 502, 503, 504)  # answers that may be another one a moment later
PAUSE = 1.0  # seconds before the second attempt, growing
LOCAL_COPY = "give a local copy with `unroll datasets use PATH`"

Progress = Callable[[str, int, int], None]  # file name, bytes here, bytes in all
_Report = Callable[[int], None]  # bytes here


@dataclass(frozen=True)
class Wanted:
    """What a download must bring: this many bytes with this checksum."""

    url: str
    sha256: str
    size: int


def download(wanted: Wanted, path: Path, *, progress: Progress | None = None, timeout: float | None = None) -> None:
    """Bring ``wanted`` to ``path``, which only ever holds the complete file with the right checksum.

    The bytes go to ``NAME.part`` beside it. A cut connection leaves that file, and the next attempt, in this
    call or a later one, asks the server for the rest. Proxies come from the environment; ``timeout`` is in
    seconds without a byte.

    Raises:
        DataError: the source cannot be reached, has no such file, is cut again and again or holds something
            else.
        RunError: the folder cannot be written or its disk is full; nothing is left behind.
    """
    part = path.with_name(path.name + ".part")
    report = _reporter(progress, path.name, wanted.size)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with alone(path.parent):
            if not holds(path, wanted.sha256, wanted.size):
                _bring(wanted, part, report, TIMEOUT if timeout is None else timeout)
                os.replace(part, path)
    except OSError as error:
        with suppress(OSError):
            part.unlink()
        raise cannot_store(path, error) from error


def holds(path: Path, sha256: str, size: int) -> bool:
    """Whether the file is there with this size and checksum; False where it cannot be read."""
    try:
        return path.stat().st_size == size and sha256_of(path) == sha256
    except OSError:
        return False


def sha256_of(path: Path) -> str:
    """The checksum of a file, read in pieces. Raises OSError."""
    digest = hashlib.sha256()
    with open(path, "rb") as stream:
        while chunk := stream.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Wait until no other process is inside this block for the same folder, where the system can say so."""
    if fcntl is None:
        yield
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        with suppress(OSError):  # some network disks have no locks
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def cannot_store(path: Path, error: OSError) -> RunError:
    """The error for a data set that the disk does not take."""
    return elsewhere(not_writable(path, error))


def elsewhere(error: RunError) -> RunError:
    """The same error for a data set: the folder is not chosen with ``--out``."""
    fix = "Free some space or its permissions, or set UNROLL_CACHE to another folder for data sets"
    return RunError(error.received, expected=error.expected, fix=fix)


class _CutError(Exception):
    """The connection ended early; what came is in the part file."""


class _BusyError(_CutError):
    """The server cannot answer now."""


class _NoDowngrade(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, req: Any, fp: Any, code: int, msg: str, headers: Any, newurl: str) -> Any:
        if urlsplit(req.full_url).scheme == "https" and urlsplit(newurl).scheme != "https":
            fp.close()
            raise DataError(
                f"{req.full_url} redirects to {newurl}",
                expected="https all the way",
                fix=f"Nothing was downloaded. Try another network, or {LOCAL_COPY}",
            )
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _bring(wanted: Wanted, part: Path, report: _Report, timeout: float) -> None:
    resumed = True
    while resumed:
        resumed = part.exists()
        _complete(wanted, part, report, timeout)
        found = sha256_of(part)
        if found == wanted.sha256:
            return
        part.unlink()  # after a resume the older piece may be the wrong one: once more from the start
    raise DataError(
        f"{wanted.url} has sha256 {found}",
        expected=f"{wanted.sha256}, the content this version of unroll was checked with",
        fix=f"The file was deleted. The source may have changed: try again, or {LOCAL_COPY}",
    )


def _complete(wanted: Wanted, part: Path, report: _Report, timeout: float) -> None:
    """Fill ``part`` up to its size, going on after each cut."""
    last = _CutError()
    for attempt in range(ATTEMPTS):
        time.sleep(PAUSE * attempt)
        try:
            return _fill(wanted, part, report, timeout)
        except _CutError as cut:
            last = cut
    if isinstance(last, _BusyError):
        raise DataError(
            f"{wanted.url} answers {last}, {ATTEMPTS} times",
            expected="the file",
            fix=f"The server may be busy: try later, or {LOCAL_COPY}",
        )
    raise DataError(
        f"{wanted.url} was cut at {_size(part):,} of {wanted.size:,} bytes: {last}",
        expected="the whole file",
        fix=f"What came is kept: run the same command again to go on from there, or {LOCAL_COPY}",
    )


def _fill(wanted: Wanted, part: Path, report: _Report, timeout: float) -> None:
    have = _size(part)
    if have == wanted.size:
        return
    if have > wanted.size:
        part.unlink()
        have = 0
    with _open(wanted.url, have, part, timeout) as response:
        start, total = _range(response)
        if total is not None and total != wanted.size:
            raise _wrong_size(wanted, f"{total:,}")
        if start not in (0, have):
            part.unlink(missing_ok=True)
            raise _CutError("the server did not go on where it was asked to")
        with open(part, "ab" if start else "wb") as stream:
            limit = wanted.size if total else wanted.size + 1  # without a length, one byte more tells
            done, cut = _copy(response, stream, start, limit, report)
            stream.flush()
            os.fsync(stream.fileno())
    if done > wanted.size:
        part.unlink()
        raise _wrong_size(wanted, f"more than {wanted.size:,}")
    if done < wanted.size:
        raise _CutError(cut)


def _copy(response: Any, stream: BinaryIO, done: int, limit: int, report: _Report) -> tuple[int, str]:
    """Copy up to byte ``limit`` or until the connection ends; how far it came, and why it ended."""
    while done < limit:
        try:
            chunk = response.read1(min(CHUNK, limit - done))  # read would lose what came before a stall
        except (OSError, http.client.HTTPException) as error:
            return done, _reason(error)
        if not chunk:
            break
        stream.write(chunk)
        done += len(chunk)
        report(done)
    return done, "the connection was closed"


def _open(url: str, start: int, part: Path, timeout: float) -> Any:
    headers = {"User-Agent": "unroll"} | ({"Range": f"bytes={start}-"} if start else {})
    opener = urllib.request.build_opener(_NoDowngrade)
    try:
        return opener.open(urllib.request.Request(url, headers=headers), timeout=timeout)
    except urllib.error.HTTPError as error:
        error.close()
        if error.code == 416:
            part.unlink(missing_ok=True)
            raise _CutError("the server cannot go on from there") from error
        told = f"{error.code} {str(error.reason).splitlines()[0] if error.reason else ''}".strip()
        if error.code in BUSY:
            raise _BusyError(told) from error
        fix = f"It may have moved or not be for everybody: {LOCAL_COPY}"
        raise DataError(f"{url} answers {told}", expected="the file", fix=fix) from error
    except (OSError, http.client.HTTPException) as error:
        raise _unreachable(url, error) from error


def _unreachable(url: str, error: Exception) -> DataError:
    cause = error.reason if isinstance(error, urllib.error.URLError) else error
    check = "Check the network and the proxy settings"
    if isinstance(cause, ssl.SSLCertVerificationError):
        check = "Behind a proxy with its own certificate, set SSL_CERT_FILE to that certificate"
    return DataError(
        f"cannot reach {urlsplit(url).netloc} for {url}: {_reason(cause)}",
        expected="a network connection",
        fix=f"{check}, or {LOCAL_COPY}",
    )


def _range(response: Any) -> tuple[int, int | None]:
    """From which byte on the server sends, and how long it says the whole file is."""
    if response.status == 206:
        found = re.fullmatch(r"bytes (\d+)-\d+/(\d+|\*)", response.headers.get("Content-Range", "").strip())
        return (int(found[1]), int(found[2]) if found[2] != "*" else None) if found else (-1, None)
    length = response.headers.get("Content-Length", "")
    return 0, int(length) if length.isdigit() else None


def _wrong_size(wanted: Wanted, found: str) -> DataError:
    return DataError(
        f"{wanted.url} holds {found} bytes",
        expected=f"{wanted.size:,}",
        fix=f"The source may have changed, or a sign-in page may have answered in its place: {LOCAL_COPY}",
    )


def _reporter(progress: Progress | None, name: str, size: int) -> _Report:
    if progress is None:
        return lambda done: None
    return lambda done: progress(name, min(done, size), size)


def _reason(error: object) -> str:
    if isinstance(error, TimeoutError):
        return "no answer in time"
    return str(getattr(error, "strerror", None) or error or type(error).__name__).lower()


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0
