"""``torch.func`` and forward-mode AD through the layers and cells: ensembles, per-sample gradients, Jacobians.

The oracle is the loop over members or samples, the inner product ⟨v, Ju⟩ = ⟨Jᵀv, u⟩, and finite differences.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.autograd.forward_ad as forward_ad
from parity import (
    CELLS,
    HIDDEN,
    INPUTS,
    LAYERS,
    B,
    Kind,
    T,
    assert_same,
    directions,
    flat,
    normal,
    pair,
    start,
)
from torch import Tensor, nn
from torch.func import functional_call, grad, hessian, jacfwd, jacrev, jvp, stack_module_state, vjp, vmap
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence

from unroll import kernels
from unroll import nn as un
from unroll.errors import ConfigError
from unroll.kernels.transforms import needs_reference

F64 = torch.float64
RAGGED = [3, T, 0, 5]

OURS = {**LAYERS, "GRU-before": Kind("GRU", {"reset": "before"})}
OUR_CELLS = {**CELLS, "LSTMCell-proj": Kind("LSTMCell", {"proj_size": 2})}

every_layer = pytest.mark.parametrize("kind", OURS.values(), ids=OURS)
every_cell = pytest.mark.parametrize("kind", OUR_CELLS.values(), ids=OUR_CELLS)
ragged = pytest.mark.parametrize("lengths", [None, RAGGED], ids=["full", "ragged"])


def build(kind: Kind, *args: Any, seed: int = 0, dtype: torch.dtype = F64, **options: Any) -> Any:
    torch.manual_seed(seed)
    return getattr(un, kind.name)(INPUTS, HIDDEN, *args, **kind.options, **options, dtype=dtype)


def members(kind: Kind, *args: Any, **options: Any) -> list[Any]:
    return [build(kind, *args, seed=seed, **options) for seed in (1, 2, 3)]


def weights_of(module: nn.Module) -> dict[str, Tensor]:
    return {name: p.detach() for name, p in module.named_parameters()}


def weigh(result: Any) -> Tensor:
    """A loss that weighs every entry differently, without a draw, which vmap would refuse."""
    return sum(((p * torch.arange(p.numel()).cos().view(p.shape)).sum() for p in flat(result)), torch.zeros(()))


def assert_close(got: Any, expected: Any, atol: float = 1e-10) -> None:
    pairs = list(zip(flat(got), flat(expected), strict=True))
    assert pairs
    for g, e in pairs:
        torch.testing.assert_close(g, e, rtol=0, atol=atol)


def stacked(results: list[Any]) -> list[Tensor]:
    """Tensor by tensor, the members' results beside each other."""
    return [torch.stack(parts) for parts in zip(*map(flat, results))]


# Ensembles


@every_layer
@directions
@ragged
def test_an_ensemble_is_the_loop_over_its_members(kind: Kind, bidirectional: bool, lengths: list[int] | None) -> None:
    ensemble = members(kind, 2, bidirectional=bidirectional)
    weights, _ = stack_module_state(ensemble)
    x, hx = normal(T, B, INPUTS, dtype=F64), start(kind, ensemble[0], B, dtype=F64)
    got = vmap(lambda w: functional_call(ensemble[0], w, (x, hx, lengths)))(weights)
    assert_close(got, stacked([member(x, hx, lengths) for member in ensemble]))


@every_layer
@directions
@ragged
def test_an_ensembles_gradients_are_its_members(kind: Kind, bidirectional: bool, lengths: list[int] | None) -> None:
    ensemble = members(kind, 2, bidirectional=bidirectional)
    weights = {name: w.detach() for name, w in stack_module_state(ensemble)[0].items()}
    x = normal(T, B, INPUTS, dtype=F64)
    got = vmap(grad(lambda w: weigh(functional_call(ensemble[0], w, (x, None, lengths)))))(weights)
    assert list(got) == [name for name, _ in ensemble[0].named_parameters()]
    loop = [torch.autograd.grad(weigh(m(x, None, lengths)), list(m.parameters())) for m in ensemble]
    assert_close(list(got.values()), stacked(loop))


@every_layer
def test_each_member_reads_its_own_batch_and_state(kind: Kind) -> None:
    ensemble = members(kind, 2, bidirectional=True)
    weights, _ = stack_module_state(ensemble)
    xs = [normal(T, B, INPUTS, seed=seed, dtype=F64) for seed in range(3)]
    hs = [start(kind, member, B, dtype=F64) for member in ensemble]
    h = tuple(stacked(hs)) if kind.name == "LSTM" else stacked(hs)[0]
    got = vmap(lambda w, x, h: functional_call(ensemble[0], w, (x, h)))(weights, torch.stack(xs), h)
    assert_close(got, stacked([member(x, h) for member, x, h in zip(ensemble, xs, hs)]))


