"""Any cell over sequences: everything that is not the equation lives here, once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from unroll import kernels
from unroll.errors import ConfigError, did_you_mean
from unroll.kernels import Captured
from unroll.nn.cell import Cell
from unroll.nn.gates import Gates, with_gates
from unroll.nn.lengths import checked_lengths, zero_padding
from unroll.nn.noise import LayerNoise, Noise, blank_rows
from unroll.nn.options.connection import connection as make_connection
from unroll.nn.options.dropout import InputDropout, WeightDropout, mask
from unroll.nn.options.merge import Merge
from unroll.nn.options.start import LearnedStart
from unroll.nn.states import squeezed, unsqueezed
from unroll.nn.time import Stream, chunks
from unroll.nn.watch import Call, watcher_in_force


class Recurrent(nn.Module):
    r"""Runs a cell over sequences, in layers and directions.

    .. math:: (y_t, s_t) = \mathrm{step}(x_t, s_{t-1}), \qquad t = 1 \dots T

    Layer l reads the outputs of layer l-1, those of both directions merged.

    Args:
        cell: a cell, which becomes the first layer; further layers and directions are new cells of its kind
            (``cell.like``). Or one cell per layer, of any kinds and sizes.
        num_layers: how many layers; with one cell per layer it may be left out.
        bidirectional: whether each layer also runs backwards, from each sequence's own end.
        dropout: share of each layer's outputs zeroed in training, the last layer's excepted.
        batch_first: sequences are (batch, T, features) instead of (T, batch, features).
        merge: how both directions become one: ``"concat"``, ``"sum"``, ``"mean"`` or ``"product"``.
        input_dropout: share of each layer's input features zeroed in training, the same at every step.
        weight_dropout: share of W_hh zeroed in training, the same for every step and row; or shares by the names of
            a cell's parameters.
        connection: ``"residual"`` or ``"highway"`` around every layer but the first.
        learn_initial_state: whether the state before the first step is learned; it starts at 0.

    Shapes:
        - input (T, batch, input_size), or (T, input_size) for one sequence.
        - output (T, batch, output_size), output_size = directions · that of the last cell, or as merged.
        - state: one cell state per layer and direction, forward before backward, each leaf (batch, …).

    Example::

        >>> layer = Recurrent(GRUCell(3, 4, reset="before"), num_layers=2, batch_first=True)
        >>> output, state = layer(torch.randn(2, 5, 3), lengths=torch.tensor([5, 0]))
        >>> output.shape, state[1].h.shape
        (torch.Size([2, 5, 4]), torch.Size([2, 4]))
    """

    def __init__(
        self,
        cell: Cell | Sequence[Cell],
        num_layers: int = 1,
        *,
        bidirectional: bool = False,
        dropout: float = 0.0,
        batch_first: bool = False,
        merge: str = "concat",
        input_dropout: float = 0.0,
        weight_dropout: float | Mapping[str, float] = 0.0,
        connection: str | None = None,
        learn_initial_state: bool = False,
    ) -> None:
        super().__init__()
        if num_layers <= 0:
            raise ValueError("num_layers must be greater than zero")
        if isinstance(dropout, bool) or not isinstance(dropout, (int, float)) or not 0 <= dropout <= 1:
            raise ValueError(
                "dropout should be a number in range [0, 1] representing the probability of an element being zeroed"
            )
        self.num_layers, self.bidirectional, self.batch_first = num_layers, bidirectional, batch_first
        self.dropout, self.merge, self.connection = float(dropout), Merge(merge), connection
        self.input_dropout = InputDropout(input_dropout)
        rates = weight_dropout if isinstance(weight_dropout, Mapping) else {WeightDropout.parameter: weight_dropout}
        shares = {name: WeightDropout(p) for name, p in rates.items()}
        cells = self._make_cells(cell)
        self._check_weights(cells, rates if isinstance(weight_dropout, Mapping) or weight_dropout else ())
        self.weight_dropout = {name: own for name, own in shares.items() if own.p}
        drawing = self.input_dropout.p > 0 or bool(self.weight_dropout)
        self._draws = drawing or any(own.draws for own in cells)
        self.start = LearnedStart(cells, self.directions) if learn_initial_state else None
        like = next(cells[0].parameters(), torch.empty(0))
        self._hold(cells)
        widths = [self.merge.width(own.output_size, self.directions) for own in cells[:: self.directions]]
        self.input_size, self.output_size = cells[0].input_size, widths[-1]
        self.connections = None if connection is None else make_connection(connection, widths).to(like)

    def _make_cells(self, cell: Cell | Sequence[Cell]) -> list[Cell]:
        given = list(cell) if isinstance(cell, Sequence) else [cell]
        if not given:
            raise ValueError("one cell or more is needed, one per layer, got none")
        for one in given:
            if not isinstance(one, Cell):
                raise TypeError(f"cell should be a Cell, got: {type(one).__name__}")
        if len(given) > 1:
            if self.num_layers not in (1, len(given)):
                raise ValueError(f"num_layers={self.num_layers}, but {len(given)} cells were given: one per layer")
            self.num_layers = len(given)
        cells: list[Cell] = []
        width = given[0].input_size
        for layer in range(self.num_layers):
            first = given[layer] if layer < len(given) else given[0].like(width)
            if first.input_size != width:
                raise ValueError(f"cell {layer} reads {first.input_size} features, but layer {layer - 1} gives {width}")
            cells += [first, *(first.like(first.input_size) for _ in range(1, self.directions))]
            width = self.merge.width(first.output_size, self.directions)
        return cells

    def _check_weights(self, cells: list[Cell], names: Iterable[str]) -> None:
        for name in names:
            for cell in cells:
                known = [own for own, _ in cell.named_parameters(recurse=False)]
                if name not in known:
                    raise ConfigError(
                        f"weight_dropout of '{name}', which {type(cell).__name__} does not have."
                        f"{did_you_mean(name, known)}",
                        expected=f"names among {', '.join(known)}",
                        fix='Give weight_dropout={"name": rate}',
                    )

    def _hold(self, cells: list[Cell]) -> None:
        self.cells = nn.ModuleList(cells)

    @property
    def directions(self) -> int:
        """2 if bidirectional, else 1."""
        return 2 if self.bidirectional else 1

    def cell_at(self, layer: int, direction: int = 0) -> Cell:
        """The cell of a layer (0 first) and direction (0 forward, 1 backward)."""
        return self.cells[layer * self.directions + direction]  # type: ignore[return-value]

    def initial_state(
        self, batch_size: int, *, device: torch.device | None = None, dtype: torch.dtype | None = None
    ) -> tuple[Any, ...]:
        """The state before the first step: one cell state per layer and direction."""
        states = [
            self.cell_at(layer, direction).initial_state(batch_size, device=device, dtype=dtype)
            for layer in range(self.num_layers)
            for direction in range(self.directions)
        ]
        if self.start is not None:
            states = [self.start.rows(position, blank) for position, blank in enumerate(states)]
        return tuple(states)

    def draw(
        self, T: int, batch_size: int, *, device: torch.device | None = None, dtype: torch.dtype | None = None
    ) -> Noise:
        """The masks of every dropout and zoneout for ``T`` steps, as training draws them, whatever the mode.

        Given as ``noise=`` they are used in evaluation too (Monte-Carlo dropout, Gal & Ghahramani 2016).
        """
        cells, between = [], []
        for layer in range(self.num_layers):
            for direction in range(self.directions):
                cell = self.cell_at(layer, direction)
                rows = blank_rows(cell, batch_size, device, dtype)
                weights = {name: own.draw(getattr(cell, name)) for name, own in self.weight_dropout.items()}
                given = self.input_dropout.draw(rows) if self.input_dropout.p else None
                cells.append(LayerNoise(given, weights, cell.draw(T, rows)))
            if self.dropout and layer < self.num_layers - 1:
                width = self.merge.width(cell.output_size, self.directions)
                between.append(mask(self.dropout, (T, batch_size, width), rows))
        return Noise(tuple(cells), tuple(between))

    @property
    def drawing(self) -> bool:
        """Whether a call draws noise of its own: in training, with an option that draws.

        Dropout between layers alone is drawn as torch draws it, where it acts.
        """
        return self.training and self._draws

    def _noise_over(self, x: Tensor, noise: Noise | None) -> Noise | None:
        """The noise of a call over ``x`` (T, batch, …): as given, or drawn, or none."""
        if noise is not None:
            noise.check(self.num_layers * self.directions, x.shape[0], x.shape[1])
            return noise
        return self.draw(x.shape[0], x.shape[1], device=x.device, dtype=x.dtype) if self.drawing else None

    def forward(
        self,
        x: Tensor,
        state: Sequence[Any] | None = None,
        lengths: Tensor | Sequence[int] | None = None,
        noise: Noise | None = None,
    ) -> tuple[Tensor, tuple[Any, ...]]:
        """Run over ``x``; ``lengths`` (batch,) gives each sequence's own length, zero allowed.

        Output is zero beyond a sequence's length; the final state is that of its last step. ``noise`` is what
        ``draw`` gave; by default training draws it and evaluation has none.

        Raises:
            ValueError: ``x`` is neither 2-D nor 3-D, or ``lengths`` do not fit it.
            RuntimeError: ``x`` has another width than ``input_size``, ``state`` another shape than it should, or
                ``noise`` was drawn for another layer or other shapes.
        """
        x, batched = self._time_major(x)
        given = None if state is None else [s if batched else unsqueezed(s) for s in state]
        states = self._checked_states(given, x, x.shape[1])
        lengths = checked_lengths(lengths, x.shape[1], x.shape[0], x.device)
        noise = self._noise_over(x, noise)
        output, final = self._run(x, states, lengths, noise)
        if not batched:
            return output.squeeze(1), tuple(squeezed(s) for s in final)
        return (output.transpose(0, 1) if self.batch_first else output), tuple(final)

    def with_gates(self, *inputs: Any, **keywords: Any) -> tuple[Any, Any, Gates]:
        """``self(*inputs, **keywords)`` and the gates of every step, ``gates["l0"]["f"]``; see ``nn.gates``."""
        return with_gates(self, *inputs, **keywords)

    def step(
        self, x: Tensor, state: Sequence[Any] | None = None, noise: Noise | None = None
    ) -> tuple[Tensor, tuple[Any, ...]]:
        """One time step through all layers: ``x`` (batch, input_size) to output (batch, output_size).

        Noise acts as in ``forward`` over one step; ``noise.narrow(t, 1)`` gives that of step t. A backward direction
        has no step: it needs the end first.

        Raises:
            RuntimeError: the layer is bidirectional, ``x`` is not (batch, input_size), or ``state`` has another
                shape than it should.
        """
        if self.bidirectional:
            raise RuntimeError(
                "a bidirectional layer has no step: its backward direction starts at the sequence's end. "
                "Call the layer on the whole sequence, or build it with bidirectional=False."
            )
        if x.dim() != 2 or x.shape[1] != self.input_size:
            raise RuntimeError(f"a step takes (batch, {self.input_size}), got {tuple(x.shape)}")
        states = self._checked_states(state, x, x.shape[0])
        noise = self._noise_over(x.unsqueeze(0), noise)
        final = []
        for layer, before in enumerate(states):
            cell, source, own = self.cell_at(layer), x, None
            if noise is not None:
                masks = noise.cells[layer]
                (cell, source), own = masks.applied(cell, x), masks.cell
            output, after = kernels.step(cell, source, before, own)
            final.append(after)
            x = self._joined(layer, output, x, noise, 0)
        return x, tuple(final)

    def chunks(
        self,
        x: Tensor,
        size: int,
        state: Any = None,
        lengths: Tensor | Sequence[int] | None = None,
        *,
        detach: bool = True,
    ) -> Iterator[tuple[Tensor, Any]]:
        """Run over ``x`` in chunks of ``size`` steps, the state carried: truncated BPTT (Williams & Peng 1990).

        Yields output and state of each chunk, as ``forward`` gives them. With ``detach`` no gradient passes
        from one chunk into the one before, so memory is that of a chunk; without, all is as in one run.

        Example::

            >>> for output, state in layer.chunks(x, 35):
            ...     loss(output).backward()

        Raises:
            RuntimeError: the layer is bidirectional.
            ValueError: ``size`` is below 1.
        """
        return chunks(self, x, size, state, lengths, detach=detach)

    def stream(self, batch_size: int) -> Stream:
        """A stream that advances one step at a time; see ``Stream``.

        Raises:
            RuntimeError: the layer is bidirectional.
        """
        return Stream(self, batch_size)

    def _run(
        self, x: Tensor, states: Sequence[Any], lengths: Tensor | None, noise: Noise | None
    ) -> tuple[Tensor, list[Any]]:
        """``x`` (T, batch, features), time first."""
        if lengths is not None:
            x = zero_padding(x, lengths)
        watcher = watcher_in_force()
        final: list[Any] = []
        for layer in range(self.num_layers):
            cells, sources, noises = [], [], []
            for direction in range(self.directions):
                cell, source, own = self.cell_at(layer, direction), x, None
                if noise is not None:
                    masks = noise.cells[len(final) + direction]
                    (cell, source), own = masks.applied(cell, x), masks.cell
                cells.append(cell)
                sources.append(source)
                noises.append(own)
            before = states[len(final) : len(final) + self.directions]
            kept: list[Captured | None] | None = None if watcher is None else []
            output, after = self._run_layer(cells, sources, before, lengths, noises, kept)
            if watcher is not None and kept is not None:
                for direction, ran in enumerate(zip(cells, sources, before, (lengths, lengths), noises, kept)):
                    watcher(Call(self, layer, direction, *ran))
            final += after
            x = self._joined(layer, output, x, noise, slice(None))
        return x, final

    def _run_layer(
        self,
        cells: Sequence[Cell],
        sources: Sequence[Tensor],
        before: Sequence[Any],
        lengths: Tensor | None,
        noises: Sequence[Any],
        kept: list[Captured | None] | None,
    ) -> tuple[Tensor, list[Any]]:
        """One layer: the output of its directions, merged, and their final states; to ``kept`` what each kept."""
        keep = None if kept is None else kept.append
        if self.bidirectional:
            both = kernels.run_both(cells, sources, before, lengths=lengths, noises=noises, keep=keep)
            if both is not None:
                return self.merge.halves(both[0]), both[1]
        outputs, final = [], []
        for direction, (cell, source, state, own) in enumerate(zip(cells, sources, before, noises)):
            output, after = kernels.run(
                cell, source, state, lengths=lengths, reverse=direction > 0, noise=own, keep=keep
            )
            outputs.append(output)
            final.append(after)
            if kept is not None and len(kept) < len(outputs):
                kept.append(None)
        return self.merge(outputs), final

    def _joined(self, layer: int, output: Tensor, x: Tensor, noise: Noise | None, t: Any) -> Tensor:
        """What the layer above reads: the connection with this layer's own input, then dropout."""
        if self.connections is not None and layer:
            output = self.connections[layer - 1](output, x)
        if layer == self.num_layers - 1:
            return output
        if noise is not None:
            return output * noise.between[layer][t] if noise.between else output
        return F.dropout(output, self.dropout, self.training) if self.dropout else output

    def _time_major(self, x: Tensor) -> tuple[Tensor, bool]:
        if x.dim() not in (2, 3):
            raise ValueError(f"{type(self).__name__}: Expected input to be 2D or 3D, got {x.dim()}D instead")
        self._check_width(x)
        if x.dim() == 2:
            return x.unsqueeze(1), False
        return (x.transpose(0, 1) if self.batch_first else x), True

    def _check_width(self, x: Tensor) -> None:
        if x.shape[-1] != self.input_size:
            raise RuntimeError(
                f"input.size(-1) must be equal to input_size. Expected {self.input_size}, got {x.shape[-1]}"
            )

    def _checked_states(self, state: Sequence[Any] | None, x: Tensor, batch_size: int) -> Sequence[Any]:
        if state is None:
            return self.initial_state(batch_size, device=x.device, dtype=x.dtype)
        count = self.num_layers * self.directions
        if len(state) != count:
            raise RuntimeError(f"Expected {count} states, one per layer and direction, got {len(state)}")
        return [
            self.cell_at(*divmod(position, self.directions)).checked_state(given, batch_size, f"state[{position}]")
            for position, given in enumerate(state)
        ]

    def extra_repr(self) -> str:
        return ", ".join([f"num_layers={self.num_layers}", *self._shown("bidirectional", "dropout", "batch_first")])

    def _shown(self, *names: str) -> list[str]:
        """The options that are on, as ``repr`` shows them."""
        shown = [f"{name}={getattr(self, name)}" for name in names if getattr(self, name)]
        if self.merge.mode != "concat":
            shown.append(f"merge={self.merge.mode}")
        if self.input_dropout.p:
            shown.append(f"input_dropout={self.input_dropout.p}")
        if self.weight_dropout:
            shown.append(f"weight_dropout={ {name: own.p for name, own in self.weight_dropout.items()} }")
        if self.connection is not None:
            shown.append(f"connection={self.connection}")
        if self.start is not None:
            shown.append("learn_initial_state=True")
        return shown
