"""Data sets by name: where they lie, how they come, and what is said when they do not."""

import dataclasses
import json
import os
from pathlib import Path

import pytest

from unroll.data.registry import copies
from unroll.data.registry.download import sha256_of
from unroll.data.registry.known import dataset, datasets
from unroll.data.registry.resolve import fetch, locate, resolve, use
from unroll.errors import ConfigError, DataError, RunError
from unroll.tasks import TASKS

ABSENT = {"etth2", "ettm2"}
"""Sets of which the folder of real data has no copy."""
LATER = ("language", "translate", "generate", "regress")
"""Tasks that the data are kept for and that there are not yet."""
REPOSITORY = Path(__file__).resolve().parents[2]
REAL = Path(os.environ.get("UNROLL_DATA") or REPOSITORY.parent / "shared" / "data")


@pytest.fixture(autouse=True)
def alone(cache):
    """No copy of the machine's user is seen, and none of ours by them."""


def copy(origin, folder, *names):
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        (folder / name).write_bytes((origin / name).read_bytes())
    return folder


def count_hashes(monkeypatch):
    read = []
    original = copies.holds
    monkeypatch.setattr(copies, "holds", lambda path, *rest: read.append(path.name) or original(path, *rest))
    return read


def test_every_entry_is_complete():
    every = datasets()
    assert {"co2", "nsmc", "mnist", "ud-english-ewt", "ptb", "multi30k"} <= {one.name for one in every}
    for one in every:
        assert one.title
        assert one.licence
        assert one.source
        assert one.task in (*TASKS, *LATER)
        assert f" {one.name}" in one.command
        assert one.command.startswith("unroll ")
        for file in one.files:
            assert file.url.startswith("https://")
            assert file.url.endswith(f"/{file.name}.gz" if file.packed else f"/{file.name}")
            assert len(file.sha256) == 64
            assert file.bytes > 0
        names = [file.name for file in one.files]
        assert len(names) == len(set(names))
        assert {file.part for file in one.files} in ({None}, {"train", "test"}, {"train", "valid", "test"})


def test_entries_cannot_be_changed():
    with pytest.raises(dataclasses.FrozenInstanceError):
        dataset("co2").name = "other"


def test_names_are_found_in_capitals_and_guessed_when_wrong():
    assert dataset("ETTh1").name == "etth1"
    with pytest.raises(ConfigError, match=r"there is no data set 'airpasengers'(.|\n)*'airpassengers'"):
        dataset("airpasengers")


def test_bundled_file_is_the_one_of_the_registry():
    (file,) = dataset("co2").files
    (path,) = locate("co2")
    assert (path.stat().st_size, sha256_of(path)) == (file.bytes, file.sha256)
    rows = path.read_text().splitlines()[1:]
    assert len(rows) == 2284
    assert sum(row.endswith(",") for row in rows) == 59
    assert file.sha256 in (path.parent / "README.md").read_text()


def test_bundled_set_needs_neither_network_nor_cache(tmp_path, cache):
    assert fetch("co2") == locate("co2") == resolve("co2")
    (copied,) = fetch("co2", folder=tmp_path / "mine")
    assert copied.read_bytes() == locate("co2")[0].read_bytes()
    assert not (cache / "datasets").exists()


def test_fetch_downloads_once_and_locate_finds_it(origin, cache):
    assert locate("pair") is None
    seen = []
    paths = fetch("pair", progress=lambda *args: seen.append(args))
    assert [path.name for path in paths] == ["train.csv", "test.csv"]
    assert all(cache in path.parents for path in paths)
    assert seen == [("train.csv", 21, 21), ("test.csv", 20, 20)]
    (origin / "train.csv").unlink()
    assert fetch("pair") == locate("pair") == resolve("pair") == paths


def test_fetch_brings_only_what_is_missing(origin, cache):
    fetch("pair")[1].unlink()
    (origin / "train.csv").unlink()
    assert [path.name for path in fetch("pair")] == ["train.csv", "test.csv"]


