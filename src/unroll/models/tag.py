"""Many-to-many, aligned: a tag, or a short sequence of tags, for every word."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from unroll.models.crf import CRF
from unroll.models.pooling import LastPooling
from unroll.nn import Recurrent

EMBEDDING_STD = 0.1


class WordBatch(NamedTuple):
    """Sentences as numbers of words, and the spelling of each different word among them once.

    ``words`` (batch, T); ``lengths`` (batch,); ``spelling`` (types, characters) with ``spelled`` (types,) characters
    each; ``types`` (batch, T) says which of them a word is.
    """

    words: Tensor
    lengths: Tensor
    spelling: Tensor
    spelled: Tensor
    types: Tensor

    def to(self, device: torch.device) -> WordBatch:
        return WordBatch(*(part.to(device) for part in self))


class WordEncoder(nn.Module):
    r"""What stands for a word in its sentence: its vector, and its characters read both ways.

    .. math::
        e_t = [E w_t ; \overrightarrow{h}_{|w_t|} ; \overleftarrow{h}_1], \qquad r_t = [\mathrm{encoder}(e)_t ; e_t]

    (Lample et al. 2016, N16-1030, section 4.1; Ling et al. 2015.) e_t stays beside what the sentence makes of it: the
    ending of a word often decides alone. A word that training did not have has the vector of the unknown, and its
    characters.

    Args:
        words, characters: how many numbers there are of each.
        width: of a word's vector; ``letters``: reads characters, bidirectional and batch-first.
        encoder: batch-first, reads ``width + letters.output_size``.
        dropout: of what stands for a word, and of what the encoder says of it.
    """

    def __init__(
        self, words: int, characters: int, width: int, letters: Recurrent, encoder: Recurrent, dropout: float
    ) -> None:
        super().__init__()
        self.word, self.character = nn.Embedding(words, width), nn.Embedding(characters, letters.input_size)
        for embedding in (self.word, self.character):
            nn.init.normal_(embedding.weight, std=EMBEDDING_STD)
        self.letters, self.encoder = letters, encoder
        self.pool = LastPooling(letters.output_size, directions=letters.directions)
        self.dropout = nn.Dropout(dropout)
        self.output_size = encoder.output_size + encoder.input_size

    def read(self, batch: WordBatch) -> Tensor:
        """e, (batch, T, width + letters)."""
        output, _ = self.letters(self.character(batch.spelling), lengths=batch.spelled)
        spelled = self.pool(output, batch.spelled)[batch.types]
        return self.dropout(torch.cat([self.word(batch.words), spelled], dim=-1))

    def forward(self, batch: WordBatch) -> Tensor:
        """[r; e], (batch, T, output_size), 0 beyond a length."""
        e = self.read(batch)
        output, _ = self.encoder(e, lengths=batch.lengths)
        return torch.cat([self.dropout(output), e], dim=-1).masked_fill(~_valid(batch).unsqueeze(-1), 0)


class SequenceTagger(nn.Module):
    """A tag for every word: each by itself (``crf=False``) or the most probable sequence of a ``CRF``.

    Shapes: ``y`` and what ``decode`` gives (batch, T, 1); beyond a length they are never read, and 0.
    """

    def __init__(self, reader: WordEncoder, tags: int, *, crf: bool = False) -> None:
        super().__init__()
        self.reader, self.head = reader, nn.Linear(reader.output_size, tags)
        self.crf = CRF(tags) if crf else None

    @property
    def encoder(self) -> Recurrent:
        return self.reader.encoder

    def loss(self, batch: WordBatch, y: Tensor, label_smoothing: float = 0.0) -> Tensor:
        """Σ -log p over the words of all sentences, labels smoothed as by ``torch.nn.CrossEntropyLoss``.

        Raises:
            ValueError: labels to be smoothed, and a CRF, which has no distribution of each to smooth.
        """
        z, y = self.head(self.reader(batch)), y[..., 0]
        if self.crf is not None:
            if label_smoothing:
                raise ValueError("a CRF has no label smoothing")
            return -self.crf.log_likelihood(z, y, batch.lengths).sum()
        valid = _valid(batch)
        return nn.functional.cross_entropy(z[valid], y[valid], reduction="sum", label_smoothing=label_smoothing)

    def decode(self, batch: WordBatch) -> Tensor:
        """The tags, (batch, T, 1)."""
        z = self.head(self.reader(batch))
        tags = z.argmax(-1) if self.crf is None else self.crf.best(z, batch.lengths)
        return tags.masked_fill(~_valid(batch), 0).unsqueeze(-1)


class FeatureTagger(nn.Module):
    r"""A value for every attribute of every word, each by itself.

    .. math:: p(v_1, \dots, v_A \mid x) = \prod_a \mathrm{softmax}(W_a r + b_a)_{v_a}

    so a bundle of values that training never had can be written. Value 0 is that the word has the attribute not.

    Args:
        reader: what stands for a word; sizes: how many values each attribute has, 0 among them.

    Shapes: ``y`` and what ``decode`` gives (batch, T, attributes), 0 beyond a length.
    """

    def __init__(self, reader: WordEncoder, sizes: Sequence[int]) -> None:
        super().__init__()
        self.reader, self.sizes = reader, tuple(sizes)
        self.head = nn.Linear(reader.output_size, sum(self.sizes))

    @property
    def encoder(self) -> Recurrent:
        return self.reader.encoder

    def loss(self, batch: WordBatch, y: Tensor, label_smoothing: float = 0.0) -> Tensor:
        """Σ -log p over the attributes of the words of all sentences, the values of each smoothed."""
        valid = _valid(batch)
        scores, y = self.head(self.reader(batch)[valid]).split(self.sizes, dim=-1), y[valid]
        losses = [
            nn.functional.cross_entropy(z, y[:, a], reduction="sum", label_smoothing=label_smoothing)
            for a, z in enumerate(scores)
        ]
        return torch.stack(losses).sum()

    def decode(self, batch: WordBatch) -> Tensor:
        """The most probable value of each attribute."""
        scores = self.head(self.reader(batch)).split(self.sizes, dim=-1)
        values = torch.stack([z.argmax(-1) for z in scores], dim=-1)
        return values.masked_fill(~_valid(batch).unsqueeze(-1), 0)


class MorphemeTagger(nn.Module):
    r"""A sequence of tags for every word, one per morpheme, written by a decoder that has read the word.

    .. math::
        s_k = \mathrm{GRU}([D m_{k-1}; r], s_{k-1}), \quad s_0 = \tanh(U r), \qquad p(m_k) = \mathrm{softmax}(W s_k + b)

    until the end, whose number is 0; so a combination that training never had can be written, and there are as many
    classes as tags, not as combinations.

    Args:
        reader: what stands for a word; tags: how many, the end among them; longest: morphemes of a word at most.

    Shapes: ``y`` and what ``decode`` gives (batch, T, longest), 0 after the last morpheme and beyond a length.
    """

    def __init__(self, reader: WordEncoder, tags: int, longest: int, *, width: int = 64) -> None:
        super().__init__()
        self.reader, self.longest = reader, longest
        self.before = nn.Embedding(tags, width)
        self.begin = nn.Linear(reader.output_size, width)
        self.cell = nn.GRUCell(width + reader.output_size, width)
        self.head = nn.Linear(width, tags)

    @property
    def encoder(self) -> Recurrent:
        return self.reader.encoder

    def loss(self, batch: WordBatch, y: Tensor, label_smoothing: float = 0.0) -> Tensor:
        """Σ -log p over the morphemes of all words, their ends among them, the true ones before each given.

        Labels are smoothed at each place.
        """
        valid = _valid(batch)
        r, y = self.reader(batch)[valid], y[valid]
        written = ((y != 0).sum(-1) + 1).clamp(max=self.longest)
        # The longest first, so that the words still being written are the first rows.
        written, order = written.sort(descending=True, stable=True)
        r, y = r[order], y[order]
        state, last = torch.tanh(self.begin(r)), torch.zeros(len(r), dtype=torch.long, device=r.device)
        total = r.new_zeros(())
        for k, rows in enumerate(_rows_left(written)):
            state = self.cell(torch.cat([self.before(last[:rows]), r[:rows]], dim=-1), state[:rows])
            z = self.head(state)
            total = total + nn.functional.cross_entropy(
                z, y[:rows, k], reduction="sum", label_smoothing=label_smoothing
            )
            last = y[:rows, k]
        return total

    def decode(self, batch: WordBatch) -> Tensor:
        """The most probable morpheme at each place, given those before it."""
        valid = _valid(batch)
        r = self.reader(batch)[valid]
        state, last = torch.tanh(self.begin(r)), torch.zeros(len(r), dtype=torch.long, device=r.device)
        written = torch.zeros(len(r), self.longest, dtype=torch.long, device=r.device)
        going = torch.arange(len(r), device=r.device)
        for k in range(self.longest if len(r) else 0):
            state = self.cell(torch.cat([self.before(last), r[going]], dim=-1), state)
            z = self.head(state)
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


def _valid(batch: WordBatch) -> Tensor:
    return torch.arange(batch.words.shape[1], device=batch.words.device) < batch.lengths.unsqueeze(1)
