"""What a layer held inside after every step: as the engine kept it, or as the loop over steps finds it again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor

from unroll.kernels import reference
from unroll.kernels.cpu import Inside
from unroll.kernels.noise import StepNoise
from unroll.kernels.operator import Recurrence, StepLike


class Captured(NamedTuple):
    """One layer in one direction, without a graph.

    Attributes:
        signals: gates and other inner values by name, (T, batch, …); 0 where a row has ended.
        states: the state after each step by name, (T, batch, …); where a row has ended, what it is there. They may be
            the layer's own output, which a model may change in place.
    """

    signals: Mapping[str, Tensor]
    states: Mapping[str, Tensor]


def of_engine(
    cell: Recurrence, inside: Inside, output: Tensor, state: Any, final: Any, lengths: Tensor | None, reverse: bool
) -> Captured | None:
    """From what the engine kept of a run from ``state`` to ``final``; None where the cell's signals are others."""
    signals = cell.signals_of(inside.gates)
    if signals is None:
        return None
    leaves = [output.detach()] if inside.cells is None else [output.detach(), inside.cells]
    names = type(state)._fields
    if lengths is None:
        return Captured(signals, dict(zip(names, leaves)))
    ended = past_end(output.shape[0], lengths)
    blank = {id(gate) for gate in inside.gates.values()}
    signals = {name: value if id(value) in blank else blanked(value, ended) for name, value in signals.items()}
    held = state if reverse else final
    alone = [torch.where(ended.unsqueeze(-1), h.detach(), leaf) for leaf, h in zip(leaves, held)]
    return Captured(signals, dict(zip(names, alone)))


@torch.no_grad()
def of_loop(
    cell: Recurrence, x: Tensor, state: Any, *, lengths: Tensor | None, reverse: bool, noise: StepNoise | None
) -> Captured:
    """By ``reference.run`` over ``x`` (T, batch, features)."""
    signals: dict[str, dict[int, Tensor]] = {}
    states: dict[str, dict[int, Tensor]] = {}

    def keep(t: int, step: StepLike) -> None:
        for name, value in step.signals.items():
            signals.setdefault(name, {})[t] = value.detach()
        for name, value in zip(step.state._fields, step.state):
            states.setdefault(name, {})[t] = value.detach()

    reference.run(cell, x, state, lengths=lengths, reverse=reverse, noise=noise, watch=keep)
    if not x.shape[0]:
        probe = cell.step(x.new_zeros(x.shape[1:]), state)
        named = zip(probe.state._fields, probe.state)
        return Captured(*({n: v.new_zeros(0, *v.shape) for n, v in part} for part in (probe.signals.items(), named)))
    stacked = _stacked(signals)
    if lengths is not None:
        ended = past_end(x.shape[0], lengths)
        stacked = {name: blanked(value, ended) for name, value in stacked.items()}
    return Captured(stacked, _stacked(states))


def past_end(T: int, lengths: Tensor) -> Tensor:
    """(T, batch), where a row has ended."""
    return torch.arange(T, device=lengths.device).unsqueeze(1) >= lengths


def blanked(value: Tensor, ended: Tensor) -> Tensor:
    """``value`` (T, batch, …) with 0 where a row has ended."""
    return value.masked_fill(ended.view(*ended.shape, *[1] * (value.dim() - 2)), 0)


def _stacked(values: dict[str, dict[int, Tensor]]) -> dict[str, Tensor]:
    return {name: torch.stack([by_t[t] for t in sorted(by_t)]) for name, by_t in values.items()}
