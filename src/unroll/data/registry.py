"""The data sets unroll knows by name: where each comes from, where it lies here, and how to get it."""

from __future__ import annotations

import json
import os
import sys
import warnings
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from unroll.data.download import LOCAL_COPY, Progress, Wanted, alone, cannot_store, download, elsewhere, holds
from unroll.errors import ConfigError, DataError, RunError, UnrollError, did_you_mean
from unroll.files import write_bytes, write_json

DEPTH = 8  # folders below the one searched
ENTRIES = 200_000  # files looked at

_BUNDLED = Path(__file__).parent / "bundled"
_MEMORY = "datasets.json"

_GITHUB = "https://raw.githubusercontent.com"
_M4 = f"{_GITHUB}/Mcompetitions/M4-methods/master/Dataset"
_ETT = f"{_GITHUB}/zhouhaoyi/ETDataset/main/ETT-small"
_DARTS = f"{_GITHUB}/unit8co/darts/master/datasets"
_ETT_LICENCE = "CC BY-ND 4.0: may be passed on unchanged with attribution, no derivatives"
_M4_LICENCE = "none stated: the repository has no licence file; competition data, cite Makridakis et al. 2020"

_CHECKED = {  # bytes and sha256 of the content this version of unroll was checked with
    "co2.csv": (33_974, "16695fa2786e53414e5a6b54767a3fdf5de99cfbc68617f69d1362d92776a92f"),
    "AirPassengers.csv": (1_746, "5f8b316b84545d9cfb05612298df8415ce4c44421c7012d109465564b07ebc06"),
    "monthly-sunspots.csv": (42_219, "4b91dd8e13bdf6a95c3034c71ceca0152269986c6a91706c6eaf50c1d50081c8"),
    "ETTh1.csv": (2_589_657, "f18de3ad269cef59bb07b5438d79bb3042d3be49bdeecf01c1cd6d29695ee066"),
    "ETTm1.csv": (10_360_719, "6ce1759b1a18e3328421d5d75fadcb316c449fcd7cec32820c8dafda71986c9e"),
    "Hourly-train.csv": (2_347_115, "ea59b7783573c49077a835ab6465c7d66f1474783360f310988a9a737fbca62f"),
    "Hourly-test.csv": (132_820, "71a57fccb15e534d973626ada4fb87febf789e9317715b7cc6dd3b5f90db6f42"),
    "Weekly-train.csv": (4_015_067, "d478d3f6ed673e6ed3c2cb0fbed5425f72eedd51318ebebeb0b5ecfcefc37714"),
    "Weekly-test.csv": (44_247, "3b2bc4be8e636e802260dcd843ca3c5da40536a1fbe1ecb3229a97dae4f44688"),
}


@dataclass(frozen=True)
class DataFile:
    """One file of a data set, known by its name, size and checksum."""

    name: str
    url: str
    sha256: str
    bytes: int


@dataclass(frozen=True)
class Dataset:
    """A data set unroll knows by name. ``command`` shows how to use it; ``bundled`` ones come with unroll."""

    name: str
    title: str
    task: str
    files: tuple[DataFile, ...]
    licence: str
    source: str
    command: str
    bundled: bool = False


def _file(folder: str, name: str) -> DataFile:
    size, sha256 = _CHECKED[name]
    return DataFile(name, f"{folder}/{name}", sha256, size)


_DATASETS = (
    Dataset(
        name="co2",
        title="Weekly CO2 at Mauna Loa, 1958-2001 (2,284 weeks, 59 without a value)",
        task="forecast",
        files=(_file(f"{_GITHUB}/statsmodels/statsmodels/main/statsmodels/datasets/co2", "co2.csv"),),
        licence="public domain (statsmodels, which passes it on, is BSD-3-Clause)",
        source="Keeling & Whorf 2004, Scripps Institution of Oceanography, through statsmodels",
        command="unroll compare co2 --target co2 --horizon 12 --missing carry",
        bundled=True,
    ),
    Dataset(
        name="airpassengers",
        title="Monthly airline passengers, 1949-1960 (144 months)",
        task="forecast",
        files=(_file(_DARTS, "AirPassengers.csv"),),
        licence="none stated for the data; darts, which passes it on, is Apache-2.0",
        source="github.com/unit8co/darts, datasets/AirPassengers.csv",
        command="unroll compare airpassengers --target '#Passengers' --horizon 12",
    ),
    Dataset(
        name="sunspots",
        title="Monthly mean sunspot numbers, 1749-1983 (2,820 months)",
        task="forecast",
        files=(_file(_DARTS, "monthly-sunspots.csv"),),
        licence="none stated for the data; darts, which passes it on, is Apache-2.0",
        source="github.com/unit8co/darts, datasets/monthly-sunspots.csv",
        command="unroll compare sunspots --target Sunspots --horizon 12",
    ),
    Dataset(
        name="etth1",
        title="Electricity transformer 1, hourly, seven columns (17,420 hours from July 2016)",
        task="forecast",
        files=(_file(_ETT, "ETTh1.csv"),),
        licence=_ETT_LICENCE,
        source="github.com/zhouhaoyi/ETDataset, ETT-small",
        command="unroll compare etth1 --target OT --horizon 96 --split 8640,2880,2880",
    ),
    Dataset(
        name="ettm1",
        title="Electricity transformer 1, every 15 minutes, seven columns (69,680 rows from July 2016)",
        task="forecast",
        files=(_file(_ETT, "ETTm1.csv"),),
        licence=_ETT_LICENCE,
        source="github.com/zhouhaoyi/ETDataset, ETT-small",
        command="unroll compare ettm1 --target OT --horizon 96 --split 34560,11520,11520",
    ),
    Dataset(
        name="m4-hourly",
        title="M4 competition, 414 hourly series of 700 to 960 values and the 48 that follow",
        task="forecast",
        files=(_file(f"{_M4}/Train", "Hourly-train.csv"), _file(f"{_M4}/Test", "Hourly-test.csv")),
        licence=_M4_LICENCE,
        source="github.com/Mcompetitions/M4-methods, Dataset",
        command="unroll compare m4-hourly --layout rows --horizon 48 --split rest,48,48",
    ),
    Dataset(
        name="m4-weekly",
        title="M4 competition, 359 weekly series of 80 to 2,597 values and the 13 that follow",
        task="forecast",
        files=(_file(f"{_M4}/Train", "Weekly-train.csv"), _file(f"{_M4}/Test", "Weekly-test.csv")),
        licence=_M4_LICENCE,
        source="github.com/Mcompetitions/M4-methods, Dataset",
        command="unroll compare m4-weekly --layout rows --horizon 13 --split rest,13,13 --skip-bad-series",
    ),
)


