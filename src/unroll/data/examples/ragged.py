"""Sequences of unequal length in one array, and batches of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor


class RaggedBatch(NamedTuple):
    """``x`` (batch, T, …), T at least 1; ``lengths`` (batch,), zero allowed. Beyond a length ``x`` is 0."""

    x: Tensor
    lengths: Tensor


@dataclass(frozen=True, eq=False)
class Ragged:
    """Sequence k is ``values[offsets[k]:offsets[k + 1]]``; ``values`` (steps, …), ``offsets`` (sequences + 1,)."""

    values: np.ndarray
    offsets: np.ndarray

    @classmethod
    def of(cls, sequences: Sequence[np.ndarray], like: np.ndarray) -> Ragged:
        """``sequences`` end to end; ``like`` is an empty one that gives type and width where there are none."""
        offsets = np.concatenate([[0], np.cumsum([len(s) for s in sequences], dtype=np.int64)]).astype(np.int64)
        return cls(np.concatenate([like, *sequences]).astype(like.dtype, copy=False), offsets)

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @property
    def lengths(self) -> np.ndarray:
        return np.diff(self.offsets)

    def sequence(self, index: int) -> np.ndarray:
        return self.values[self.offsets[index] : self.offsets[index + 1]]

    def batch(self, indices: np.ndarray) -> RaggedBatch:
        """The sequences ``indices``, padded with 0 to the longest of them."""
        begins, lengths = self.offsets[indices], self.lengths[indices]
        steps = np.arange(max(1, int(lengths.max(initial=0))))
        within = steps < lengths[:, None]
        x = np.zeros((len(indices), len(steps), *self.values.shape[1:]), self.values.dtype)
        x[within] = self.values[(begins[:, None] + steps)[within]]
        return RaggedBatch(torch.from_numpy(x), torch.from_numpy(lengths))
