"""What makes a recurrent layer a drop-in: torch's call, shapes and parameter names, on the contract."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from functools import partial
from operator import attrgetter
from typing import Any, ClassVar, cast

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence

from unroll import kernels
from unroll.errors import did_you_mean
from unroll.kernels import Operator
from unroll.nn import packed, stack, states
from unroll.nn.cell import Cell
from unroll.nn.cells.rnn import RNNCell
from unroll.nn.gated import GatedCell, option_names
from unroll.nn.lengths import checked_lengths
from unroll.nn.noise import Noise
from unroll.nn.options.merge import Merge
from unroll.nn.recurrent import Recurrent
from unroll.nn.states import Given
from unroll.nn.watch import Call, watcher_in_force

LAYER_OPTIONS = ("merge", "input_dropout", "weight_dropout", "connection", "learn_initial_state")
"""What ``Recurrent`` has besides torch's arguments."""


class Classic(Recurrent):
    """What the three share: parameters under torch's flat names, states stacked as torch stacks them.

    The cells hold no parameters of their own. ``cell_at`` hands out a cell bound to the layer's current
    ones, so that whatever replaces a parameter here (``load_state_dict``, ``functional_call``,
    parametrisations) is what the equation reads.

    Besides torch's arguments every layer takes the options of its cell and those of ``Recurrent``; a sequence of
    hidden sizes gives each layer its own.
    """

    kind: ClassVar[type[GatedCell]]
    hidden_size: int | tuple[int, ...]
    proj_size: int

    def __init__(
        self,
        input_size: int,
        hidden_size: int | Sequence[int],
        num_layers: int,
        *,
        bias: bool,
        batch_first: bool,
        dropout: float,
        bidirectional: bool,
        device: Any,
        dtype: Any,
        options: Mapping[str, Any],
    ) -> None:
        if not isinstance(bias, bool):
            raise TypeError(f"bias should be of type bool, got: {type(bias).__name__}")
        if not isinstance(batch_first, bool):
            raise TypeError(f"batch_first should be of type bool, got: {type(batch_first).__name__}")
        self.bias = bias
        own = {name: value for name, value in options.items() if name in LAYER_OPTIONS}
        of_cell = {name: value for name, value in options.items() if name not in LAYER_OPTIONS}
        self._check_names(of_cell)
        sizes = tuple(hidden_size) if isinstance(hidden_size, Sequence) else (hidden_size,)
        self.hidden_size = sizes if isinstance(hidden_size, Sequence) else hidden_size
        self.proj_size = of_cell.get("proj_size", 0)
        cells, width = [], input_size
        merge = Merge(own.get("merge", "concat"))
        for size in sizes:
            cells.append(self.kind(width, size, bias, device=device, dtype=dtype, **of_cell))
            width = merge.width(cells[-1].output_size, 2 if bidirectional else 1)
        for name, size in (("input_size", input_size), *(("hidden_size", cell.hidden_size) for cell in cells)):
            if size == 0:
                raise ValueError(f"{name} must be greater than zero")
        super().__init__(
            cells,
            num_layers,
            bidirectional=bidirectional,
            dropout=dropout,
            batch_first=batch_first,
            **own,
        )
        if self.dropout > 0 and self.num_layers == 1:
            warnings.warn(
                "dropout option adds dropout after all but last recurrent layer, so non-zero dropout expects "
                f"num_layers greater than 1, but got dropout={dropout} and num_layers={num_layers}",
                stacklevel=3,
            )

    def _check_names(self, options: Mapping[str, Any]) -> None:
        known = option_names(self.kind)
        for name in options:
            if name not in known and not (name == "nonlinearity" and self.kind is RNNCell):
                names = [*known, *LAYER_OPTIONS]
                raise TypeError(
                    f"{type(self).__name__} has no option '{name}'.{did_you_mean(name, names)} "
                    f"Besides torch's arguments it has {', '.join(names)}."
                )

    def _hold(self, cells: list[Cell]) -> None:
        operator = cells[0].operator()
        shapes = {cell.layout.shapes for cell in cells}
        plain = self.connection is None and self.merge.mode == "concat"
        self._operator_name = operator.name if operator is not None and plain and len(shapes) == 1 else None
        self._state_widths = [shape[-1] for shape in shapes.pop()] if len(shapes) == 1 else None
        self._weight_names: list[dict[str, str]] = []
        for position, cell in enumerate(cells):
            layer, direction = divmod(position, self.directions)
            suffix = f"_l{layer}" + ("_reverse" if direction else "")
            names = {name: name + suffix for name, p in cell.named_parameters()}
            for name, flat in names.items():
                self.register_parameter(flat, getattr(cell, name))
            for name in names:
                cell.register_parameter(name, None)
            self._weight_names.append(names)
        # A tuple keeps the bare cells out of the module tree.
        self._bare_cells = tuple(cells)
        self._weights_of = attrgetter(*(flat for names in self._weight_names for flat in names.values()))

    def cell_at(self, layer: int, direction: int = 0) -> Cell:
        position = layer * self.directions + direction
        names = self._weight_names[position]
        return self._bare_cells[position].with_parameters({name: getattr(self, names[name]) for name in names})

    def operator(self) -> Operator | None:
        """The whole stack as one torch operator over the current parameters, or None."""
        if self._operator_name is None:
            return None
        return Operator(self._operator_name, self._weights_of(self), self.bias)

    @property
    def all_weights(self) -> list[list[nn.Parameter]]:
        """The parameters, one list per layer and direction."""
        return [[getattr(self, flat) for flat in names.values()] for names in self._weight_names]

    def reset_parameters(self) -> None:
        """Draw every parameter anew as at construction, in torch's order."""
        for position in range(len(self._bare_cells)):
            self.cell_at(*divmod(position, self.directions)).reset_parameters()  # type: ignore[operator]
        for part in (self.start, *(self.connections or ())):
            if part is not None:
                part.reset_parameters()

    def flatten_parameters(self) -> None:
        """torch's call, so that code which makes it runs. It changes nothing: no copy of the weights is kept here."""

    def forward(  # type: ignore[override]
        self,
        input: Tensor | PackedSequence,
        hx: Tensor | Sequence[Any] | None = None,
        lengths: Tensor | Sequence[int] | None = None,
        noise: Noise | None = None,
    ) -> tuple[Tensor | PackedSequence, Any]:
        """torch's call; ``lengths`` (batch,) also makes a padded batch ragged, zero allowed.

        ``hx`` is torch's stacked state, or one cell state per layer and direction as ``initial_state`` and ``step``
        have it; the final state comes back in the same form. Layers of different sizes know the second form alone.
        ``noise`` as in ``Recurrent``.

        Returns:
            output, and the final state stacked as (layers · directions, batch, features): one tensor, or
            a tuple (h_n, c_n) for LSTM.
        """
        if isinstance(input, PackedSequence):
            if lengths is not None:
                raise ValueError("a PackedSequence brings its own lengths: leave out lengths=")
            return self._forward_packed(input, hx, noise)
        self._check_dtype(input)
        x, batched = self._time_major(input)
        state = self.given_state(hx, x, x.shape[1], batched=batched)
        known = checked_lengths(lengths, x.shape[1], x.shape[0], x.device)
        output, final = self.run_given(x, state, known, noise)
        if not batched:
            output = output.squeeze(1)
        elif self.batch_first:
            output = output.transpose(0, 1)
        return output, self._hand_back(final, per_cell=states.is_per_cell(hx), batched=batched)

    def run_given(self, x: Tensor, state: Given, lengths: Tensor | None, noise: Noise | None) -> tuple[Tensor, Given]:
        """Output and final state over ``x`` (T, batch, features), by one operator where torch has it."""
        noise = self._noise_over(x, noise)
        operator = None
        if lengths is None and noise is None and not torch.compiler.is_compiling() and x.numel():
            whole = self._operator_name is not None
            operator = kernels.stacked(self, x, x.shape) if whole else None
        if operator is None:
            output, final = super()._run(x, self.cell_states(state), lengths, noise)
            return output, states.stacked(final) if self._state_widths is not None else tuple(final)
        watcher = watcher_in_force()
        if watcher is None:
            return stack.run(self, operator, x, state)

        def report(number: int, x: Tensor, before: stack.Leaves) -> None:
            for direction, own in enumerate(self.cell_states(before)):
                watcher(Call(self, number, direction, self.cell_at(number, direction), x, own, None))

        return stack.run_watched(self, operator, x, state, report)

    def cell_states(self, state: Given) -> Sequence[Any]:
        """One cell state per layer and direction."""
        return states.per_cell(state, self._bare_cells[0].layout.kind) if self._state_widths is not None else state

    def _forward_packed(self, sequence: PackedSequence, hx: Any, noise: Noise | None) -> tuple[PackedSequence, Any]:
        data, batch_sizes, *orders = sequence
        self._check_dtype(data)
        if data.dim() != 2:
            raise RuntimeError(f"input must have 2 dimensions, got {data.dim()}")
        self._check_width(data)
        state = self.given_state(hx, data, int(batch_sizes[0]), batched=True)
        whole = self._operator_name is not None and noise is None and not self.drawing
        shape = len(batch_sizes), int(batch_sizes[0])
        # torch draws the dropout between layers over packed rows, which a run layer by layer does not hold.
        drops = self.training and self.dropout > 0 and self.num_layers > 1
        choose = (
            kernels.fused if drops and kernels.backend() == "auto" else partial(kernels.stacked, x=data, shape=shape)
        )
        operator = choose(self) if whole else None
        if operator is None:
            output, final = packed.run_padded(self, sequence, state, noise)
        else:
            output, final = packed.run(self, operator, sequence, state, watcher_in_force())
        return PackedSequence(output, batch_sizes, *orders), self._hand_back(final, states.is_per_cell(hx), True)

    def _check_dtype(self, x: Tensor) -> None:
        name = self._weight_names[0]["weight_ih"]
        weight = self._parameters.get(name)
        if weight is None:  # computed: what it is made of has its dtype, and may move each time it is read
            weight = next(self.parameters(), None)
        dtype = getattr(self, name).dtype if weight is None else weight.dtype
        if x.dtype != dtype and not torch._C._is_any_autocast_enabled():
            raise ValueError(
                f"RNN input dtype ({x.dtype}) does not match weight dtype ({dtype}). "
                f"Convert input: input.to({dtype}), or convert model: model.to({x.dtype})"
            )

    def given_state(self, hx: Any, x: Tensor, batch_size: int, *, batched: bool) -> Given:
        """``hx`` checked: stacked leaves, or one state per layer and direction where their sizes differ."""
        if hx is None and self.start is None and self._state_widths is not None:
            stack = self.num_layers * self.directions
            return tuple([x.new_zeros(stack, batch_size, width) for width in self._state_widths])
        if hx is None or states.is_per_cell(hx):
            given = hx if hx is None or batched else [states.unsqueezed(s) for s in hx]
            own = self._checked_states(given, x, batch_size)
            return states.stacked(own) if self._state_widths is not None else tuple(own)
        if self._state_widths is None:
            raise ValueError(
                f"layers of hidden sizes {self.hidden_size} take one state per layer and direction, as initial_state "
                "gives them, not a stacked tensor"
            )
        return states.checked(hx, self._state_widths, self.num_layers * self.directions, batch_size, batched=batched)

    def _hand_back(self, final: Given, per_cell: bool, batched: bool) -> Any:
        if self._state_widths is None or per_cell:
            own = self.cell_states(final)
            return tuple(own if batched else [states.squeezed(s) for s in own])
        leaves: Any = final if batched else tuple([leaf.squeeze(1) for leaf in final])
        return leaves[0] if len(leaves) == 1 else leaves

    def extra_repr(self) -> str:
        text = f"{self.input_size}, {self.hidden_size}"
        for name, default in (
            ("proj_size", 0),
            ("num_layers", 1),
            ("bias", True),
            ("batch_first", False),
            ("dropout", 0),
            ("bidirectional", False),
        ):
            if getattr(self, name) != default:
                text += f", {name}={getattr(self, name)}"
        bare = cast(GatedCell, self._bare_cells[0])
        said = ("bias", "proj_size")
        of_cell = [f"{n}={v}" for n, v, default in bare._options() if v != default and n not in said]
        if "nonlinearity=relu" in of_cell:  # torch does not say it
            of_cell.remove("nonlinearity=relu")
        return ", ".join([text, *of_cell, *self._shown()])