@every_layer
def test_an_ensemble_reads_a_packed_batch(kind: Kind) -> None:
    ensemble = members(kind, 2, bidirectional=True)
    weights, _ = stack_module_state(ensemble)
    packed = pack_padded_sequence(normal(T, B, INPUTS, dtype=F64), [3, T, 1, 5], enforce_sorted=False)

    def run(w: dict[str, Tensor]) -> tuple[Tensor, Any]:
        output, final = functional_call(ensemble[0], w, (packed,))
        return output.data, final

    loop = [(member(packed)[0].data, member(packed)[1]) for member in ensemble]
    assert_close(vmap(run)(weights), stacked(loop))


@every_cell
def test_an_ensemble_of_cells_is_the_loop_over_its_members(kind: Kind) -> None:
    ensemble = members(kind)
    weights, _ = stack_module_state(ensemble)
    x = normal(B, INPUTS, dtype=F64)
    got = vmap(lambda w: functional_call(ensemble[0], w, (x,)))(weights)
    assert_close(got, stacked([member(x) for member in ensemble]))


@every_cell
def test_an_ensemble_of_recurrent_layers_is_the_loop_over_its_members(kind: Kind) -> None:
    ensemble = [un.Recurrent(cell, 2, bidirectional=True) for cell in members(kind)]
    weights, _ = stack_module_state(ensemble)
    x = normal(T, B, INPUTS, dtype=F64)
    got = vmap(lambda w: functional_call(ensemble[0], w, (x, None, RAGGED)))(weights)
    assert_close(got, stacked([member(x, None, RAGGED) for member in ensemble]))


# Over inputs


@every_layer
@pytest.mark.parametrize("lengths", [None, [3, T, 1, 5]], ids=["full", "ragged"])
def test_per_sample_gradients_are_those_of_each_row_alone(kind: Kind, lengths: list[int] | None) -> None:
    layer, x = build(kind, 2, bidirectional=True), normal(T, B, INPUTS, dtype=F64)
    known = torch.tensor(lengths or [T] * B)

    def loss(w: dict[str, Tensor], row: Tensor, length: Tensor) -> Tensor:
        output, _ = functional_call(layer, w, (row, None, length.unsqueeze(0) if lengths else None))
        return weigh(output)

    got = vmap(grad(loss), (None, 1, 0))(weights_of(layer), x, known)
    loop = []
    for row, length in enumerate(known.tolist()):
        output, _ = layer(x[:length, row])
        padded = torch.cat([output, output.new_zeros(T - length, output.shape[1])])
        loop.append(torch.autograd.grad(weigh(padded), list(layer.parameters())))
    assert_close(list(got.values()), stacked(loop))


@every_layer
def test_vmap_over_any_dimension_of_the_input_is_the_loop(kind: Kind) -> None:
    layer, x = build(kind, 2), normal(T, B, 6, INPUTS, dtype=F64)
    got = vmap(lambda x: layer(x)[0], in_dims=2, out_dims=1, chunk_size=4)(x)
    assert_close(got, torch.stack([layer(x[:, :, i])[0] for i in range(6)], dim=1))


@every_layer
def test_a_step_inside_vmap_is_the_step_outside(kind: Kind) -> None:
    layer, x = build(kind, 2), normal(3, B, INPUTS, dtype=F64)
    got = vmap(lambda x: layer.step(x)[0])(x)
    assert_close(got, torch.stack([layer.step(x[i])[0] for i in range(3)]))


@every_layer
def test_dropout_inside_vmap_obeys_its_randomness(kind: Kind) -> None:
    layer = build(kind, 2, dropout=0.5)
    xs = normal(T, B, INPUTS, dtype=F64).expand(3, -1, -1, -1)
    same = vmap(lambda x: layer(x)[0], randomness="same")(xs)
    assert_close([same[1], same[2]], [same[0], same[0]])
    different = vmap(lambda x: layer(x)[0], randomness="different")(xs)
    assert (different[0] - different[1]).abs().max() > 1e-3
    with pytest.raises(RuntimeError, match="randomness"):
        vmap(lambda x: layer(x)[0])(xs)


# Forward mode


def tangents(*tensors: Tensor) -> tuple[Tensor, ...]:
    return tuple(normal(*t.shape, seed=30 + i, dtype=t.dtype) for i, t in enumerate(tensors))


