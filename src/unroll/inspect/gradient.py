"""How far back the gradient reaches: total dL/ds_t by lag."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from unroll.errors import ConfigError
from unroll.nn import Recurrent

FLOOR = -30.0
"""log10 below which a norm ratio is not told apart from nothing."""
REACH = 0.01
"""The horizon is the first lag at which the median ratio is below this share of the last step's."""


@dataclass(frozen=True)
class GradientByLag:
    """log10 of ‖dL/ds_{T-k}‖ / ‖dL/ds_T‖ over sequences, by lag k = 0 … T-1.

    Attributes:
        median, q25, q75: by lag; None where below 1e-30.
        horizon: the smallest lag at which the median is below 1 %, or None if it never is.
        sequences: how many sequences the quantiles are over.
    """

    median: list[float | None]
    q25: list[float | None]
    q75: list[float | None]
    horizon: int | None
    sequences: int

    @property
    def lags(self) -> list[int]:
        return list(range(len(self.median)))

    @property
    def span(self) -> int:
        """The largest lag measured."""
        return len(self.median) - 1


def gradient_by_lag(
    layer: Recurrent, x: Tensor, loss: Callable[[Tensor], Tensor], *, lengths: Tensor | None = None
) -> GradientByLag:
    """Total gradient of a loss at the last step with respect to the state at every earlier one.

    The state s_t joins h and c of all layers at the boundary between steps: c's part is taken with h fixed, so
    that both are coordinates of the same state. This is not ``output.grad``, which holds only the direct
    contribution of each output to the loss.

    Args:
        layer: a unidirectional recurrent layer. Run it in float64 and in the mode to be measured.
        x: (batch, T, input_size).
        loss: from the top layer's last outputs (batch, output_size) to one loss per sequence (batch,), or
            their sum.
        lengths: (batch,), each at least 1; the lag counts from each sequence's own last step.

    Raises:
        ConfigError: the layer is bidirectional, a sequence is empty, or the loss does not depend on the state.
    """
    if layer.bidirectional:
        raise ConfigError("the gradient by lag counts back from the end", expected="a unidirectional layer")
    B, T = x.shape[:2]
    ends = torch.full((B,), T, device=x.device) if lengths is None else lengths.to(x.device)
    if int(ends.min()) < 1:
        raise ConfigError("an empty sequence has no last step", expected="lengths of at least 1")
    leaves, last = _unrolled(layer, x, ends)
    total = loss(last).sum()
    grads = torch.autograd.grad(total, [leaf for step in leaves for leaf in step], allow_unused=True)
    norms = _norms(grads, leaves)
    return _summary(norms, ends)


def _unrolled(layer: Recurrent, x: Tensor, ends: Tensor) -> tuple[list[list[Tensor]], Tensor]:
    """Step through ``x``; returns each step's state leaves (graph nodes) and the output at each row's end."""
    with torch.enable_grad():
        state: Sequence[Any] = layer.initial_state(x.shape[0], device=x.device, dtype=x.dtype)
        leaves: list[list[Tensor]] = []
        last = x.new_zeros(x.shape[0], layer.output_size)
        for t in range(x.shape[1]):
            output, state = layer.step(x[:, t], state)
            leaves.append([leaf for cell_state in state for leaf in cell_state])
            last = torch.where((ends == t + 1).unsqueeze(1), output, last)
    return leaves, last


def _norms(grads: Sequence[Tensor | None], leaves: list[list[Tensor]]) -> Tensor:
    """(T, batch) norms of the joined state's gradient, in float64."""
    width = len(leaves[0])
    squares = []
    for t, step in enumerate(leaves):
        parts = grads[t * width : (t + 1) * width]
        zero = torch.zeros(step[0].shape[0], dtype=torch.float64, device=step[0].device)
        squares.append(sum((g.double().flatten(1).norm(dim=1) ** 2 for g in parts if g is not None), zero))
    return torch.stack(squares).sqrt()


def _summary(norms: Tensor, ends: Tensor) -> GradientByLag:
    T, B = norms.shape
    lag = torch.arange(T, device=norms.device).unsqueeze(1)
    t = ends - 1 - lag
    by_lag = norms.gather(0, t.clamp(min=0))
    if not bool((by_lag[0] > 0).any()):
        raise ConfigError("the loss does not depend on the last state", expected="a loss of the layer's last output")
    ratio = by_lag / by_lag[0]
    log = torch.where((t >= 0) & (by_lag[0] > 0), ratio.log10(), torch.nan)
    quantiles = [log.nanquantile(q, dim=1) for q in (0.25, 0.5, 0.75)]
    q25, median, q75 = ([_floored(v) for v in q.tolist()] for q in quantiles)
    threshold = math.log10(REACH)
    below = [k for k, v in enumerate(median) if v is None or v < threshold]
    return GradientByLag(median, q25, q75, below[0] if below else None, B)


def _floored(value: float) -> float | None:
    return None if math.isnan(value) or value < FLOOR else value
