"""Tagging: a sentence of words in, a tag for each out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from unroll.data.examples.sentences import Sentences
from unroll.errors import ConfigError
from unroll.models.tag import FeatureHead, MorphemeHead, SequenceHead, TagHead, WordTagger
from unroll.models.words import LetterReader, WordBatch, WordEncoder
from unroll.tasks.contract import TaskKind
from unroll.tasks.network import NetworkOptions, build_encoder
from unroll.tasks.ragged import RaggedProblem, RaggedTask, each_batch
from unroll.tasks.tag import result
from unroll.tasks.tag.baselines import MostFrequentTag
from unroll.tasks.tag.beside import Beside, read_beside
from unroll.tasks.tag.errors import FEATURES, METRICS, SPANS, TagErrors, tag_errors
from unroll.tasks.tag.fitting import fit_tags, numbers_of
from unroll.tasks.tag.inputs import EncodedSentences, WordInput
from unroll.tasks.tag.options import READING, TagData, TagOptions
from unroll.tasks.tag.reading import in_order, read_tagged
from unroll.tasks.tag.sets import FeatureSet, Tags

if TYPE_CHECKING:
    from unroll.tasks.estimator import Estimator

CHUNK = 256
_OTHERWISE = "Give --metric accuracy, or another --field or --tag-column"


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
    beside: tuple[Beside, ...] = ()

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
        return self.options.embedding + 2 * self.options.letter_size * len(self.input.letters)

    def directions(self) -> int:
        return 1 if self.options.one_way else 2

    def choices(self) -> list[str]:
        beside = [f"beside it, in training alone: {own.field}, {own.tags.told()}" for own in self.beside]
        return [self.input.told(), self.tags.told(), *beside, *self.notes]

    def build(self, options: NetworkOptions) -> nn.Module:
        return build_tagger(options, self.options, self.input, self.tags, self.decoder, self.beside)

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

    def loss(self, network: nn.Module, indices: Tensor) -> tuple[Tensor, Tensor]:
        """Of training alone: what is learned beside the tags is in it."""
        others = [own.numbers for own in self.task.beside]
        return self._error(network, self._train[indices.numpy()], others, self._smoothing)

    def error(self, network: nn.Module, examples: np.ndarray, smoothing: float = 0.0) -> tuple[Tensor, Tensor]:
        return self._error(network, examples, (), smoothing)

    def _error(
        self, network: Any, examples: np.ndarray, others: Sequence[np.ndarray], smoothing: float
    ) -> tuple[Tensor, Tensor]:
        device = next(network.parameters()).device
        encoded = self.task.encoded
        batch = encoded.batch(examples)
        y, *beside = (padded_numbers(encoded, n, examples, batch).to(device) for n in (self.task.numbers, *others))
        return network.loss(batch.to(device), y, smoothing, beside=beside), batch.lengths.sum().to(device)


def padded_numbers(encoded: EncodedSentences, numbers: np.ndarray, sentences: np.ndarray, batch: WordBatch) -> Tensor:
    """The rows of ``numbers`` of the words of ``sentences``, (batch, T, longest), 0 beyond a length."""
    offsets, lengths = encoded.types.offsets[sentences], batch.lengths.numpy()
    steps = np.arange(batch.words.shape[1])
    within = steps < lengths[:, None]
    y = np.zeros((*within.shape, numbers.shape[1]), dtype=np.int64)
    y[within] = numbers[(offsets[:, None] + steps)[within]]
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


def build_tagger(
    network: NetworkOptions,
    options: TagOptions,
    input: WordInput,
    tags: Tags,
    decoder: str,
    beside: Sequence[Beside] = (),
) -> WordTagger:
    """The network ``network`` and ``options`` describe; letters are read by the same kind of cell as words."""
    small = NetworkOptions(network.cell, options.letter_size)
    letters = [
        LetterReader(len(own), build_encoder(small, options.letter_size, bidirectional=True)) for own in input.letters
    ]
    width = options.embedding + sum(reader.encoder.output_size for reader in letters)
    encoder = build_encoder(network, width, bidirectional=not options.one_way)
    reader = WordEncoder(
        len(input.words) + 1,
        options.embedding,
        letters,
        encoder,
        network.dropout,
        options.word_dropout,
    )
    heads = [_head(reader.output_size, own, how, network) for own, how in _written(tags, decoder, beside)]
    return WordTagger(reader, heads[0], heads[1:])


def _written(tags: Tags, decoder: str, beside: Sequence[Beside]) -> list[tuple[Tags, str]]:
    return [(tags, decoder), *((own.tags, own.decoder) for own in beside)]


def _head(size: int, tags: Tags, decoder: str, network: NetworkOptions) -> TagHead:
    if decoder == "morphemes":
        return MorphemeHead(size, tags.count, tags.longest, width=network.hidden)
    if isinstance(tags, FeatureSet):
        return FeatureHead(size, tags.sizes)
    return SequenceHead(size, tags.count, crf=decoder == "crf")


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
    tags, marks, decoder = fit_tags(held, options.decoder, options.joint, name)
    _check_metric(options.metric, marks)
    input = WordInput.fit([sentences.words[k] for k in train], options)
    sentences = in_order(sentences) if marks == FEATURES else sentences
    numbers = numbers_of(sentences.tags, tags)
    beside = read_beside(source, data, options.joint, sentences, train.tolist())
    more = result.notes(sentences, indices, numbers, decoder, options.decoder is None)
    return TagTask(
        sentences, indices, data, options, input, tags, decoder, input.encode(sentences.words), numbers,
        (*notes, *more), name, marks, beside,
    )  # fmt: skip


def _check_metric(metric: str | None, marks: str) -> None:
    for name, needed, example in (("span F1", SPANS, "O, B-… and I-…"), ("feature F1", FEATURES, "Case=Nom|…")):
        if metric == name and marks != needed:
            raise ConfigError(
                f"--metric '{name}', but the training tags mark no {needed}",
                expected=f"tags such as {example}",
                fix=_OTHERWISE,
            )


def _tagger() -> type[Estimator]:
    from unroll.tasks.tag.tagger import Tagger

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
