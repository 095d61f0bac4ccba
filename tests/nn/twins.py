"""The cells and the stack around them in NumPy, written from the papers: the oracle of every option.

A twin of a cell takes the weights by name, x (batch, features), the state as a tuple of arrays, the options as a
caller writes them, and the masks of the step; it gives the output and the new state.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from unroll import nn as un

Array = Any
Options = Mapping[str, Any]
LAYER_OPTIONS = (
    *("num_layers", "bidirectional", "dropout", "batch_first"),
    *("merge", "input_dropout", "weight_dropout", "connection", "learn_initial_state"),
)


def sigmoid(a: Array) -> Array:
    return 1 / (1 + np.exp(-a))


ACTIVATIONS: dict[str, Callable[[Array], Array]] = {
    "elu": lambda a: np.where(a > 0, a, np.expm1(a)),
    "gelu": lambda a: a / 2 * (1 + np.vectorize(math.erf)(a / math.sqrt(2))),
    "hard_sigmoid": lambda a: np.clip(a / 6 + 0.5, 0, 1),
    "hard_tanh": lambda a: np.clip(a, -1, 1),
    "identity": lambda a: a,
    "leaky_relu": lambda a: np.where(a > 0, a, 0.01 * a),
    "relu": lambda a: np.maximum(a, 0),
    "sigmoid": sigmoid,
    "silu": lambda a: a * sigmoid(a),
    "softplus": lambda a: np.log1p(np.exp(a)),
    "softsign": lambda a: a / (1 + np.abs(a)),
    "tanh": np.tanh,
}


def layer_norm(a: Array, gain: Array, bias: Array, eps: float = 1e-5) -> Array:
    """Ba et al. 2016, eq. 4."""
    mean = a.mean(1, keepdims=True)
    variance = ((a - mean) ** 2).mean(1, keepdims=True)
    return gain * (a - mean) / np.sqrt(variance + eps) + bias


def product(w: Options, side: str, v: Array, o: Options, rows: slice = slice(None)) -> Array:
    """W v + b of some rows, or their LN."""
    a = v @ w[f"weight_{side}"][rows].T
    bias = w[f"bias_{side}"][rows] if f"bias_{side}" in w else 0.0
    return layer_norm(a, w[f"gain_{side}"][rows], bias, o.get("eps", 1e-5)) if o.get("layer_norm") else a + bias


def projected(w: Options, h: Array) -> Array:
    return h @ w["weight_hr"].T if "weight_hr" in w else h


def clipped(o: Options, state: Array) -> Array:
    return np.clip(state, -o["clip"], o["clip"]) if "clip" in o else state


def zoned(o: Options, leaf: str, new: Array, old: Array, masks: Options) -> Array:
    """Krueger et al. 2017, section 3.3; the mean of d where none was drawn."""
    given = o.get("zoneout", 0.0)
    rate = given if isinstance(given, (int, float)) else given["hc".index(leaf)]
    d = masks.get(f"zoneout_{leaf}", rate)
    return d * old + (1 - d) * new


def rnn(w: Options, x: Array, state: Sequence[Array], o: Options, masks: Options) -> tuple[Array, tuple[Array, ...]]:
    """Elman 1990; Ba et al. 2016, eq. 4, normalise the sum."""
    (h,) = state
    read = h * masks.get("h", 1.0)
    if o.get("layer_norm"):
        bias = w["bias_ih"] + w["bias_hh"] if "bias_ih" in w else 0.0
        a = layer_norm(x @ w["weight_ih"].T + read @ w["weight_hh"].T, w["gain_ih"], bias, o.get("eps", 1e-5))
    else:
        a = product(w, "ih", x, o) + product(w, "hh", read, o)
    new = clipped(o, projected(w, ACTIVATIONS[o.get("nonlinearity", "tanh")](a)))
    h = zoned(o, "h", new, h, masks)
    return h, (h,)


def gru(w: Options, x: Array, state: Sequence[Array], o: Options, masks: Options) -> tuple[Array, tuple[Array, ...]]:
    """Cho et al. 2014, eq. 5-8, with the reset gate before or after the product."""
    (h,) = state
    H, mask = h.shape[1], masks.get("h", 1.0)
    σ, φ = ACTIVATIONS[o.get("gate_activation", "sigmoid")], ACTIVATIONS[o.get("activation", "tanh")]
    rz, last = slice(0, 2 * H), slice(2 * H, 3 * H)
    read = mask * projected(w, h)
    r, z = np.split(σ(product(w, "ih", x, o, rz) + product(w, "hh", read, o, rz)), 2, axis=1)
    if o.get("reset", "after") == "after":
        n = φ(product(w, "ih", x, o, last) + r * product(w, "hh", read, o, last))
    else:
        n = φ(product(w, "ih", x, o, last) + product(w, "hh", mask * projected(w, r * h), o, last))
    kept = z if o.get("update", "keep") == "keep" else 1 - z
    h = zoned(o, "h", clipped(o, kept * h + (1 - kept) * n), h, masks)
    return projected(w, h), (h,)


def mgu(w: Options, x: Array, state: Sequence[Array], o: Options, masks: Options) -> tuple[Array, tuple[Array, ...]]:
    """Zhou et al. 2016, eq. 4-6; each gate normalised by itself."""
    (h,) = state
    H, mask = h.shape[1], masks.get("h", 1.0)
    first, last = slice(0, H), slice(H, 2 * H)
    f = sigmoid(product(w, "ih", x, o, first) + product(w, "hh", mask * projected(w, h), o, first))
    n = np.tanh(product(w, "ih", x, o, last) + product(w, "hh", mask * projected(w, f * h), o, last))
    h = zoned(o, "h", clipped(o, (1 - f) * h + f * n), h, masks)
    return projected(w, h), (h,)


def janet(w: Options, x: Array, state: Sequence[Array], o: Options, masks: Options) -> tuple[Array, tuple[Array, ...]]:
    """van der Westhuizen & Lasenby 2018, eq. 11-14; both gates normalised together."""
    (h,) = state
    a = product(w, "ih", x, o) + product(w, "hh", masks.get("h", 1.0) * projected(w, h), o)
    s, g = np.split(a, 2, axis=1)
    new = sigmoid(s) * h + (1 - sigmoid(s - o.get("beta", 1.0))) * np.tanh(g)
    h = zoned(o, "h", clipped(o, new), h, masks)
    return projected(w, h), (h,)


def lstm(w: Options, x: Array, state: Sequence[Array], o: Options, masks: Options) -> tuple[Array, tuple[Array, ...]]:
    """Greff et al. 2017, section 3 and its appendix, by the variant's name; NP is the LSTM without a name."""
    h, c, *gates_before = state
    variant = o.get("variant") or "NP"
    coupled = variant == "CIFG" or o.get("coupled", False)
    without = {"NIG": "i", "NFG": "f", "NOG": "o"}.get(variant, "") + ("f" if coupled else "")
    rows = [gate for gate in "ifgo" if gate not in without]
    σ, φ = ACTIVATIONS[o.get("gate_activation", "sigmoid")], ACTIVATIONS[o.get("activation", "tanh")]
    sums = product(w, "ih", x, o) + product(w, "hh", h * masks.get("h", 1.0), o)
    a = dict(zip(rows, np.split(sums, len(rows), axis=1)))
    if variant == "FGR":
        targets, sources = [gate for gate in "ifo" if gate in rows], dict(zip("ifo", gates_before))
        blocks = [np.split(block, len(targets), axis=1) for block in np.split(w["weight_gg"], len(targets))]
        for target, row in zip(targets, blocks):
            a[target] = a[target] + sum(sources[source] @ R.T for source, R in zip(targets, row))
    peephole = {gate: w.get(f"weight_c{gate}", 0.0) for gate in "ifo"}
    one = np.ones_like(c)
    i = one if variant == "NIG" else σ(a["i"] + peephole["i"] * c)
    f = one if variant == "NFG" else 1 - i if coupled else σ(a["f"] + peephole["f"] * c)
    g = a["g"] if variant == "NIAF" else φ(a["g"])
    new = clipped(o, f * c + i * g)
    out = one if variant == "NOG" else σ(a["o"] + peephole["o"] * new)
    read = layer_norm(new, w["gain_c"], w.get("bias_c", 0.0), o.get("eps", 1e-5)) if o.get("layer_norm") else new
    h = zoned(o, "h", projected(w, out * (read if variant == "NOAF" else φ(read))), h, masks)
    c = zoned(o, "c", new, c, masks)
    return h, (h, c, i, f, out) if variant == "FGR" else (h, c)


