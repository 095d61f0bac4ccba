"""What is to be learned, as the loop sees it."""

from __future__ import annotations

from typing import Protocol

from torch import Tensor, nn


class Problem(Protocol):
    """What is to be learned: the loop knows nothing else of the task.

    A problem may also have ``cut(order, batch_size)``, which cuts the examples of an epoch into batches (in order
    of length, say), as a function of its arguments alone; else they are cut as they come.
    """

    @property
    def train_count(self) -> int:
        """How many training examples there are."""

    def loss(self, network: nn.Module, indices: Tensor) -> Tensor | tuple[Tensor, Tensor | float]:
        """The loss over the training examples ``indices``, scalar.

        Where they all weigh the same, its mean. Else, as with masks, class weights or words, its sum and the sum of
        weights it is to be divided by: only these add up over the parts of a batch, see ``train.update``.
        """

    def validation_loss(self, network: nn.Module) -> float:
        """Mean loss over the validation examples."""
