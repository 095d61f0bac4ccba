"""The name of a data set where data are asked for: its own files are the parts, and anything given goes before."""

import gzip

import numpy as np
import pytest

from data.making import entry, write_set
from unroll import Classifier, Tagger
from unroll.data.registry import known
from unroll.errors import DataError
from unroll.tasks import ClassifyData, ClassifyOptions, TagData, TagOptions, prepare
from unroll.tasks.classify.reading import read_examples

CLASSIFY = {"text": "text", "label": "label"}
SIZES = {"train": 40, "valid": 12, "test": 20}


def documents(rows, word):
    lines = [f"{word} {('good' if k % 2 else 'bad')} {k},{('p' if k % 2 else 'n')}" for k in range(rows)]
    return "\n".join(["text,label", *lines]).encode()


def sentences(rows, word):
    block = "1\t{}\t_\tNOUN\t_\t_\t0\t_\t_\t_\n2\truns\t_\tVERB\t_\t_\t0\t_\t_\t_\n\n"
    return "".join(block.format(f"{word}{k}") for k in range(rows)).encode()


MAKERS = {"csv": documents, "conllu": sentences}


@pytest.fixture
def sets(tmp_path, monkeypatch):
    """A function that makes a data set of the named parts, which is here; its folder comes back."""
    monkeypatch.setenv("UNROLL_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("UNROLL_DATA", str(tmp_path / "data"))
    monkeypatch.setattr(known, "SETS", tmp_path / "sets")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "sets").mkdir()

    def make(name, kind, parts, *, packed=False):
        folder = tmp_path / "data" / name
        folder.mkdir(parents=True)
        files = []
        for part in parts:
            content = MAKERS[kind](SIZES[part], part)
            path = folder / f"{name}-{part}.{kind}"
            files.append(entry(path.name, content, part=part))
            if packed:
                path = path.with_name(f"{path.name}.gz")
            path.write_bytes(gzip.compress(content) if packed else content)
        write_set(name, base="https://data.invalid", files=files)
        return folder

    return make


def classify(source, **reading):
    return prepare(source, ClassifyData(**CLASSIFY | reading), ClassifyOptions(min_count=1))


def words(task, part):
    """The first words of a part's documents, which name the file they are from."""
    return {task.parts.examples.texts[k].split()[0] for k in task.parts.indices[part]}


@pytest.mark.parametrize("packed", [False, True])
def test_the_parts_of_a_set_are_its_files(sets, packed):
    sets("x-reviews", "csv", SIZES, packed=packed)
    for name in ("x-reviews", "X-Reviews", "reviews"):
        task = classify(name)
        assert task.source == "x-reviews"
        assert f"Parts that the data set {name} itself has: valid: x-reviews-valid.csv" in task.protocol()
        assert {part: len(own) for part, own in task.parts.indices.items()} == SIZES
        assert {part: words(task, part) for part in SIZES} == {part: {part} for part in SIZES}
        assert any("parts that the data set" in note and f"test: {'x-reviews-test.csv'}" in note for note in task.notes)


def test_a_part_that_a_set_has_not_is_cut_from_its_training_file(sets):
    sets("reviews", "csv", ["train", "test"])
    task = classify("reviews")
    assert {part: words(task, part) for part in SIZES} == {"train": {"train"}, "valid": {"train"}, "test": {"test"}}
    assert len(task.parts.indices["train"]) + len(task.parts.indices["valid"]) == SIZES["train"]


def test_a_file_that_is_given_goes_before_that_of_the_set(sets, tmp_path):
    sets("reviews", "csv", SIZES)
    (tmp_path / "mine.csv").write_bytes(documents(6, "mine"))
    task = classify("reviews", test=str(tmp_path / "mine.csv"))
    assert {part: words(task, part) for part in SIZES} == {"train": {"train"}, "valid": {"valid"}, "test": {"mine"}}
    other = classify(str(tmp_path / "mine.csv"), valid="reviews", test="reviews")
    assert {part: words(other, part) for part in SIZES} == {"train": {"mine"}, "valid": {"valid"}, "test": {"test"}}


