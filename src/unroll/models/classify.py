"""Many-to-one: a class for a whole sequence."""

from __future__ import annotations

from torch import Tensor, nn

from unroll.errors import ConfigError
from unroll.models.pooling import Pooling
from unroll.nn import Recurrent

EMBEDDING_STD = 0.1


class SequenceClassifier(nn.Module):
    r"""Scores of the classes of each sequence of a ragged batch.

    .. math:: z = W \,\mathrm{pool}(\mathrm{encoder}(E x_1, \dots, E x_n)) + b, \qquad p = \mathrm{softmax}(z)

    The encoder and the pooling are given the lengths: padding is never read. A sequence of no steps gets
    W·0 + b, the classes' own shares as they were learned.

    Args:
        encoder: ``batch_first=True``; reads what is embedded, or the channels as they are.
        pool: of the encoder's output size.
        classes: how many.
        tokens: how many numbers tokens have, or None where the input is (batch, T, channels). A step may have several
            numbers, of the runs of tokens that end at it: their vectors are added (Bojanowski et al. 2017,
            section 3.2).
        dropout: of what is embedded and of what is pooled.

    Shapes: ``x`` (batch, T) or (batch, T, numbers) int64, or (batch, T, channels); ``lengths`` (batch,); result (batch,
    classes).

    Example::

        >>> encoder = Recurrent(GRUCell(8, 4), batch_first=True)
        >>> network = SequenceClassifier(encoder, LastPooling(4), 2, tokens=100)
        >>> network(torch.randint(100, (3, 5)), torch.tensor([5, 0, 2])).shape
        torch.Size([3, 2])

    Raises:
        ConfigError: the encoder is not batch-first, or the pooling has another width.
    """

    def __init__(
        self, encoder: Recurrent, pool: Pooling, classes: int, *, tokens: int | None = None, dropout: float = 0.0
    ) -> None:
        super().__init__()
        if not encoder.batch_first:
            raise ConfigError("an encoder of (T, batch, …)", expected="batch_first=True")
        if pool.features != encoder.output_size:
            raise ConfigError(
                f"a pooling of {pool.features} features over an encoder of {encoder.output_size}", expected="as many"
            )
        self.embedding = None if tokens is None else nn.Embedding(tokens, encoder.input_size)
        if self.embedding is not None:
            nn.init.normal_(self.embedding.weight, std=EMBEDDING_STD)
        self.encoder, self.pool = encoder, pool
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(encoder.output_size, classes)

    def forward(self, x: Tensor, lengths: Tensor) -> Tensor:
        output, _ = self.encoder(self.dropout(self.embedded(x)), lengths=lengths)
        return self.scores(self.pool(output, lengths))

    def embedded(self, x: Tensor) -> Tensor:
        """What the encoder reads, (batch, T, input_size), in the network's own dtype."""
        if self.embedding is None:
            return x.to(self.head.weight.dtype)
        return self.embedding(x).sum(-2) if x.dim() == 3 else self.embedding(x)

    def scores(self, summary: Tensor) -> Tensor:
        """From what is pooled, (batch, output_size)."""
        return self.head(self.dropout(summary))
