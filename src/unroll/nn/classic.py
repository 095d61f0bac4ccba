"""``RNN``, ``LSTM`` and ``GRU``: torch's constructor, call, shapes and parameter names, on the contract."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from operator import attrgetter
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence

from unroll import kernels
from unroll.kernels import Operator, torch_op
from unroll.nn import packed
from unroll.nn.cell import Cell, GatedCell
from unroll.nn.cells import GRUCell, LSTMCell, RNNCell
from unroll.nn.recurrent import Recurrent, watcher_in_force


class Classic(Recurrent):
    """What the three share: parameters under torch's flat names, states stacked as torch stacks them.

    The cells hold no parameters of their own. ``cell_at`` hands out a cell bound to the layer's current
    ones, so that whatever replaces a parameter here (``load_state_dict``, ``functional_call``,
    parametrisations) is what the equation reads.
    """

    hidden_size: int
    proj_size: int = 0

    def __init__(
        self,
        cell: GatedCell,
        num_layers: int,
        *,
        bias: bool,
        batch_first: bool,
        dropout: float,
        bidirectional: bool,
    ) -> None:
        if not isinstance(bias, bool):
            raise TypeError(f"bias should be of type bool, got: {type(bias).__name__}")
        if not isinstance(batch_first, bool):
            raise TypeError(f"batch_first should be of type bool, got: {type(batch_first).__name__}")
        for name, size in (("input_size", cell.input_size), ("hidden_size", cell.hidden_size)):
            if size == 0:
                raise ValueError(f"{name} must be greater than zero")
        self.hidden_size, self.bias = cell.hidden_size, bias
        super().__init__(cell, num_layers, bidirectional=bidirectional, dropout=dropout, batch_first=batch_first)
        if self.dropout > 0 and num_layers == 1:
            warnings.warn(
                "dropout option adds dropout after all but last recurrent layer, so non-zero dropout expects "
                f"num_layers greater than 1, but got dropout={dropout} and num_layers={num_layers}",
                stacklevel=3,
            )

    def _hold(self, cells: list[Cell]) -> None:
        self.input_size = cells[0].input_size
        self.output_size = self.directions * cells[-1].output_size
        operator = cells[0].operator()
        self._operator_name = None if operator is None else operator.name
        self._state_widths = [shape[-1] for shape in cells[0].layout.shapes]
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
        bare = self._bare_cells[position]
        own = {name: getattr(self, flat) for name, flat in self._weight_names[position].items()}
        cell = Cell.__new__(type(bare))
        cell.__dict__.update(bare.__dict__, _parameters={**bare._parameters, **own})
        return cell

    def operator(self) -> Operator | None:
        """The whole stack as one torch operator over the current parameters, or None."""
        if self._operator_name is None:
            return None
        if torch.compiler.is_compiling():  # dynamo traces getattr, not attrgetter
            flat = [name for names in self._weight_names for name in names.values()]
            return Operator(self._operator_name, tuple([getattr(self, name) for name in flat]), self.bias)
        return Operator(self._operator_name, self._weights_of(self), self.bias)

    @property
    def all_weights(self) -> list[list[nn.Parameter]]:
        """The parameters, one list per layer and direction."""
        return [[getattr(self, flat) for flat in names.values()] for names in self._weight_names]

    def reset_parameters(self) -> None:
        """Draw every parameter anew from U(-1/√hidden, 1/√hidden), in torch's order."""
        bound = self.hidden_size**-0.5
        for parameter in self.parameters():
            nn.init.uniform_(parameter, -bound, bound)

    def flatten_parameters(self) -> None:
        """torch's call, so that code which makes it runs. It changes nothing: no copy of the weights is kept here."""

    def forward(  # type: ignore[override]
        self,
        input: Tensor | PackedSequence,
        hx: Tensor | Sequence[Tensor] | None = None,
        lengths: Tensor | Sequence[int] | None = None,
    ) -> tuple[Tensor | PackedSequence, Any]:
        """torch's call; ``lengths`` (batch,) also makes a padded batch ragged, zero allowed.

        Returns:
            output, and the final state stacked as (layers · directions, batch, features): one tensor, or
            a tuple (h_n, c_n) for LSTM.
        """
        if isinstance(input, PackedSequence):
            if lengths is not None:
                raise ValueError("a PackedSequence brings its own lengths: leave out lengths=")
            return self._forward_packed(input, hx)
        self._check_dtype(input)
        x, batched = self._time_major(input)
        state = self._stacked_state(hx, x, x.shape[1], batched=batched)
        known = self._checked_lengths(lengths, x)
        output, leaves = self.run_stacked(x, state, known)
        if not batched:
            output, leaves = output.squeeze(1), tuple(leaf.squeeze(1) for leaf in leaves)
        elif self.batch_first:
            output = output.transpose(0, 1)
        return output, self._hand_back(leaves)

    def run_stacked(
        self, x: Tensor, state: tuple[Tensor, ...], lengths: Tensor | None
    ) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Output and final state over ``x`` (T, batch, features), by one operator where torch has it."""
        if lengths is None and watcher_in_force() is None and x.numel():
            operator = kernels.fused(self)
            if operator is not None:
                return torch_op.run(
                    operator,
                    x,
                    state,
                    num_layers=self.num_layers,
                    bidirectional=self.bidirectional,
                    dropout=self.dropout,
                    training=self.training,
                )
        output, final = super()._run(x, self.cell_states(state), lengths)
        return output, tuple(torch.stack(leaves) for leaves in zip(*final))

    def cell_states(self, state: Sequence[Tensor]) -> list[Any]:
        """A stacked state as one cell state per layer and direction."""
        kind = self._bare_cells[0].layout.kind
        return [kind(*leaves) for leaves in zip(*(leaf.unbind(0) for leaf in state))]

    def _forward_packed(self, sequence: PackedSequence, hx: Any) -> tuple[PackedSequence, Any]:
        data, batch_sizes, *orders = sequence
        self._check_dtype(data)
        if data.dim() != 2:
            raise RuntimeError(f"input must have 2 dimensions, got {data.dim()}")
        self._check_width(data)
        state = self._stacked_state(hx, data, int(batch_sizes[0]), batched=True)
        operator, watcher = kernels.fused(self), watcher_in_force()
        if operator is None:
            output, leaves = packed.run_padded(self, sequence, state)
        elif watcher is None:
            output, leaves = packed.run(self, operator, sequence, state)
        else:
            output, leaves = packed.run_watched(self, operator, sequence, state, watcher)
        return PackedSequence(output, batch_sizes, *orders), self._hand_back(leaves)

    def _check_dtype(self, x: Tensor) -> None:
        dtype = getattr(self, self._weight_names[0]["weight_ih"]).dtype
        if x.dtype != dtype and not torch._C._is_any_autocast_enabled():
            raise ValueError(
                f"RNN input dtype ({x.dtype}) does not match weight dtype ({dtype}). "
                f"Convert input: input.to({dtype}), or convert model: model.to({x.dtype})"
            )

    def _stacked_state(self, hx: Any, x: Tensor, batch_size: int, *, batched: bool) -> tuple[Tensor, ...]:
        stack, widths = self.num_layers * self.directions, self._state_widths
        if hx is None:
            return tuple([x.new_zeros(stack, batch_size, width) for width in widths])
        given = (hx,) if isinstance(hx, Tensor) else tuple(hx)
        if len(given) != len(widths):
            raise RuntimeError(f"Expected a state of {len(widths)} tensors, got {len(given)}")
        dims = 3 if batched else 2
        if any(leaf.dim() != dims for leaf in given):
            kind = "batched 3-D" if batched else "unbatched 2-D"
            got = ", ".join(f"{leaf.dim()}-D" for leaf in given)
            what, got = ("hx and cx", f"({got}) tensors") if len(given) > 1 else ("hx", f"{got} tensor")
            raise RuntimeError(f"For {kind} input, {what} should also be {dims}-D but got {got}")
        if not batched:
            given = tuple(leaf.unsqueeze(1) for leaf in given)
        for position, (leaf, width) in enumerate(zip(given, widths)):
            if leaf.shape != (stack, batch_size, width):
                where = f"hidden[{position}]" if len(widths) > 1 else "hidden"
                raise RuntimeError(f"Expected {where} size {(stack, batch_size, width)}, got {list(leaf.shape)}")
        return given

    def _hand_back(self, leaves: tuple[Tensor, ...]) -> Tensor | tuple[Tensor, ...]:
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
        return text


class RNN(Classic):
    r"""Elman network over sequences, drop-in for ``torch.nn.RNN``; equation in ``RNNCell``.

    Args:
        input_size, hidden_size, num_layers, nonlinearity, bias, batch_first, dropout, bidirectional, device,
            dtype: as in ``torch.nn.RNN``.

    Shapes:
        - input (T, batch, input_size), (batch, T, input_size) if ``batch_first``, or (T, input_size).
        - h_0, h_n (num_layers · directions, batch, hidden_size).
        - output (T, batch, directions · hidden_size).

    Example::

        >>> rnn = RNN(3, 4, num_layers=2, batch_first=True)
        >>> output, h_n = rnn(torch.randn(2, 5, 3), lengths=[5, 3])
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        nonlinearity: str = "tanh",
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        cell = RNNCell(input_size, hidden_size, bias, nonlinearity, device, dtype)
        super().__init__(
            cell, num_layers, bias=bias, batch_first=batch_first, dropout=dropout, bidirectional=bidirectional
        )
        self.nonlinearity = nonlinearity


