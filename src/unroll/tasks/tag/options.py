"""The options of tagging: how sentences are read, and what is learned of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from unroll.data.examples.sentences import FIELDS
from unroll.errors import ConfigError
from unroll.options import NETWORK, TRAINING, option
from unroll.tasks.checks import RandomSplit, check_choice, check_counts, check_share
from unroll.tasks.tag.errors import METRICS

DECODERS = ("softmax", "crf", "morphemes", "features")
LETTERS, LETTERS_JOINED = ("character", "jamo"), "+"


@dataclass(frozen=True)
class TagData:
    """How the sentences are read; each is the command-line option of the same name."""

    field: str = option(
        "What of a CoNLL-U file is the tag: " + ", ".join(FIELDS) + ", or misc:KEY.", "upos", metavar="NAME"
    )
    word_column: int = option("Column of the words in a file of columns.", 1, metavar="N")
    tag_column: int | None = option("Column of the tags in a file of columns.", metavar="N", shown="the last")
    beside: tuple[str, ...] = option(
        "Another field of the CoNLL-U file to learn beside it, which helps where it says more; repeat it.",
        (),
        metavar="NAME",
        shown="none",
    )
    valid: str | None = option("File to validate on.", metavar="FILE", shown="a part of DATA")
    test: str | None = option("File to score on.", metavar="FILE", shown="a part of DATA")


READING = ("field", "word_column", "tag_column")
"""What may differ when a run reads new data."""


@dataclass(frozen=True)
class TagOptions(RandomSplit):
    """What is learned; each is the command-line option of the same name. None is chosen from the training data."""

    task: ClassVar[str] = "tag"
    decoder: str | None = option(
        "How tags are chosen: softmax (each by itself), crf (the best sequence), morphemes (several to a word), or "
        "features (each attribute by itself).",
        metavar="NAME",
        shown="features for Case=Nom|…, morphemes where tags are joined by --joint, else softmax",
        under=NETWORK,
    )
    joint: str = option("What joins the tags of the morphemes of a word.", "+", metavar="TEXT")
    letters: str | None = option(
        "What words are spelled in: character, jamo, or both: jamo+character.",
        metavar="NAME",
        shown="both for Korean, else character",
    )
    keep_case: bool = option("Tell words apart by case (their letters always are).", False)
    min_count: int = option("Rarer words have no vector of their own.", 2, metavar="N")
    embedding: int = option("Width of a word's vector.", 64, metavar="N", under=NETWORK)
    letter_size: int = option("Width of what reads a word's letters, each way.", 32, metavar="N", under=NETWORK)
    one_way: bool = option("Read sentences from left to right alone.", False, under=NETWORK)
    word_dropout: float = option(
        "Share of words read as unknown in training, so that their letters must tell.", 0.0, metavar="P", under=NETWORK
    )
    split: str = option("Train, valid, test: fractions or counts.", "0.8,0.1,0.1", metavar="A,B,C")
    split_seed: int = option("Of the random split.", 0, metavar="N")
    label_smoothing: float = option(
        "Share of a label's probability given to all labels alike, in training.", 0.0, metavar="SHARE", under=TRAINING
    )
    batch_tokens: int = option(
        "At most this many words per training step, padding included.", 4_096, metavar="N", under=TRAINING
    )
    metric: str | None = option(
        "What decides: " + ", ".join(METRICS) + ".",
        metavar="NAME",
        shown="span F1 where tags mark spans, else accuracy",
        under=TRAINING,
    )

    def check(self) -> None:
        """Raises ConfigError naming the option that is wrong."""
        check_choice("decoder", self.decoder, DECODERS)
        units = [] if self.letters is None else self.letters.split(LETTERS_JOINED)
        for unit in units:
            check_choice("letters", unit, LETTERS)
        if len(set(units)) < len(units):
            raise ConfigError(f"--letters {self.letters}", expected="each kind once, as --letters jamo+character")
        check_choice("metric", self.metric, METRICS)
        check_counts(self, ("min_count", "embedding", "letter_size", "batch_tokens"))
        check_share("label-smoothing", self.label_smoothing)
        check_share("word-dropout", self.word_dropout)
        if self.label_smoothing and self.decoder == "crf":
            raise ConfigError(
                f"--label-smoothing {self.label_smoothing:g} with --decoder crf",
                expected="a decoder that chooses each tag by itself: a CRF's likelihood is of whole sequences",
                fix="Remove --label-smoothing, or give --decoder softmax",
            )
        if not self.joint:
            raise ConfigError("--joint ''", expected="a character or more, as --joint +")
        self.shares()
