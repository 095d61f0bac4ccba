"""Files as tables: what is read, and what is said about a file that cannot be."""

import gzip

import pytest

from data.making import message, written
from realdata import real
from unroll.data import read_table
from unroll.errors import ConfigError, DataError

MANY = "a,b\n" + "1,2\n" * 1_202


def test_text_cells_stay_text(tmp_path):
    table = read_table(written(tmp_path, "date,units\n007,1.50\n008,\n"))
    assert table.frame.to_dict(as_series=False) == {"date": ["007", "008"], "units": ["1.50", None]}
    assert (table.name, table.first_row) == ("sales.csv", 2)


@pytest.mark.parametrize(
    "data",
    [
        b"a,b\n1,2\n3,4\n",
        b"\xef\xbb\xbfa,b\n1,2\n3,4\n",
        b"a,b\r\n1,2\r\n3,4\r\n",
        b"a,b\r1,2\r3,4",
        b"\n\na, b\n1,2\n\n3,4\n\n\n",
    ],
)
def test_line_ends_marks_and_blank_lines_make_no_difference(tmp_path, data):
    assert read_table(written(tmp_path, data)).frame.rows() == [("1", "2"), ("3", "4")]


def test_row_numbers_are_those_of_a_spreadsheet_or_editor(tmp_path):
    table = read_table(written(tmp_path, 'a,b\n1,2\n\n"x\ny",3\n"q ""z"", r",4\n'))
    assert [table.row_number(i) for i in range(3)] == [2, 4, 6]
    assert table.frame["a"].to_list() == ["1", "x\ny", 'q "z", r']
    assert read_table(written(tmp_path, MANY)).row(1_201) == "row 1,203"


def test_an_empty_line_of_a_single_column_is_an_empty_cell(tmp_path):
    assert read_table(written(tmp_path, "y\n1\n\n3\n\n")).frame["y"].to_list() == ["1", None, "3"]


@pytest.mark.parametrize(
    ("name", "text", "options"),
    [
        ("a.tsv", "a\tb\n1\t2\n", {}),
        ("a.csv", "a;b\n1;2\n", {"delimiter": ";"}),
        ("a.csv", "a\tb\n1\t2\n", {"delimiter": "tab"}),
        ("a.txt", "a|b\n1|2\n", {"delimiter": "|"}),
        ("a.csv.gz", gzip.compress(b"a,b\n1,2\n", mtime=0), {}),
    ],
)
def test_delimiters_and_packing(tmp_path, name, text, options):
    table = read_table(written(tmp_path, text, name), **options)
    assert table.frame.to_dict(as_series=False) == {"a": ["1"], "b": ["2"]}


def test_parquet_keeps_its_types(tmp_path):
    frame = read_table({"a": [1, 2], "b": ["x", "y"]}).frame
    frame.write_parquet(tmp_path / "a.parquet")
    table = read_table(tmp_path / "a.parquet")
    assert table.frame.equals(frame)
    assert table.first_row == 0


