"""JANET: an LSTM with the forget gate alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor

from unroll.kernels import QUIET, Program
from unroll.nn.cell import Step
from unroll.nn.gated import GatedCell


class JANETState(NamedTuple):
    h: Tensor


class JANETCell(GatedCell):
    r"""Just another network (van der Westhuizen & Lasenby 2018, arXiv:1804.04849, eq. 11-14).

    .. math::
        s_t &= W_{if} x_t + b_{if} + W_{hf} h_{t-1} + b_{hf} \\
        g_t &= \tanh(W_{ig} x_t + b_{ig} + W_{hg} h_{t-1} + b_{hg}) \\
        h_t &= \sigma(s_t) \odot h_{t-1} + (1 - \sigma(s_t - \beta)) \odot g_t

    Args:
        input_size: width of x_t.
        hidden_size: width of h_t.
        bias: whether the biases exist.
        proj_size, layer_norm, recurrent_dropout, zoneout, clip, forget_bias: see ``unroll.nn.options``; clip
            bounds h, the output is W_hr h where there is a projection.
        beta: β, how much more is taken in than is let go; 1 in the paper.

    Signals: ``f`` = σ(s), ``g`` (batch, hidden). Gate order in the weights: f, g.

    Example::

        >>> layer = Recurrent(JANETCell(3, 4), bidirectional=True)
    """

    gate_names = ("f", "g")
    keep_gate, keeps = "f", ("f", 1)

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        device: Any = None,
        dtype: Any = None,
        *,
        beta: float = 1.0,
        **options: Any,
    ) -> None:
        super().__init__(input_size, hidden_size, bias, device=device, dtype=dtype, **options)
        self.beta = beta
        self.reset_parameters()

    def signals_of(self, gates: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        return gates

    def program(self, noisy: bool = False) -> Program | None:
        return self._plain_program("janet", noisy, beta=self.beta)

    def initial_state(
        self, batch_size: int, *, device: torch.device | None = None, dtype: torch.dtype | None = None
    ) -> JANETState:
        return JANETState(torch.zeros(batch_size, self.hidden_size, device=device, dtype=dtype))

    def step(self, x: Tensor, state: JANETState, noise: Mapping[str, Tensor] = QUIET) -> Step:
        (a_x,), (a_h,) = self.input_product(x), self.recurrent_product(self.projected(state.h), noise)
        s, a_g = (a_x + a_h).chunk(2, -1)
        f, g = s.sigmoid(), a_g.tanh()
        new = f * state.h + (1 - (s - self.beta).sigmoid()) * g
        h = self.zoned("h", self.clipped(new), state.h, noise)
        return Step(self.projected(h), JANETState(h), {"f": f, "g": g})

    def _options(self) -> list[tuple[str, Any, Any]]:
        return [*super()._options(), ("beta", self.beta, 1.0)]