def assert_forward_is_reverse(f: Callable[..., Any], *inputs: Tensor, atol: float = 1e-10) -> None:
    """⟨v, Ju⟩ from forward mode, in both of torch's forms, is ⟨Jᵀv, u⟩ from reverse mode."""
    u, inputs = tangents(*inputs), tuple(t.detach() for t in inputs)
    plain = f(*inputs)
    value, pushed = jvp(f, inputs, u)
    assert_close(value, plain, atol)
    with forward_ad.dual_level():
        dual = f(*map(forward_ad.make_dual, inputs, u))
        again = [forward_ad.unpack_dual(part) for part in flat(dual)]
    assert_close([a.primal for a in again], plain, atol)
    assert_close([a.tangent for a in again], pushed, atol)
    leaves = [t.clone().requires_grad_() for t in inputs]
    v = tangents(*flat(plain))
    pulled = torch.autograd.grad(flat(f(*leaves)), leaves, v)
    left = sum((a * b).sum() for a, b in zip(v, flat(pushed)))
    right = sum((a * b).sum() for a, b in zip(pulled, u))
    torch.testing.assert_close(left, right, rtol=atol, atol=atol)


@every_layer
@directions
@ragged
def test_forward_mode_is_reverse_mode_for_inputs_states_and_weights(
    kind: Kind, bidirectional: bool, lengths: list[int] | None
) -> None:
    layer = build(kind, 2, bidirectional=bidirectional)
    names = [name for name, _ in layer.named_parameters()]
    hx = flat(start(kind, layer, B, dtype=F64))

    def f(x: Tensor, *rest: Tensor) -> Any:
        h, w = rest[: len(hx)], dict(zip(names, rest[len(hx) :]))
        return functional_call(layer, w, (x, h if len(h) > 1 else h[0], lengths))

    assert_forward_is_reverse(f, normal(T, B, INPUTS, dtype=F64), *hx, *weights_of(layer).values())


@every_layer
def test_forward_mode_is_reverse_mode_in_single_precision(kind: Kind) -> None:
    """oneDNN's LSTM, which has no forward derivative, runs in single precision only."""
    layer = build(kind, 2, dtype=torch.float32)
    assert_forward_is_reverse(layer, normal(T, B, INPUTS), atol=1e-4)


@every_layer
@directions
def test_forward_mode_is_reverse_mode_for_packed_sequences(kind: Kind, bidirectional: bool) -> None:
    layer = build(kind, 2, bidirectional=bidirectional)
    packed = pack_padded_sequence(normal(T, B, INPUTS, dtype=F64), [3, T, 1, 5], enforce_sorted=False)

    def f(data: Tensor) -> tuple[Tensor, Any]:
        output, final = layer(PackedSequence(data, *packed[1:]))
        return output.data, final

    assert_forward_is_reverse(f, packed.data)


@every_cell
def test_forward_mode_is_reverse_mode_for_cells(kind: Kind) -> None:
    cell = build(kind)
    names = [name for name, _ in cell.named_parameters()]

    def f(x: Tensor, *w: Tensor) -> Any:
        return functional_call(cell, dict(zip(names, w)), (x,))

    assert_forward_is_reverse(f, normal(B, INPUTS, dtype=F64), *weights_of(cell).values())


# Jacobians and second derivatives


@every_layer
@ragged
def test_jacobians_agree_forward_and_reverse(kind: Kind, lengths: list[int] | None) -> None:
    layer, x = build(kind, 2, bidirectional=True), normal(T, B, INPUTS, dtype=F64)

    def f(x: Tensor) -> Tensor:
        return layer(x, None, lengths)[0]

    forward = jacfwd(f)(x)
    assert_close(jacrev(f)(x), forward)
    assert_close(torch.autograd.functional.jacobian(f, x, vectorize=True), forward)
    assert_close(torch.autograd.functional.jacobian(f, x, vectorize=True, strategy="forward-mode"), forward)


@every_layer
def test_the_jacobian_in_single_precision_is_that_in_double(kind: Kind) -> None:
    layer, x = build(kind, 2, bidirectional=True), normal(T, B, INPUTS, dtype=F64)
    expected = jacrev(lambda x: layer(x)[0])(x)
    layer = layer.float()
    for jacobian in (jacrev, jacfwd):
        got = jacobian(lambda x: layer(x)[0])(x.float())
        torch.testing.assert_close(got.double(), expected, rtol=0, atol=1e-5)


