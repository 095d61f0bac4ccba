"""Random combinations of everything: cells, options in and around them, sizes, shapes, lengths and noise.

The same for a seed. ``UNROLL_LAW_SEED`` takes others, ``UNROLL_LAW_COUNT`` takes more.
"""

from __future__ import annotations

import os
import random
from functools import partial
from typing import Any, NamedTuple

import torch
from sampling import SEED
from torch import Tensor
from twins import normal

from unroll import nn as un
from unroll.nn.gated import GatedCell

COUNT = int(os.environ.get("UNROLL_LAW_COUNT", "60"))
LAYERS = {"RNN": un.RNN, "LSTM": un.LSTM, "GRU": un.GRU}
INPUTS = 3
ACTIVATIONS = ("tanh", "relu", "softsign", "gelu", "hard_tanh", "identity")


class Combination(NamedTuple):
    """``kind`` is a drop-in layer, or cells of ``un.CELLS`` joined by "+"; ``sizes`` are one, or one per layer."""

    number: int
    kind: str
    sizes: tuple[int, ...]
    inside: dict[str, Any]
    around: dict[str, Any]
    T: int
    B: int
    lengths: tuple[int, ...]
    ragged: bool
    training: bool

    def __str__(self) -> str:
        options = ", ".join(f"{name}={value}" for name, value in (self.inside | self.around).items())
        batch = f"lengths {list(self.lengths)} of {self.T}" if self.ragged else f"T {self.T}, B {self.B}"
        mode = "training" if self.training else "evaluation"
        return f"seed {SEED} number {self.number}: {self.kind} {list(self.sizes)} {options}; {batch}, {mode}"


def combination(number: int, **fixed: Any) -> Combination:
    """Number ``number`` of the seed, with what is fixed among the options around it."""
    draw = random.Random(f"{SEED} {number}")
    kinds = [*un.CELLS, *(name for name in LAYERS for _ in range(7)), *["mixed"] * 3]
    kind = random.Random(f"{SEED} {number // len(kinds)}").sample(kinds, len(kinds))[number % len(kinds)]
    num_layers = draw.choice([1, 1, 2, 3])
    sizes = (draw.choice([1, 5, 17]),)
    if kind == "mixed":
        num_layers = draw.choice([2, 3])
        kind = "+".join(draw.choice(list(un.CELLS)) for _ in range(num_layers))
        sizes *= num_layers
    if num_layers > 1 and draw.random() < 0.3:
        sizes = tuple(draw.choice([1, 5, 17]) for _ in range(num_layers))
    around = {"num_layers": num_layers} | _around(draw, kind, sizes, num_layers) | fixed
    T, B = draw.choice([1, 2, 7]), draw.choice([1, 3])
    lengths = tuple(draw.choice([0, T, draw.randint(0, T)]) for _ in range(B))
    inside = _inside(draw, kind, sizes)
    return Combination(number, kind, sizes, inside, around, T, B, lengths, draw.random() < 0.5, draw.random() < 0.6)


def plain(kind: str) -> bool:
    """Whether a cell of ``kind`` has none of the gated cells' options."""
    return any(name not in LAYERS and not gated(name) for name in kind.split("+"))


def gated(name: str) -> bool:
    make: Any = un.CELLS[name].make
    return issubclass(make.func if isinstance(make, partial) else make, GatedCell)


def _some(draw: random.Random, offered: dict[str, Any], share: float = 0.3) -> dict[str, Any]:
    return {name: value for name, value in offered.items() if draw.random() < share}


def _around(draw: random.Random, kind: str, sizes: tuple[int, ...], num_layers: int) -> dict[str, Any]:
    offered: dict[str, Any] = {
        "bidirectional": True,
        "batch_first": True,
        "merge": draw.choice(["sum", "mean", "product"]),
        "input_dropout": 0.4,
        "weight_dropout": draw.choice([0.4, {"weight_ih": 0.2, "weight_hh": 0.5}]),
        "learn_initial_state": True,
    }
    if num_layers > 1:
        offered["dropout"] = 0.3
    if len(set(sizes)) == 1:
        offered["connection"] = draw.choice(["residual", "highway"])
    if plain(kind):
        own = {"weight": 0.3, "u": 0.3} if kind == "indrnn" else {"weight": 0.3}
        offered["weight_dropout"] = own if "+" not in kind else 0.0
    return _some(draw, offered, 0.35)


