"""The tag task: morphemes, spans, words that training has not; and ``Tagger``."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from realdata import real
from tasks.making import words_of
from tasks.tagging import conllu, options_of, sentences, tag_task, written
from unroll import Tagger
from unroll.errors import ConfigError, DataError, LeakageError, RunError
from unroll.tasks import NetworkOptions, TagData, TagOptions, load_run, prepare
from unroll.tasks.tag.baselines import MostFrequentTag
from unroll.tasks.tag.errors import tag_errors
from unroll.tasks.tag.sets import TagSet, split_tag
from unroll.train import FitSettings, fit


def test_scores_by_hand():
    truth = [["B-P", "I-P", "O"], ["O"], ["B-Q", "O"]]
    said = [["B-P", "I-P", "O"], ["B-P"], ["O", "O"]]
    new = [[True, False, False], [True], [False, False]]
    assert tag_errors(truth, said, new, "spans").scores() == {
        "accuracy": pytest.approx(4 / 6),
        "OOV accuracy": 0.5,
        "sentence accuracy": pytest.approx(1 / 3),
        "span F1": pytest.approx(2 * 1 / (2 + 2)),
        "feature F1": None,
    }


@pytest.mark.parametrize(
    ("tag", "parts"), [("NNG+JKS", ["NNG", "JKS"]), ("SP", ["SP"]), ("+", ["+"]), ("A++B", ["A++B"]), ("+A", ["+A"])]
)
def test_joined_tags_come_apart_and_together(tag, parts):
    assert split_tag(tag, "+") == parts
    known = TagSet.fit([["NNG+JKS", "SP", "+", "A++B", "+A", "x+y+z"]], "+")
    assert known.decode(known.encode(tag)) == tag
    assert known.encode("JKS+NNG") is not None, "a combination that training never had can be written"
    assert known.encode("NNG+new") is None
    assert known.encode("x+x+x+x") is None


def test_tags_that_are_several_are_found():
    assert tag_task().decoder == "softmax"
    assert tag_task(joined=True).decoder == "morphemes"
    task = tag_task(joined=True, decoder="softmax")
    assert "VV+EC" in task.tags.tags
    assert task.tags.longest == 1


@pytest.mark.parametrize("kind", [{}, {"joined": True}, {"spans": True, "decoder": "crf"}])
def test_it_learns_what_can_be_learned_also_of_new_words(kind):
    """The last letter decides: a word's vector cannot say it of a word never seen, its letters can."""
    flags = {k: v for k, v in kind.items() if k in ("joined", "spans")}
    task = tag_task(sentences(250, **flags), letter_size=12, **{k: v for k, v in kind.items() if k not in flags})
    network = task.network(NetworkOptions("gru", 16), 0)
    fit(network, task.problem(), FitSettings(lr=2e-2, epochs=5, batch_size=16))
    scores, baseline = task.errors(network).scores(), task.errors(MostFrequentTag(task)).scores()
    assert scores["accuracy"] > 0.9
    assert scores["OOV accuracy"] > 0.85 > 0.7 > baseline["OOV accuracy"]
    assert (scores["span F1"] is not None) == ("spans" in kind)


def test_the_baseline_is_the_most_frequent_tag_of_each_word():
    made = [[("a", "X")], [("a", "X")], [("a", "Y")], [("b", "Z")]] * 20
    task = tag_task([[*own, ("filler" + str(k), "F")] for k, own in enumerate(made)])
    baseline = MostFrequentTag(task)
    assert baseline.best["a"] == "X"
    assert baseline.usual == "F"
    assert baseline.tags([["a", "filler0", "new"], []]) == [["X", "F", "F"], []]


def test_scoring_what_training_was_on_is_an_error():
    task = tag_task()
    with pytest.raises(LeakageError, match="those that training was on"):
        task.errors(MostFrequentTag(task), "train")


def test_words_letters_and_tags_are_those_of_the_training_part():
    made = [[*own, (f"only{k}n", "NOUN")] for k, own in enumerate(sentences(60))]
    task = tag_task(made)
    test = {int(k) for k in task.indices["test"]}
    other = [[(f"ξένος{k}{j}", "NEW") for j in range(len(own))] if k in test else own for k, own in enumerate(made)]
    changed = tag_task(other)
    assert changed.input.to_dict() == task.input.to_dict()
    assert changed.tags == task.tags
    assert any("test words with a tag that training has not" in note for note in changed.notes)
    network = changed.network(NetworkOptions("gru", 4), 0)
    assert changed.errors(network).scores()["accuracy"] == 0


AWKWARD = ["x" * 10_000, "👨‍👩‍👧", "שָׁלוֹם", "좋다", "\u00a0", "12:30", "+"]


def test_awkward_words_are_tagged(tmp_path):
    made = sentences(40) + [[(word, "ODD")] for word in AWKWARD] + [[(word, "ODD") for word in AWKWARD]]
    tagger = Tagger("gru", 4, epochs=1, embedding=4, letter_size=4).fit(written(tmp_path, made))
    found = tagger.predict([AWKWARD, [], ["ban"]])
    assert found["word"].to_list() == [*AWKWARD, "ban"]
    assert found["sentence"].to_list() == [1] * len(AWKWARD) + [3]
    assert found["tag"].null_count() == 0


