"""Morphological features: taken apart, learned attribute by attribute, put together again."""

import random

import pytest
from sklearn.metrics import f1_score
from sklearn.preprocessing import MultiLabelBinarizer

from realdata import real
from tasks.tagging import inflected, tag_task, written
from unroll import Tagger
from unroll.data.examples.features import are_features, ordered_features, parse_features, written_features
from unroll.data.examples.sentences import read_sentences
from unroll.errors import ConfigError, DataError
from unroll.models.tag import FeatureHead
from unroll.tasks import NetworkOptions, TagData, load_run, prepare
from unroll.tasks.tag.baselines import MostFrequentTag
from unroll.tasks.tag.errors import feature_pairs, tag_errors
from unroll.tasks.tag.sets import FeatureSet, tags_from
from unroll.train import FitSettings, fit


@pytest.mark.parametrize(
    ("tag", "features"),
    [
        ("_", {}),
        ("", {}),
        ("Case=Nom", {"Case": "Nom"}),
        ("Case=Nom|Gender[psor]=Fem,Masc", {"Case": "Nom", "Gender[psor]": "Fem,Masc"}),
    ],
)
def test_features_come_apart(tag, features):
    assert parse_features(tag) == features
    assert written_features(features) == (tag or "_")


@pytest.mark.parametrize("tag", ["NOUN", "Case=", "=Nom", "Case=Nom|", "Case=Nom|Case=Gen", "Case=Nom=Gen", "A=b|_"])
def test_what_is_no_list_of_features_is_refused(tag):
    with pytest.raises(DataError, match="no features here"):
        ordered_features(tag, "here")
    assert not are_features(["Case=Nom", tag])


def test_their_order_is_one():
    assert ordered_features("number=Sing|Case=Nom|Gender=Masc,Fem", "") == "Case=Nom|Gender=Fem,Masc|number=Sing"
    assert are_features(["_", "A=b"])
    assert not are_features(["_"])


def test_every_bundle_comes_back_and_new_ones_can_be_written():
    made = inflected()
    tags = [[t for _, t in own] for own in made]
    known = FeatureSet.fit([*tags, ["Case=Gen|Gender=Fem"]])
    assert tags_from(known.to_dict()) == known
    assert known.sizes == [3, 2, 3]
    for tag in {t for own in tags for t in own} | {"_", "Case=Nom|Gender=Fem|Number=Plur"}:
        assert known.decode(known.encode(tag)) == tag
    assert known.encode("Case=Dat") is None
    assert known.encode("Tense=Past") is None


def test_attributes_are_learned_each_by_itself():
    task = tag_task(inflected(250), letter_size=12, reading={"field": "xpos"})
    assert (task.decoder, task.marks, task.metric) == ("features", "features", "accuracy")
    network = task.network(NetworkOptions("gru", 16), 0)
    assert isinstance(network.head, FeatureHead)
    fit(network, task.problem(), FitSettings(lr=2e-2, epochs=5, batch_size=16))
    scores, baseline = task.errors(network).scores(), task.errors(MostFrequentTag(task)).scores()
    assert scores["accuracy"] > 0.9
    assert scores["OOV accuracy"] > 0.85 > baseline["OOV accuracy"]
    assert scores["feature F1"] >= scores["accuracy"]
    assert baseline["feature F1"] is not None
    assert scores["span F1"] is None


def test_a_bundle_training_never_had_is_found(tmp_path):
    """Plural genitives are only in the test part: as one label nobody could be right there."""
    rare, hits = "Case=Gen|Number=Plur", {}
    inside = [own for own in inflected(500) if all(t != rare for _, t in own)]
    outside = [own for own in inflected(120, 1) if any(t == rare for _, t in own)]
    reading = {"field": "xpos", "test": written(tmp_path, outside, "test.conllu")}
    for decoder in ("features", "softmax"):
        task = tag_task(inside, letter_size=12, decoder=decoder, reading=reading)
        network = task.network(NetworkOptions("gru", 16), 0)
        fit(network, task.problem(), FitSettings(lr=2e-2, epochs=6, batch_size=16))
        test = task.indices["test"]
        said = [tag for own in task.said(network, test) for tag in own]
        truth = [tag for k in test for tag in task.sentences.tags[k]]
        hits[decoder] = sum(a == b == rare for a, b in zip(said, truth, strict=True)) / truth.count(rare)
    assert hits["softmax"] == 0
    assert hits["features"] > 0.5


