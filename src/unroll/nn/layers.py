"""``RNN``, ``LSTM`` and ``GRU``: drop-ins for torch's, with every option of their cells."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, cast

from torch import Tensor

from unroll.nn.cells import GRUCell, LSTMCell, RNNCell
from unroll.nn.classic import Classic


class RNN(Classic):
    r"""Elman network over sequences, drop-in for ``torch.nn.RNN``; equation in ``RNNCell``.

    Args:
        input_size, hidden_size, num_layers, nonlinearity, bias, batch_first, dropout, bidirectional, device,
            dtype: as in ``torch.nn.RNN``. A sequence of hidden sizes gives each layer its own.
        options: those of ``RNNCell`` (proj_size, layer_norm, recurrent_dropout, zoneout, clip) and of ``Recurrent``
            (merge, input_dropout, weight_dropout, connection, learn_initial_state).

    Shapes:
        - input (T, batch, input_size), (batch, T, input_size) if ``batch_first``, or (T, input_size).
        - h_0, h_n (num_layers · directions, batch, proj_size or hidden_size).
        - output (T, batch, directions · (proj_size or hidden_size)), or as merged.

    Example::

        >>> rnn = RNN(3, 4, num_layers=2, batch_first=True)
        >>> output, h_n = rnn(torch.randn(2, 5, 3), lengths=[5, 3])
    """

    kind = RNNCell

    def __init__(
        self,
        input_size: int,
        hidden_size: int | Sequence[int],
        num_layers: int = 1,
        nonlinearity: str | Callable[[Tensor], Tensor] = "tanh",
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        device: Any = None,
        dtype: Any = None,
        **options: Any,
    ) -> None:
        super().__init__(
            input_size,
            hidden_size,
            num_layers,
            bias=bias,
            batch_first=batch_first,
            dropout=dropout,
            bidirectional=bidirectional,
            device=device,
            dtype=dtype,
            options=options | {"nonlinearity": nonlinearity},
        )
        self.nonlinearity = cast(RNNCell, self.cell_at(0)).nonlinearity


class LSTM(Classic):
    r"""LSTM over sequences, drop-in for ``torch.nn.LSTM``; equation in ``LSTMCell``.

    Args:
        input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional, proj_size, device,
            dtype: as in ``torch.nn.LSTM``. A sequence of hidden sizes gives each layer its own.
        options: those of ``LSTMCell`` (variant, peepholes, coupled, activation, gate_activation, layer_norm,
            recurrent_dropout, zoneout, clip, forget_bias) and of ``Recurrent`` (merge, input_dropout,
            weight_dropout, connection, learn_initial_state).

    Shapes:
        - input (T, batch, input_size), (batch, T, input_size) if ``batch_first``, or (T, input_size).
        - h_0, h_n (num_layers · directions, batch, proj_size or hidden_size); c_0, c_n (…, hidden_size).
        - output (T, batch, directions · (proj_size or hidden_size)), or as merged.

    Example::

        >>> lstm = LSTM(3, 4, batch_first=True)
        >>> output, (h_n, c_n) = lstm(torch.randn(2, 5, 3), lengths=[5, 0])
        >>> awd = LSTM(3, 4, 3, weight_dropout=0.5, input_dropout=0.4)     # Merity et al. 2017
    """

    kind = LSTMCell

    def __init__(
        self,
        input_size: int,
        hidden_size: int | Sequence[int],
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        proj_size: int = 0,
        device: Any = None,
        dtype: Any = None,
        **options: Any,
    ) -> None:
        super().__init__(
            input_size,
            hidden_size,
            num_layers,
            bias=bias,
            batch_first=batch_first,
            dropout=dropout,
            bidirectional=bidirectional,
            device=device,
            dtype=dtype,
            options=options | {"proj_size": proj_size},
        )


class GRU(Classic):
    r"""GRU over sequences, drop-in for ``torch.nn.GRU``; equation in ``GRUCell``.

    Args:
        input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional, device, dtype: as in
            ``torch.nn.GRU``. A sequence of hidden sizes gives each layer its own.
        options: those of ``GRUCell`` (reset, update, activation, gate_activation, proj_size, layer_norm,
            recurrent_dropout, zoneout, clip, forget_bias) and of ``Recurrent`` (merge, input_dropout,
            weight_dropout, connection, learn_initial_state).

    Shapes:
        - input (T, batch, input_size), (batch, T, input_size) if ``batch_first``, or (T, input_size).
        - h_0, h_n (num_layers · directions, batch, hidden_size).
        - output (T, batch, directions · (proj_size or hidden_size)), or as merged.

    Example::

        >>> gru = GRU(3, 4, bidirectional=True, reset="before", merge="sum")
        >>> output, h_n = gru(torch.randn(5, 2, 3))      # (5, 2, 4), (2, 2, 4)
    """

    kind = GRUCell

    def __init__(
        self,
        input_size: int,
        hidden_size: int | Sequence[int],
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        device: Any = None,
        dtype: Any = None,
        **options: Any,
    ) -> None:
        super().__init__(
            input_size,
            hidden_size,
            num_layers,
            bias=bias,
            batch_first=batch_first,
            dropout=dropout,
            bidirectional=bidirectional,
            device=device,
            dtype=dtype,
            options=options,
        )