@every_layer
def test_the_hessian_is_the_double_backward(kind: Kind) -> None:
    layer = build(kind, 2)
    weights, x = weights_of(layer), normal(3, 2, INPUTS, dtype=F64)

    def loss(w_hh: Tensor) -> Tensor:
        return weigh(functional_call(layer, {**weights, "weight_hh_l0": w_hh}, (x,)))

    got = hessian(loss)(weights["weight_hh_l0"])
    assert_close(got, got.permute(2, 3, 0, 1))
    leaf = weights["weight_hh_l0"].clone().requires_grad_()
    first = torch.autograd.grad(loss(leaf), leaf, create_graph=True)[0]
    rows = [torch.autograd.grad(entry, leaf, retain_graph=True)[0] for entry in first.flatten()]
    assert_close(got, torch.stack(rows).view_as(got))


@pytest.mark.parametrize("name", [name for name in OURS if name != "RNN-relu"])  # a kink is no place for a difference
@pytest.mark.parametrize("lengths", [None, [3, 0]], ids=["full", "ragged"])
def test_derivatives_are_finite_differences_in_every_mode(name: str, lengths: list[int] | None) -> None:
    layer = build(OURS[name], 2, bidirectional=True)
    names = [name for name, _ in layer.named_parameters()]
    inputs = [normal(3, 2, INPUTS, dtype=F64), *weights_of(layer).values()]
    leaves = [t.clone().requires_grad_() for t in inputs]

    def f(x: Tensor, *w: Tensor) -> Tensor:
        return functional_call(layer, dict(zip(names, w)), (x, None, lengths))[0]

    modes = {"check_forward_ad": True, "check_batched_grad": True, "check_batched_forward_grad": True}
    assert torch.autograd.gradcheck(f, leaves, fast_mode=True, **modes)
    assert torch.autograd.gradgradcheck(f, leaves, fast_mode=True, check_fwd_over_rev=True, check_rev_over_rev=True)


# Which backend runs


def test_only_vmap_and_forward_mode_need_the_step_loop() -> None:
    seen: dict[str, bool] = {}

    def note(name: str) -> Callable[[Tensor], Tensor]:
        def f(x: Tensor) -> Tensor:
            seen[name] = needs_reference()
            return x.sum()

        return f

    x = torch.ones(2)
    note("eager")(x)
    vmap(note("vmap"))(x)
    grad(note("grad"))(x)
    vjp(note("vjp"), x)
    jvp(note("jvp"), (x,), (x,))
    vmap(grad(note("grad in vmap")))(x)
    grad(lambda x: vmap(note("vmap in grad"))(x).sum())(x)
    with forward_ad.dual_level():
        note("dual level")(x)
    note("after")(x)
    fused = {"eager", "grad", "vjp", "after"}
    assert seen == {name: name not in fused for name in seen}
    assert len(seen) == 9


def test_a_compiled_graph_does_not_ask() -> None:
    compiled = torch.compile(lambda x: x + needs_reference(), backend="eager", fullgraph=True)
    assert_same(compiled(torch.ones(2)), torch.ones(2))


@pytest.mark.parametrize("name", ["RNN", "LSTM", "GRU"])
def test_reverse_mode_keeps_torchs_operator_and_its_bits(name: str) -> None:
    theirs, ours = pair(Kind(name), INPUTS, HIDDEN, 2)
    x = normal(T, B, INPUTS)
    expected = grad(lambda x: theirs(x)[0].square().sum())(x)
    with kernels.use("torch"):
        assert_same(grad(lambda x: ours(x)[0].square().sum())(x), expected)


@pytest.mark.parametrize("name", ["RNN", "LSTM", "GRU"])
def test_insisting_on_torch_inside_a_transform_it_cannot_follow_raises(name: str) -> None:
    layer, x = build(Kind(name), 2), normal(T, B, INPUTS, dtype=F64)
    cell = build(Kind(f"{name}Cell"))
    packed = pack_padded_sequence(x, [7, 5, 3, 1])
    calls: list[Callable[[Tensor], Any]] = [
        lambda x: layer(x)[0],
        lambda x: layer(x, None, RAGGED)[0],
        lambda x: layer.step(x[0])[0],
        lambda x: flat(cell(x[0]))[0],
        lambda x: layer(packed)[0].data,
    ]
    with kernels.use("torch"):
        for call in calls:
            with pytest.raises(ConfigError, match=f"no operator for a vmap or forward-mode derivative of {name}"):
                vmap(call)(x.unsqueeze(0))
            with pytest.raises(ConfigError, match=f"no operator for a vmap or forward-mode derivative of {name}"):
                jvp(call, (x,), (x,))
        assert_same(layer(x)[0], calls[0](x))