def test_a_file_of_a_set_given_by_its_path_is_a_file_like_any_other(sets):
    folder = sets("reviews", "csv", SIZES)
    task = classify(str(folder / "reviews-train.csv"))
    assert {part: words(task, part) for part in SIZES} == {part: {"train"} for part in SIZES}
    assert task.source == "reviews-train.csv"
    assert "itself has" not in task.protocol()


def test_sentences_come_in_the_parts_of_their_set(sets):
    sets("x-bank", "conllu", SIZES)
    task = prepare("bank", TagData(), TagOptions())
    assert {part: len(own) for part, own in task.indices.items()} == SIZES
    assert "Parts that the data set bank itself has: valid: x-bank-valid.conllu" in task.protocol()
    for part, own in task.indices.items():
        assert all(task.sentences.words[k][0].startswith(part) for k in own)


def test_a_trained_network_is_scored_on_the_test_part_of_a_set(sets):
    sets("reviews", "csv", SIZES)
    sets("bank", "conllu", SIZES)
    classifier = Classifier(hidden=4, epochs=1, embedding=4, min_count=1).fit("reviews", **CLASSIFY)
    tagger = Tagger(hidden=4, epochs=1).fit("bank")
    for made, name in ((classifier, "reviews"), (tagger, "bank")):
        assert made.evaluate(name)["network"] == pytest.approx(made.evaluate()["network"])
    assert len(classifier.predict("reviews")) == SIZES["test"]


def test_a_folder_named_as_a_set_must_be_written_as_a_path(sets, tmp_path):
    sets("reviews", "csv", SIZES)
    (tmp_path / "reviews").mkdir()
    for name, lines in (("a", 30), ("b", 20)):
        (tmp_path / "reviews" / f"{name}.txt").write_text("".join(f"{name}{k}\n\n" for k in range(lines)))
    assert len(classify("reviews").parts.examples) == sum(SIZES.values())
    for path in ("./reviews", "reviews/"):
        own = prepare(path, ClassifyData(), ClassifyOptions())
        assert {label: own.parts.examples.labels.count(label) for label in own.classes} == {"a": 30, "b": 20}
        assert own.parts.examples.where[1] == "line 3 of a.txt"


def test_a_set_of_a_file_for_each_class(sets, tmp_path):
    (tmp_path / "data").mkdir()
    contents = {name: "".join(f"{name}{k}\n" for k in range(20)).encode() for name in ("Korean", "Greek")}
    for name, content in contents.items():
        (tmp_path / "data" / f"{name}.txt").write_bytes(content)
    files = [entry(f"{name}.txt", content) for name, content in contents.items()]
    write_set("surnames", base="https://data.invalid", files=files)
    task = prepare("surnames", ClassifyData(), ClassifyOptions(unit="character", min_count=1))
    assert task.classes == ("Greek", "Korean")
    assert all(text.startswith(label) for text, label in zip(task.parts.examples.texts, task.parts.examples.labels))
    assert np.array_equal(np.sort(np.concatenate(list(task.parts.indices.values()))), np.arange(40))


def test_a_folder_without_documents_is_told(tmp_path):
    with pytest.raises(
        DataError, match=r"has no .txt files\nexpected a file, or a folder with a text file for each class"
    ):
        prepare(str(tmp_path), ClassifyData(), ClassifyOptions())
    (tmp_path / "a.txt").write_text(" \n\n")
    with pytest.raises(DataError, match=r"a.txt has no documents"):
        prepare(str(tmp_path), ClassifyData(), ClassifyOptions())


def test_a_packed_ts_file_is_read_as_the_plain_one(tmp_path):
    text = b"@classLabel true a b\n@data\n1,2:3,4:a\n5,6,7:8,9,0:b\n"
    (tmp_path / "x.ts").write_bytes(text)
    (tmp_path / "x.ts.gz").write_bytes(gzip.compress(text))
    plain, packed = (read_examples(str(tmp_path / name), ClassifyData()) for name in ("x.ts", "x.ts.gz"))
    assert plain.labels == packed.labels == ("a", "b")
    assert all(np.array_equal(a, b) for a, b in zip(plain.sequences, packed.sequences, strict=True))