def datasets() -> tuple[Dataset, ...]:
    """Every data set known by name."""
    return _DATASETS


def dataset(name: str) -> Dataset:
    """The data set called ``name``, in capitals or not. Raises ConfigError for an unknown name."""
    for known in datasets():
        if known.name == name.lower():
            return known
    names = [known.name for known in datasets()]
    raise ConfigError(
        f"there is no data set '{name}'",
        expected=f"one of {', '.join(names)}",
        fix=f"`unroll datasets` lists them.{did_you_mean(name.lower(), names)}",
    )


def cache_folder() -> Path:
    """Where fetched data sets lie: ``UNROLL_CACHE``, else the user's cache folder of this system.

    Raises:
        ConfigError: neither is known.
    """
    if chosen := os.environ.get("UNROLL_CACHE"):
        return Path(chosen).expanduser().absolute()
    if (xdg := os.environ.get("XDG_CACHE_HOME")) and Path(xdg).is_absolute():
        return Path(xdg) / "unroll"
    if sys.platform == "win32" and (local := os.environ.get("LOCALAPPDATA")):
        return Path(local) / "unroll" / "Cache"
    try:
        home = Path.home()
    except RuntimeError as error:
        fix = "Set UNROLL_CACHE to a writable folder"
        raise ConfigError("this user has no home folder", expected="a place for data sets", fix=fix) from error
    return home / ("Library/Caches" if sys.platform == "darwin" else ".cache") / "unroll"


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
    paths = []
    for file in found.files:
        path = target / file.name
        if not holds(path, file.sha256, file.bytes):
            if folder is not None and path.exists():
                fix = "Move that file away or choose another folder"
                raise DataError(_other_content(path, file), expected=f"the file of '{name}' or none", fix=fix)
            _bring(found, file, path, progress)
        paths.append(path)
    if folder is not None:
        with suppress(UnrollError):  # the files are where they were wanted; finding them again is a convenience
            _remember(found.name, paths)
    return paths


def use(path: str | Path) -> list[str]:
    """Remember the data sets in a local folder, searched with its subfolders, or beside a local file.

    Files are recognised by name and checksum; the names of the complete data sets come back. A file with a
    known name and another content is warned about.

    Raises:
        DataError: the path does not exist, or no complete data set is there; the message lists what was
            looked for and which files have another content.
        RunError: the cache folder, where the place is remembered, cannot be written.
    """
    place = Path(path).expanduser().absolute()
    if not place.exists():
        raise DataError(f"there is no {place}", expected="a folder or file", fix="Check the path")
    depth = DEPTH if place.is_dir() else 0
    candidates = _candidates(place if place.is_dir() else place.parent, depth)
    names, wrong = [], []
    for known in datasets():
        if place.is_file() and place.name not in [file.name for file in known.files]:
            continue
        paths = [_first_held(candidates, file) for file in known.files]
        if all(paths):
            _remember(known.name, [path for path in paths if path])
            names.append(known.name)
        for file, found in zip(known.files, paths):
            wrong += [] if found else [_other_content(each, file) for each in candidates.get(file.name, [])]
    if not names:
        raise _nothing_found(place, wrong)
    if wrong:
        warnings.warn(f"not used, the content is not the data set's: {'; '.join(wrong)}", stacklevel=2)
    return names


