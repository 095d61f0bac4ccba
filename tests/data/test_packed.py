"""What comes packed: its checksum, that of what is in it, and nothing written but that."""

import gzip
import io
import os
import tarfile
import zipfile

import pytest

from data.making import entry, write_set
from unroll.data.registry import unpack
from unroll.data.registry.known import dataset
from unroll.data.registry.resolve import fetch, locate, resolve, use
from unroll.errors import ConfigError, DataError

WANTED = {"a.csv": b"a,b\n1,2\n" * 1000, "b.csv": b"x\n" * 5}


def zipped(members):
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return held.getvalue()


def tarred(members, links=()):
    held = io.BytesIO()
    with tarfile.open(fileobj=held, mode="w:gz") as archive:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
        for name, target in links:
            info = tarfile.TarInfo(name)
            info.type, info.linkname = tarfile.SYMTYPE, target
            archive.addfile(info)
    return held.getvalue()


MAKERS = {"zip": zipped, "tar": tarred}


@pytest.fixture(autouse=True)
def alone(cache):
    """No copy of the machine's user is seen, and none of ours by them."""


@pytest.fixture
def packs(origin, monkeypatch):
    """A function that puts ``content`` on the server and describes a set of what should be in it."""

    def put(form, content, wanted=WANTED, *, told=None, folder="data/", name="packed"):
        (origin / f"pack.{form}").write_bytes(content)
        described = entry("", content if told is None else told)
        packed = {"form": form, "bytes": described["bytes"], "sha256": described["sha256"]}
        url = f"{os.environ['UNROLL_TEST_ORIGIN']}/pack.{form}"
        files = [
            entry(file, data, url=url, packed=packed | ({} if form == "gzip" else {"member": f"{folder}{file}"}))
            for file, data in wanted.items()
        ]
        write_set(name, files=files)

    return put


def held(cache):
    return sorted(str(path.relative_to(cache)) for path in (cache / "datasets").rglob("*") if path.is_file())


@pytest.mark.parametrize("form", MAKERS)
def test_members_of_an_archive_are_files_of_the_set(packs, origin, cache, form):
    packs(form, MAKERS[form]({f"data/{name}": data for name, data in WANTED.items()} | {"data/more.txt": b"more"}))
    asked = []
    paths = fetch("packed", progress=lambda name, done, total: asked.append(name))
    assert {path.name: path.read_bytes() for path in paths} == WANTED
    assert held(cache) == ["datasets/packed/a.csv", "datasets/packed/b.csv"]
    assert len(set(asked)) == 1
    (origin / f"pack.{form}").unlink()
    assert fetch("packed") == locate("packed") == resolve("packed") == paths


def test_a_packed_file_stays_packed_and_is_read(packs, cache):
    packs("gzip", gzip.compress(WANTED["a.csv"]), {"a.csv": WANTED["a.csv"]})
    (path,) = fetch("packed")
    assert path.name == "a.csv.gz"
    assert gzip.decompress(path.read_bytes()) == WANTED["a.csv"]
    assert locate("packed") == [path]
    path.write_bytes(gzip.compress(b"another"))
    assert locate("packed") is None


@pytest.mark.parametrize("level", [1, 9])
def test_a_local_copy_may_be_packed_otherwise_or_not_at_all(packs, tmp_path, level):
    packs("gzip", gzip.compress(WANTED["a.csv"], 5), {"a.csv": WANTED["a.csv"]})
    (tmp_path / "packed").mkdir()
    (tmp_path / "packed" / "a.csv.gz").write_bytes(gzip.compress(WANTED["a.csv"], level))
    assert use(tmp_path / "packed") == ["packed"]
    (tmp_path / "packed" / "a.csv.gz").unlink()
    assert locate("packed") is None
    (tmp_path / "packed" / "a.csv").write_bytes(WANTED["a.csv"])
    assert use(tmp_path / "packed" / "a.csv") == ["packed"]
    assert locate("packed") == [tmp_path / "packed" / "a.csv"]


GOOD = {f"data/{name}": data for name, data in WANTED.items()}


@pytest.mark.parametrize("form", MAKERS)
@pytest.mark.parametrize(
    ("members", "message"),
    [
        ({"data/a.csv": GOOD["data/a.csv"]}, "has no file data/b.csv"),
        (GOOD | {"data/b.csv": b"y\n" * 5}, "data/b.csv in .* has 10 bytes and sha256"),
        (GOOD | {"data/b.csv": b"x\n" * 6}, "has more than 10 bytes"),
        (GOOD | {"data/b.csv": b""}, "has 0 bytes"),
    ],
)
def test_an_archive_of_something_else_gives_no_file(packs, cache, form, members, message):
    packs(form, MAKERS[form](members))
    with pytest.raises(DataError, match=message):
        fetch("packed")
    assert "datasets/packed/b.csv" not in held(cache)
    assert locate("packed") is None


