"""Tagging: a sentence of words in, a tag for each out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from unroll.data.sentences import Sentences, joined_share
from unroll.errors import ConfigError, DataError
from unroll.models.tag import FeatureTagger, MorphemeTagger, SequenceTagger, WordBatch, WordEncoder
from unroll.tasks import tag_result as result
from unroll.tasks.contract import TaskKind
from unroll.tasks.network import NetworkOptions, build_encoder
from unroll.tasks.ragged import RaggedProblem, RaggedTask, each_batch
from unroll.tasks.tag_baselines import MostFrequentTag
from unroll.tasks.tag_errors import FEATURES, METRICS, SPANS, TagErrors, marks_of, tag_errors
from unroll.tasks.tag_inputs import EncodedSentences, WordInput
from unroll.tasks.tag_options import READING, TagData, TagOptions
from unroll.tasks.tag_reading import read_tagged, rewritten
from unroll.tasks.tag_sets import FeatureSet, Tags, TagSet

if TYPE_CHECKING:
    from unroll.tasks.estimator import Estimator

AnyTagger = SequenceTagger | MorphemeTagger | FeatureTagger
CHUNK = 256
_OTHERWISE = "Give --metric accuracy, or another --field or --tag-column"
JOINED = 0.05
"""Where at least this share of the training tags is several, joined, each word gets a sequence of tags."""


@dataclass(frozen=True, eq=False)
class TagTask(RaggedTask):
    """Sentences ready to learn from: split, encoded, numbered. Build it with ``prepare``.

    Attributes:
        encoded: all sentences as the network reads them; ``numbers`` the tags of all their words, (words, longest),
            -1 of a word whose tag cannot be written.
        decoder: as given, or as found in the training tags; ``marks``: what those are beside themselves.
    """

    name: ClassVar[str] = "tag"
    metrics: ClassVar[Sequence[str]] = METRICS
    higher: ClassVar[Sequence[str]] = METRICS
    words: ClassVar[Any] = result
    chunk: ClassVar[int] = CHUNK
    what = "sentence"

    sentences: Sentences
    indices: Mapping[str, np.ndarray]
    data: TagData
    options: TagOptions
    input: WordInput
    tags: Tags
    decoder: str
    encoded: EncodedSentences
    numbers: np.ndarray
    notes: tuple[str, ...]
    source_name: str
    marks: str

    @property
    def metric(self) -> str:  # type: ignore[override]
        return self.options.metric or ("span F1" if self.marks == SPANS else self.fallback)

    @property
    def source(self) -> str:
        return self.source_name

    @property
    def fingerprint(self) -> str:
        return self.sentences.fingerprint

    @property
    def lengths(self) -> np.ndarray:
        return self.encoded.lengths

    def part(self, name: str) -> np.ndarray:
        return self.indices[name]

    def where(self, index: int) -> str:
        return self.sentences.where(index)

    def read_width(self) -> int:
        return self.options.embedding + 2 * self.options.letter_size

    def directions(self) -> int:
        return 1 if self.options.one_way else 2

    def choices(self) -> list[str]:
        return [self.input.told(), self.tags.told(), *self.notes]

    def build(self, options: NetworkOptions) -> nn.Module:
        return build_tagger(options, self.options, self.input, self.tags, self.decoder)

    def problem(self) -> TagProblem:
        return TagProblem(self)

    def baselines(self) -> tuple[list[MostFrequentTag], list[str]]:
        return [MostFrequentTag(self)], []

    def said(self, predictor: Any, indices: np.ndarray) -> list[list[str]]:
        """The tags a network or baseline gives to each sentence."""
        if not isinstance(predictor, nn.Module):
            return list(predictor.tags([self.sentences.words[k] for k in indices]))
        return network_tags(predictor, self.encoded, self.tags, indices, self.options.batch_tokens)

    def errors(self, predictor: Any, part: str = "test") -> TagErrors:
        indices = self.unseen(part)
        truth = [[str(tag) for tag in self.sentences.tags[k]] for k in indices]
        new = [self.input.new(self.sentences.words[k]) for k in indices]
        return tag_errors(truth, self.said(predictor, indices), new, self.marks)


class TagProblem(RaggedProblem):
    """Positions in the training part of a ``TagTask``; validation leaves out sentences with a tag it cannot write."""

    def __init__(self, task: TagTask) -> None:
        offsets = task.encoded.types.offsets
        whole = [k for k in task.part("valid") if (task.numbers[offsets[k] : offsets[k + 1]] >= 0).all()]
        super().__init__(task, np.array(whole, dtype=np.int64))
        self.task = task

    def error(self, network: nn.Module, examples: np.ndarray, smoothing: float = 0.0) -> tuple[Tensor, Tensor]:
        device = next(network.parameters()).device
        batch = self.task.encoded.batch(examples)
        y = _padded_numbers(self.task, examples, batch)
        loss = network.loss(batch.to(device), y.to(device), smoothing)  # type: ignore[operator]
        return loss, batch.lengths.sum().to(device)


def _padded_numbers(task: TagTask, sentences: np.ndarray, batch: WordBatch) -> Tensor:
    offsets, lengths = task.encoded.types.offsets[sentences], batch.lengths.numpy()
    steps = np.arange(batch.words.shape[1])
    within = steps < lengths[:, None]
    y = np.zeros((*within.shape, task.tags.longest), dtype=np.int64)
    y[within] = task.numbers[(offsets[:, None] + steps)[within]]
    return torch.from_numpy(y)


def network_tags(
    network: Any, encoded: EncodedSentences, tags: Tags, indices: np.ndarray, budget: int
) -> list[list[str]]:
    """The tags of each sentence, in the order of ``indices``."""

    def read(sentences: np.ndarray, device: torch.device) -> list[list[str]]:
        words = encoded.batch(sentences)
        numbers = network.decode(words.to(device)).cpu().tolist()
        return [[tags.decode(n) for n in own[:length]] for own, length in zip(numbers, words.lengths.tolist())]

    found: list[list[str]] = [[] for _ in indices]
    for places, said in each_batch(network, encoded.lengths, indices, CHUNK, budget, read):
        for place, own in zip(places, said):
            found[place] = own
    return found


def build_tagger(network: NetworkOptions, options: TagOptions, input: WordInput, tags: Tags, decoder: str) -> AnyTagger:
    """The network ``network`` and ``options`` describe; letters are read by the same kind of cell as words."""
    small = NetworkOptions(network.cell, options.letter_size)
    letters = build_encoder(small, options.letter_size, bidirectional=True)
    encoder = build_encoder(network, options.embedding + letters.output_size, bidirectional=not options.one_way)
    reader = WordEncoder(len(input.words) + 1, len(input.letters), options.embedding, letters, encoder, network.dropout)
    if decoder == "morphemes":
        return MorphemeTagger(reader, tags.count, tags.longest, width=network.hidden)
    if isinstance(tags, FeatureSet):
        return FeatureTagger(reader, tags.sizes)
    return SequenceTagger(reader, tags.count, crf=decoder == "crf")


def prepare(source: Any, data: TagData, options: TagOptions) -> TagTask:
    """Read, check, split and encode ``source``; what is fitted is fitted on the training part alone.

    Raises:
        DataError: the data cannot be used; the message names file and line.
        ConfigError: an option is wrong.
    """
    options.check()
    sentences, indices, notes, name = read_tagged(source, data, options)
    train = indices["train"]
    held = [[str(tag) for tag in sentences.tags[k]] for k in train]
    every = [tag for own in held for tag in own]
    if len(set(every)) == 1:
        raise DataError(
            f"every training word of {name} has the tag '{every[0]}'",
            expected="two tags or more",
            fix="Give another --field or --tag-column",
        )
    marks = marks_of(every)
    _check_metric(options.metric, marks)
    decoder = options.decoder or _usual_decoder(held, marks, options.joint)
    input = WordInput.fit([sentences.words[k] for k in train], options)
    tags = fitted_tags(held, decoder, marks, options.joint)
    sentences = rewritten(sentences, tags)
    known: dict[str, list[int] | None] = {}
    rows = []
    for own in sentences.tags:
        for tag in own:
            own_numbers = known.setdefault(str(tag), tags.encode(str(tag)))
            rows.append(own_numbers if own_numbers is not None else [-1] * tags.longest)
    numbers = np.array(rows, dtype=np.int64)
    more = result.notes(sentences, indices, numbers, decoder, options.decoder is None)
    return TagTask(
        sentences, indices, data, options, input, tags, decoder, input.encode(sentences.words), numbers,
        (*notes, *more), name, marks,
    )  # fmt: skip


def _usual_decoder(held: Sequence[Sequence[str]], marks: str, joint: str) -> str:
    if marks == FEATURES:
        return "features"
    return "morphemes" if joined_share(held, joint) >= JOINED else "softmax"


def fitted_tags(held: Sequence[Sequence[str]], decoder: str, marks: str, joint: str) -> Tags:
    """The numbers of the tags of the training part. Raises ConfigError where ``decoder`` does not fit them."""
    if decoder != "features":
        return TagSet.fit(held, joint if decoder == "morphemes" else None)
    if marks != FEATURES:
        raise ConfigError(
            "--decoder features, but the training tags are none", expected="tags such as Case=Nom|Number=Sing, or _"
        )
    return FeatureSet.fit(held)


def _check_metric(metric: str | None, marks: str) -> None:
    for name, needed, example in (("span F1", SPANS, "O, B-… and I-…"), ("feature F1", FEATURES, "Case=Nom|…")):
        if metric == name and marks != needed:
            raise ConfigError(
                f"--metric '{name}', but the training tags mark no {needed}",
                expected=f"tags such as {example}",
                fix=_OTHERWISE,
            )


def _tagger() -> type[Estimator]:
    from unroll.tasks.tagger import Tagger

    return Tagger


KIND = TaskKind(
    "tag",
    TagData,
    TagOptions,
    TagErrors,
    prepare,
    _tagger,
    reading=READING,
    training={"epoch_size": 1_000_000_000},
)
"""An epoch visits every training sentence."""