def locate(name: str) -> list[Path] | None:
    """Where the files of a data set lie, or None: with unroll, in the cache, where ``use`` found them, or
    below the folder ``UNROLL_DATA``. Checksums are read once, and again when a file changes.

    Raises:
        ConfigError: the name is unknown.
    """
    found = dataset(name)
    if found.bundled:
        return [_BUNDLED / file.name for file in found.files]
    remembered = _memory()["places"].get(found.name, [])
    for paths in ([_cached(found) / file.name for file in found.files], [Path(text) for text in remembered]):
        if len(paths) == len(found.files) and all(map(_checked, paths, found.files)):
            return paths
    if not (shared := os.environ.get("UNROLL_DATA")):
        return None
    candidates = _candidates(Path(shared).expanduser().absolute(), DEPTH)
    held = [_first_held(candidates, file) for file in found.files]
    return [path for path in held if path] if all(held) else None


def resolve(name_or_path: str) -> list[Path]:
    """The files behind what a user typed: an existing path, else the files of the data set of that name.

    Raises:
        DataError: it is neither, or the data set is not on this machine yet.
    """
    path = Path(name_or_path).expanduser()
    if path.exists():
        return [path]
    names = [known.name for known in datasets()]
    if name_or_path.lower() in names:
        if (found := locate(name_or_path)) is not None:
            return found
        name = name_or_path.lower()
        raise DataError(
            f"the data set '{name}' is not on this machine",
            expected=", ".join(file.name for file in dataset(name).files),
            fix=f"Run `unroll datasets fetch {name}`, or {LOCAL_COPY}",
        )
    folder = path.parent
    beside = [each.name for each in folder.iterdir()] if folder.is_dir() else []
    where = "" if folder.is_dir() else f": there is no folder {folder}"
    raise DataError(
        f"there is no file '{name_or_path}'{where}",
        expected="a file, a folder or the name of a data set",
        fix=f"`unroll datasets` lists the names.{did_you_mean(path.name, [*beside, *names])}",
    )


def _cached(known: Dataset) -> Path:
    return cache_folder() / "datasets" / known.name


def _bring(known: Dataset, file: DataFile, path: Path, progress: Progress | None) -> None:
    if not known.bundled:
        download(Wanted(file.url, file.sha256, file.bytes), path, progress=progress)
        return
    try:
        write_bytes(path, (_BUNDLED / file.name).read_bytes())
    except RunError as error:
        raise elsewhere(error) from error


def _candidates(folder: Path, depth: int) -> dict[str, list[Path]]:
    """Files below ``folder`` that have the name of a known one; hidden folders and links are not entered."""
    wanted = {file.name for known in datasets() for file in known.files}
    found: dict[str, list[Path]] = {}
    seen = 0
    for here, folders, names in os.walk(folder):
        level = len(Path(here).relative_to(folder).parts)
        folders[:] = sorted(each for each in folders if not each.startswith(".")) if level < depth else []
        for name in wanted.intersection(names):
            found.setdefault(name, []).append(Path(here) / name)
        seen += len(names)
        if seen > ENTRIES:
            break
    return found


def _first_held(candidates: dict[str, list[Path]], file: DataFile) -> Path | None:
    return next((path for path in candidates.get(file.name, []) if _checked(path, file)), None)


def _checked(path: Path, file: DataFile) -> bool:
    """Whether the file has the right content; its checksum is read once, and again when it changes."""
    try:
        state = path.stat()
    except OSError:
        return False
    stamp = [state.st_size, state.st_mtime_ns, file.sha256]
    if _memory()["verified"].get(str(path)) == stamp:
        return True
    if not holds(path, file.sha256, file.bytes):
        return False
    with suppress(RunError):  # without a writable cache the checksum is read again next time
        _update("verified", str(path), stamp)
    return True


def _memory() -> dict[str, dict[str, Any]]:
    kept: dict[str, dict[str, Any]] = {"places": {}, "verified": {}}
    with suppress(OSError, ValueError):
        content = json.loads((cache_folder() / _MEMORY).read_text(encoding="utf-8"))
        if isinstance(content, dict):
            kept |= {part: each for part, each in content.items() if part in kept and isinstance(each, dict)}
    return kept


def _remember(name: str, paths: Sequence[Path]) -> None:
    _update("places", name, [str(path) for path in paths])


def _update(part: str, key: str, value: Any) -> None:
    folder = cache_folder()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with alone(folder):
            memory = _memory()
            memory[part][key] = value
            write_json(folder / _MEMORY, memory)
    except OSError as error:
        raise cannot_store(folder / _MEMORY, error) from error
    except RunError as error:
        raise elsewhere(error) from error


def _other_content(path: Path, file: DataFile) -> str:
    size = path.stat().st_size
    if size != file.bytes:
        return f"{path} has {size:,} bytes, not {file.bytes:,}"
    return f"{path} does not have the sha256 {file.sha256}"


def _nothing_found(place: Path, wrong: Sequence[str]) -> DataError:
    looked_for = "; ".join(f"{k.name}: {' and '.join(file.name for file in k.files)}" for k in datasets())
    return DataError(
        "; ".join([f"no complete data set at {place}", *wrong]),
        expected=f"the files of at least one ({looked_for}), unchanged",
        fix="Give the folder that holds them, or get one with `unroll datasets fetch NAME`",
    )