def test_damaged_cache_is_fetched_again(origin):
    (path,) = fetch("single")
    path.write_text("damaged")
    assert locate("single") is None
    assert fetch("single") == [path]
    assert path.read_text() == "content of one.csv\n"


def test_fetch_into_a_folder_is_found_later(origin, tmp_path):
    paths = fetch("pair", folder=tmp_path / "mine")
    assert paths == [tmp_path / "mine" / "train.csv", tmp_path / "mine" / "test.csv"]
    assert locate("pair") == paths


def test_fetch_never_overwrites_a_file_of_the_user(origin, tmp_path):
    (tmp_path / "one.csv").write_text("mine")
    with pytest.raises(DataError, match=r"one.csv has 4 bytes, not 19(.|\n)*another folder"):
        fetch("single", folder=tmp_path)
    assert (tmp_path / "one.csv").read_text() == "mine"


def test_failed_fetch_leaves_no_final_file(origin, cache):
    (origin / "test.csv").write_bytes(b"content of best.csv\n")
    with pytest.raises(DataError, match="sha256"):
        fetch("pair")
    assert sorted(path.name for path in cache.rglob("*.csv*")) == ["train.csv"]
    assert locate("pair") is None


def test_use_finds_files_in_subfolders_and_remembers(origin, tmp_path, cache):
    data = tmp_path / "data"
    copy(origin, data / "a" / "b", "train.csv", "one.csv")
    copy(origin, data / "c", "test.csv")
    assert use(data) == ["pair", "single"]
    assert locate("pair") == [data / "a" / "b" / "train.csv", data / "c" / "test.csv"]
    assert json.loads((cache / "datasets.json").read_text())["places"].keys() == {"pair", "single"}


def test_use_of_a_file_takes_what_belongs_to_it(origin, tmp_path):
    data = copy(origin, tmp_path / "data", "train.csv", "test.csv", "one.csv")
    assert use(str(data / "test.csv")) == ["pair"]
    assert locate("single") is None


def test_use_prefers_the_copy_with_the_right_content(origin, tmp_path, recwarn):
    (copy(origin, tmp_path / "data" / "a", "one.csv") / "one.csv").write_text("another")
    copy(origin, tmp_path / "data" / "b", "one.csv")
    assert use(tmp_path / "data") == ["single"]
    assert locate("single") == [tmp_path / "data" / "b" / "one.csv"]
    assert not recwarn.list


def test_use_warns_of_a_wrong_file_beside_right_ones(origin, tmp_path):
    data = copy(origin, tmp_path / "data", "train.csv", "test.csv")
    (data / "one.csv").write_text("Content of one.csv\n")
    with pytest.warns(UserWarning, match=r"one.csv does not have the sha256"):
        assert use(data) == ["pair"]


def test_use_warns_of_a_set_that_lacks_a_file(origin, tmp_path):
    data = copy(origin, tmp_path / "data", "train.csv", "one.csv")
    with pytest.warns(UserWarning, match=r"not complete: pair lacks test.csv"):
        assert use(data) == ["single"]


def test_files_of_a_common_name_are_not_complained_of(origin, tmp_path, recwarn):
    data = copy(origin, tmp_path / "data", "one.csv")
    (data / "train.csv").write_text("somebody else's")
    assert use(data) == ["single"]
    assert not recwarn.list


def test_use_says_what_it_looked_for_and_what_was_wrong(origin, tmp_path):
    data = copy(origin, tmp_path / "data", "train.csv")
    (data / "one.csv").write_text("another")
    with pytest.raises(DataError) as error:
        use(data)
    message = str(error.value)
    assert "one.csv has 7 bytes, not 19" in message
    assert "pair lacks test.csv" in message
    assert "unroll datasets fetch NAME" in message
    with pytest.raises(DataError, match="there is no"):
        use(tmp_path / "nowhere")


def test_use_does_not_search_without_end(origin, tmp_path, monkeypatch):
    copy(origin, tmp_path / "data" / Path(*"abc"), "one.csv")
    copy(origin, tmp_path / "data" / ".hidden", "one.csv")
    monkeypatch.setattr(copies, "DEPTH", 2)
    with pytest.raises(DataError, match="no complete data set"):
        use(tmp_path / "data")
    monkeypatch.setattr(copies, "DEPTH", 3)
    assert use(tmp_path / "data") == ["single"]