TWINS: dict[str, Callable[..., tuple[Array, tuple[Array, ...]]]] = {
    "RNN": rnn,
    "LSTM": lstm,
    "GRU": gru,
    "MGU": mgu,
    "JANET": janet,
}


def build(kind: str, input_size: int, hidden_size: Any, seed: int = 0, **options: Any) -> un.Recurrent:
    """A layer of ``kind`` in float64; its gains and learned start are not left at 1 and 0."""
    torch.manual_seed(seed)
    if kind in ("RNN", "LSTM", "GRU"):
        layer = getattr(un, kind)(input_size, hidden_size, dtype=torch.float64, **options)
    else:
        around = {name: options.pop(name) for name in LAYER_OPTIONS if name in options}
        cell = getattr(un, f"{kind}Cell")(input_size, hidden_size, dtype=torch.float64, **options)
        layer = un.Recurrent(cell, **around)
    layer = layer.double()
    with torch.no_grad():
        for name, parameter in layer.named_parameters():
            if "gain" in name or name.startswith("start."):
                parameter.add_(torch.randn_like(parameter).mul_(0.3))
    return layer


def flat(*results: Any) -> list[Tensor]:
    """All tensors of results, states and tuples of them, in order."""
    found: list[Tensor] = []
    for result in results:
        found += [result] if isinstance(result, Tensor) else flat(*result)
    return found


