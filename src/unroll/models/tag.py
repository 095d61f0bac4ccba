"""Many-to-many, aligned: a tag, or a short sequence of tags, for every word."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from unroll.models.crf import CRF
from unroll.models.words import WordBatch, WordEncoder
from unroll.nn import Recurrent


class TagHead(nn.Module, ABC):
    """From what stands for the words, r (batch, T, size), to the numbers of their tags."""

    @abstractmethod
    def loss(self, r: Tensor, batch: WordBatch, y: Tensor, label_smoothing: float = 0.0) -> Tensor:
        """Σ -log p of the tags ``y`` (batch, T, numbers) over the words of all sentences.

        Labels are smoothed as by ``torch.nn.CrossEntropyLoss``.
        """

    @abstractmethod
    def decode(self, r: Tensor, batch: WordBatch) -> Tensor:
        """The tags, (batch, T, numbers), 0 beyond a length."""


class WordTagger(nn.Module):
    r"""A tag for every word: a reader, and the head that writes what is asked for.

    What is to be learned beside it has heads of its own on the same reader (multi-task learning, Caruana 1997); they
    add to the loss and are never asked for tags:

    .. math:: \ell = \ell_{head}(r, y) + \sum_k \ell_k(r, y_k)

    Shapes: ``y`` and what ``decode`` gives (batch, T, numbers of the head); beyond a length they are never read, and 0.
    """

    def __init__(self, reader: WordEncoder, head: TagHead, beside: Sequence[TagHead] = ()) -> None:
        super().__init__()
        self.reader, self.head, self.beside = reader, head, nn.ModuleList(beside)

    @property
    def encoder(self) -> Recurrent:
        return self.reader.encoder

    def loss(
        self, batch: WordBatch, y: Tensor, label_smoothing: float = 0.0, *, beside: Sequence[Tensor] = ()
    ) -> Tensor:
        """Σ -log p over the words of all sentences; ``beside`` are the tags of the other heads, or of none."""
        r = self.reader(batch)
        total = self.head.loss(r, batch, y, label_smoothing)
        for head, own in zip(self.beside, beside):
            total = total + head.loss(r, batch, own, label_smoothing)  # type: ignore[operator]
        return total

    def decode(self, batch: WordBatch) -> Tensor:
        """The tags, (batch, T, numbers)."""
        return self.head.decode(self.reader(batch), batch)


class SequenceHead(TagHead):
    """One tag a word: each by itself (``crf=False``) or the most probable sequence of a ``CRF``."""

    def __init__(self, size: int, tags: int, *, crf: bool = False) -> None:
        super().__init__()
        self.scores = nn.Linear(size, tags)
        self.crf = CRF(tags) if crf else None

    def loss(self, r: Tensor, batch: WordBatch, y: Tensor, label_smoothing: float = 0.0) -> Tensor:
        """Σ -log p over the words of all sentences, labels smoothed as by ``torch.nn.CrossEntropyLoss``.

        Raises:
            ValueError: labels to be smoothed, and a CRF, which has no distribution of each to smooth.
        """
        z, y = self.scores(r), y[..., 0]
        if self.crf is not None:
            if label_smoothing:
                raise ValueError("a CRF has no label smoothing")
            return -self.crf.log_likelihood(z, y, batch.lengths).sum()
        valid = batch.valid
        return nn.functional.cross_entropy(z[valid], y[valid], reduction="sum", label_smoothing=label_smoothing)

    def decode(self, r: Tensor, batch: WordBatch) -> Tensor:
        """The tags, (batch, T, 1)."""
        z = self.scores(r)
        tags = z.argmax(-1) if self.crf is None else self.crf.best(z, batch.lengths)
        return tags.masked_fill(~batch.valid, 0).unsqueeze(-1)


class FeatureHead(TagHead):
    r"""A value for every attribute of every word, each by itself.

    .. math:: p(v_1, \dots, v_A \mid x) = \prod_a \mathrm{softmax}(W_a r + b_a)_{v_a}

    so a bundle of values that training never had can be written. Value 0 is that the word has the attribute not.

    Args:
        size: of r; sizes: how many values each attribute has, 0 among them.
    """

    def __init__(self, size: int, sizes: Sequence[int]) -> None:
        super().__init__()
        self.sizes = tuple(sizes)
        self.scores = nn.Linear(size, sum(self.sizes))

    def loss(self, r: Tensor, batch: WordBatch, y: Tensor, label_smoothing: float = 0.0) -> Tensor:
        """Σ -log p over the attributes of the words of all sentences, the values of each smoothed."""
        valid = batch.valid
        scores, y = self.scores(r[valid]).split(self.sizes, dim=-1), y[valid]
        losses = [
            nn.functional.cross_entropy(z, y[:, a], reduction="sum", label_smoothing=label_smoothing)
            for a, z in enumerate(scores)
        ]
        return torch.stack(losses).sum()

    def decode(self, r: Tensor, batch: WordBatch) -> Tensor:
        """The most probable value of each attribute."""
        scores = self.scores(r).split(self.sizes, dim=-1)
        values = torch.stack([z.argmax(-1) for z in scores], dim=-1)
        return values.masked_fill(~batch.valid.unsqueeze(-1), 0)


class MorphemeHead(TagHead):
    r"""A sequence of tags for every word, one per morpheme, written by a decoder that has read the word.

    .. math::
        s_k = \mathrm{GRU}([D m_{k-1}; r], s_{k-1}), \quad s_0 = \tanh(U r), \qquad p(m_k) = \mathrm{softmax}(W s_k + b)

    until the end, whose number is 0; so a combination that training never had can be written, and there are as many
    classes as tags, not as combinations.

    Args:
        size: of r; tags: how many, the end among them; longest: morphemes of a word at most.
    """

    def __init__(self, size: int, tags: int, longest: int, *, width: int = 64) -> None:
        super().__init__()
        self.longest = longest
        self.before = nn.Embedding(tags, width)
        self.begin = nn.Linear(size, width)
        self.cell = nn.GRUCell(width + size, width)
        self.scores = nn.Linear(width, tags)

    def loss(self, r: Tensor, batch: WordBatch, y: Tensor, label_smoothing: float = 0.0) -> Tensor:
        """Σ -log p over the morphemes of all words, their ends among them, the true ones before each given.

        Labels are smoothed at each place.
        """
        valid = batch.valid
        r, y = r[valid], y[valid]
        written = ((y != 0).sum(-1) + 1).clamp(max=self.longest)
        # The longest first, so that the words still being written are the first rows.
        written, order = written.sort(descending=True, stable=True)
        r, y = r[order], y[order]
        state, last = torch.tanh(self.begin(r)), torch.zeros(len(r), dtype=torch.long, device=r.device)
        total = r.new_zeros(())
        for k, rows in enumerate(_rows_left(written)):
            state = self.cell(torch.cat([self.before(last[:rows]), r[:rows]], dim=-1), state[:rows])
            z = self.scores(state)
            total = total + nn.functional.cross_entropy(
                z, y[:rows, k], reduction="sum", label_smoothing=label_smoothing
            )
            last = y[:rows, k]
        return total

    def decode(self, r: Tensor, batch: WordBatch) -> Tensor:
        """The most probable morpheme at each place, given those before it."""
        valid = batch.valid
        r = r[valid]
        state, last = torch.tanh(self.begin(r)), torch.zeros(len(r), dtype=torch.long, device=r.device)
        written = torch.zeros(len(r), self.longest, dtype=torch.long, device=r.device)
        going = torch.arange(len(r), device=r.device)
        for k in range(self.longest if len(r) else 0):
            state = self.cell(torch.cat([self.before(last), r[going]], dim=-1), state)
            z = self.scores(state)
            # A word has at least one morpheme.
            last = z[:, 1:].argmax(-1) + 1 if k == 0 else z.argmax(-1)
            written[going, k] = last
            more = last != 0
            state, last, going = state[more], last[more], going[more]
            if not len(going):
                break
        tags = torch.zeros(*valid.shape, self.longest, dtype=torch.long, device=r.device)
        tags[valid] = written
        return tags


def _rows_left(written: Tensor) -> list[int]:
    """Of descending numbers of steps, how many rows have each step."""
    return [int((written > k).sum()) for k in range(int(written[0]))] if len(written) else []
