"""How much memory training will need, before it begins."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from unroll.tasks.network import NetworkOptions

if TYPE_CHECKING:
    from unroll.tasks.classify import ClassifyTask

COPIES = 4
"""A weight, its gradient, and the two moments AdamW keeps."""
KEPT = 12
"""Numbers that a unit keeps per step until its gradient is taken: gates, states, outputs, and what passes back."""


def classifier_megabytes(task: ClassifyTask, options: NetworkOptions, batches: Sequence[np.ndarray]) -> float:
    """An estimate of the most that the costliest of ``batches`` (positions in the training part) takes, in MB.

    Weights, gradients and moments, and for every padded step what it reads and what its units keep, 4 bytes a number.
    """
    lengths = task.ragged.lengths[task.parts.indices["train"]]
    steps = max((len(batch) * max(1, int(lengths[batch].max())) for batch in batches), default=0)
    directions = 2 if task.options.bidirectional else 1
    read = task.input.width * (3 if task.input.tokens else 1)
    units = options.hidden * options.layers * directions * KEPT
    return 4e-6 * (COPIES * task.parameters(options) + steps * (read + units))