def test_fingerprint_follows_the_bytes(tmp_path):
    one, again, other = (read_table(written(tmp_path, t)).fingerprint for t in ("a\n1\n", "a\n1\n", "a\n2\n"))
    assert one == again != other
    assert len(one) == 64


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", ["sales.csv is empty", "0 bytes"]),
        ("\n \n", ["only blank lines"]),
        ("a,b\n", ["header (a, b) and no rows"]),
        ("a;b\n1;2\n", ["single column", "Give --delimiter ';'"]),
        ("a;b\n1,5;2\n", ["Give --delimiter ';'"]),
        ("a\tb\n1\t2\n", ["Give --delimiter tab"]),
        ("a|b\n1|2\n", ["Give --delimiter '|'"]),
        ("a\n1;2\n", ["Give --delimiter ';'"]),
        ("y\n3,5\n4,5\n", ["2 cells in row 2", "decimal points"]),
        ("a,b\n1,2\n3\n", ["1 cell in row 3", "2 cells in its header"]),
        ("a,b\n1,2\n3,4,5\n6,7,8\n", ["3 cells in row 3", "2 such rows", "Quote cells"]),
        (MANY + "1\n", ["row 1,204"]),
        ("a,b,a\n1,2,3\n", ["more than one column 'a'", "row 1"]),
        (b"a,b\n1,2\n3,\xe9\n", ["not UTF-8", "0xe9", "row 3", "byte 10"]),
        ("a,b\n1,2\n".encode("utf-16"), ["UTF-16"]),
        ('a,b\n1,2\n"3,4\n5,6\n', ["quote", "row 3", "never closed"]),
    ],
)  # fmt: skip
def test_faults_of_a_text_file(tmp_path, text, said):
    found = message(lambda: read_table(written(tmp_path, text)), DataError)
    for part in said:
        assert part in found


def test_the_comma_is_suggested_too(tmp_path):
    path = written(tmp_path, "a,b\n1,2\n")
    assert "Give --delimiter ','" in message(lambda: read_table(path, delimiter=";"), DataError)


def test_faults_of_a_path(tmp_path):
    written(tmp_path, "a\n1\n")
    assert "Did you mean 'sales.csv'?" in message(lambda: read_table(tmp_path / "sale.csv"), DataError)
    assert "the folder" in message(lambda: read_table(tmp_path / "none" / "sale.csv"), DataError)
    assert "is a folder" in message(lambda: read_table(tmp_path), DataError)
    assert "Save it as .csv" in message(lambda: read_table(written(tmp_path, "x", "a.xlsx")), DataError)
    assert "not a parquet file" in message(lambda: read_table(written(tmp_path, "a,b\n", "a.parquet")), DataError)
    assert "gzip" in message(lambda: read_table(written(tmp_path, "a,b\n", "a.csv.gz")), DataError)
    assert "one character" in message(lambda: read_table(written(tmp_path, "a\n1\n"), delimiter=";;"), ConfigError)
    assert "long or rows" in message(lambda: read_table(written(tmp_path, "a\n1\n"), layout="wide"), ConfigError)


def test_one_series_per_row(tmp_path):
    table = read_table(written(tmp_path, "id,V1,V2,V3\nX,1,2,3\n\nY,4,,5\nZ,6\nW,7,NA,\n"), layout="rows")
    assert table.frame.columns == ["id", "step", "value"]
    assert table.frame.rows() == [
        ("X", 0, "1"), ("X", 1, "2"), ("X", 2, "3"), ("Y", 0, "4"),
        ("Y", 1, None), ("Y", 2, "5"), ("Z", 0, "6"), ("W", 0, "7"),
    ]  # fmt: skip
    assert [table.row_number(i) for i in (2, 3, 6)] == [2, 4, 5]
    assert table.column_at("value", 4) == "V2"


def test_one_series_per_row_from_numbers():
    table = read_table({"id": ["X", "Y"], "V1": [1.0, 2.0], "V2": [3, None]}, layout="rows")
    assert table.frame.rows() == [("X", 0, 1.0), ("X", 1, 3.0), ("Y", 0, 2.0)]


@pytest.mark.parametrize(
    ("text", "said"),
    [("id,a\nX,1\nY,\n", "row 3"), ("id,a\nX,1,2\n", "3 cells in row 2"), ("id\nX\n", "--layout rows")],
)
def test_faults_of_one_series_per_row(tmp_path, text, said):
    assert said in message(lambda: read_table(written(tmp_path, text), layout="rows"), DataError)


def test_m4_hourly():
    table = read_table(real("m4/Hourly-train.csv"), layout="rows")
    lengths = table.frame.group_by("V1").len()["len"]
    assert (len(lengths), lengths.min(), lengths.max(), table.frame.height) == (414, 700, 960, 353_500)
