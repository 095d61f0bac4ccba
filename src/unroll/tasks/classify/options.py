"""The options of classifying: how examples are read, and what is learned of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from unroll.data.examples.tokens import check_unit
from unroll.errors import ConfigError
from unroll.models import POOLINGS
from unroll.options import NETWORK, TRAINING, option
from unroll.tasks.checks import RandomSplit, check_choice, check_counts, check_share
from unroll.tasks.classify.errors import METRICS

WEIGHTS = ("none", "balanced")
SCALES = ("standard", "none")


@dataclass(frozen=True)
class ClassifyData:
    """How the examples are read; each is the command-line option of the same name."""

    text: str | None = option("Column of the documents.", metavar="COLUMN")
    label: str | None = option("Column of the labels.", metavar="COLUMN")
    sequence: str | None = option(
        "Column that says which sequence a row of numbers belongs to (instead of --text).", metavar="COLUMN"
    )
    value: tuple[str, ...] = option(
        "Column of numbers to read; repeat it.", (), metavar="COLUMN", shown="every one of numbers"
    )
    time: str | None = option("Column that orders the rows of a sequence.", metavar="COLUMN", shown="the file's order")
    valid: str | None = option("File to validate on.", metavar="FILE", shown="a part of DATA")
    test: str | None = option("File to score on.", metavar="FILE", shown="a part of DATA")
    delimiter: str | None = option("Between the columns of a text file.", metavar="CHAR", shown="comma; tab for .tsv")
    no_quotes: bool = option("Quotes are characters like any other.", False)
    na: tuple[str, ...] = option("Text that means a missing number; repeat it.", (), metavar="TEXT")
    missing: str = option("Missing numbers: an error, or carry: the last value again.", "error", metavar="error|carry")
    drop_bad_rows: bool = option("Leave out examples without a label.", False)


READING = ("text", "label", "sequence", "time", "delimiter", "no_quotes", "na", "missing", "drop_bad_rows")
"""What may differ when a run reads new data."""


@dataclass(frozen=True)
class ClassifyOptions(RandomSplit):
    """What is learned; each is the command-line option of the same name. None is chosen from the training data."""

    task: ClassVar[str] = "classify"
    unit: str | None = option(
        "What a token is: word, character (a Hangul syllable is one), jamo or subword.",
        metavar="NAME",
        shown="character for Korean, Japanese and Chinese, else word",
    )
    keep_case: bool = option("Tell upper and lower case apart.", False)
    min_count: int = option("Rarer tokens are unknown.", 2, metavar="N")
    vocabulary: int = option("At most this many tokens, and runs of each length.", 30_000, metavar="N")
    ngrams: int = option("Each step also has the runs of up to N tokens that end at it (2 to 4).", 1, metavar="N")
    longest: int = option("Documents are cut to their first N tokens.", 1_000, metavar="N")
    scale: str | None = option(
        "Numbers: standard: with the mean and deviation of training; none: as they are.",
        metavar="standard|none",
        shown="none for images, else standard",
    )
    permute: int | None = option(
        "Read the steps of every sequence in one random order, drawn from this seed.",
        metavar="SEED",
        shown="as they come",
    )
    embedding: int = option("Width of a token's vector.", 64, metavar="N", under=NETWORK)
    pooling: str = option(
        "From steps to one vector: " + ", ".join(POOLINGS) + ".", "last", metavar="NAME", under=NETWORK
    )
    bidirectional: bool = option("Read both ways.", False, under=NETWORK)
    split: str = option("Train, valid, test: fractions or counts.", "0.8,0.1,0.1", metavar="A,B,C")
    split_seed: int = option("Of the random split.", 0, metavar="N")
    class_weight: str = option(
        "Weights of the classes in the loss: none, or balanced: rare ones count more.",
        "none",
        metavar="none|balanced",
        under=TRAINING,
    )
    label_smoothing: float = option(
        "Share of a label's probability given to all labels alike, in training.", 0.0, metavar="SHARE", under=TRAINING
    )
    batch_tokens: int = option(
        "At most this many steps per training step, padding included.", 16_384, metavar="N", under=TRAINING
    )
    metric: str = option("What decides: " + ", ".join(METRICS) + ".", "accuracy", metavar="NAME", under=TRAINING)

    def check(self) -> None:
        """Raises ConfigError naming the option that is wrong."""
        if self.unit is not None:
            check_unit(self.unit)
        check_choice("pooling", self.pooling, tuple(POOLINGS))
        check_choice("class-weight", self.class_weight, WEIGHTS)
        check_choice("metric", self.metric, METRICS)
        check_choice("scale", self.scale, SCALES)
        check_counts(self, ("min_count", "ngrams", "vocabulary", "longest", "embedding", "batch_tokens"))
        check_share("label-smoothing", self.label_smoothing)
        if self.permute is not None and self.permute < 0:
            raise ConfigError(f"--permute {self.permute}", expected="0 or more: a seed")
        self.shares()
