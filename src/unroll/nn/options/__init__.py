"""What may be switched on in a cell or layer, one small object each; all off by default and free to combine."""

from unroll.nn.options.activation import Activation
from unroll.nn.options.clip import Clip
from unroll.nn.options.connection import CONNECTIONS, Highway, Residual, connection
from unroll.nn.options.dropout import InputDropout, RecurrentDropout, WeightDropout
from unroll.nn.options.layer_norm import LayerNorm
from unroll.nn.options.merge import MERGES, Merge
from unroll.nn.options.start import LearnedStart
from unroll.nn.options.zoneout import Zoneout

__all__ = [
    "CONNECTIONS",
    "MERGES",
    "Activation",
    "Clip",
    "Highway",
    "InputDropout",
    "LayerNorm",
    "LearnedStart",
    "Merge",
    "RecurrentDropout",
    "Residual",
    "WeightDropout",
    "Zoneout",
    "connection",
]