class LSTM(Classic):
    r"""LSTM over sequences, drop-in for ``torch.nn.LSTM``; equation in ``LSTMCell``.

    Args:
        input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional, proj_size, device,
            dtype: as in ``torch.nn.LSTM``.

    Shapes:
        - input (T, batch, input_size), (batch, T, input_size) if ``batch_first``, or (T, input_size).
        - h_0, h_n (num_layers · directions, batch, proj_size or hidden_size); c_0, c_n (…, hidden_size).
        - output (T, batch, directions · (proj_size or hidden_size)).

    Example::

        >>> lstm = LSTM(3, 4, batch_first=True)
        >>> output, (h_n, c_n) = lstm(torch.randn(2, 5, 3), lengths=[5, 0])
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        proj_size: int = 0,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        cell = LSTMCell(input_size, hidden_size, bias, device, dtype, proj_size=proj_size)
        self.proj_size = proj_size
        super().__init__(
            cell, num_layers, bias=bias, batch_first=batch_first, dropout=dropout, bidirectional=bidirectional
        )


class GRU(Classic):
    r"""GRU over sequences, drop-in for ``torch.nn.GRU``; equation in ``GRUCell``.

    Args:
        input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional, device, dtype: as in
            ``torch.nn.GRU``.
        reset: ``"after"`` (torch's) or ``"before"`` the recurrent product (the paper's).

    Shapes:
        - input (T, batch, input_size), (batch, T, input_size) if ``batch_first``, or (T, input_size).
        - h_0, h_n (num_layers · directions, batch, hidden_size).
        - output (T, batch, directions · hidden_size).

    Example::

        >>> gru = GRU(3, 4, bidirectional=True)
        >>> output, h_n = gru(torch.randn(5, 2, 3))
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        device: Any = None,
        dtype: Any = None,
        *,
        reset: str = "after",
    ) -> None:
        cell = GRUCell(input_size, hidden_size, bias, device, dtype, reset=reset)
        super().__init__(
            cell, num_layers, bias=bias, batch_first=batch_first, dropout=dropout, bidirectional=bidirectional
        )
        self.reset = reset

    def extra_repr(self) -> str:
        return super().extra_repr() + ("" if self.reset == "after" else f", reset={self.reset}")