def gradients(layer: un.Recurrent, result: Any, *inputs: Any) -> list[Tensor]:
    """Of a loss that weighs every number of ``result`` differently: of all parameters, then of ``inputs``."""
    loss = sum((part * normal(*part.shape, seed=n)).sum() for n, part in enumerate(flat(result)))
    wanted = [*layer.parameters(), *flat(*inputs)]
    grads = torch.autograd.grad(loss, wanted, retain_graph=True, allow_unused=True)
    return [torch.zeros_like(leaf) if grad is None else grad for grad, leaf in zip(grads, wanted)]


def assert_close(got: Any, expected: Any, tolerance: float = 1e-10) -> None:
    """Tensor by tensor, relative to the largest entry of each."""
    for g, e in zip(flat(got), flat(expected), strict=True):
        assert g.shape == e.shape
        if e.numel():
            assert float((g - e).detach().abs().max()) <= tolerance * max(1.0, float(e.detach().abs().max()))


def normal(*shape: int, seed: int = 1) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def random_states(layer: un.Recurrent, B: int, scale: float = 0.5) -> list[Any]:
    """One state per layer and direction, not zero."""
    return [
        type(state)(*(scale * normal(*leaf.shape, seed=10 * n + m) for m, leaf in enumerate(state)))
        for n, state in enumerate(layer.initial_state(B, dtype=torch.float64))
    ]


def numpy_of(state: Any) -> tuple[Array, ...]:
    return tuple(leaf.detach().numpy() for leaf in state)


def run_twin(
    kind: str, w: Options, x: Array, state: Sequence[Array], o: Options, noise: Any = None, reverse: bool = False
) -> tuple[Array, Sequence[Array]]:
    """One layer in one direction over x (T, batch, features); ``noise`` as in ``StepNoise``."""
    outputs = {}
    for t in sorted(range(len(x)), reverse=reverse):
        masks = {} if noise is None else {name: mask.numpy() for name, mask in noise.at(t).items()}
        outputs[t], state = TWINS[kind](w, x[t], state, o, masks)
    return np.stack([outputs[t] for t in range(len(x))]), state


MERGES: dict[str, Callable[[Array, Array], Array]] = {
    "concat": lambda a, b: np.concatenate([a, b], axis=-1),
    "sum": lambda a, b: a + b,
    "mean": lambda a, b: (a + b) / 2,
    "product": lambda a, b: a * b,
}


def weights_of(cell: un.Cell, masks: Mapping[str, Tensor]) -> dict[str, Array]:
    found = {name: parameter.detach().numpy() for name, parameter in cell.named_parameters()}
    return found | {name: found[name] * mask.numpy() for name, mask in masks.items()}


def joined(layer: un.Recurrent, connection: str | None, number: int, y: Array, x: Array) -> Array:
    """The connection around layer ``number``."""
    if connection is None or not number:
        return y
    if connection == "residual":
        return y + x
    W, b = numpy_of(layer.get_submodule(f"connections.{number - 1}").parameters())
    carry = sigmoid(x @ W.T + b)
    return carry * y + (1 - carry) * x


def run_stack(
    layer: un.Recurrent, kinds: str | Sequence[str], x: Array, states: Sequence[Any], o: Options, noise: Any = None
) -> tuple[Array, list[tuple[Array, ...]]]:
    """All layers and directions of ``layer``, with options ``o``, over a full batch x (T, batch, features)."""
    finals: list[tuple[Array, ...]] = []
    for number in range(layer.num_layers):
        outputs = []
        for direction in range(2 if o.get("bidirectional") else 1):
            own = None if noise is None else noise.cells[len(finals)]
            w = weights_of(layer.cell_at(number, direction), {} if own is None else own.weights)
            source = x if own is None or own.input is None else x * own.input.numpy()
            kind = kinds if isinstance(kinds, str) else kinds[number]
            masks = None if own is None else own.cell
            y, final = run_twin(kind, w, source, numpy_of(states[len(finals)]), o, masks, reverse=direction == 1)
            outputs.append(y)
            finals.append(tuple(final))
        merged = outputs[0] if len(outputs) == 1 else MERGES[o.get("merge", "concat")](*outputs)
        x = joined(layer, o.get("connection"), number, merged, x)
        if noise is not None and noise.between and number < layer.num_layers - 1:
            x = x * noise.between[number].numpy()
    return x, finals


def assert_is_twin(
    layer: un.Recurrent, kinds: str | Sequence[str], x: Tensor, o: Options, noise: Any = None, tolerance: float = 1e-12
) -> None:
    """Output and final states of ``layer`` are those of the twin, from states that are not zero.

    In evaluation without ``noise``, in training with it.
    """
    layer.train(noise is not None)
    states = random_states(layer, x.shape[1])
    output, final = layer(x, states, noise=noise)
    expected, ends = run_stack(layer, kinds, x.numpy(), states, o, noise)
    pairs = [(output, expected), *((g, e) for own, end in zip(final, ends, strict=True) for g, e in zip(own, end))]
    for got, wanted in pairs:
        assert tuple(got.shape) == wanted.shape
        assert np.abs(got.detach().numpy() - wanted).max() <= tolerance * max(1.0, np.abs(wanted).max())
