"""A sequence in pieces: chunks for truncated back-propagation, and a stream that advances step by step."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from unroll import kernels

if TYPE_CHECKING:
    from unroll.nn.recurrent import Recurrent


def chunks(
    layer: Recurrent,
    x: Tensor,
    size: int,
    state: Any = None,
    lengths: Tensor | Sequence[int] | None = None,
    *,
    detach: bool = True,
) -> Iterator[tuple[Tensor, Any]]:
    """See ``Recurrent.chunks``."""
    if layer.bidirectional:
        raise RuntimeError("a bidirectional layer needs the whole sequence: it cannot run in chunks")
    if size < 1:
        raise ValueError(f"a chunk must hold 1 step or more, got {size}")
    time = 1 if layer.batch_first and x.dim() == 3 else 0
    known = None if lengths is None else torch.as_tensor(lengths, device=x.device)
    for begin in range(0, x.shape[time], size):
        part = x.narrow(time, begin, min(size, x.shape[time] - begin))
        own = None if known is None else (known - begin).clamp(0, part.shape[time])
        output, state = layer(part, state, own)
        yield output, state
        if detach:
            state = mapped(lambda leaf: leaf.detach(), state)


class Stream:
    """A layer that advances one step at a time and remembers where it stands. Made by ``Recurrent.stream``.

    No gradient is recorded. ``state`` holds one cell state per layer, each leaf (batch, …).

    Example::

        >>> stream = nn.Recurrent(nn.GRUCell(3, 4)).stream(batch_size=2)
        >>> y = stream.step(torch.randn(2, 3))          # (2, 4)
        >>> what_if = stream.fork()                     # goes its own way
        >>> stream.reset(rows=[0])                      # row 0 begins anew
    """

    def __init__(self, layer: Recurrent, batch_size: int) -> None:
        if layer.bidirectional:
            raise RuntimeError("a bidirectional layer has no stream: its backward direction starts at the end")
        self.layer, self.batch_size = layer, batch_size
        first = next(iter(layer.parameters()))
        blank = layer.initial_state(batch_size, device=first.device, dtype=first.dtype)
        # A learned start is read by a stream, not trained, and no view of its parameters.
        self._blank = mapped(lambda leaf: leaf.detach().clone(), blank)
        self.state: tuple[Any, ...] = self._blank

    @torch.no_grad()
    def step(self, x: Tensor) -> Tensor:
        """Advance one step: ``x`` (batch, input_size) to output (batch, output_size)."""
        output, self.state = self.layer.step(x, self.state)
        return output

    def save(self) -> dict[str, Tensor]:
        """The state as named tensors, copies, fit for safetensors."""
        return {
            f"{number}.{name}": leaf.clone()
            for number, state in enumerate(self.state)
            for name, leaf in zip(state._fields, state)
        }

    def restore(self, saved: dict[str, Tensor]) -> None:
        """Go back to what ``save`` gave.

        Raises:
            ValueError: a tensor is missing or has another shape.
        """
        state = []
        for number, blank in enumerate(self._blank):
            leaves = []
            for name, model in zip(blank._fields, blank):
                leaf = saved.get(f"{number}.{name}")
                if leaf is None or leaf.shape != model.shape:
                    got = "none" if leaf is None else str(tuple(leaf.shape))
                    raise ValueError(f"state '{number}.{name}' must be {tuple(model.shape)}, got {got}")
                leaves.append(leaf.to(model).clone())
            state.append(type(blank)(*leaves))
        self.state = tuple(state)

    def fork(self) -> Stream:
        """A second stream that starts where this one stands."""
        other = Stream(self.layer, self.batch_size)
        other.restore(self.save())
        return other

    def reset(self, rows: Sequence[int] | Tensor | None = None) -> None:
        """Begin anew: all rows, or those given by number or mask (batch,)."""
        if rows is None:
            self.state = self._blank
            return
        given = torch.as_tensor(rows)
        mask = given if given.dtype is torch.bool else torch.zeros(self.batch_size, dtype=torch.bool)
        if given.dtype is not torch.bool:
            mask[given.long()] = True
        self.state = tuple(
            kernels.map_state(lambda old, new: torch.where(kernels.rows(mask.to(old.device), old), new, old), s, blank)
            for s, blank in zip(self.state, self._blank)
        )


def mapped(function: Any, state: Any) -> Any:
    """``function`` on every tensor of a state, however its tuples are nested."""
    if isinstance(state, Tensor):
        return function(state)
    parts = [mapped(function, part) for part in state]
    return type(state)(*parts) if hasattr(state, "_fields") else type(state)(parts)