def _inside(draw: random.Random, kind: str, sizes: tuple[int, ...]) -> dict[str, Any]:
    """Options of the cells; with different cells those that every gated one has."""
    offered: dict[str, Any] = {
        "bias": False,
        "layer_norm": True,
        "recurrent_dropout": 0.4,
        "zoneout": draw.choice([0.3, (0.4, 0.1), (0.0, 0.5)]),
        "clip": draw.choice([0.3, 2.0]),
    }
    if min(sizes) > 1 and not plain(kind):
        offered["proj_size"] = draw.choice([1, 3])
    family = "" if "+" in kind else kind.lower().split("_")[0]
    if family == "lstm":
        offered |= {
            "peepholes": draw.choice([True, False]),
            "activation": draw.choice(ACTIVATIONS),
            "gate_activation": "hard_sigmoid",
        }
        if kind == "LSTM":
            offered |= {"variant": draw.choice(["V", "NOG", "NIAF", "NOAF", "CIFG", "NP", "FGR"]), "forget_bias": 1.0}
        if kind not in ("lstm_nig", "lstm_nfg"):
            offered["coupled"] = True
    if family == "gru":
        offered |= {"activation": draw.choice(ACTIVATIONS), "gate_activation": "hard_sigmoid", "forget_bias": 1.0}
        offered |= {"reset": "before", "update": "write"} if kind == "GRU" else {}
    if kind in ("RNN", "rnn"):
        offered["nonlinearity"] = draw.choice(ACTIVATIONS)
    chosen = {} if plain(kind) and "+" not in kind else _some(draw, offered)
    if chosen.get("bias") is False:
        chosen.pop("forget_bias", None)
    return chosen


def built(c: Combination) -> un.Recurrent:
    """The layer in float64, its gains and learned start not left at 1 and 0."""
    torch.manual_seed(c.number)
    if c.kind in LAYERS:
        hidden = c.sizes if len(c.sizes) > 1 else c.sizes[0]
        layer: un.Recurrent = LAYERS[c.kind](INPUTS, hidden, **c.inside, **c.around)
    else:
        layer = un.Recurrent(_cells(c), **c.around)
    layer = layer.double().train(c.training)
    with torch.no_grad():
        for name, parameter in layer.named_parameters():
            if "gain" in name or name.startswith("start."):
                parameter.add_(torch.randn_like(parameter).mul_(0.3))
    return layer


def _cells(c: Combination) -> list[un.Cell]:
    names = c.kind.split("+") if "+" in c.kind else [c.kind] * len(c.sizes)
    factor = 2 if c.around.get("bidirectional") and c.around.get("merge", "concat") == "concat" else 1
    cells: list[un.Cell] = []
    for name, size in zip(names, c.sizes):
        make: Any = un.CELLS[name].make
        width = factor * cells[-1].output_size if cells else INPUTS
        cells.append(make(width, size, **(c.inside if gated(name) else {})))
    return cells


def started(c: Combination, layer: un.Recurrent) -> tuple[Tensor, list[Any]]:
    """An input, not contiguous, and a state per layer and direction: the learned one, or one that needs a gradient."""
    x = normal(c.T, c.B, 2 * INPUTS, seed=c.number)[..., ::2]
    states = list(layer.initial_state(c.B, dtype=torch.float64))
    if layer.start is None:
        states = [type(s)(*(0.5 * normal(*leaf.shape, seed=n) for leaf in s)) for n, s in enumerate(states)]
        for s in states:
            for leaf in s:
                leaf.requires_grad_()
    return x.requires_grad_(), states