def test_it_predicts_and_comes_back(tmp_path):
    path = written(tmp_path, sentences(120, joined=True))
    tagger = Tagger("gru", 8, epochs=2, lr=2e-2, embedding=6, letter_size=6).fit(
        path, field="xpos", out=tmp_path / "run"
    )
    again = load_run(tmp_path / "run")
    assert isinstance(again, Tagger)
    assert again.predict(path).equals(tagger.predict(path))
    assert again.evaluate() == tagger.evaluate()
    assert tagger.evaluate()["network"] == tagger.task.errors(tagger.network).scores()
    plain = [list(own) for own in tagger.task.sentences.words]
    assert again.predict(plain).equals(tagger.predict(path))
    with pytest.raises(DataError, match="a list of words"):
        again.predict(["not a sentence"])
    with pytest.raises(RunError, match="not trained"):
        Tagger().predict([["a"]])


def test_what_cannot_be_learned_from_is_named(tmp_path):
    path = tmp_path / "a.conllu"
    path.write_text(conllu(sentences(20)).replace("\tNOUN\t", "\t_\t", 1))
    with pytest.raises(DataError, match="has no tag"):
        prepare(path, TagData(), TagOptions())
    with pytest.raises(DataError, match="none is left for the"):
        prepare(written(tmp_path, sentences(2)), TagData(), TagOptions())
    with pytest.raises(DataError, match="a DataFrame"):
        prepare(pl.DataFrame({"a": [1]}), TagData(), TagOptions())


@pytest.mark.parametrize("name", ["tags.conllu", "tags.txt"])
def test_a_result_names_the_tags_as_the_file_does(tmp_path, name):
    made = sentences(60)
    path = written(tmp_path, made, name)
    if name == "tags.txt":
        Path(path).write_text("\n\n".join("\n".join(f"{w} {t}" for w, t in own) for own in made), encoding="utf-8")
    task = prepare(path, TagData(), TagOptions())
    assert words_of(task)["job"] == ("tag words by upos" if name == "tags.conllu" else "tag words")


def test_what_a_test_file_shares_with_training_is_named(tmp_path):
    made = sentences(60)
    paths = [written(tmp_path, own, f"{k}.conllu") for k, own in enumerate((made, made[:2], sentences(5, seed=9)))]
    told = [words_of(prepare(paths[0], TagData(test=test), TagOptions()))["checked"] for test in paths[1:]]
    assert told == [f"{overlap}, vocabulary fitted on train" for overlap in ("files overlap", "no overlap")]


@pytest.mark.parametrize(
    "changed",
    [{"decoder": "viterbi"}, {"letters": "word"},
     {"letters": "jamo+jamo"}, {"metric": "F1"}, {"min_count": 0}, {"joint": ""}, {"split": "1"},
     {"embedding": 0}, {"split_seed": -1}],
)  # fmt: skip
def test_options_that_make_no_sense_are_named(changed):
    with pytest.raises(ConfigError):
        options_of(changed).check()


def test_spans_are_not_scored_where_there_are_none():
    with pytest.raises(ConfigError, match="mark no spans"):
        tag_task(metric="span F1")


def treebank(path, field):
    """The whole treebank with its own parts."""
    parts = {part: str(real(f"{path}-{part}.conllu")) for part in ("train", "dev", "test")}
    return prepare(parts["train"], TagData(field, valid=parts["dev"], test=parts["test"]), TagOptions(keep_case=True))


@pytest.mark.parametrize(("field", "floor"), [("upos", 0.8030), ("xpos", 0.6573)])
def test_the_korean_floor_is_the_published_one(field, floor):
    """Most frequent tag: 80.30 and 65.73, the latter to a tie between tags; a third of the words are new."""
    task = treebank("ud-korean-gsd/ko_gsd-ud", field)
    scores = task.errors(MostFrequentTag(task))
    assert scores.scores()["accuracy"] == pytest.approx(floor, abs=0.0005)
    assert scores.new.sum() / scores.words.sum() == pytest.approx(0.345, abs=0.001)
    if field == "xpos":
        assert task.decoder == "morphemes"
        assert task.tags.count < 50, "morphemes, not their 1,067 combinations"
        assert len({t for k in task.indices["train"] for t in task.sentences.tags[k]}) == 1067


def test_a_few_korean_sentences_teach_something(tmp_path):
    """Letters make the difference: above the floor of the whole treebank with a fifth of it."""
    text = real("ud-korean-gsd/ko_gsd-ud-train.conllu").read_text(encoding="utf-8").split("\n\n")
    (tmp_path / "a.conllu").write_text("\n\n".join(text[:900]) + "\n", encoding="utf-8")
    tagger = Tagger("lstm", 32, epochs=3, lr=1e-2, batch_size=16, embedding=32)
    tagger.fit(str(tmp_path / "a.conllu"), test=str(real("ud-korean-gsd/ko_gsd-ud-test.conllu")))
    assert [own.unit for own in tagger.task.input.letters] == ["jamo", "character"]
    scores = tagger.evaluate()["network"]
    assert scores["accuracy"] > 0.8030
    assert np.isfinite(tagger.result.best_loss)
