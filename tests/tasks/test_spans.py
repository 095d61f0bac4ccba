"""Spans of tags: against conlleval's own rules, written out again, against seqeval, and against a pattern."""

import itertools
import random
import re

import pytest

from tasks.tagging import sentences
from unroll.tasks.tag.spans import are_spans, spans_of

BIO = ("O", "B-A", "I-A", "B-B", "I-B")
BIOES = (*BIO, "E-A", "S-A", "E-B", "S-B")


def by_conlleval(tags):
    """conlleval.pl's endOfChunk and startOfChunk, which look at a tag and the one before it."""
    found, begun = set(), None
    pairs = [(t[0], t[2:]) for t in tags]
    for k, ((p, pk), (t, tk)) in enumerate(zip([("O", ""), *pairs], [*pairs, ("O", "")], strict=True)):
        ends = (p in "ES") or (p in "BI" and t in "BSO") or (p != "O" and pk != tk)
        starts = t in "BS" or (p in "ES" and t in "EI") or (p == "O" and t in "EI") or (t != "O" and pk != tk)
        if ends and begun is not None:
            found.add((begun, k - 1, pk))
            begun = None
        if starts:
            begun = k
    return found


@pytest.mark.parametrize("length", range(6))
def test_every_short_sequence_of_bio_tags_is_read_as_conlleval_reads_it(length):
    for tags in itertools.product(BIO, repeat=length):
        assert spans_of(tags) == by_conlleval(tags), tags


def random_tags(kinds, seed, count=3000):
    rng = random.Random(seed)
    return [rng.choices(kinds, k=rng.randint(0, 9)) for _ in range(count)]


@pytest.mark.parametrize("kinds", [BIO, BIOES], ids=["BIO", "BIOES"])
def test_any_tags_are_read_as_seqeval_reads_them(kinds):
    labeling = pytest.importorskip("seqeval.metrics.sequence_labeling", reason="seqeval is not installed")
    for tags in random_tags(kinds, 0):
        assert spans_of(tags) == {(a, b, kind) for kind, a, b in labeling.get_entities(tags)}, tags
        assert spans_of(tags) == by_conlleval(tags), tags


@pytest.mark.parametrize("kinds", [BIO, BIOES], ids=["BIO", "BIOES"])
def test_f1_is_that_of_seqeval(kinds):
    metrics = pytest.importorskip("seqeval.metrics", reason="seqeval is not installed")
    from unroll.tasks.tag.errors import tag_errors

    truth = [tags for tags in random_tags(kinds, 1, 300) if tags]
    rng = random.Random(2)
    said = [[t if rng.random() < 0.7 else rng.choice(kinds) for t in tags] for tags in truth]
    new = [[False] * len(tags) for tags in truth]
    found = tag_errors(truth, said, new, "spans").scores()["span F1"]
    assert found == pytest.approx(metrics.f1_score(truth, said), rel=1e-12)


def by_pattern(tags):
    """Spans of well-formed tags, found by a pattern over their letters."""
    found = set()
    for kind in sorted({t[2:] for t in tags if t != "O"}):
        text = "".join(t[0] if t[2:] == kind else "." for t in tags)
        found |= {(m.start(), m.end() - 1, kind) for m in re.finditer("BI*E|S|BI*", text)}
    return found


def as_bioes(tags):
    after = [*tags[1:], "O"]
    return [t if t == "O" else {"B": "BS", "I": "IE"}[t[0]][n != f"I-{t[2:]}"] + t[1:] for t, n in zip(tags, after)]


@pytest.mark.parametrize("seed", range(3))
def test_well_formed_spans_are_the_same_in_every_scheme(seed):
    for own in sentences(60, seed, spans=True):
        tags = [t for _, t in own]
        bioes = as_bioes(tags)
        bilou = [t.replace("E-", "L-").replace("S-", "U-") for t in bioes]
        assert spans_of(tags) == by_pattern(tags) == spans_of(bioes) == by_pattern(bioes) == spans_of(bilou)


@pytest.mark.parametrize(
    ("tags", "spans"),
    [
        ([], set()),
        (["I-A", "I-A"], {(0, 1, "A")}),
        (["O", "I-A", "B-A", "I-A", "O"], {(1, 1, "A"), (2, 3, "A")}),
        (["B-A", "I-B"], {(0, 0, "A"), (1, 1, "B")}),
        (["B-A", "B-A", "O", "I-A"], {(0, 0, "A"), (1, 1, "A"), (3, 3, "A")}),
        (["B-A-b", "I-A-b"], {(0, 1, "A-b")}),
        (["O", "X", "B-"], set()),
    ],
)
def test_odd_sequences_by_hand(tags, spans):
    assert spans_of(tags) == spans


@pytest.mark.parametrize(
    ("tags", "are"),
    [
        (["O", "B-P"], True),
        (["O", "I-P"], True),
        (["B-P", "I-P", "E-P", "S-Q"], True),
        (["B-P", "L-P", "U-Q", "O"], True),
        (["O", "O"], False),
        (["B-P", "NOUN"], False),
        (["B-P", "E-P", "U-P"], False),
        (["B", "I"], False),
    ],
)
def test_tags_that_mark_spans_are_known(tags, are):
    assert are_spans(tags) == are
