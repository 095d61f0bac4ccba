"""Data sets by name: fetch one, use a copy that is here, and the files behind what a user typed."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path

from unroll.data.registry import copies
from unroll.data.registry.copies import cache_folder, checked, has_content, named_like, other_content
from unroll.data.registry.download import LOCAL_COPY, Progress, Wanted, download, elsewhere
from unroll.data.registry.known import DataFile, Dataset, dataset, datasets, known_name, set_names
from unroll.data.registry.unpack import extract
from unroll.errors import DataError, RunError, UnrollError, did_you_mean
from unroll.files import write_bytes

_BUNDLED = Path(__file__).parent / "bundled"
_COMMON = {"train", "valid", "val", "dev", "test", "input", "data", "date", "addition"}
"""Names that other people's files have too: nothing is said of one with another content."""


def fetch(name: str, *, folder: Path | None = None, progress: Progress | None = None) -> list[Path]:
    """The files of a data set, downloaded where they are missing and checked.

    Without ``folder`` a copy that is already here is used as it is, and a new one goes to the cache. With it
    the files go there, and ``locate`` finds them there later. ``progress`` gets the file's name, the bytes
    that are here and the bytes in all.

    Raises:
        ConfigError: the name is unknown.
        DataError: the source cannot be reached or holds other content, or ``folder`` has another file of that
            name.
        RunError: the folder cannot be written or its disk is full.
    """
    found = dataset(name)
    if folder is None:
        here = locate(name)
        if here is not None:
            return here
    target = _cached(found) if folder is None else Path(folder).expanduser().absolute()
    paths = [_fetched_path(target, file) for file in found.files]
    absent = [(file, path) for file, path in zip(found.files, paths) if not has_content(path, file)]
    for file, path in absent:
        if folder is not None and path.exists():
            fix = "Move that file away or choose another folder"
            raise DataError(other_content(path, file), expected=f"the file of '{found.name}' or none", fix=fix)
    for file, path in absent:
        _bring(found, file, path, progress)
    for archive in {_archive(path, file) for file, path in absent if file.packed and file.packed.member}:
        with suppress(OSError):
            archive.unlink()
    if folder is not None:
        with suppress(UnrollError):  # the files are where they were wanted; finding them again is a convenience
            copies.remember(found.name, paths)
    return paths


def use(path: str | Path) -> list[str]:
    """Remember the data sets in a local folder, searched with its subfolders, or beside a local file.

    Files are recognised by name and checksum, packed by gzip or not; the names of the complete data sets come back.
    A file with a known name and another content is warned about, and a data set of which some files are missing.

    Raises:
        DataError: the path does not exist, or no complete data set is there; the message lists what was
            looked for and which files have another content.
        RunError: the cache folder, where the place is remembered, cannot be written.
    """
    place = Path(path).expanduser().absolute()
    if not place.exists():
        raise DataError(f"there is no {place}", expected="a folder or file", fix="Check the path")
    every = [file for known in datasets() for file in known.files]
    depth = copies.DEPTH if place.is_dir() else 0
    candidates = named_like(place if place.is_dir() else place.parent, every, depth)
    names, wrong, partly = [], [], []
    for known in datasets():
        if place.is_file() and not any(place in candidates.get(file.name, []) for file in known.files):
            continue
        paths = copies.all_held(candidates, known.files)
        if all(paths):
            copies.remember(known.name, [path for path in paths if path])
            names.append(known.name)
            continue
        if any(paths):
            partly.append(f"{known.name} lacks {_told(f for f, path in zip(known.files, paths) if not path)}")
        for file, found in zip(known.files, paths):
            if not found and (any(paths) or Path(file.name).stem not in _COMMON):
                wrong += [other_content(each, file) for each in candidates.get(file.name, [])]
    if not names:
        raise _nothing_found(place, [*partly, *wrong])
    if wrong:
        warnings.warn(f"not used, the content is not the data set's: {'; '.join(wrong)}", stacklevel=2)
    elif partly:
        warnings.warn(f"not complete: {'; '.join(partly)}", stacklevel=2)
    return names


def locate(name: str) -> list[Path] | None:
    """Where the files of a data set lie, or None: with unroll, in the cache, where ``use`` found them, or
    below the folder ``UNROLL_DATA``. Checksums are read once, and again when a file changes.

    Raises:
        ConfigError: the name is unknown.
    """
    return locate_all([dataset(name)])[0]


