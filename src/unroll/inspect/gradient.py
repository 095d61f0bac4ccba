"""How far back the gradient reaches: total dL/ds_t by lag."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from unroll.errors import ConfigError
from unroll.inspect.equal import equal_layer
from unroll.nn import Recurrent

FLOOR = -30.0
"""log10 below which a norm ratio is not told apart from nothing."""
REACH = 0.01
"""The horizon is the first lag at which the median ratio is below this share of the last step's."""


@dataclass(frozen=True)
class GradientByLag:
    """log10 of ‖dL/ds_{T-k}‖ / ‖dL/ds_T‖ over sequences, by lag k = 0 … T-1.

    Attributes:
        median, q25, q75: by lag, up to the longest sequence; None where below 1e-30.
        horizon: the smallest lag at which the median is below 1 %, or None if it never is.
        sequences: how many sequences the quantiles are over. One that is shorter than a lag, or whose loss
            does not depend on its last state, is left out.
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
    layer: Recurrent | nn.RNNBase,
    x: Tensor,
    loss: Callable[[Tensor], Tensor],
    *,
    lengths: Tensor | None = None,
) -> GradientByLag:
    """Total gradient of a loss at the last step with respect to the state at every earlier one.

    The state s_t joins h and c of all layers at the boundary between steps: each part is taken with the others
    fixed, so that all are coordinates of the same state. This is not ``output.grad``, which holds only the
    direct contribution of each output to the loss. Where the output is no part of the state but read off inside
    the step, lag 0 is the state before the last step, the last one the loss sees.

    Args:
        layer: a unidirectional recurrent layer, or torch's RNN, LSTM or GRU. Run it in float64 and in the mode to
            be measured.
        x: (batch, T, input_size).
        loss: from the top layer's last outputs (batch, output_size) to one loss per sequence (batch,), or
            their sum.
        lengths: (batch,), each at least 1; the lag counts from each sequence's own last step.

    Raises:
        ConfigError: the layer is bidirectional or a class of torch's with a forward of its own, a length is not
            from 1 to T, or the loss does not depend on the last state.
    """
    if isinstance(layer, nn.RNNBase):
        layer = equal_layer(layer)
    if layer.bidirectional:
        raise ConfigError("the gradient by lag counts back from the end", expected="a unidirectional layer")
    B, T = x.shape[:2]
    ends = torch.full((B,), T, device=x.device) if lengths is None else lengths.to(x.device)
    if ends.shape != (B,) or not B or int(ends.min()) < 1 or int(ends.max()) > T:
        raise ConfigError(
            f"lengths {ends.tolist()} do not fit {B} sequences of {T} steps",
            expected=f"{B} lengths from 1 to {T}, one per sequence",
            fix="Leave out empty sequences: they have no last step",
        )
    with torch.enable_grad():
        leaves, last = _unrolled(layer, x, ends)
        total = loss(last).sum()
    if not total.requires_grad:
        raise _blind()
    grads = torch.autograd.grad(total, [leaf for step in leaves for leaf in step], allow_unused=True)
    norms = _norms(grads, leaves)
    if T > 1 and not bool(norms.gather(0, (ends - 1).unsqueeze(0)).any()):
        norms, ends = norms[:-1], (ends - 1).clamp(min=1)
    return _summary(norms, ends)


def _unrolled(layer: Recurrent, x: Tensor, ends: Tensor) -> tuple[list[list[Tensor]], Tensor]:
    """Step through ``x``; returns each step's state leaves and the output at each row's end.

    The leaves are copies that only later steps read: graph nodes at the boundary.
    """
    state: Sequence[Any] = layer.initial_state(x.shape[0], device=x.device, dtype=x.dtype)
    leaves: list[list[Tensor]] = []
    last = x.new_zeros(x.shape[0], layer.output_size)
    for t in range(x.shape[1]):
        output, reached = layer.step(x[:, t], state)
        state = [type(own)(*(_boundary(leaf) for leaf in own)) for own in reached]
        leaves.append([leaf for own in state for leaf in own])
        for before, after in zip(reached[-1], state[-1]):
            output = after if output is before else output
        last = torch.where((ends == t + 1).unsqueeze(1), output, last)
    return leaves, last


def _boundary(leaf: Tensor) -> Tensor:
    copy = leaf.clone()
    return copy if copy.requires_grad else copy.requires_grad_()


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
    lag = torch.arange(int(ends.max()), device=norms.device).unsqueeze(1)
    t = ends - 1 - lag
    by_lag = norms.gather(0, t.clamp(min=0))
    counted = by_lag[0] > 0
    if not bool(counted.any()):
        raise _blind()
    # Nothing at all is far below the floor but finite, so that quantiles can be taken between.
    log = (by_lag / by_lag[0]).log10().clamp(min=100 * FLOOR)
    log = torch.where((t >= 0) & counted, log, torch.nan)
    quantiles = [log.nanquantile(q, dim=1) for q in (0.25, 0.5, 0.75)]
    q25, median, q75 = ([_floored(v) for v in q.tolist()] for q in quantiles)
    threshold = math.log10(REACH)
    below = [k for k, value in enumerate(quantiles[1].tolist()) if value < threshold]
    return GradientByLag(median, q25, q75, below[0] if below else None, int(counted.sum()))


def _floored(value: float) -> float | None:
    return None if math.isnan(value) or value < FLOOR else value


def _blind() -> ConfigError:
    return ConfigError("the loss does not depend on the last state", expected="a loss of the layer's last output")
