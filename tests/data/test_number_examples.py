"""Sequences of numbers from long tables, .ts files and arrays."""

import numpy as np
import polars as pl
import pytest

from realdata import real
from unroll.data import array_examples, carried_sequences, read_long_table, read_ts_examples
from unroll.errors import ConfigError, DataError

TS = "#comment\n@problemName x\n@timeStamps false\n@classLabel true a b\n@data\n1,2,?:4,5,6:a\n7,8:9,10:b\n"


def long_frame(seed=0, rows=40):
    rng = np.random.default_rng(seed)
    ids = rng.choice(["p", "q", "r"], size=rows)
    return pl.DataFrame({
        "id": ids, "t": rng.permutation(rows), "x": rng.normal(size=rows), "y": rng.normal(size=rows),
        "kind": [{"p": "up", "q": "down", "r": "up"}[i] for i in ids],
    })  # fmt: skip


@pytest.mark.parametrize("time", [None, "t"])
@pytest.mark.parametrize("values", [(), ("y",)])
def test_a_long_table_is_grouped_as_polars_groups_it(time, values):
    frame = long_frame()
    found = read_long_table(frame, "id", "kind", values=values, time=time)
    ordered = frame if time is None else frame.sort(time)
    assert list(found.ids) == frame["id"].unique(maintain_order=True).to_list()
    wanted = list(values) or (["x", "y"] if time else ["t", "x", "y"])
    assert list(found.channels) == wanted
    for name, label, sequence in zip(found.ids, found.labels, found.sequences):
        own = ordered.filter(pl.col("id") == name)
        assert np.array_equal(sequence, own.select(wanted).to_numpy())
        assert label == own["kind"][0]


def test_a_table_from_a_file_names_its_rows(tmp_path):
    (tmp_path / "a.csv").write_text("id,x,kind\np,1,u\np,2,u\nq,oops,v\n")
    with pytest.raises(DataError, match="column 'x' has text in row 4: 'oops'"):
        read_long_table(tmp_path / "a.csv", "id", "kind", values=("x",))
    (tmp_path / "b.csv").write_text("id,x,kind\np,1,u\np,2,v\nq,3,v\n")
    with pytest.raises(DataError, match="sequence 'p' has the labels 'u' and 'v', the second in row 3"):
        read_long_table(tmp_path / "b.csv", "id", "kind")
    (tmp_path / "c.csv").write_text("id,t,x,kind\np,1,1,u\np,1,2,u\n")
    with pytest.raises(DataError, match="'t' 1 twice in one sequence, again in row 3"):
        read_long_table(tmp_path / "c.csv", "id", "kind", time="t")
    (tmp_path / "d.csv").write_text("id,x,kind\np,1,u\n,2,u\n")
    with pytest.raises(DataError, match="no 'id' in row 3"):
        read_long_table(tmp_path / "d.csv", "id", "kind")
    with pytest.raises(DataError, match=r"no column 'ids'.*Did you mean 'id'"):
        read_long_table(tmp_path / "d.csv", "ids", "kind")


def test_a_ts_file_gives_its_cases(tmp_path):
    (tmp_path / "a.ts").write_text(TS)
    found = read_ts_examples(tmp_path / "a.ts")
    assert found.labels == ("a", "b")
    assert np.array_equal(found.sequences[0], [[1, 4], [2, 5], [np.nan, 6]], equal_nan=True)
    assert np.array_equal(found.sequences[1], [[7, 9], [8, 10]])
    assert found.where[1] == "row 7 of a.ts"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (("@data\n", ""), "before its @data"),
        (("timeStamps false", "timeStamps true"), "has time stamps"),
        (("@classLabel true a b", "@targetLabel true"), "numbers to predict"),
        ((":a\n", ":c\n"), "the class 'c' in row 6"),
        (("4,5,6", "4,5"), "channels of 2, 3 values in row 6"),
        (("7,8:9,10", "7,8"), "1 channels in row 7 and 2"),
        (("7,8", "7,eight"), "'eight' in row 7"),
        (("1,2,?:4,5,6:a\n7,8:9,10:b\n", ""), "no cases"),
    ],
)
def test_a_ts_file_that_cannot_be_read_is_named_by_its_row(tmp_path, change, words):
    assert change[0] in TS
    (tmp_path / "a.ts").write_text(TS.replace(*change))
    with pytest.raises(DataError, match=words):
        read_ts_examples(tmp_path / "a.ts")


@pytest.mark.parametrize(
    ("name", "cases", "channels", "lengths"),
    [("JapaneseVowels", 270, 12, (7, 26)), ("GunPoint", 50, 1, (150, 150)), ("PLAID", 537, 1, (100, 1344))],
)
def test_the_archives_sets_have_their_published_sizes(name, cases, channels, lengths):
    found = read_ts_examples(real(f"ucr-uea/{name}/{name}_TRAIN.ts"))
    sizes = [len(s) for s in found.sequences]
    assert (len(found), len(found.channels)) == (cases, channels)
    assert (min(sizes), max(sizes)) == lengths


def test_a_regression_set_is_refused():
    with pytest.raises(DataError, match="numbers to predict"):
        read_ts_examples(real("ucr-uea/Covid3Month/Covid3Month_TRAIN.ts"))


def test_arrays_of_every_shape():
    rng = np.random.default_rng(0)
    flat, deep = rng.normal(size=(4, 6)), rng.normal(size=(4, 6, 3))
    assert np.array_equal(array_examples(flat).sequences[2][:, 0], flat[2])
    assert np.array_equal(array_examples(deep, [1, 0, 1, 0]).sequences[2], deep[2])
    ragged = array_examples([flat[0, :2], flat[1]], ["a", "b"])
    assert [len(s) for s in ragged.sequences] == [2, 6]
    for bad, words in [
        ((np.zeros((2, 3, 4, 5)), None), "3 dimensions"),
        (([np.zeros((2, 3)), np.zeros((2, 4))], None), "3, 4 channels"),
        ((flat, ["a"]), "1 labels for 4 sequences"),
        (([["x"]], None), "no sequences of numbers"),
        (([], None), "no sequences"),
    ]:
        with pytest.raises(DataError, match=words):
            array_examples(*bad)


def test_missing_numbers_are_named_or_carried():
    nan = np.nan
    examples = array_examples([[1.0, 2.0], [nan, 3.0, nan, nan, 5.0]])
    with pytest.raises(DataError, match="sequence 1 lacks a value of 'channel 1' at its step 1"):
        carried_sequences(examples, "error")
    found = carried_sequences(examples, "carry")[1][:, 0]
    assert np.array_equal(found, [nan, 3, 3, 3, 5], equal_nan=True)
    with pytest.raises(ConfigError, match="--missing drop"):
        carried_sequences(examples, "drop")
    with pytest.raises(DataError, match="infinite"):
        carried_sequences(array_examples([[np.inf]]), "carry")
