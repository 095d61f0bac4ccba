"""Real data, a small part of it: what is published of it, and that what should be learned is."""

import csv

import numpy as np
import pytest

from realdata import real
from unroll import Classifier
from unroll.data import read_ts_examples
from unroll.tasks import ClassifyData, ClassifyOptions, prepare
from unroll.tasks.classify.baselines import NearestNeighbour
from unroll.tasks.classify.dtw import dtw_distances

NSMC_OPTIONS = {"text": "document", "label": "label", "delimiter": "tab"}


def part_of(path, folder, rows):
    """The first ``rows`` rows of a file, as they are."""
    whole = path.read_bytes().splitlines(keepends=True)
    (folder / path.name).write_bytes(b"".join(whole[: rows + 1]))
    return str(folder / path.name)


def test_nsmc_is_read_whole():
    """150,000 and 50,000 reviews; 5 and 3 are empty; 1,571 of the test texts are in the training file."""
    train, test = real("nsmc/ratings_train.txt"), real("nsmc/ratings_test.txt")
    from unroll.data import read_documents

    a, b = (read_documents(path, "document", "label", delimiter="tab") for path in (train, test))
    assert (len(a), len(b)) == (150_000, 50_000)
    assert ([*a.texts].count(""), [*b.texts].count("")) == (5, 3)
    assert len(set(a.labels)) == 2
    with open(train, encoding="utf-8", newline="") as stream:
        assert [row["document"] for row in csv.DictReader(stream, delimiter="\t")] == list(a.texts)
    known = set(a.texts)
    assert sum(text in known for text in b.texts) == 1571


def test_a_few_thousand_reviews_teach_something(tmp_path):
    train = part_of(real("nsmc/ratings_train.txt"), tmp_path, 6000)
    test = part_of(real("nsmc/ratings_test.txt"), tmp_path, 1000)
    made = Classifier("gru", 32, epochs=2, embedding=32, pooling="max", longest=60)
    made.fit(train, test=test, **NSMC_OPTIONS)
    assert made.task.input.vocabulary.unit == "character"
    found = made.evaluate()
    assert found["network"]["accuracy"] > 0.68
    assert found["baselines"]["majority"]["accuracy"] < 0.55
    (linear,) = (b for b in made.task.baselines()[0] if b.name.startswith("TF-IDF"))
    assert made.task.errors(linear).scores()["accuracy"] > 0.72


@pytest.mark.parametrize(
    ("name", "published"),
    [("ItalyPowerDemand", 0.950), ("GunPoint", 0.907), ("BasicMotions", 0.975), ("JapaneseVowels", 0.949)],
)
def test_the_nearest_neighbour_by_dtw_errs_as_published(name, published):
    """Without a window, on values as they are: timeseriesclassification.com, several channels warped together."""
    train, test = (read_ts_examples(real(f"ucr-uea/{name}/{name}_{part}.ts")) for part in ("TRAIN", "TEST"))
    nearest = dtw_distances(list(test.sequences), list(train.sequences)).argmin(axis=1)
    right = np.mean([train.labels[k] == label for k, label in zip(nearest, test.labels, strict=True)])
    assert right == pytest.approx(published, abs=0.0006)


@pytest.mark.parametrize(("name", "published"), [("ItalyPowerDemand", 0.950), ("GunPoint", 0.907)])
def test_the_baseline_is_that_neighbour(name, published):
    """One channel, standardised as a whole, has the same neighbours."""
    train, test = (str(real(f"ucr-uea/{name}/{name}_{part}.ts")) for part in ("TRAIN", "TEST"))
    task = prepare(train, ClassifyData(valid=test, test=test), ClassifyOptions())
    assert task.errors(NearestNeighbour(task)).scores()["accuracy"] == pytest.approx(published, abs=0.0006)


def test_italian_power_demand_is_learned():
    paths = [str(real(f"ucr-uea/ItalyPowerDemand/ItalyPowerDemand_{part}.ts")) for part in ("TRAIN", "TEST")]
    made = Classifier("lstm", 16, epochs=6, lr=1e-2).fit(paths[0], test=paths[1])
    assert made.evaluate()["network"]["accuracy"] > 0.9
    assert made.predict(paths[1])["probability"].is_finite().all()
