"""The unroll cell or layer that computes what one of torch.nn computes, over the same weights."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

from torch import nn

from unroll.errors import ConfigError
from unroll.kernels import Operator
from unroll.nn import GRU, LSTM, RNN, Cell, GRUCell, LSTMCell, RNNCell
from unroll.nn.classic import Classic

_CELLS: dict[str, tuple[type[Cell], int, dict[str, Any]]] = {
    "lstm": (LSTMCell, 4, {}),
    "gru": (GRUCell, 3, {}),
    "rnn_tanh": (RNNCell, 1, {"nonlinearity": "tanh"}),
    "rnn_relu": (RNNCell, 1, {"nonlinearity": "relu"}),
}
_LAYERS: dict[str, tuple[Callable[..., Classic], tuple[str, ...]]] = {
    "LSTM": (LSTM, ("proj_size",)),
    "GRU": (GRU, ()),
    "RNN_TANH": (RNN, ("nonlinearity",)),
    "RNN_RELU": (RNN, ("nonlinearity",)),
}


def equal_cell(operator: Operator) -> Cell:
    """The cell that ``operator`` runs in one layer and direction."""
    names = ["weight_ih", "weight_hh", *(("bias_ih", "bias_hh") if operator.has_biases else ()), "weight_hr"]
    weights = dict(zip(names, operator.weights))
    rows, input_size = weights["weight_ih"].shape
    proj_size = weights["weight_hr"].shape[0] if "weight_hr" in weights else 0
    return _bare(operator.name, input_size, rows, operator.has_biases, proj_size).with_parameters(weights)


@lru_cache
def _bare(name: str, input_size: int, rows: int, bias: bool, proj_size: int) -> Cell:
    """A cell without weights. Those of the meta device are drawn without touching a generator."""
    kind, gates, options = _CELLS[name]
    return kind(input_size, rows // gates, bias, device="meta", proj_size=proj_size, **options)


def equal_layer(module: nn.RNNBase) -> Classic:
    """The drop-in for ``module``, over the parameters that ``module`` has now, graph included.

    Raises:
        ConfigError: ``module`` is of a class with a forward of its own, which may compute anything.
    """
    if type(module).forward not in (nn.RNN.forward, nn.LSTM.forward, nn.GRU.forward):
        raise ConfigError(f"{type(module).__name__} has a forward of its own", expected="torch.nn's RNN, LSTM or GRU")
    make, options = _LAYERS[module.mode]
    layer = make(
        module.input_size,
        module.hidden_size,
        module.num_layers,
        bias=module.bias,
        batch_first=module.batch_first,
        dropout=module.dropout if module.num_layers > 1 else 0.0,
        bidirectional=module.bidirectional,
        device="meta",
        **{name: getattr(module, name) for name in options},
    )
    for name, _ in list(layer.named_parameters()):
        delattr(layer, name)
        setattr(layer, name, getattr(module, name))
    return layer.train(module.training)
