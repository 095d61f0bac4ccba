"""Awkward documents and sentences on the command line: a result for every one of them, or one clear error."""

from __future__ import annotations

import csv
import io
import json
import math

import pytest

from tasks.tagging import conllu, sentences

from .harness import unroll
from .test_classify import ASKED, reviews
from .test_classify import TINY as SMALL
from .test_tag import TINY

FILM = "a good film"
LONG_LINE = "good film " * 100_000
AWKWARD = {
    "empty": "",
    "blank": " \t\u00a0 ",
    "one token": "good",
    "a token of 10,000 characters": "x" * 10_000,
    "nothing known": "쿵쾅 zzz qqq",
    "right to left": "שָׁלוֹם مرحبا بالعالم",
    "emoji": "👍👨‍👩‍👧 🇰🇷 e\u0301",
    "line breaks": "good\r\nfilm\n",
    "quotes and tabs": '"good"\t\'film\' ""',
    "a control character": "good\x01film",
    "200,000 tokens": LONG_LINE,
}


def table(documents, labels=None, end="\r\n"):
    """A TSV with quotes where they are needed."""
    text = io.StringIO()
    writer = csv.writer(text, delimiter="\t", lineterminator=end)
    writer.writerow(["document", *(["label"] if labels else [])])
    for k, document in enumerate(documents):
        writer.writerow([document, *([labels[k]] if labels else [])])
    return text.getvalue()


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A folder with a trained classifier, runs/a, whose training had every awkward document, and a tagger, runs/tag."""
    folder = tmp_path_factory.mktemp("awkward")
    rows = list(csv.DictReader(io.StringIO(reviews(200)), delimiter="\t"))
    documents = [row["document"] for row in rows] + list(AWKWARD.values())
    labels = [row["label"] for row in rows] + [
        "pos",
        "neg",
        "pos",
        "neg",
        "pos",
        "neg",
        "pos",
        "neg",
        "pos",
        "neg",
        "rare",
    ]
    (folder / "a.tsv").write_text(table(documents, labels), encoding="utf-8", newline="")
    made = [*sentences(80), [("only", "ODD")]]
    (folder / "a.conllu").write_text(conllu(made).replace("\n", "\r\n"), encoding="utf-8", newline="")
    told = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        told["a"] = unroll("train", "a.tsv", *ASKED, *SMALL, "--epochs", "1", "--out", "runs/a")
        told["tag"] = unroll("train", "a.conllu", "--task", "tag", *TINY, "--out", "runs/tag")
    assert told["a"].code == told["tag"].code == 0, told
    return folder, told


def test_training_takes_all_of_them_and_says_what_it_did(home):
    folder, told = home
    words = " ".join(told["a"].err.split())
    result = json.loads((folder / "runs/a/result.json").read_text(encoding="utf-8"))
    assert result["data"]["rows"] == 200 + len(AWKWARD)
    assert "2 documents without a token: kept" in words
    assert "1 document cut to the first 1,000 tokens (--longest)" in words
    assert "1 class has a single example: rare" in words
    assert all(math.isfinite(v) for v in result["candidates"][0]["curves"][0]["valid_loss"])


@pytest.mark.parametrize("name", AWKWARD)
def test_every_document_gets_a_class_whatever_stands_beside_it(here, name):
    """Alone, and among full and empty ones, in a file with the line ends of Windows or not."""
    (here / "alone.tsv").write_text(table([AWKWARD[name]], end="\n"), encoding="utf-8", newline="")
    (here / "mixed.tsv").write_text(table(["", FILM, AWKWARD[name], "", FILM]), encoding="utf-8", newline="")
    alone, mixed = (json.loads(unroll("predict", "runs/a", f, "--json").out) for f in ("alone.tsv", "mixed.tsv"))
    assert (len(alone), len(mixed)) == (1, 5)
    for row in [*alone, *mixed]:
        shares = [value for key, value in row.items() if key.startswith("p(")]
        assert sum(shares) == pytest.approx(1, abs=1e-6)
        assert all(0 <= share <= 1 for share in shares)
        assert (row["known"] is None) == (row["tokens"] == 0)
    assert mixed[2]["class"] == alone[0]["class"]
    assert mixed[2]["probability"] == pytest.approx(alone[0]["probability"], rel=1e-4)
    assert mixed[1] == mixed[4]
    assert mixed[0] == mixed[3]
    expected = {"empty": 0, "blank": 0, "one token": 1, "200,000 tokens": 200_000}
    assert alone[0]["tokens"] == expected.get(name, alone[0]["tokens"])
    assert alone[0]["read"] == min(alone[0]["tokens"], 1000)


def test_evaluate_counts_labels_unseen_in_training_as_missed_and_names_them(here):
    content = table([FILM, "dull", ""], ["pos", "neg", "new"])
    (here / "new.tsv").write_text(content, encoding="utf-8", newline="")
    outcome = unroll("evaluate", "runs/a", "new.tsv", "--json")
    assert outcome.code == 0, outcome.err
    found = json.loads(outcome.out)
    assert found["examples"] == 3
    assert found["network"]["accuracy"] <= 2 / 3 + 1e-9
    assert found["notes"] == ["1 examples of classes that training has not: new"]


REFUSED = {
    "a byte that is not UTF-8": (b"document\tlabel\ngood\tpos\nb\xffd\tneg\n", "byte 0xff in row 3"),
    "UTF-16": ("document\tlabel\ngood\tpos\n".encode("utf-16"), "is UTF-16 text"),
    "a quote that never closes": (b'document\tlabel\n"good\tpos\nbad\tneg\n', "--no-quotes"),
    "a row of another width": (b"document\tlabel\ngood\tpos\nbad\n", "1 cell in row 3"),
    "no label": (b"document\tlabel\r\ngood\tpos\r\nbad\t\r\n", "row 3 of bad.tsv has no label"),
    "nothing": (b"", "bad.tsv"),
    "a header alone": (b"document\tlabel\n", "bad.tsv has no rows"),
    "one class": (b"document\tlabel\n" + b"".join(b"d%d\tpos\n" % k for k in range(20)), "one class, 'pos'"),
    "only empty documents of each class": (b"document\tlabel\n" + b"\tpos\n\tneg\n" * 10, ""),
}


@pytest.mark.parametrize("name", REFUSED)
def test_bad_tables_get_one_clear_error_and_leave_nothing(here, name):
    content, words = REFUSED[name]
    (here / "bad.tsv").write_bytes(content)
    outcome = unroll("train", "bad.tsv", *ASKED, *SMALL, "--out", "runs/none")
    assert outcome.code == 2, outcome.out
    assert outcome.err.startswith("error: ")
    assert "Traceback" not in outcome.err
    assert words in outcome.message
    assert not (here / "runs/none").exists()


# Sentences

WORDS = {
    "one word": [["ban"]],
    "a word of 10,000 characters": [["x" * 10_000, "ban"]],
    "nothing known": [["쿵쾅", "ζζζ"]],
    "right to left and emoji": [["שָׁלוֹם", "مرحبا", "👨‍👩‍👧", "🇰🇷"]],
    "quotes": [['"', "''", '"quoted"', "ban"]],
    "short and long, mixed": [["ban"], ["dos"] * 300, ["kir", "ban"]],
    "200,000 words": [["ban", "dos"] * 100_000],
}


@pytest.mark.parametrize("name", WORDS)
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_every_word_gets_a_tag(here, name, end):
    text = (end * 2).join(end.join(own) for own in WORDS[name]) + end
    (here / "new.txt").write_text(text, encoding="utf-8", newline="")
    outcome = unroll("predict", "runs/tag", "new.txt")
    assert outcome.code == 0, outcome.err
    rows = list(csv.DictReader(io.StringIO(outcome.out)))
    assert [(int(row["sentence"]), row["word"]) for row in rows] == [
        (n, word) for n, own in enumerate(WORDS[name], 1) for word in own
    ]
    assert {row["tag"] for row in rows} <= {"NOUN", "VERB", "ADJ", "ODD"}


def test_comments_and_blank_lines_between_sentences_are_no_sentences(here):
    (here / "new.conllu").write_text("\n\n# nothing\n\n" + conllu([[("ban", "NOUN")]]) + "\n\n# more\n\n")
    outcome = unroll("evaluate", "runs/tag", "new.conllu", "--json")
    assert json.loads(outcome.out)["sentences"] == 1


def test_evaluate_counts_tags_unseen_in_training_as_missed_and_names_them(here):
    made = [[("ban", "NOUN"), ("dos", "NEW")]]
    (here / "new.conllu").write_text(conllu(made), encoding="utf-8")
    found = json.loads(unroll("evaluate", "runs/tag", "new.conllu", "--json").out)
    assert found["network"]["accuracy"] <= 0.5
    assert found["baselines"]["most frequent tag"]["accuracy"] <= 0.5
    assert found["notes"] == ["1 word with a tag that training has not: NEW"]


def line(*cells):
    return "\t".join(cells).encode() + b"\n"


WORD = ("1", "a", "_", "X", "X", "_", "0", "_", "_", "_")
ALIKE = b"\n".join(line("1", f"a{k}", *WORD[2:]) for k in range(30))
MALFORMED = {
    "four columns": (line("1", "a", "_", "X"), "upos", "4 columns in line 1"),
    "spaces for tabs": (b"1 a _ X X _ 0 _ _ _\n", "upos", "columns in line 1"),
    "an id out of turn": (line(*WORD) + line("3", *WORD[1:]), "upos", "the word id '3' in line 2"),
    "no blank line": (line(*WORD) + line(*WORD), "upos", "the word id '1' in line 2"),
    "no form": (line("1", "", *WORD[2:]), "upos", "without a form in line 1"),
    "no tag": (line(*WORD) + line("2", "b", "_", "_", *WORD[4:]), "upos", "'b' (sentence from line 1 of bad.conllu)"),
    "a byte that is not UTF-8": (line(*WORD) + b"2\t\xff" + line("", *WORD[2:]), "upos", "byte 0xff in row 2"),
    "features that are none": (line(*WORD[:5], "Case:Nom", *WORD[6:]), "feats", "'Case:Nom' are no features in line 1"),
    "an attribute twice": (line(*WORD[:5], "A=b|A=c", *WORD[6:]), "feats", "'A=b|A=c' are no features in line 1"),
    "comments alone": (b"# nothing\n", "upos", "no sentence"),
    "one tag": (ALIKE, "upos", "has the tag 'X'"),
    "no features at all": (ALIKE, "feats", "has the tag '_'"),
}


@pytest.mark.parametrize("name", MALFORMED)
def test_malformed_treebanks_are_named_by_line_and_leave_nothing(here, name):
    content, field, words = MALFORMED[name]
    (here / "bad.conllu").write_bytes(content)
    outcome = unroll("train", "bad.conllu", "--task", "tag", "--field", field, *TINY, "--out", "runs/none")
    assert outcome.code == 2, outcome.out
    assert outcome.err.startswith("error: ")
    assert words in outcome.message
    assert not (here / "runs/none").exists()


COLUMNS = {
    "a byte that is not UTF-8": (b"a X\nb\xfe Y\n", "byte 0xfe in row 2"),
    "a word alone": (b"a X\nb\n", "'b' (sentence from line 1 of bad.txt) has no tag"),
    "empty": (b"\n\n", "no sentence"),
}


@pytest.mark.parametrize("name", COLUMNS)
def test_malformed_columns_are_named_by_line(here, name):
    content, words = COLUMNS[name]
    (here / "bad.txt").write_bytes(content)
    outcome = unroll("train", "bad.txt", "--task", "tag", *TINY, "--out", "runs/none")
    assert outcome.code == 2, outcome.out
    assert words in outcome.message
    assert not (here / "runs/none").exists()
