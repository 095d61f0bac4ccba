"""The same layers as a JAX scan, compiled by XLA: the product with the inputs first, then the recurrence."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from typing import Any

import torch

from unroll.bench.cases import Case
from unroll.bench.participant import Call, Prepared
from unroll.bench.torch_layers import made, results


class JaxLayers:
    """Runs the cases with ``jax.lax.scan`` under ``jax.jit``."""

    def __init__(self, threads: int) -> None:
        # Read when jax is imported; on a CPU it has no other way to be told.
        os.environ["NPROC"] = str(threads)
        os.environ["JAX_PLATFORMS"] = "cpu"
        if threads == 1:
            os.environ["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
        import jax  # noqa: F401

        torch.set_num_threads(1)

    def version(self) -> str:
        import jax

        return str(jax.__version__)

    def ran(self, call: Call) -> list[str]:
        call()
        return ["jax"]

    def prepare(self, case: Case, variant: str) -> Prepared:
        import jax

        layer, x, weight = made(lambda: getattr(torch.nn, case.family)(case.shape.I, case.shape.H), case.shape)
        weights = tuple(jax.numpy.asarray(p.detach().numpy()) for p in layer.parameters())
        inputs, given = jax.numpy.asarray(x.numpy()), jax.numpy.asarray(weight.numpy())
        run = _compiled(case.family, case.work)

        def forward() -> Any:
            return jax.block_until_ready(run(inputs, weights))

        def training() -> Any:
            return jax.block_until_ready(run(inputs, weights, given))

        call = forward if case.work == "forward" else training
        return Prepared(lambda: jax.tree_util.tree_leaves(call()), call, results(case))


@functools.cache
def _compiled(family: str, work: str) -> Callable[..., Any]:
    """``(x, weights)`` to output and final state; in training ``(x, weights, gradient of the output)`` to the
    gradients of x and the weights as well."""
    import jax

    forward = functools.partial(_forward, family)
    if work == "forward":
        return jax.jit(forward)

    def training(x: Any, weights: Any, given: Any) -> Any:
        found, back = jax.vjp(forward, x, weights)
        blank = jax.tree_util.tree_map(jax.numpy.zeros_like, found[1])
        return found, back((given, blank))

    return jax.jit(training)


def _forward(family: str, x: Any, weights: Any) -> Any:
    import jax

    w_ih, w_hh, b_ih, b_hh = weights
    zeros = jax.numpy.zeros((x.shape[1], w_hh.shape[1]), x.dtype)
    state = (zeros, zeros) if family == "LSTM" else (zeros,)
    step = functools.partial(_STEPS[family], w_hh, b_hh)
    state, output = jax.lax.scan(step, state, x @ w_ih.T + b_ih)
    return output, [leaf[None] for leaf in state]  # torch's form: one layer and direction


def _rnn(w_hh: Any, b_hh: Any, state: Any, a: Any) -> Any:
    import jax.numpy as jnp

    h = jnp.tanh(a + state[0] @ w_hh.T + b_hh)
    return (h,), h


def _lstm(w_hh: Any, b_hh: Any, state: Any, a: Any) -> Any:
    import jax

    i, f, g, o = jax.numpy.split(a + state[0] @ w_hh.T + b_hh, 4, -1)
    c = jax.nn.sigmoid(f) * state[1] + jax.nn.sigmoid(i) * jax.numpy.tanh(g)
    h = jax.nn.sigmoid(o) * jax.numpy.tanh(c)
    return (h, c), h


def _gru(w_hh: Any, b_hh: Any, state: Any, a: Any) -> Any:
    import jax

    (h,) = state
    a_r, a_z, a_n = jax.numpy.split(a, 3, -1)
    h_r, h_z, h_n = jax.numpy.split(h @ w_hh.T + b_hh, 3, -1)
    n = jax.numpy.tanh(a_n + jax.nn.sigmoid(a_r + h_r) * h_n)
    z = jax.nn.sigmoid(a_z + h_z)
    h = (1 - z) * n + z * h
    return (h,), h


_STEPS = {"RNN": _rnn, "LSTM": _lstm, "GRU": _gru}
