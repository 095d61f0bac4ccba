"""Treebanks and columns: read whole, and every malformed line named."""

import pytest

from realdata import real
from tasks.tagging import conllu, sentences
from unroll.data.examples.sentences import read_sentences
from unroll.errors import ConfigError, DataError

GOOD = (
    "# newdoc\n# text = a b\n1-2\tab\t_\t_\t_\t_\t_\t_\t_\t_\n1\ta\ta\tDET\tDT\t_\t2\tdet\t_\t_\n"
    "2\tb\tb\tNOUN\tNN\tNumber=Sing\t0\troot\t_\t_\n2.1\tc\tc\tVERB\tVB\t_\t_\t_\t_\t_\n\n"
    "1\tc d\tc\tX\t_\t_\t0\troot\t_\t_\n"
)


def test_what_was_written_is_read(tmp_path):
    made = sentences(50)
    (tmp_path / "a.conllu").write_text(conllu(made), encoding="utf-8")
    found = read_sentences(tmp_path / "a.conllu")
    assert [list(zip(w, t)) for w, t in zip(found.words, found.tags, strict=True)] == made


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize(
    ("field", "tags"),
    [("upos", (("DET", "NOUN"), ("X",))), ("xpos", (("DT", "NN"), (None,))), ("feats", (("_", "Number=Sing"), ("_",)))],
)
def test_fields_joined_words_and_left_out_ones(tmp_path, field, tags, end):
    (tmp_path / "a.conllu").write_bytes(GOOD.replace("\n", end).encode())
    found = read_sentences(tmp_path / "a.conllu", field)
    assert found.words == (("a", "b"), ("c d",))
    assert found.tags == tags
    assert found.lines == (4, 8)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (("2\tb\tb\tNOUN\tNN\tNumber=Sing\t0\troot\t_\t_", "2\tb\tb\tNOUN"), "4 columns in line 5"),
        (("2\tb\tb", "3\tb\tb"), "the word id '3' in line 5"),
        (("2\tb\tb", "two\tb\tb"), "the word id 'two' in line 5"),
        (("2\tb\tb", "2\t\tb"), "without a form in line 5"),
        (("\n\n1\tc d", "\n1\tc d"), "the word id '1' in line 7"),
        (("2\tb\tb\tNOUN", "2 b b NOUN"), "columns in line 5"),
    ],
)
def test_a_malformed_line_is_named(tmp_path, change, words):
    assert change[0] in GOOD
    (tmp_path / "a.conllu").write_text(GOOD.replace(*change))
    with pytest.raises(DataError, match=words):
        read_sentences(tmp_path / "a.conllu")


def test_bytes_that_are_not_utf8_are_placed(tmp_path):
    (tmp_path / "a.conllu").write_bytes(GOOD.encode().replace(b"c d", b"c\xff"))
    with pytest.raises(DataError, match=r"byte 0xff in row 8"):
        read_sentences(tmp_path / "a.conllu")


@pytest.mark.parametrize("gap", ["\t", " ", "   "])
def test_files_of_columns(tmp_path, gap):
    lines = [
        "-DOCSTART- -X- O",
        "",
        gap.join(["Anna", "NNP", "B-PER"]),
        gap.join(["runs", "VB", "O"]),
        "",
        "",
        "So RB O",
    ]
    (tmp_path / "a.txt").write_text("\n".join(lines))
    found = read_sentences(tmp_path / "a.txt")
    assert found.words == (("Anna", "runs"), ("So",))
    assert found.tags == (("B-PER", "O"), ("O",))
    assert read_sentences(tmp_path / "a.txt", tag=2).tags == (("NNP", "VB"), ("RB",))
    with pytest.raises(DataError, match="3 columns in line 3"):
        read_sentences(tmp_path / "a.txt", tag=4)


def test_one_column_has_words_and_no_tags(tmp_path):
    (tmp_path / "a.txt").write_text("a\nb\n\nc\n")
    assert read_sentences(tmp_path / "a.txt").tags == ((None, None), (None,))


def test_what_makes_no_sense_is_named(tmp_path):
    (tmp_path / "a.conllu").write_text("# nothing\n\n")
    with pytest.raises(DataError, match="no sentence"):
        read_sentences(tmp_path / "a.conllu")
    (tmp_path / "a.conllu").write_text(GOOD)
    with pytest.raises(ConfigError, match="Did you mean 'xpos'"):
        read_sentences(tmp_path / "a.conllu", "pos")
    (tmp_path / "a.txt").write_text("a b\n")
    with pytest.raises(ConfigError, match="--word-column 0"):
        read_sentences(tmp_path / "a.txt", word=0)


@pytest.mark.parametrize(
    ("path", "count", "words"),
    [("ud-english-ewt/en_ewt-ud-dev", 2001, 25_147), ("ud-korean-gsd/ko_gsd-ud-test", 989, 11_677)],
)
def test_treebanks_have_their_published_sizes(path, count, words):
    found = read_sentences(real(f"{path}.conllu"))
    assert (len(found), sum(map(len, found.words))) == (count, words)
