"""``unroll datasets``, from a server on this machine to the command that uses what it brought."""

from __future__ import annotations

import gzip
import json
import os
import shlex
from pathlib import Path

import pytest

from data.making import entry, write_set
from realdata import ROOT
from unroll import api
from unroll.data.registry.known import datasets
from unroll.data.registry.resolve import locate
from unroll.errors import DataError
from unroll.tasks import TASKS, prepare

from .harness import TINY, table, unroll

LARGEST = 6_000_000
"""Larger sets take a minute; their readers are those of the smaller ones."""
OF_A_TASK = [known for known in datasets() if known.task in TASKS]


@pytest.mark.parametrize("known", OF_A_TASK, ids=lambda known: known.name)
def test_its_command_reads_it(known, tmp_path, monkeypatch):
    monkeypatch.setenv("UNROLL_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("UNROLL_DATA", str(ROOT))
    monkeypatch.chdir(tmp_path)
    if sum(file.bytes for file in known.files) > LARGEST:
        pytest.skip("large: read by hand when its entry changes")
    if locate(known.name) is None:
        pytest.skip(f"real data not here: {known.name} (set UNROLL_DATA to its folder)")

    def stop(source, data, options, *_, **__):
        prepare(source, data, options)
        raise DataError("training would begin")

    for name in ("run_comparison", "run_training"):
        monkeypatch.setattr(api, name, stop)
    assert unroll(*shlex.split(known.command)[1:]).message == "error: training would begin"


@pytest.fixture
def sales(origin, folder):
    """A data set 'shop-sales' on the server, and what is in it."""
    content = table(60).encode()
    (origin / "shop.csv").write_bytes(content)
    write_set("shop-sales", base=os.environ["UNROLL_TEST_ORIGIN"], files=[entry("shop.csv", content)])
    return content


def state(name):
    return json.loads(unroll("datasets", "list", name, "--json").out)[0]


def test_a_set_is_fetched_then_used_by_its_name(sales, folder):
    asked = ("train", "shop-sales", "--target", "units", *TINY, "--out", "run")
    assert "Run `unroll datasets fetch shop-sales`" in unroll(*asked).message
    outcome = unroll("datasets", "fetch", "sales")
    (path,) = outcome.out.splitlines()
    assert (outcome.code, outcome.err) == (0, "")
    assert Path(path).read_bytes() == sales
    assert (state("shop-sales")["here"], state("shop-sales")["files"]) == (True, [path])
    trained = unroll(*asked, "--json")
    assert trained.code == 0, trained.err
    assert unroll("datasets", "fetch", "sales").out == outcome.out


def test_progress_is_one_line_on_a_terminal_and_nothing_elsewhere(sales):
    assert unroll("datasets", "fetch", "sales").err == ""
    (path,) = state("sales")["files"]
    os.unlink(path)
    live = unroll("datasets", "fetch", "sales", terminal=True).err
    assert "shop.csv" in live
    assert "\n" not in live


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, r"shop.csv answers 404 File not found expected the file. It may have moved"),
        (b"x" * 5, "holds 5 bytes"),
        ("changed", "The file was deleted. The source may have changed"),
    ],
)
def test_what_cannot_be_fetched_is_an_error_of_one_paragraph(sales, origin, cache, content, message):
    if content is None:
        (origin / "shop.csv").unlink()
    else:
        (origin / "shop.csv").write_bytes(sales[::-1] if content == "changed" else content)
    outcome = unroll("datasets", "fetch", "shop-sales")
    assert outcome.code != 0
    assert outcome.out == ""
    assert message in outcome.message
    assert "unroll datasets use PATH" in outcome.message
    assert not list(cache.rglob("shop.csv*"))
    assert not state("shop-sales")["here"]


@pytest.mark.parametrize("packed", [False, True])
def test_a_local_copy_is_used_where_it_lies(sales, folder, packed):
    place = folder / "elsewhere" / "deep"
    place.mkdir(parents=True)
    (place / ("shop.csv.gz" if packed else "shop.csv")).write_bytes(gzip.compress(sales) if packed else sales)
    assert unroll("datasets", "use", "elsewhere").out == "found shop-sales\n"
    assert state("sales")["files"] == [str(path) for path in place.iterdir()]
    assert unroll("train", "sales", "--target", "units", *TINY, "--out", "run").code == 0


def test_a_folder_of_the_environment_needs_no_command(sales, folder, monkeypatch):
    monkeypatch.setenv("UNROLL_DATA", str(folder / "shared"))
    assert not state("sales")["here"]
    (folder / "shared").mkdir()
    (folder / "shared" / "shop.csv").write_bytes(sales)
    assert state("sales")["files"] == [str(folder / "shared" / "shop.csv")]


def test_a_copy_with_a_file_too_few_is_told(origin, folder):
    (folder / "data").mkdir()
    (folder / "data" / "train.csv").write_bytes((origin / "train.csv").read_bytes())
    outcome = unroll("datasets", "use", "data")
    assert outcome.code != 0
    assert "pair lacks test.csv" in outcome.message
