"""A linear-chain conditional random field over ragged batches."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from unroll.models.checks import checked_size


class CRF(nn.Module):
    r"""Scores whole sequences of tags (Lafferty et al. 2001; over an LSTM: Huang et al. 2015).

    .. math::
        s(x, y) = a_{y_1} + \sum_t z_{t, y_t} + \sum_{t>1} A_{y_{t-1}, y_t} + e_{y_n}, \qquad
        \log p(y \mid x) = s(x, y) - \log \sum_{y'} \exp s(x, y')

    z are the scores of each step; A, a and e are learned and start at 0, where the field is a softmax of each step.
    Steps beyond a length are never read; a sequence of no steps has log p = 0.

    Args:
        tags: how many.

    Shapes: ``z`` (batch, T, tags), ``y`` (batch, T), ``lengths`` (batch,).

    Example::

        >>> crf = CRF(3)
        >>> z, lengths = torch.randn(2, 5, 3), torch.tensor([5, 0])
        >>> crf.log_likelihood(z, torch.zeros(2, 5, dtype=torch.long), lengths).shape, crf.best(z, lengths).shape
        (torch.Size([2]), torch.Size([2, 5]))
    """

    def __init__(self, tags: int) -> None:
        super().__init__()
        self.tags = checked_size("tags", tags)
        self.transitions = nn.Parameter(torch.zeros(tags, tags))
        self.start, self.end = nn.Parameter(torch.zeros(tags)), nn.Parameter(torch.zeros(tags))

    def log_likelihood(self, z: Tensor, y: Tensor, lengths: Tensor) -> Tensor:
        """log p(y | x) of each sequence, (batch,)."""
        return (self._score(z, y, lengths) - self._partition(z, lengths)).masked_fill(lengths == 0, 0)

    def best(self, z: Tensor, lengths: Tensor) -> Tensor:
        """The most probable tags (batch, T) by Viterbi's recursion, 0 beyond each length."""
        T = z.shape[1]
        score, pointers = self.start + z[:, 0], []
        for t in range(1, T):
            found, pointer = (score.unsqueeze(2) + self.transitions).max(dim=1)
            inside = (t < lengths).unsqueeze(1)
            score = torch.where(inside, found + z[:, t], score)
            # Beyond the end every tag points to itself, so that walking back waits there.
            pointers.append(torch.where(inside, pointer, torch.arange(self.tags, device=z.device)))
        tag = (score + self.end).argmax(dim=1)
        path = [tag]
        for pointer in reversed(pointers):
            tag = pointer.gather(1, tag.unsqueeze(1)).squeeze(1)
            path.append(tag)
        tags = torch.stack(path[::-1], dim=1)
        return tags.masked_fill(torch.arange(T, device=z.device) >= lengths.unsqueeze(1), 0)

    def _score(self, z: Tensor, y: Tensor, lengths: Tensor) -> Tensor:
        T = z.shape[1]
        valid = torch.arange(T, device=z.device) < lengths.unsqueeze(1)
        y = y.masked_fill(~valid, 0)
        own = z.gather(2, y.unsqueeze(2)).squeeze(2).masked_fill(~valid, 0).sum(1)
        steps = self.transitions[y[:, :-1], y[:, 1:]].masked_fill(~valid[:, 1:], 0).sum(1)
        last = y.gather(1, (lengths - 1).clamp(min=0).unsqueeze(1)).squeeze(1)
        return own + steps + self.start[y[:, 0]] + self.end[last]

    def _partition(self, z: Tensor, lengths: Tensor) -> Tensor:
        score = self.start + z[:, 0]
        for t in range(1, z.shape[1]):
            found = (score.unsqueeze(2) + self.transitions).logsumexp(dim=1) + z[:, t]
            score = torch.where((t < lengths).unsqueeze(1), found, score)
        return (score + self.end).logsumexp(dim=1)
