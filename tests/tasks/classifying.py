"""Small examples to classify, for the tests."""

import numpy as np
import polars as pl

from unroll.tasks import ClassifyData, ClassifyOptions, prepare

GOOD, BAD = ("good", "lovely", "fine", "좋다"), ("bad", "dull", "sad", "나쁘다")
REST = ("the", "film", "was", "a", "story", "of", "people", "영화")


def reviews(rows=120, seed=0, classes=("n", "p")):
    """Documents whose class is that of their one telling word."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, len(classes), size=rows)
    texts = []
    for label in labels:
        words = [*rng.choice(REST, size=rng.integers(0, 12)), rng.choice((BAD, GOOD)[label % 2])]
        texts.append(" ".join(rng.permutation(words)))
    return pl.DataFrame({"document": texts, "label": [classes[k] for k in labels]})


def waves(rows=60, seed=0, channels=2):
    """Sequences of unequal length, fast or slow, and their labels."""
    rng = np.random.default_rng(seed)
    labels = ["slow" if k % 2 else "fast" for k in range(rows)]
    sequences = []
    for label in labels:
        t = np.arange(rng.integers(10, 25))[:, None] + rng.uniform(0, 6, size=channels)
        sequences.append(np.sin(t * (0.3 if label == "slow" else 1.5)) + 0.1 * rng.normal(size=t.shape))
    return sequences, labels


def text_task(data=None, *, reading=None, **options):
    data = reviews() if data is None else data
    return prepare(data, ClassifyData(**{"text": "document", "label": "label"} | (reading or {})), options_of(options))


def wave_task(data=None, *, reading=None, **options):
    return prepare(waves() if data is None else data, ClassifyData(**(reading or {})), options_of(options))


def options_of(options):
    return ClassifyOptions(**{"embedding": 4, "batch_tokens": 200} | options)
