"""The minimal gated unit: a GRU with one gate."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor

from unroll.kernels import QUIET, Program
from unroll.nn.cell import Step
from unroll.nn.gated import GatedCell


class MGUState(NamedTuple):
    h: Tensor


class MGUCell(GatedCell):
    r"""Minimal gated unit (Zhou et al. 2016, arXiv:1603.09420, eq. 4-6).

    .. math::
        f_t &= \sigma(W_{if} x_t + b_{if} + W_{hf} h_{t-1} + b_{hf}) \\
        n_t &= \tanh(W_{in} x_t + b_{in} + W_{hn} (f_t \odot h_{t-1}) + b_{hn}) \\
        h_t &= (1 - f_t) \odot h_{t-1} + f_t \odot n_t

    The paper calls f a forget gate, though it says how much is overwritten; what is kept is the signal k = 1 - f.

    Args:
        input_size: width of x_t.
        hidden_size: width of h_t.
        bias: whether the biases exist.
        proj_size, layer_norm, recurrent_dropout, zoneout, clip, forget_bias: see ``unroll.nn.options``; clip
            bounds h, the output is W_hr h where there is a projection.

    Signals: ``f``, ``k``, ``n`` (batch, hidden). Gate order in the weights: f, n.

    Example::

        >>> layer = Recurrent(MGUCell(3, 4), num_layers=2)
    """

    gate_names = ("f", "n")
    norm_groups = (1, 1)
    keep_gate, keeps = "k", ("f", -1)

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        device: Any = None,
        dtype: Any = None,
        **options: Any,
    ) -> None:
        super().__init__(input_size, hidden_size, bias, device=device, dtype=dtype, **options)
        self.reset_parameters()

    def signals_of(self, gates: Mapping[str, Tensor]) -> dict[str, Tensor]:
        return {"f": gates["f"], "k": 1 - gates["f"], "n": gates["n"]}

    def program(self, noisy: bool = False) -> Program | None:
        return self._plain_program("mgu", noisy)

    def initial_state(
        self, batch_size: int, *, device: torch.device | None = None, dtype: torch.dtype | None = None
    ) -> MGUState:
        return MGUState(torch.zeros(batch_size, self.hidden_size, device=device, dtype=dtype))

    def step(self, x: Tensor, state: MGUState, noise: Mapping[str, Tensor] = QUIET) -> Step:
        h = state.h
        x_f, x_n = self.input_product(x)
        (h_f,) = self.recurrent_product(self.projected(h), noise, group=0)
        f = (x_f + h_f).sigmoid()
        (h_n,) = self.recurrent_product(self.projected(f * h), noise, group=1)
        n = (x_n + h_n).tanh()
        h = self.zoned("h", self.clipped((1 - f) * h + f * n), h, noise)
        return Step(self.projected(h), MGUState(h), {"f": f, "k": 1 - f, "n": n})
