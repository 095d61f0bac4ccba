"""Attention beside NumPy replays of its equations and torch's own, over ragged, masked and odd shapes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from torch import Tensor

from models.comparing import assert_close, drawn, gradients, normal, poisoned
from unroll.models import Attention, MultiHeadAttention, attention


class Shape(NamedTuple):
    B: int
    Q: int
    T: int
    query: int
    memory: int


SHAPES = [Shape(1, 1, 1, 1, 1), Shape(3, 4, 7, 6, 4), Shape(2, 2, 63, 17, 3), Shape(2, 3, 0, 2, 2)]
RAGGED = Shape(5, 3, 6, 6, 4)
LENGTHS = [6, 0, 1, 4, 2]
KINDS = ["additive", "dot", "general", "multihead", "multihead-3"]

every = pytest.mark.parametrize("kind", KINDS)
shapes = pytest.mark.parametrize("shape", SHAPES, ids=lambda s: f"B{s.B}-Q{s.Q}-T{s.T}-{s.query}x{s.memory}")


def build(kind: str, shape: Shape) -> Attention:
    torch.manual_seed(2)
    name, _, heads = kind.partition("-")
    options: dict[str, Any] = {"num_heads": 3, "context_size": 9} if heads else {}
    query, memory = sizes(kind, shape)
    module = drawn(attention(name, query, memory, **options))
    assert isinstance(module, Attention)
    return module


def sizes(kind: str, shape: Shape) -> tuple[int, int]:
    return (shape.query, shape.query if kind == "dot" else shape.memory)


def inputs(kind: str, shape: Shape) -> tuple[Tensor, Tensor]:
    query, memory = sizes(kind, shape)
    return normal(shape.B, shape.Q, query, seed=1), normal(shape.B, shape.T, memory, seed=2)


def some_mask(B: int, Q: int, T: int) -> Tensor:
    """Half of it True; the last query of the last row may attend to nothing."""
    mask = torch.rand(B, Q, T, generator=torch.Generator().manual_seed(4)) < 0.5
    mask[-1, -1] = False
    return mask


def softmax(score: Callable[[np.ndarray], float], rows: Sequence[np.ndarray], may: np.ndarray) -> np.ndarray:
    e = np.array([np.exp(score(h)) if ok else 0.0 for h, ok in zip(rows, may)])
    return e / e.sum() if e.sum() else e


def replay(attend: Attention, s: np.ndarray, H: np.ndarray, may: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """One query ``s`` and the states ``H`` it ``may`` attend to, by the published equations, state by state."""
    p = {name: value.detach().numpy() for name, value in attend.named_parameters()}
    if isinstance(attend, MultiHeadAttention):
        return replay_heads(p, attend.num_heads, s, H, may)
    score: Callable[[np.ndarray], float] = {
        "AdditiveAttention": lambda h: p["v"] @ np.tanh(p["W.weight"] @ s + p["U.weight"] @ h),
        "DotAttention": lambda h: s @ h,
        "GeneralAttention": lambda h: s @ p["W.weight"] @ h,
    }[type(attend).__name__]
    weights = softmax(score, H, may)
    return sum((w * h for w, h in zip(weights, H)), np.zeros(H.shape[1])), weights


def replay_heads(
    p: dict[str, np.ndarray], num_heads: int, s: np.ndarray, H: np.ndarray, may: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    def projected(name: str, x: np.ndarray) -> np.ndarray:
        return p[f"{name}_proj.weight"] @ x + p[f"{name}_proj.bias"]

    size = len(p["q_proj.bias"])
    heads, all_weights = [], []
    for own in np.arange(size).reshape(num_heads, -1):
        q, k, v = projected("q", s)[own], [projected("k", h)[own] for h in H], [projected("v", h)[own] for h in H]
        weights = softmax(lambda key, q=q: q @ key / np.sqrt(len(q)), k, may)
        heads.append(sum((w * value for w, value in zip(weights, v)), np.zeros(len(own))))
        all_weights.append(weights)
    context = projected("out", np.concatenate(heads))
    return (context if may.any() else np.zeros(size)), np.array(all_weights)


@every
@shapes
@pytest.mark.parametrize("masked", ["all", "lengths", "mask", "both"])
def test_context_and_weights_are_those_of_the_published_equation(kind: str, shape: Shape, masked: str) -> None:
    attend, (query, memory) = build(kind, shape), inputs(kind, shape)
    B, Q, T = shape[:3]
    lengths = torch.tensor([T, 0, T // 2][:B]) if masked in ("lengths", "both") else None
    mask = some_mask(B, Q, T) if masked in ("mask", "both") else None
    context, weights = attend(query, memory, lengths, mask)
    may = torch.ones(B, Q, T, dtype=torch.bool) if mask is None else mask.clone()
    if lengths is not None:
        for row, length in enumerate(lengths):
            may[row, :, length:] = False
    s, H = query.detach().numpy(), memory.detach().numpy()
    for b in range(B):
        for q in range(Q):
            own_context, own_weights = replay(attend, s[b, q], H[b], may[b, q].numpy())
            assert_close([context[b, q], weights[b, ..., q, :]], [torch.tensor(own_context), torch.tensor(own_weights)])


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("masked", ["all", "padding", "mask", "both"])
@pytest.mark.parametrize("num_heads", [1, 2, 6])
def test_multihead_equals_torch_in_context_weights_and_gradients(num_heads: int, masked: str, bias: bool) -> None:
    B, Q, T, E, M = 3, 4, 7, 6, 5
    theirs = torch.nn.MultiheadAttention(E, num_heads, bias=bias, kdim=M, vdim=M, batch_first=True)
    drawn(theirs)
    ours = MultiHeadAttention(E, M, num_heads, bias=bias).double()
    with torch.no_grad():
        for name in ("q", "k", "v"):
            getattr(ours, f"{name}_proj").weight.copy_(getattr(theirs, f"{name}_proj_weight"))
        if bias:
            for name, part in zip("qkv", theirs.in_proj_bias.chunk(3)):
                getattr(ours, f"{name}_proj").bias.copy_(part)
        ours.out_proj.load_state_dict(theirs.out_proj.state_dict())
    query, memory = normal(B, Q, E, seed=1), normal(B, T, M, seed=2)
    lengths = torch.tensor([7, 1, 4]) if masked in ("padding", "both") else None
    mask = torch.ones(Q, T, dtype=torch.bool).tril(1) if masked in ("mask", "both") else None
    context, weights = ours(query, memory, lengths, None if mask is None else mask.expand(B, Q, T))
    expected = theirs(
        query,
        memory,
        memory,
        key_padding_mask=None if lengths is None else torch.arange(T) >= lengths.unsqueeze(1),
        attn_mask=None if mask is None else ~mask,
        average_attn_weights=False,
    )
    assert_close([context, weights], expected)
    own = [query, memory, *(getattr(ours, f"{n}_proj").weight for n in "qkv"), ours.out_proj.weight]
    given = [query, memory, *(getattr(theirs, f"{n}_proj_weight") for n in "qkv"), theirs.out_proj.weight]
    assert_close(gradients([context, weights], own), gradients(expected, given))


@every
def test_a_ragged_row_gets_what_it_gets_alone_gradients_included(kind: str) -> None:
    attend, (query, memory) = build(kind, RAGGED), inputs(kind, RAGGED)
    context, weights = attend(query, memory, LENGTHS)
    contexts, all_weights = [], []
    for row, length in enumerate(LENGTHS):
        alone, own = attend(query[row : row + 1], memory[row : row + 1, :length])
        contexts.append(alone)
        all_weights.append(torch.cat([own, own.new_zeros(*own.shape[:-1], RAGGED.T - length)], -1))
    expected = [torch.cat(contexts), torch.cat(all_weights)]
    assert_close([context, weights], expected)
    wanted = [query, memory, *attend.parameters()]
    assert_close(gradients([context, weights], wanted), gradients(expected, wanted))


@every
@pytest.mark.parametrize("need_weights", [True, False])
@pytest.mark.parametrize("by", ["lengths", "mask"])
def test_what_is_in_the_padding_reaches_no_value_and_no_gradient(kind: str, need_weights: bool, by: str) -> None:
    attend, (query, memory) = build(kind, RAGGED), inputs(kind, RAGGED)
    bad = poisoned(memory, LENGTHS)
    mask = torch.arange(RAGGED.T) < torch.tensor(LENGTHS).unsqueeze(1)
    how = {"lengths": LENGTHS} if by == "lengths" else {"mask": mask}
    results = []
    for states in (memory, bad):
        parts = [part for part in attend(query, states, **how, need_weights=need_weights) if part is not None]
        results.append([*parts, *gradients(parts, [query, states, *attend.parameters()])])
    for clean, other in zip(*results, strict=True):
        assert torch.equal(clean, other)
        assert torch.isfinite(other).all()


@every
@pytest.mark.parametrize("need_weights", [True, False])
def test_a_row_without_steps_gets_zeros_and_gives_no_gradient(kind: str, need_weights: bool) -> None:
    attend, (query, memory) = build(kind, RAGGED), inputs(kind, RAGGED)
    bad = poisoned(memory, [0] * RAGGED.B)
    with torch.autograd.set_detect_anomaly(True):  # not even on the way back
        parts = [part for part in attend(query, bad, [0] * RAGGED.B, need_weights=need_weights) if part is not None]
        found = gradients(parts, [query, bad, *attend.parameters()])
    for part in [*parts, *found]:
        assert torch.equal(part, torch.zeros_like(part))


@every
@pytest.mark.parametrize("lengths", [None, LENGTHS], ids=["full", "ragged"])
def test_weights_are_a_distribution_over_the_steps_that_exist(kind: str, lengths: list[int] | None) -> None:
    attend, (query, memory) = build(kind, RAGGED), inputs(kind, RAGGED)
    _, weights = attend(10 * query, memory, lengths)
    exist = torch.tensor(lengths or [RAGGED.T] * RAGGED.B)
    total = (exist > 0).double().view(-1, *[1] * (weights.dim() - 2)).expand(weights.shape[:-1])
    assert_close([weights.sum(-1)], [total], 1e-14)
    assert (weights >= 0).all()
    for row, length in enumerate(exist):
        assert not weights[row, ..., length:].any()
        assert (weights[row, ..., :length] > 0).all()


@every
@shapes
@pytest.mark.parametrize("masked", [False, True], ids=["all", "masked"])
def test_without_weights_the_context_is_the_same_gradients_included(kind: str, shape: Shape, masked: bool) -> None:
    attend, (query, memory) = build(kind, shape), inputs(kind, shape)
    mask = some_mask(*shape[:3]) if masked else None
    wanted = [query, memory, *attend.parameters()]
    context, weights = attend(query, memory, mask=mask)
    alone, nothing = attend(query, memory, mask=mask, need_weights=False)
    assert weights is not None
    assert nothing is None
    assert_close([alone, *gradients([alone], wanted)], [context, *gradients([context], wanted)])


@pytest.mark.parametrize("masked", [False, True], ids=["all", "masked"])
def test_multihead_without_weights_calls_torchs_fused_operator(masked: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    attend, (query, memory) = build("multihead-3", RAGGED), inputs("multihead-3", RAGGED)
    calls = []
    fused = torch.nn.functional.scaled_dot_product_attention

    def counted(*args: Any, **options: Any) -> Tensor:
        calls.append(options)
        return fused(*args, **options)

    monkeypatch.setattr(torch.nn.functional, "scaled_dot_product_attention", counted)
    lengths = LENGTHS if masked else None
    attend(query, memory, lengths)
    assert not calls
    attend(query, memory, lengths, need_weights=False)
    assert len(calls) == 1


@every
@pytest.mark.parametrize("need_weights", [True, False])
@pytest.mark.parametrize("lengths", [None, [3, 0]], ids=["full", "ragged"])
def test_gradients_are_those_of_finite_differences(kind: str, need_weights: bool, lengths: list[int] | None) -> None:
    shape = Shape(2, 2, 3, 3, 2)
    attend, (query, memory) = build(kind, shape), inputs(kind, shape)
    names = [name for name, _ in attend.named_parameters()]

    def function(query: Tensor, memory: Tensor, *weights: Tensor) -> tuple[Tensor, ...]:
        given = (query, memory, lengths)
        parts = torch.func.functional_call(attend, dict(zip(names, weights)), given, {"need_weights": need_weights})
        return tuple(part for part in parts if part is not None)

    given = (query, memory, *(p.detach().clone().requires_grad_() for p in attend.parameters()))
    assert torch.autograd.gradcheck(function, given)
    if need_weights:  # torch's fused operator has no second derivative on a CPU
        assert torch.autograd.gradgradcheck(function, given)


@every
@pytest.mark.parametrize("need_weights", [True, False])
def test_one_query_per_row_is_a_query_of_its_own_dimension(kind: str, need_weights: bool) -> None:
    attend, (query, memory) = build(kind, RAGGED), inputs(kind, RAGGED)
    mask = some_mask(RAGGED.B, 1, RAGGED.T)
    context, weights = attend(query[:, 0], memory, LENGTHS, mask, need_weights=need_weights)
    wide, wide_weights = attend(query[:, :1], memory, LENGTHS, mask, need_weights=need_weights)
    assert torch.equal(context, wide.squeeze(1))
    assert (weights is None) is not need_weights
    assert weights is None or torch.equal(weights, wide_weights.squeeze(-2))


@every
@pytest.mark.parametrize("need_weights", [True, False])
def test_a_remembered_memory_gives_the_same_for_each_query_in_turn(kind: str, need_weights: bool) -> None:
    attend, (query, memory) = build(kind, RAGGED), inputs(kind, RAGGED)
    at_once, weights = attend(query, memory, LENGTHS, need_weights=need_weights)
    remembered = attend.remember(memory, LENGTHS)
    turns = [attend(query[:, q], remembered, need_weights=need_weights) for q in range(RAGGED.Q)]
    assert_close([torch.stack([context for context, _ in turns], 1)], [at_once], 1e-14)
    assert weights is None or torch.allclose(torch.stack([own for _, own in turns], -2), weights, atol=1e-14)
    wanted = [query, memory, *attend.parameters()]
    assert_close(gradients([torch.stack([c for c, _ in turns], 1)], wanted), gradients([at_once], wanted))


@every
def test_a_mask_says_where_a_query_may_attend_as_lengths_do(kind: str) -> None:
    attend, (query, memory) = build(kind, RAGGED), inputs(kind, RAGGED)
    within = torch.arange(RAGGED.T) < torch.tensor(LENGTHS).unsqueeze(1)
    by_lengths = attend(query, memory, LENGTHS)
    for mask in (within, within.unsqueeze(1).expand(-1, RAGGED.Q, -1)):
        for got, expected in zip(attend(query, memory, mask=mask), by_lengths, strict=True):
            assert torch.equal(got, expected)
    odd = torch.arange(RAGGED.T) % 2 == 1
    chosen = attend(query, memory, mask=odd.expand(RAGGED.B, -1))
    alone = attend(query, memory[:, odd])
    assert_close([chosen[0], chosen[1][..., odd]], alone, 1e-14)


@pytest.mark.parametrize("need_weights", [True, False])
def test_multihead_dropout_acts_in_training_only_and_on_the_context_only(need_weights: bool) -> None:
    attend = MultiHeadAttention(6, 4, 2, dropout=1.0).double()
    torch.nn.init.normal_(attend.out_proj.bias)
    query, memory = normal(3, 2, 6), normal(3, 5, 4)
    context, weights = attend(query, memory, [5, 2, 0], need_weights=need_weights)
    assert_close([context[:2]], [attend.out_proj.bias.expand(2, 2, 6)], 0)
    assert not context[2].any()
    attend.eval()
    quiet, same_weights = attend(query, memory, [5, 2, 0], need_weights=need_weights)
    assert not torch.allclose(quiet[:2], context[:2])
    assert weights is None or torch.equal(weights, same_weights)


@every
def test_float32_is_attended_in_float32(kind: str) -> None:
    attend = build(kind, RAGGED).float()
    query, memory = (x.detach().float() for x in inputs(kind, RAGGED))
    context, weights = attend(query, memory, LENGTHS)
    precise, precise_weights = attend.double()(query.double(), memory.double(), LENGTHS)
    assert context.dtype is weights.dtype is torch.float32
    assert_close([context.double(), weights.double()], [precise, precise_weights], 2e-5)


# What it refuses


@every
def test_an_input_that_does_not_fit_is_refused_by_name(kind: str) -> None:
    attend, (query, memory) = build(kind, RAGGED), inputs(kind, RAGGED)
    B, Q, T = RAGGED[:3]
    with pytest.raises(RuntimeError, match=rf"query must have {attend.query_size} features .* got \(5, 3, 7\)"):
        attend(torch.zeros(B, Q, 7), memory)
    with pytest.raises(RuntimeError, match=rf"memory must have {attend.memory_size} features .* got \(5, 6, 8\)"):
        attend(query, torch.zeros(B, T, 8))
    with pytest.raises(ValueError, match="query must be"):
        attend(query[0, 0], memory)
    with pytest.raises(ValueError, match="memory must be"):
        attend(query, memory[0])
    with pytest.raises(ValueError, match="must hold the same rows, got 5 and 2"):
        attend(query, memory[:2])
    with pytest.raises(ValueError, match="lengths must hold 5 integers"):
        attend(query, memory, [1, 2])
    with pytest.raises(ValueError, match="lengths must hold 5 integers"):
        attend(query, memory, torch.ones(B))
    with pytest.raises(ValueError, match="between 0 and the time length 6, got 0 to 7"):
        attend(query, memory, [7, 0, 1, 1, 1])
    with pytest.raises(TypeError, match=r"True where a query may attend, got torch\.float32"):
        attend(query, memory, mask=torch.ones(B, T))
    with pytest.raises(ValueError, match=r"mask must be \(batch, T\) or \(batch, Q, T\)"):
        attend(query, memory, mask=torch.ones(B, T - 1, dtype=torch.bool))
    with pytest.raises(ValueError, match="with Q=3, got one of Q=2"):
        attend(query, memory, mask=torch.ones(B, 2, T, dtype=torch.bool))
    with pytest.raises(ValueError, match=r"give them to remember\(\)"):
        attend(query, attend.remember(memory), LENGTHS)
