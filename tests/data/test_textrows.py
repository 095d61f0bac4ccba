"""Rows of text: nothing of a document is lost, and what cannot be read is named by its row."""

import csv
import gzip
import io
import json
import random

import polars as pl
import pytest

from unroll.data import read_text_rows
from unroll.errors import DataError

AWKWARD = [
    "plain",
    "",
    'says "so"',
    '"quoted"',
    "a\ttab, a comma; and | more",
    "two\nlines",
    "trailing ",
    "\u2028 form\x0cfeed \x1e",
    "שָׁלוֹם مرحبا",
    "👨‍👩‍👧 🇰🇷",
    "한국어 문장",
    "x" * 10_000,
    "0",
    "null",
]


def written(path, rows, delimiter):
    text = io.StringIO()
    csv.writer(text, delimiter=delimiter, lineterminator="\n").writerows([["document", "label"], *rows])
    path.write_bytes(text.getvalue().encode())
    return path


@pytest.mark.parametrize(("name", "delimiter"), [("a.csv", ","), ("a.tsv", "\t")])
@pytest.mark.parametrize("seed", range(5))
def test_what_was_written_is_read(tmp_path, name, delimiter, seed):
    """Whatever the documents hold, in any order; the csv module wrote them."""
    rng = random.Random(seed)
    rows = [[rng.choice(AWKWARD), str(k)] for k in range(40)]
    found = read_text_rows(written(tmp_path / name, rows, delimiter))
    assert found.column("document", "--text") == [text for text, _ in rows]
    assert found.column("label", "--label") == [label for _, label in rows]


def test_json_lines_hold_any_text(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_text("\n".join(json.dumps({"document": t, "n": k}) for k, t in enumerate(AWKWARD)) + "\n\n")
    found = read_text_rows(path)
    assert found.column("document", "--text") == AWKWARD
    assert found.column("n", "--label") == [str(k) for k in range(len(AWKWARD))]


def test_half_a_surrogate_pair_becomes_the_replacement_character(tmp_path):
    (tmp_path / "a.jsonl").write_text('{"t": "a\\ud800b"}\n')
    assert read_text_rows(tmp_path / "a.jsonl").column("t", "") == ["a\ufffdb"]


def test_gzip_parquet_and_frames_give_the_same(tmp_path):
    frame = pl.DataFrame({"document": ["a", "", "c d"], "label": [1, 0, 1]})
    frame.write_csv(tmp_path / "a.csv")
    frame.write_parquet(tmp_path / "a.parquet")
    (tmp_path / "a.csv.gz").write_bytes(gzip.compress((tmp_path / "a.csv").read_bytes()))
    for source in (frame, frame.to_pandas(), *(tmp_path / f"a.{end}" for end in ("csv", "csv.gz", "parquet"))):
        found = read_text_rows(source)
        assert [cell or "" for cell in found.column("document", "")] == ["a", "", "c d"]
        assert found.column("label", "") == ["1", "0", "1"]


def test_windows_line_ends_are_line_ends(tmp_path):
    (tmp_path / "a.tsv").write_bytes("document\tlabel\r\n좋다\tp\r\n나쁘다\tn\r\n".encode())
    found = read_text_rows(tmp_path / "a.tsv")
    assert found.column("document", "") == ["좋다", "나쁘다"]
    assert found.column("label", "") == ["p", "n"]


def test_blank_lines_are_no_rows_but_an_empty_document_is_one(tmp_path):
    (tmp_path / "a.tsv").write_text("document\tlabel\na\tp\n\n\tn\n")
    found = read_text_rows(tmp_path / "a.tsv")
    assert found.column("document", "") == ["a", ""]
    assert list(found.lines) == [2, 4]
    (tmp_path / "b.csv").write_text("document\na\n\nb\n")
    assert read_text_rows(tmp_path / "b.csv").column("document", "") == ["a", "", "b"]


def test_a_line_of_200000_tokens_is_whole(tmp_path):
    text = " ".join(f"w{k % 977}" for k in range(200_000))
    found = read_text_rows(written(tmp_path / "a.tsv", [[text, "1"]], "\t"))
    assert found.column("document", "") == [text]


def test_the_limit_of_the_csv_module_is_left_as_it_was(tmp_path):
    before = csv.field_size_limit()
    written(tmp_path / "a.tsv", [["a", "1"]], "\t")
    read_text_rows(tmp_path / "a.tsv")
    (tmp_path / "a.tsv").write_text('a\tb\n"x\t1\n')
    with pytest.raises(DataError):
        read_text_rows(tmp_path / "a.tsv")
    assert csv.field_size_limit() == before


def test_quotes_inside_a_cell_are_characters(tmp_path):
    (tmp_path / "a.tsv").write_text('document\tlabel\na 12" record\tp\nthe "best" one\tn\n')
    assert read_text_rows(tmp_path / "a.tsv").column("document", "") == ['a 12" record', 'the "best" one']


@pytest.mark.parametrize(
    ("content", "row", "words"),
    [
        ('t\tl\na\t1\n"never closed\t1\nb\t2\n', "row 3", "never closed"),
        ('t\tl\n"Great" film\t1\n', "row 2", "closes before the cell ends"),
    ],
)
def test_a_quote_that_cannot_be_read_is_named_and_can_be_taken_as_it_is(tmp_path, content, row, words):
    (tmp_path / "a.tsv").write_text(content)
    with pytest.raises(DataError, match=words) as told:
        read_text_rows(tmp_path / "a.tsv")
    assert row in str(told.value)
    assert "--no-quotes" in str(told.value)
    plain = read_text_rows(tmp_path / "a.tsv", no_quotes=True)
    assert plain.column("t", "") == [line.partition("\t")[0] for line in content.splitlines()[1:]]


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.tsv", b"document\tlabel\nfine\t1\nbr\xffken\t0\n", r"byte 0xff in row 3 \(byte 24\)"),
        ("a.tsv", "a\tb\n1\t2\n".encode("utf-16"), "UTF-16"),
        ("a.tsv", b"a\tb\n1\n", "1 cell in row 2 and 2 cells"),
        ("a.tsv", b"a\tb\n1\t2\t3\n", "3 cells in row 2 and 2 cells"),
        ("a.tsv", b"a\ta\n1\t2\n", "more than one column 'a'"),
        ("a.tsv", b"a\tb\n", "no rows"),
        ("a.tsv", b"", "empty"),
        ("a.txt", b"a\tb\n1\t2\n", "--delimiter tab"),
        ("a.jsonl", b'{"a": 1}\n{"a": \n', "not JSON in row 2"),
        ("a.jsonl", b'{"a": 1}\n[1]\n', "JSON list in row 2"),
        ("a.doc", b"x", "ends in '.doc'"),
    ],
)
def test_what_cannot_be_read_is_named(tmp_path, name, content, words):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=words):
        read_text_rows(tmp_path / name)


def test_an_unknown_column_is_named_with_a_near_one(tmp_path):
    found = read_text_rows(written(tmp_path / "a.tsv", [["a", "1"]], "\t"))
    with pytest.raises(DataError, match="Did you mean 'document'"):
        found.column("documnt", "--text")
