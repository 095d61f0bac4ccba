"""What stands for a word in its sentence: its vector, and what its letters say."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from unroll.models.pooling import LastPooling
from unroll.nn import Recurrent

EMBEDDING_STD = 0.1
UNKNOWN = 0
"""The number of a word that has no vector of its own."""


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

    @property
    def valid(self) -> Tensor:
        """(batch, T), True where there is a word."""
        return torch.arange(self.words.shape[1], device=self.words.device) < self.lengths.unsqueeze(1)

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
        word_dropout: the share of words that training reads as unknown, so that their letters must tell (Iyyer et al.
            2015, section 3.1).
    """

    def __init__(
        self,
        words: int,
        characters: int,
        width: int,
        letters: Recurrent,
        encoder: Recurrent,
        dropout: float,
        word_dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.word, self.character = nn.Embedding(words, width), nn.Embedding(characters, letters.input_size)
        for embedding in (self.word, self.character):
            nn.init.normal_(embedding.weight, std=EMBEDDING_STD)
        self.letters, self.encoder = letters, encoder
        self.pool = LastPooling(letters.output_size, directions=letters.directions)
        self.dropout, self.word_dropout = nn.Dropout(dropout), word_dropout
        self.output_size = encoder.output_size + encoder.input_size

    def read(self, batch: WordBatch) -> Tensor:
        """e, (batch, T, width + letters)."""
        output, _ = self.letters(self.character(batch.spelling), lengths=batch.spelled)
        spelled = self.pool(output, batch.spelled)[batch.types]
        words = batch.words
        if self.training and self.word_dropout:
            words = words.masked_fill(torch.rand(words.shape, device=words.device) < self.word_dropout, UNKNOWN)
        return self.dropout(torch.cat([self.word(words), spelled], dim=-1))

    def forward(self, batch: WordBatch) -> Tensor:
        """[r; e], (batch, T, output_size), 0 beyond a length."""
        e = self.read(batch)
        output, _ = self.encoder(e, lengths=batch.lengths)
        return torch.cat([self.dropout(output), e], dim=-1).masked_fill(~batch.valid.unsqueeze(-1), 0)