def test_moved_or_changed_local_copy_is_noticed(origin, tmp_path):
    data = copy(origin, tmp_path / "data", "one.csv")
    use(data)
    (data / "one.csv").write_text("Content of one.csv\n")
    os.utime(data / "one.csv", ns=(1, 1))
    assert locate("single") is None
    (data / "one.csv").unlink()
    assert locate("single") is None


def test_checksum_is_read_once(origin, tmp_path, monkeypatch):
    use(copy(origin, tmp_path / "data", "one.csv"))
    read = count_hashes(monkeypatch)
    locate("single")
    assert read == []
    os.utime(tmp_path / "data" / "one.csv", ns=(1, 1))
    assert locate("single")
    assert locate("single")
    assert read == ["one.csv"]


def test_folder_of_the_environment_is_searched_last(origin, tmp_path, monkeypatch):
    shared = copy(origin, tmp_path / "shared" / "deep", "one.csv")
    monkeypatch.setenv("UNROLL_DATA", str(tmp_path / "shared"))
    assert locate("single") == [shared / "one.csv"]
    assert locate("pair") is None
    use(copy(origin, tmp_path / "data", "one.csv"))
    assert locate("single") == [tmp_path / "data" / "one.csv"]


@pytest.mark.parametrize("content", ["", "{", "[]", '{"places": 3}'])
def test_unreadable_memory_is_started_anew(origin, tmp_path, cache, content):
    cache.mkdir()
    (cache / "datasets.json").write_text(content)
    assert locate("single") is None
    assert use(copy(origin, tmp_path / "data", "one.csv")) == ["single"]
    assert locate("single")


def test_cache_that_cannot_be_written(origin, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("not a folder")
    monkeypatch.setenv("UNROLL_CACHE", str(tmp_path / "file"))
    data = copy(origin, tmp_path / "data", "one.csv")
    for call in (lambda: fetch("single"), lambda: use(data)):
        with pytest.raises(RunError, match=r"cannot write (.|\n)*UNROLL_CACHE"):
            call()
    monkeypatch.setenv("UNROLL_DATA", str(data))
    assert locate("single") == [data / "one.csv"]


@pytest.mark.skipif(os.name == "nt", reason="XDG folders are not Windows'")
def test_cache_folder_follows_the_environment(monkeypatch, tmp_path):
    monkeypatch.delenv("UNROLL_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert copies.cache_folder() == tmp_path / "unroll"
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert copies.cache_folder().parent in (tmp_path / ".cache", tmp_path / "Library" / "Caches")


def test_resolve_prefers_an_existing_path(origin, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("single").write_text("a file of the user")
    assert resolve("single") == [Path("single")]
    assert resolve(str(origin)) == [origin]


def test_resolve_says_how_to_get_a_known_set(origin):
    with pytest.raises(DataError, match=r"'pair' is not on this machine(.|\n)*unroll datasets fetch pair"):
        resolve("pair")


@pytest.mark.parametrize(
    ("typed", "message"),
    [
        ("salse.csv", r"no file 'salse.csv'\n(.|\n)*Did you mean 'sales.csv'\?"),
        ("singel", r"Did you mean 'single'\?"),
        ("gone/sales.csv", r"there is no folder gone"),
    ],
)
def test_resolve_guesses_files_and_names(origin, tmp_path, monkeypatch, typed, message):
    monkeypatch.chdir(tmp_path)
    Path("sales.csv").write_text("")
    with pytest.raises(DataError, match=message):
        resolve(typed)


def test_use_finds_every_set_in_a_real_folder(cache):
    if not REAL.is_dir():
        pytest.skip(f"no real data at {REAL}: set UNROLL_DATA")
    assert set(use(REAL)) == {one.name for one in datasets()} - ABSENT
    for one in datasets():
        if one.name not in ABSENT:
            assert [path.name.removesuffix(".gz") for path in locate(one.name)] == [file.name for file in one.files]
