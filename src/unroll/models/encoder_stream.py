"""A Transformer that advances one step at a time."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from unroll.kernels import rows as as_rows
from unroll.models.encoder_layer import KeyValueState
from unroll.nn import Stream


class TransformerStream(Stream):
    """As ``Stream``, with a state that grows by one step each time. Made by ``TransformerEncoder.stream``.

    Example::

        >>> stream = TransformerEncoder(3, 8).stream(batch_size=2)
        >>> y = stream.step(torch.randn(2, 3))          # (2, 8)
        >>> what_if = stream.fork()                     # goes its own way
        >>> stream.reset(rows=[0])                      # row 0 begins anew
    """

    state: tuple[KeyValueState, ...]

    def restore(self, saved: dict[str, Tensor]) -> None:
        """Go back to what ``save`` gave, however many steps it holds.

        Raises:
            ValueError: a tensor is missing or has another shape.
        """
        first = saved.get("0.keys")
        steps = first.shape[2] if first is not None and first.dim() == 4 else 0
        state = []
        for number, blank in enumerate(self._blank):
            leaves = []
            for name, model in zip(blank._fields, blank):
                shape = model.shape if name == "length" else (*model.shape[:2], steps, model.shape[3])
                leaf = saved.get(f"{number}.{name}")
                if leaf is None or leaf.shape != shape:
                    got = "none" if leaf is None else str(tuple(leaf.shape))
                    raise ValueError(f"state '{number}.{name}' must be {tuple(shape)}, got {got}")
                leaves.append(leaf.to(model).clone())
            state.append(KeyValueState(*leaves))
        self.state = tuple(state)

    def fork(self) -> TransformerStream:
        """A second stream that starts where this one stands."""
        other = TransformerStream(self.layer, self.batch_size)
        other.restore(self.save())
        return other

    def reset(self, rows: Sequence[int] | Tensor | None = None) -> None:
        """Begin anew: all rows, or those given by number or mask (batch,)."""
        if rows is None:
            self.state = self._blank
            return
        given = torch.as_tensor(rows)
        mask = torch.zeros(self.batch_size, dtype=torch.bool)
        mask[given if given.dtype is torch.bool else given.long()] = True
        mask = mask.to(self._blank[0].length.device)
        self.state = tuple(KeyValueState(*(leaf.masked_fill(as_rows(mask, leaf), 0) for leaf in s)) for s in self.state)