@pytest.mark.parametrize("form", ["zip", "tar", "gzip"])
def test_a_download_with_another_checksum_is_not_opened(packs, cache, form, monkeypatch):
    monkeypatch.setattr(unpack, "extract", None)
    wanted = {"a.csv": WANTED["a.csv"]}
    told = gzip.compress(WANTED["a.csv"])
    packs(form, told[:-1] + bytes([told[-1] ^ 1]), wanted, told=told)
    with pytest.raises(DataError, match=r"has sha256 [0-9a-f]{64}\nexpected [0-9a-f]{64}"):
        fetch("packed")
    assert held(cache) == []


@pytest.mark.parametrize(
    ("form", "content", "message"),
    [
        ("zip", b"PK no archive", "is damaged"),
        ("tar", b"no archive", "is damaged"),
        ("tar", tarred(GOOD)[:60], "is damaged"),
        ("gzip", b"no gzip", "does not hold the 8,000 bytes"),
        ("gzip", gzip.compress(b"another"), "does not hold the 8,000 bytes"),
        ("gzip", gzip.compress(WANTED["a.csv"])[:-4], "does not hold the 8,000 bytes"),
        ("gzip", gzip.compress(WANTED["a.csv"] + b"1"), "does not hold the 8,000 bytes"),
    ],
    ids=["no zip", "no tar", "cut tar", "no gzip", "other content", "cut gzip", "too much"],
)
def test_a_damaged_file_with_the_right_checksum_is_told(packs, cache, form, content, message):
    packs(form, content, {"a.csv": WANTED["a.csv"]})
    with pytest.raises(DataError, match=message):
        fetch("packed")
    assert not [name for name in held(cache) if name.endswith((".csv", ".csv.gz"))]


@pytest.mark.parametrize("form", MAKERS)
def test_what_an_archive_wants_to_write_elsewhere_is_not_written(packs, tmp_path, cache, form):
    """Every member but those asked for is left alone, whatever its name; theirs are not paths either."""
    elsewhere = ("../../../evil.csv", str(tmp_path / "absolute.csv"), "data/../../b.csv")
    packs(form, MAKERS[form](GOOD | dict.fromkeys(elsewhere, b"evil")))
    fetch("packed")
    assert held(cache) == ["datasets/packed/a.csv", "datasets/packed/b.csv"]
    assert not list(tmp_path.rglob("evil.csv")) + list(tmp_path.rglob("absolute.csv"))
    wanted = {"b.csv": b"evil"}
    packs(form, MAKERS[form](dict.fromkeys(elsewhere, b"evil")), wanted, folder="data/../../", name="other")
    assert fetch("other", folder=tmp_path / "mine") == [tmp_path / "mine" / "b.csv"]


def test_a_link_in_an_archive_is_not_followed(packs, tmp_path, cache):
    (tmp_path / "secret").write_bytes(WANTED["b.csv"])
    packs("tar", tarred({"data/a.csv": GOOD["data/a.csv"]}, links=[("data/b.csv", str(tmp_path / "secret"))]))
    with pytest.raises(DataError, match=r"has no file data/b\.csv"):
        fetch("packed")


def test_no_more_is_unpacked_than_was_promised(tmp_path, monkeypatch):
    (tmp_path / "bomb.csv.gz").write_bytes(gzip.compress(bytes(50_000_000)))
    read = []
    original = unpack._digest
    monkeypatch.setattr(unpack, "_digest", lambda *args: read.append(original(*args)) or read[-1])
    assert not unpack.gzip_holds(tmp_path / "bomb.csv.gz", "0" * 64, 1000)
    assert read[0][1] == 1001


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"name": "../a.csv"}, "is not the plain name of a file"),
        ({"name": "/etc/a.csv"}, "is not the plain name"),
        ({"name": "a/b.csv"}, "is not the plain name"),
        ({"name": ".."}, "is not the plain name"),
        ({"name": ".hidden"}, "is not the plain name"),
        ({"part": "tests"}, "for the part 'tests'"),
        ({"sha256": "12"}, "no sha256 and size"),
        ({"bytes": 0}, "no sha256 and size"),
        ({"packed": {"form": "zip", "bytes": 1, "sha256": "0" * 64}}, "as zip with the member None"),
        ({"packed": {"form": "gzip", "bytes": 1, "sha256": "0" * 64, "member": "x"}}, "with the member x"),
        ({"packed": {"form": "rar", "bytes": 1, "sha256": "0" * 64, "member": "x"}}, "as rar"),
        ({"colour": "red"}, "colour"),
    ],
)
def test_a_wrong_description_is_told(origin, change, message):
    write_set("wrong", files=[entry("a.csv", b"a", url="https://data.invalid/a.csv") | change])
    with pytest.raises(ConfigError, match=rf"wrong.yaml describes no data set: (.|\n)*{message}"):
        dataset("wrong")