def locate_all(sets: Sequence[Dataset]) -> list[list[Path] | None]:
    """``locate`` for several, with one search."""
    found = [_known_place(known) for known in sets]
    absent = [known for known, paths in zip(sets, found) if paths is None]
    if not absent or not (shared := os.environ.get("UNROLL_DATA")):
        return found
    candidates = named_like(Path(shared).expanduser().absolute(), [f for known in absent for f in known.files])
    return [paths or _complete(copies.all_held(candidates, known.files)) for known, paths in zip(sets, found)]


def resolve(name_or_path: str, part: str | None = None) -> list[Path]:
    """The files behind what a user typed: an existing path, else the files of the data set of that name.

    Of a data set that has files for each part only those of ``part`` come back, where it is given; none, if it has
    files for other parts alone. A folder with the name of a data set must be written as a path: ``./NAME``.

    Raises:
        DataError: it is neither, or the data set is not on this machine yet.
    """
    path, name = Path(name_or_path).expanduser(), known_name(name_or_path)
    if path.exists() and not (path.is_dir() and name is not None):
        return [path]
    if name is not None:
        return _files_of(name, part)
    folder, names = path.parent, set_names()
    beside = [each.name for each in folder.iterdir()] if folder.is_dir() else []
    where = "" if folder.is_dir() else f": there is no folder {folder}"
    raise DataError(
        f"there is no file '{name_or_path}'{where}",
        expected="a file, a folder or the name of a data set",
        fix=f"`unroll datasets` lists the names.{did_you_mean(path.name, [*beside, *names])}",
    )


def _files_of(name: str, part: str | None) -> list[Path]:
    known, found = dataset(name), locate(name)
    if found is None:
        raise DataError(
            f"the data set '{name}' is not on this machine",
            expected=_told(known.files),
            fix=f"Run `unroll datasets fetch {name}`, or {LOCAL_COPY}",
        )
    parted = part is not None and any(file.part for file in known.files)
    return [path for path, file in zip(found, known.files) if not parted or file.part == part]


def _known_place(known: Dataset) -> list[Path] | None:
    if known.bundled:
        return [_BUNDLED / file.name for file in known.files]
    cached = [_fetched_path(_cached(known), file) for file in known.files]
    for paths in (cached, copies.remembered(known.name)):
        if len(paths) == len(known.files) and all(map(checked, paths, known.files)):
            return paths
    return None


def _complete(paths: Sequence[Path | None]) -> list[Path] | None:
    return [path for path in paths if path] if all(paths) else None


def _cached(known: Dataset) -> Path:
    return cache_folder() / "datasets" / known.name


def _fetched_path(folder: Path, file: DataFile) -> Path:
    """A file packed by gzip stays so: every reader unpacks it."""
    return folder / (f"{file.name}.gz" if file.packed and file.packed.form == "gzip" else file.name)


def _archive(path: Path, file: DataFile) -> Path:
    assert file.packed is not None
    return path.with_name(f"{file.packed.sha256[:16]}.{file.packed.form}")


def _bring(known: Dataset, file: DataFile, path: Path, progress: Progress | None) -> None:
    if known.bundled:
        try:
            write_bytes(path, (_BUNDLED / file.name).read_bytes())
        except RunError as error:
            raise elsewhere(error) from error
    elif file.packed is None:
        download(Wanted(file.url, file.sha256, file.bytes), path, progress=progress)
    else:
        _bring_packed(file, path, progress)


def _bring_packed(file: DataFile, path: Path, progress: Progress | None) -> None:
    assert file.packed is not None
    wanted = Wanted(file.url, file.packed.sha256, file.packed.bytes)
    if file.packed.member is not None:
        download(wanted, _archive(path, file), progress=progress)
        try:
            extract(_archive(path, file), file, path)
        except RunError as error:
            raise elsewhere(error) from error
        return
    download(wanted, path, progress=progress)
    if not has_content(path, file):
        reason = other_content(path, file)
        path.unlink()
        raise DataError(reason, expected="the content of the data set", fix=f"The file was deleted: {LOCAL_COPY}")


def _told(files: Iterable[DataFile]) -> str:
    names = [file.name for file in files]
    return ", ".join(names) if len(names) <= 6 else f"{', '.join(names[:5])} and {len(names) - 5} more"


def _nothing_found(place: Path, wrong: Sequence[str]) -> DataError:
    return DataError(
        "; ".join([f"no complete data set at {place}", *wrong]),
        expected=f"the files of at least one ({', '.join(set_names())}), unchanged",
        fix="Give the folder that holds them, or get one with `unroll datasets fetch NAME`",
    )
