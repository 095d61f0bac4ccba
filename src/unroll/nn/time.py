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

    No gradient is recorded. ``state`` holds one cell state per layer, each leaf (batch, …). On a CPU our engine takes
    the steps of what it knows, with the weights packed once, and packed anew when they have changed (not when written
    behind autograd's back, through ``.data``, or replaced: make a new stream then).

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
        self._state: tuple[Any, ...] = self._blank
        self._steps: kernels.Steps | None = None
        self._forced: str | None = None
        self._training = layer.training
        self._tried = False

    @property
    def state(self) -> tuple[Any, ...]:
        """One cell state per layer; what is set here is where the next step begins."""
        if self._steps is not None:
            kinds = (type(own) for own in self._blank)
            return tuple(kind(*leaves) for kind, leaves in zip(kinds, self._steps.states()))
        return self._state

    @state.setter
    def state(self, state: tuple[Any, ...]) -> None:
        self._state = state
        if self._steps is not None and not self._steps.put(state):
            self._steps, self._tried = None, False

    def step(self, x: Any, out: Any = None) -> Any:
        """Advance one step: ``x`` (batch, input_size) to output (batch, output_size), tensors or NumPy arrays.

        ``out`` takes the output, so that nothing is allocated; it is given back.

        Raises:
            RuntimeError: ``x`` or ``out`` has another shape or dtype than it should.
        """
        steps = self._steps
        # Written out, since a call in Python takes as long as a step of 32 units.
        if (
            steps is None
            or type(x) is not Tensor
            or x.shape != steps.taken
            or x.dtype is not steps.dtype
            or not x.is_cpu
            or not x.is_contiguous()
            or x.is_neg()
            or kernels.forced() != self._forced
            or self.layer.training is not self._training
            or [weight._version for weight in steps.weights] != steps.versions
        ):
            return self._step_anew(x, out)
        if out is None:
            out = x.new_empty(steps.given)
        elif (
            type(out) is not Tensor
            or out.shape != steps.given
            or out.dtype is not steps.dtype
            or not out.is_cpu
            or not out.is_contiguous()
        ):
            return _into(out, self.step(x))
        if kernels.heard() is not None:
            kernels.note("cpu")
        steps.step(x.data_ptr(), out.data_ptr())
        return out

    @torch.no_grad()
    def _step_anew(self, x: Any, out: Any) -> Any:
        """A step where no engine is set up for it, or something has changed since."""
        if not isinstance(x, Tensor):
            given = torch.from_numpy(x)
            return self.step(given).numpy() if out is None else self.step(given, torch.from_numpy(out)).numpy()
        steps = self._set_up()
        if steps is not None and x.shape == steps.taken and x.dtype is steps.dtype and x.is_cpu:
            return self.step(x.as_subclass(Tensor).resolve_neg().contiguous(), out)
        output, self.state = self.layer.step(x, self.state)
        return output if out is None else _into(out, output)

    def _set_up(self) -> kernels.Steps | None:
        """Our engine, set up for the layer as it is now; None if it does not know its cells."""
        as_now = kernels.forced(), self.layer.training
        if self._tried and as_now == (self._forced, self._training) and (self._steps is None or not self._steps.stale):
            return self._steps
        self._state, self._steps, self._tried = self.state, None, True
        self._forced, self._training = as_now
        if _steps_plainly(self.layer):
            cells = [self.layer.cell_at(number) for number in range(self.layer.num_layers)]
            self._steps = kernels.steps(cells, self._state, self.layer.input_size)
        return self._steps

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


def _steps_plainly(layer: Any) -> bool:
    """Whether a step of ``layer`` is that of its cells and nothing between them."""
    if not hasattr(layer, "cell_at"):
        return False
    between = layer.drawing or layer.connections or (layer.training and layer.dropout)
    return not (between or torch.compiler.is_compiling() or torch.is_autocast_enabled("cpu"))


def _into(out: Tensor, output: Tensor) -> Tensor:
    """``output`` written to ``out``, which is given back."""
    if out.shape != output.shape or out.dtype != output.dtype:
        raise RuntimeError(
            f"out must be {tuple(output.shape)} in {output.dtype}, got {tuple(out.shape)} in {out.dtype}"
        )
    return out.copy_(output)