def test_f1_is_that_of_scikit_learn():
    rng = random.Random(0)
    values = ["_", "A=x", "A=y", "A=x|B=z", "B=z|C=w", "C=v"]
    truth = [rng.choices(values, k=6) for _ in range(40)]
    said = [[t if rng.random() < 0.6 else rng.choice(values) for t in own] for own in truth]
    found = tag_errors(truth, said, [[False] * 6] * 40, "features").scores()
    flat = [[[f"{a}={v}" for _, a, v in feature_pairs([tag])] for own in tags for tag in own] for tags in (truth, said)]
    binary = MultiLabelBinarizer().fit(flat[0] + flat[1])
    expected = f1_score(*(binary.transform(rows) for rows in flat), average="micro")
    assert found["feature F1"] == pytest.approx(expected, rel=1e-12)
    assert found["accuracy"] == pytest.approx(sum(a == b for a, b in zip(*flat)) / len(flat[0]))


def test_a_whole_bundle_may_still_be_one_label(tmp_path):
    made = inflected(120)
    task = tag_task(made, decoder="softmax", reading={"field": "xpos"})
    assert task.marks == "features"
    assert task.tags.longest == 1
    with pytest.raises(ConfigError, match="tags are none"):
        tag_task(decoder="features")
    with pytest.raises(ConfigError, match="mark no features"):
        tag_task(metric="feature F1")


@pytest.mark.parametrize("decoder", ["features", "softmax"])
def test_new_files_may_order_features_otherwise_and_must_hold_some(tmp_path, decoder):
    """In a file of columns, which says nothing of its tags."""
    lines = [[f"{word} {tag}" for word, tag in own] for own in inflected(120)]
    (tmp_path / "a.txt").write_text("\n\n".join("\n".join(own) for own in lines))
    tagger = Tagger("gru", 8, epochs=1, embedding=6, letter_size=6, decoder=decoder).fit(str(tmp_path / "a.txt"))
    turned = [" ".join(["ban", "Number=Plur|Case=Nom"]), "kis _"]
    (tmp_path / "b.txt").write_text("\n".join(turned))
    (tmp_path / "c.txt").write_text("ban Case=Nom|Number=Plur\nkis _")
    scores = [tagger.evaluate(str(tmp_path / name)) for name in ("b.txt", "c.txt")]
    assert scores[0] == scores[1]
    (tmp_path / "d.txt").write_text("ban NOUN\n")
    with pytest.raises(DataError, match=r"'NOUN' are no features at 'ban' \(sentence from line 1 of d\.txt\)"):
        tagger.evaluate(str(tmp_path / "d.txt"))


def test_it_predicts_and_comes_back(tmp_path):
    path = written(tmp_path, inflected(120))
    tagger = Tagger("gru", 8, epochs=1, embedding=6, letter_size=6).fit(path, field="xpos", out=tmp_path / "run")
    again = load_run(tmp_path / "run")
    assert again.predict(path).equals(tagger.predict(path))
    assert all(parse_features(tag) is not None for tag in again.predict(path)["tag"])
    assert again.evaluate()["network"] == tagger.evaluate()["network"]


def test_malformed_features_of_a_treebank_are_named_by_line(tmp_path):
    path = tmp_path / "a.conllu"
    path.write_text("1\ta\t_\tX\tX\tCase=Nom\t0\t_\t_\t_\n2\tb\t_\tX\tX\tCase:Nom\t0\t_\t_\t_\n")
    with pytest.raises(DataError, match=r"'Case:Nom' are no features in line 2 of a\.conllu"):
        read_sentences(path, "feats")


@pytest.mark.parametrize(("part", "attributes"), [("train", 15)])
def test_the_features_of_english_come_back_as_they_are_written(part, attributes):
    found = read_sentences(real(f"ud-english-ewt/en_ewt-ud-{part}.conllu"), "feats")
    known = FeatureSet.fit(found.tags)
    bundles = {tag for own in found.tags for tag in own}
    assert all(known.decode(known.encode(tag)) == tag for tag in bundles)
    assert len(known.values) >= attributes
    assert known.count < len(bundles) + len(known.values), "fewer values than bundles"


def test_a_treebank_is_prepared_with_its_features():
    path = str(real("ud-english-ewt/en_ewt-ud-dev.conllu"))
    from tasks.tagging import options_of

    task = prepare(path, TagData("feats"), options_of({}))
    assert task.decoder == "features"
    assert task.tags.told().endswith("each attribute of a word by itself")
