"""Tagging: a sentence of words in, a tag for each out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from unroll.data import length_batches
from unroll.data.sentences import Sentences, joined_share
from unroll.errors import ConfigError, LeakageError
from unroll.models.tag import MorphemeTagger, SequenceTagger, WordBatch, WordEncoder
from unroll.tasks import tag_result as result
from unroll.tasks.contract import Probe, Task, TaskKind
from unroll.tasks.memory import memory_told, padding_told, training_megabytes
from unroll.tasks.network import NetworkOptions, build_encoder
from unroll.tasks.tag_baselines import MostFrequentTag
from unroll.tasks.tag_errors import METRICS, TagErrors, are_spans, tag_errors
from unroll.tasks.tag_inputs import EncodedSentences, TagSet, WordInput
from unroll.tasks.tag_options import READING, TagData, TagOptions
from unroll.tasks.tag_reading import read_tagged
from unroll.train import FitSettings

if TYPE_CHECKING:
    from unroll.tasks.estimator import Estimator

CHUNK = 256
_NO_SPANS = "Give --metric accuracy, or another --field or --tag-column"
JOINED = 0.05
"""Where at least this share of the training tags is several, joined, each word gets a sequence of tags."""


@dataclass(frozen=True, eq=False)
class TagTask(Task):
    """Sentences ready to learn from: split, encoded, numbered. Build it with ``prepare``.

    Attributes:
        encoded: all sentences as the network reads them; ``numbers`` the tags of all their words, (words, longest),
            -1 of a word whose tag cannot be written.
        decoder: as given, or as found in the training tags.
    """

    name: ClassVar[str] = "tag"
    higher: ClassVar[Sequence[str]] = METRICS
    fallback: ClassVar[str] = "accuracy"

    sentences: Sentences
    indices: Mapping[str, np.ndarray]
    data: TagData
    options: TagOptions
    input: WordInput
    tags: TagSet
    decoder: str
    encoded: EncodedSentences
    numbers: np.ndarray
    notes: tuple[str, ...]
    source_name: str
    spans: bool

    @property
    def metrics(self) -> Sequence[str]:
        return METRICS

    @property
    def metric(self) -> str:  # type: ignore[override]
        return self.options.metric

    @property
    def source(self) -> str:
        return self.source_name

    @property
    def fingerprint(self) -> str:
        return self.sentences.fingerprint

    @property
    def span(self) -> int:
        return max(1, -(-len(self.indices["test"]) // 2000))

    def build(self, options: NetworkOptions) -> nn.Module:
        return build_tagger(options, self.options, self.input, self.tags, self.decoder)

    def problem(self) -> TagProblem:
        return TagProblem(self)

    def baselines(self) -> tuple[list[MostFrequentTag], list[str]]:
        return [MostFrequentTag(self)], []

    def said(self, predictor: Any, indices: np.ndarray) -> list[list[str]]:
        """The tags a network or baseline gives to each sentence."""
        if not isinstance(predictor, nn.Module):
            return list(predictor.tags(self, indices))
        return network_tags(predictor, self.encoded, self.tags, indices, self.options.batch_tokens)

    def errors(self, predictor: Any, part: str = "test") -> TagErrors:
        indices = self.indices[part]
        seen = np.intersect1d(indices, self.indices["train"])
        if len(seen):
            raise LeakageError(
                f"{len(seen):,} sentences to be scored are those that training was on, the first of them "
                f"{self.sentences.where(int(seen[0]))}",
                expected="sentences that training has not seen",
            )
        truth = [[str(tag) for tag in self.sentences.tags[k]] for k in indices]
        new = [self.input.new(self.sentences.words[k]) for k in indices]
        found = tag_errors(truth, self.said(predictor, indices), new)
        return found if self.spans else without_spans(found)

    def record(self) -> dict[str, Any]:
        return result.record(self)

    def described(self, metric: str, match: str) -> dict[str, Any]:
        return result.described(self, metric, match)

    def data_facts(self, absent: Sequence[str] = ()) -> dict[str, Any]:
        return result.data_facts(self, absent)

    def protocol(self) -> str:
        return result.protocol(self)

    def shown(self, networks: Mapping[str, nn.Module], baselines: Sequence[Any], best: str) -> dict[str, Any]:
        return result.shown(self, networks, best)

    def probe(self, network: nn.Module) -> Probe:
        return result.probe(self, network)

    def forewarn(self, networks: Sequence[NetworkOptions], settings: FitSettings) -> list[str]:
        lengths = self.encoded.lengths[self.indices["train"]]
        cut = TagProblem(self).cut(torch.arange(len(lengths)), settings.batch_size)
        batches, ways = [batch.numpy() for batch in cut], 1 if self.options.one_way else 2
        width = self.options.embedding + 2 * self.options.letter_size
        sizes = {
            n.name: training_megabytes(self.parameters(n), batches, lengths, n, width=width, ways=ways)
            for n in networks
        }
        padding = padding_told(lengths, settings.batch_size, self.options.batch_tokens, "sentences")
        return [self.input.told(), self.tags.told(), *self.notes, padding, memory_told(sizes)]


class TagProblem:
    """What the training loop sees of a ``TagTask``: positions in its training part."""

    def __init__(self, task: TagTask) -> None:
        self.task = task
        self._train = task.indices["train"]
        offsets = task.encoded.types.offsets
        whole = [k for k in task.indices["valid"] if (task.numbers[offsets[k] : offsets[k + 1]] >= 0).all()]
        self._valid = np.array(whole, dtype=np.int64)

    @property
    def train_count(self) -> int:
        return len(self._train)

    def cut(self, order: Tensor, batch_size: int) -> list[Tensor]:
        """Batches of sentences of like length, within the budget of words."""
        lengths = self.task.encoded.lengths[self._train]
        found = length_batches(order.numpy(), lengths, batch_size, self.task.options.batch_tokens)
        return [torch.from_numpy(batch) for batch in found]

    def loss(self, network: nn.Module, indices: Tensor) -> Tensor:
        total, words = self._error(network, self._train[indices.numpy()])
        return total / words

    def validation_loss(self, network: nn.Module) -> float:
        total, words, lengths = 0.0, 0, self.task.encoded.lengths
        for batch in length_batches(self._valid, lengths, CHUNK, self.task.options.batch_tokens, pool=None):
            part, own = self._error(network, batch)
            total, words = total + float(part), words + own
        return total / words if words else float("nan")

    def _error(self, network: nn.Module, sentences: np.ndarray) -> tuple[Tensor, int]:
        device = next(network.parameters()).device
        batch = self.task.encoded.batch(sentences)
        y = _padded_numbers(self.task, sentences, batch)
        loss = network.loss(batch.to(device), y.to(device))  # type: ignore[operator]
        return loss, max(1, int(batch.lengths.sum()))


def _padded_numbers(task: TagTask, sentences: np.ndarray, batch: WordBatch) -> Tensor:
    offsets, lengths = task.encoded.types.offsets[sentences], batch.lengths.numpy()
    steps = np.arange(batch.words.shape[1])
    within = steps < lengths[:, None]
    y = np.zeros((*within.shape, task.tags.longest), dtype=np.int64)
    y[within] = task.numbers[(offsets[:, None] + steps)[within]]
    return torch.from_numpy(y)


def without_spans(errors: TagErrors) -> TagErrors:
    """Of tags that mark no spans none are counted, so that there is no score of them."""
    none = np.zeros_like(errors.words)
    return TagErrors(**{**errors.arrays(), "found": none, "said": none, "true": none})


def network_tags(
    network: Any, encoded: EncodedSentences, tags: TagSet, indices: np.ndarray, budget: int
) -> list[list[str]]:
    """The tags of each sentence, in the order of ``indices``."""
    device = next(network.parameters()).device
    found: list[list[str]] = [[] for _ in indices]
    network.eval()
    places = np.arange(len(indices))
    for batch in length_batches(places, encoded.lengths[indices], CHUNK, budget, pool=None):
        words = encoded.batch(indices[batch])
        with torch.no_grad():
            numbers = network.decode(words.to(device)).cpu().tolist()
        for place, own, length in zip(batch, numbers, words.lengths.tolist()):
            found[place] = [tags.decode(n) for n in own[:length]]
    return found


def build_tagger(
    network: NetworkOptions, options: TagOptions, input: WordInput, tags: TagSet, decoder: str
) -> SequenceTagger | MorphemeTagger:
    """The network ``network`` and ``options`` describe; letters are read by the same kind of cell as words."""
    small = NetworkOptions(network.cell, options.letter_size)
    letters = build_encoder(small, options.letter_size, bidirectional=True)
    encoder = build_encoder(network, options.embedding + letters.output_size, bidirectional=not options.one_way)
    reader = WordEncoder(len(input.words) + 1, len(input.letters), options.embedding, letters, encoder, network.dropout)
    if decoder == "morphemes":
        return MorphemeTagger(reader, tags.count, tags.longest, width=network.hidden)
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
    decoder = options.decoder or ("morphemes" if joined_share(held, options.joint) >= JOINED else "softmax")
    input = WordInput.fit([sentences.words[k] for k in train], options)
    tags = TagSet.fit(held, options.joint if decoder == "morphemes" else None)
    known: dict[str, list[int] | None] = {}
    rows = []
    for own in sentences.tags:
        for tag in own:
            own_numbers = known.setdefault(str(tag), tags.encode(str(tag)))
            rows.append(own_numbers if own_numbers is not None else [-1] * tags.longest)
    numbers = np.array(rows, dtype=np.int64)
    spans = are_spans([tag for own in held for tag in own])
    if options.metric == "span F1" and not spans:
        raise ConfigError(
            "--metric 'span F1', but the training tags mark no spans", expected="tags O, B-… and I-…", fix=_NO_SPANS
        )
    more = result.notes(sentences, indices, numbers, decoder, options.decoder is None)
    return TagTask(
        sentences, indices, data, options, input, tags, decoder, input.encode(sentences.words), numbers,
        (*notes, *more), name, spans,
    )  # fmt: skip


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
