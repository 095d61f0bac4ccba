"""What stands for a word in its sentence: its vector, and what its letters say."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from unroll.models.pooling import LastPooling
from unroll.nn import Recurrent

EMBEDDING_STD = 0.1
UNKNOWN = 0
"""The number of a word that has no vector of its own."""


class Spelling(NamedTuple):
    """Different words as numbers of letters: ``letters`` (types, longest) and ``lengths`` (types,)."""

    letters: Tensor
    lengths: Tensor


class WordBatch(NamedTuple):
    """Sentences as numbers of words, and the spelling of each different word among them once.

    ``words`` (batch, T); ``lengths`` (batch,); ``types`` (batch, T) says which of the different words one is;
    ``spellings`` of these are one or several, each of letters of its own kind.
    """

    words: Tensor
    lengths: Tensor
    types: Tensor
    spellings: tuple[Spelling, ...]

    @property
    def valid(self) -> Tensor:
        """(batch, T), True where there is a word."""
        return torch.arange(self.words.shape[1], device=self.words.device) < self.lengths.unsqueeze(1)

    def to(self, device: torch.device) -> WordBatch:
        words, lengths, types, spellings = self
        moved = tuple(Spelling(*(part.to(device) for part in own)) for own in spellings)
        return WordBatch(words.to(device), lengths.to(device), types.to(device), moved)


class LetterReader(nn.Module):
    """What the letters of a word say: they are read by ``encoder``, whose last outputs of each way are joined.

    Args:
        letters: how many numbers they have.
        encoder: batch-first.
    """

    def __init__(self, letters: int, encoder: Recurrent) -> None:
        super().__init__()
        self.letter, self.encoder = nn.Embedding(letters, encoder.input_size), encoder
        nn.init.normal_(self.letter.weight, std=EMBEDDING_STD)
        self.pool = LastPooling(encoder.output_size, directions=encoder.directions)

    def forward(self, spelling: Spelling) -> Tensor:
        """(types, output_size)."""
        output, _ = self.encoder(self.letter(spelling.letters), lengths=spelling.lengths)
        return self.pool(output, spelling.lengths)


class WordEncoder(nn.Module):
    r"""What stands for a word in its sentence: its vector, and its characters read both ways.

    .. math::
        e_t = [E w_t ; \overrightarrow{h}_{|w_t|} ; \overleftarrow{h}_1], \qquad r_t = [\mathrm{encoder}(e)_t ; e_t]

    (Lample et al. 2016, N16-1030, section 4.1; Ling et al. 2015.) e_t stays beside what the sentence makes of it: the
    ending of a word often decides alone. A word that training did not have has the vector of the unknown, and its
    characters.

    Args:
        words: how many numbers there are of them; width: of a word's vector.
        letters: one or several readers of spellings, in their order in a batch.
        encoder: batch-first, reads ``width`` and what the readers give.
        dropout: of what stands for a word, and of what the encoder says of it.
        word_dropout: the share of words that training reads as unknown, so that their letters must tell (Iyyer et al.
            2015, section 3.1).
    """

    def __init__(
        self,
        words: int,
        width: int,
        letters: Sequence[LetterReader],
        encoder: Recurrent,
        dropout: float,
        word_dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.word = nn.Embedding(words, width)
        nn.init.normal_(self.word.weight, std=EMBEDDING_STD)
        self.letters, self.encoder = nn.ModuleList(letters), encoder
        self.dropout, self.word_dropout = nn.Dropout(dropout), word_dropout
        self.output_size = encoder.output_size + encoder.input_size

    def read(self, batch: WordBatch) -> Tensor:
        """e, (batch, T, width + letters)."""
        spelled = [reader(own)[batch.types] for reader, own in zip(self.letters, batch.spellings)]
        words = batch.words
        if self.training and self.word_dropout:
            words = words.masked_fill(torch.rand(words.shape, device=words.device) < self.word_dropout, UNKNOWN)
        return self.dropout(torch.cat([self.word(words), *spelled], dim=-1))

    def forward(self, batch: WordBatch) -> Tensor:
        """[r; e], (batch, T, output_size), 0 beyond a length."""
        e = self.read(batch)
        output, _ = self.encoder(e, lengths=batch.lengths)
        return torch.cat([self.dropout(output), e], dim=-1).masked_fill(~batch.valid.unsqueeze(-1), 0)
