"""The options of tagging: how sentences are read, and what is learned of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from unroll.data.sentences import FIELDS
from unroll.data.split import Split, parse_split
from unroll.errors import ConfigError, did_you_mean
from unroll.options import NETWORK, TRAINING, option
from unroll.tasks.tag_errors import METRICS

DECODERS = ("softmax", "crf", "morphemes")
LETTERS = ("character", "jamo")


@dataclass(frozen=True)
class TagData:
    """How the sentences are read; each is the command-line option of the same name."""

    field: str = option("What of a CoNLL-U file is the tag: " + ", ".join(FIELDS) + ".", "upos", metavar="NAME")
    word_column: int = option("Column of the words in a file of columns.", 1, metavar="N")
    tag_column: int | None = option("Column of the tags in a file of columns.", metavar="N", shown="the last")
    valid: str | None = option("File to validate on.", metavar="FILE", shown="a part of DATA")
    test: str | None = option("File to score on.", metavar="FILE", shown="a part of DATA")


READING = ("field", "word_column", "tag_column")
"""What may differ when a run reads new data."""


@dataclass(frozen=True)
class TagOptions:
    """What is learned; each is the command-line option of the same name. None is chosen from the training data."""

    task: ClassVar[str] = "tag"
    decoder: str | None = option(
        "How tags are chosen: softmax (each by itself), crf (the best sequence), or morphemes (several to a word).",
        metavar="NAME",
        shown="morphemes where tags are joined by --joint, else softmax",
        under=NETWORK,
    )
    joint: str = option("What joins the tags of the morphemes of a word.", "+", metavar="TEXT")
    letters: str | None = option(
        "What words are spelled in: character or jamo.", metavar="NAME", shown="jamo for Korean, else character"
    )
    keep_case: bool = option("Tell words apart by case (their letters always are).", False)
    min_count: int = option("Rarer words have no vector of their own.", 2, metavar="N")
    embedding: int = option("Width of a word's vector.", 64, metavar="N", under=NETWORK)
    letter_size: int = option("Width of what reads a word's letters, each way.", 32, metavar="N", under=NETWORK)
    one_way: bool = option("Read sentences from left to right alone.", False, under=NETWORK)
    split: str = option("Train, valid, test: fractions or counts.", "0.8,0.1,0.1", metavar="A,B,C")
    split_seed: int = option("Of the random split.", 0, metavar="N")
    batch_tokens: int = option(
        "At most this many words per training step, padding included.", 4_096, metavar="N", under=TRAINING
    )
    metric: str = option("What decides: " + ", ".join(METRICS) + ".", "accuracy", metavar="NAME", under=TRAINING)

    def check(self) -> None:
        """Raises ConfigError naming the option that is wrong."""
        for name, value, known in (
            ("decoder", self.decoder, DECODERS),
            ("letters", self.letters, LETTERS),
            ("metric", self.metric, METRICS),
        ):
            if value is not None and value not in known:
                raise ConfigError(
                    f"--{name} '{value}'.{did_you_mean(value, known)}", expected=f"one of {', '.join(known)}"
                )
        for name in ("min_count", "embedding", "letter_size", "batch_tokens"):
            value = getattr(self, name)
            if not isinstance(value, int) or value < 1:
                raise ConfigError(f"--{name.replace('_', '-')} {value}", expected="a whole number above 0")
        if not self.joint:
            raise ConfigError("--joint ''", expected="a character or more, as --joint +")
        if self.split_seed < 0:
            raise ConfigError(f"--split-seed {self.split_seed}", expected="0 or more")
        self.shares()

    def shares(self) -> Split:
        """The split. Raises ConfigError."""
        return parse_split(self.split)
