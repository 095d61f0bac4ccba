"""Fields learned beside the tags, and words read as unknown: both in training alone."""

import numpy as np
import pytest
import torch

from tasks.tagging import sentences, tag_task
from unroll import Tagger
from unroll.errors import ConfigError
from unroll.models.tag import FeatureHead, MorphemeHead, SequenceHead
from unroll.tasks import NetworkOptions, TagData, load_run, prepare
from unroll.tasks.tag.task import padded_numbers

NETWORK = NetworkOptions("gru", 5)


def treebank(folder, made=None):
    """UPOS of a word, XPOS of its morphemes, and a feature."""
    made = sentences(joined=True) if made is None else made
    lines = []
    for own in made:
        for k, (word, tag) in enumerate(own, 1):
            case = {"n": "Case=Nom", "s": "Case=Gen"}.get(word[-1], "_")
            lines.append(f"{k}\t{word}\t_\t{tag.partition('+')[0]}\t{tag}\t{case}\t0\t_\t_\t_")
        lines.append("")
    path = folder / "a.conllu"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return str(path)


def task_of(folder, *beside, **options):
    from tasks.tagging import options_of

    return prepare(treebank(folder), TagData(beside=beside), options_of(options))


def test_the_loss_of_training_is_that_of_every_head(tmp_path):
    task = task_of(tmp_path, "xpos", "feats")
    network = task.network(NETWORK, 0).double().eval()
    assert [type(h) for h in (network.head, *network.beside)] == [SequenceHead, MorphemeHead, FeatureHead]
    some = task.part("train")[:9]
    batch = task.encoded.batch(some)
    r = network.reader(batch)
    expected = sum(
        head.loss(r, batch, padded_numbers(task.encoded, numbers, some, batch))
        for head, numbers in zip((network.head, *network.beside), (task.numbers, *(own.numbers for own in task.beside)))
    )
    total, words = task.problem().loss(network, torch.arange(9))
    torch.testing.assert_close(total, expected, rtol=1e-12, atol=0)
    assert int(words) == sum(len(task.sentences.words[k]) for k in some)


def test_validation_and_predictions_know_of_none(tmp_path):
    alone, with_others = task_of(tmp_path), task_of(tmp_path, "xpos", "feats")
    one, other = alone.network(NETWORK, 0), with_others.network(NETWORK, 1)
    own = other.state_dict()
    one.load_state_dict({name: value for name, value in own.items() if not name.startswith("beside")})
    one.eval(), other.eval()
    assert alone.problem().validation_loss(one) == with_others.problem().validation_loss(other)
    test = alone.part("test")
    assert alone.said(one, test) == with_others.said(other, test)


def test_only_the_training_part_of_another_field_is_read(tmp_path):
    task = task_of(tmp_path, "xpos")
    learned = np.zeros(len(task.sentences), bool)
    learned[task.part("train")] = True
    of_word = np.repeat(learned, [len(own) for own in task.sentences.words])
    (beside,) = task.beside
    assert (beside.numbers[~of_word] == -1).all()
    assert (beside.numbers[of_word] >= 0).all()


def test_a_run_with_others_predicts_again_as_it_did(tmp_path):
    path = treebank(tmp_path)
    tagger = Tagger("gru", 6, epochs=2, embedding=4, letter_size=4, word_dropout=0.3)
    tagger.fit(path, field="upos", beside=["xpos", "feats"], out=tmp_path / "run")
    assert load_run(tmp_path / "run").predict().equals(tagger.predict())


@pytest.mark.parametrize("field", ["upos", "upso"])
def test_a_field_that_cannot_be_learned_beside_is_named(tmp_path, field):
    with pytest.raises(ConfigError, match=f"--beside {field}"):
        task_of(tmp_path, field)


def test_words_are_dropped_in_training_alone_and_their_letters_stay():
    task = tag_task(word_dropout=0.4, min_count=1)
    network = task.network(NETWORK, 0).double()
    reader = network.reader
    batch = task.encoded.batch(task.part("train"))
    width, valid = reader.word.embedding_dim, batch.valid
    network.eval()
    known, letters = (part[valid] for part in reader.read(batch).split([width, reader.encoder.input_size - width], -1))
    network.train()
    torch.manual_seed(0)
    read, same = (part[valid] for part in reader.read(batch).split([width, reader.encoder.input_size - width], -1))
    assert torch.equal(same, letters)
    unknown = (read == reader.word.weight[0]).all(-1)
    assert ((read == known).all(-1) | unknown).all()
    assert 0.3 < unknown.double().mean() < 0.5


@pytest.mark.parametrize("share", [-0.1, 1.0])
def test_a_share_of_words_that_is_none_is_refused(share):
    with pytest.raises(ConfigError, match="--word-dropout"):
        tag_task(word_dropout=share)
