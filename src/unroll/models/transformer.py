"""A Transformer encoder that is called as a recurrent layer is."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from unroll import kernels
from unroll.errors import ConfigError, did_you_mean
from unroll.models.checks import check_width, checked_heads, checked_share, checked_size
from unroll.models.encoder_layer import EncoderLayer, KeyValueState, sight
from unroll.models.encoder_stream import TransformerStream
from unroll.models.positions import sinusoids
from unroll.nn import time
from unroll.nn.lengths import checked_lengths

POSITIONS = ("sinusoidal", "none")

State = tuple[KeyValueState, ...]


class TransformerEncoder(nn.Module):
    r"""A Transformer encoder (Vaswani et al. 2017, arXiv:1706.03762) in the place of a recurrent layer.

    .. math:: z_t = W x_t + b + PE_t, \qquad y = \mathrm{layer}_L(\dots \mathrm{layer}_1(z))

    With ``causal`` a step attends to itself and those before it. The state is then every layer's keys and values so
    far, so that the sequence may be run whole, in chunks or step by step with the same result; unlike a recurrent
    layer's it grows with every step. Without ``causal`` a step attends to all, and there is no state.

    Args:
        input_size: width of the input, projected to ``d_model``.
        d_model: width of every layer and of the output.
        num_layers: how many layers.
        num_heads: heads of each layer's attention; must divide ``d_model``.
        feedforward_size: width inside each layer's network of each step; 4 · d_model unless given.
        dropout: share zeroed in training: of z, the attention weights, inside and behind the network of each step.
        causal: whether a step is kept from those after it.
        norm_first: normalise what each part reads, and the output once more (Xiong et al. 2020, arXiv:2002.04745):
            trains without warm-up. Otherwise each sum is normalised, as published.
        positions: "sinusoidal" (section 3.5), or "none": then order shows only through ``causal``.
        batch_first: sequences are (batch, T, features) instead of (T, batch, features).

    Shapes:
        - input (T, batch, input_size), or (T, input_size) for one sequence.
        - output (T, batch, d_model).
        - state: one ``KeyValueState`` per layer, each leaf (batch, …); an empty tuple without ``causal``.

    Attributes:
        bidirectional: whether a step sees those after it: the opposite of ``causal``.
        output_size: d_model.

    Example::

        >>> layer = TransformerEncoder(3, 8, num_layers=2, num_heads=2, batch_first=True)
        >>> output, state = layer(torch.randn(2, 5, 3), lengths=[5, 0])
        >>> output.shape, state[1].length
        (torch.Size([2, 5, 8]), tensor([5, 0]))

    Raises:
        ConfigError: a size is no integer above 0, ``num_heads`` does not divide ``d_model``, ``dropout`` is no number
            in 0…1, or ``positions`` is unknown.
    """

    def __init__(
        self,
        input_size: int,
        d_model: int,
        num_layers: int = 1,
        *,
        num_heads: int = 4,
        feedforward_size: int | None = None,
        dropout: float = 0.0,
        causal: bool = True,
        norm_first: bool = True,
        positions: str = "sinusoidal",
        batch_first: bool = False,
    ) -> None:
        super().__init__()
        self.input_size = checked_size("input_size", input_size)
        self.d_model = self.output_size = checked_size("d_model", d_model)
        self.num_layers = checked_size("num_layers", num_layers)
        self.num_heads = checked_heads("d_model", d_model, num_heads)
        inner = 4 * d_model if feedforward_size is None else checked_size("feedforward_size", feedforward_size)
        self.dropout = checked_share("dropout", dropout)
        if positions not in POSITIONS:
            raise ConfigError(
                f"unknown positions {positions!r}.{did_you_mean(positions, POSITIONS)}",
                expected=f"one of {', '.join(POSITIONS)}",
            )
        self.causal, self.bidirectional, self.positions = causal, not causal, positions
        self.batch_first = batch_first
        self.project = nn.Linear(input_size, d_model)
        self.layers = nn.ModuleList(
            EncoderLayer(d_model, num_heads, inner, dropout=self.dropout, norm_first=norm_first)
            for _ in range(num_layers)
        )
        self.norm = nn.LayerNorm(d_model) if norm_first else None

    def initial_state(
        self, batch_size: int, *, device: torch.device | None = None, dtype: torch.dtype | None = None
    ) -> State:
        """The state before the first step: nothing remembered, in each layer."""
        if not self.causal:
            return ()
        empty = torch.zeros(batch_size, self.num_heads, 0, self.d_model // self.num_heads, device=device, dtype=dtype)
        length = torch.zeros(batch_size, dtype=torch.long, device=device)
        return (KeyValueState(empty, empty, length),) * self.num_layers

    def forward(
        self, x: Tensor, state: Sequence[Any] | None = None, lengths: Tensor | Sequence[int] | None = None
    ) -> tuple[Tensor, State]:
        """Run over ``x``; ``lengths`` (batch,) gives each sequence's own length, zero allowed.

        Output is zero beyond a sequence's length; the final state holds the steps that exist. What lies in the
        padding reaches neither a value nor a gradient.

        Raises:
            ValueError: ``x`` is neither 2-D nor 3-D, or ``lengths`` do not fit it.
            RuntimeError: ``x`` has another width than ``input_size``, ``state`` another shape than it should, or
                one is given without ``causal``.
        """
        if x.dim() not in (2, 3):
            raise ValueError(f"{type(self).__name__}: Expected input to be 2D or 3D, got {x.dim()}D instead")
        batched = x.dim() == 3
        if not batched:
            x = x.unsqueeze(0)
            state = None if state is None else [kernels.map_state(lambda leaf: leaf.unsqueeze(0), s) for s in state]
        elif not self.batch_first:
            x = x.transpose(0, 1)
        check_width("input", x, self.input_size)
        known = checked_lengths(lengths, x.shape[0], x.shape[1], x.device)
        output, final = self._run(x, self._checked_state(state, x), known)
        if not batched:
            return output.squeeze(0), tuple(kernels.map_state(lambda leaf: leaf.squeeze(0), s) for s in final)
        return (output if self.batch_first else output.transpose(0, 1)), final

    def step(self, x: Tensor, state: Sequence[Any] | None = None) -> tuple[Tensor, State]:
        """One time step: ``x`` (batch, input_size) to output (batch, d_model).

        Its cost grows with the steps so far, which it attends to.

        Raises:
            RuntimeError: the encoder is not causal, ``x`` is not (batch, input_size), or ``state`` has another shape
                than it should.
        """
        self._refuse_unless_causal("step")
        if x.dim() != 2 or x.shape[1] != self.input_size:
            raise RuntimeError(f"a step takes (batch, {self.input_size}), got {tuple(x.shape)}")
        x = x.unsqueeze(1)
        output, final = self._run(x, self._checked_state(state, x), None)
        return output.squeeze(1), final

    def chunks(
        self,
        x: Tensor,
        size: int,
        state: Sequence[Any] | None = None,
        lengths: Tensor | Sequence[int] | None = None,
        *,
        detach: bool = True,
    ) -> Iterator[tuple[Tensor, State]]:
        """Run over ``x`` in chunks of ``size`` steps, the keys and values carried (Transformer-XL, Dai et al. 2019).

        Yields output and state of each chunk, as ``forward`` gives them. With ``detach`` no gradient passes from
        one chunk into the one before; without, all is as in one run.

        Raises:
            RuntimeError: the encoder is not causal.
            ValueError: ``size`` is below 1.
        """
        self._refuse_unless_causal("chunks")
        return time.chunks(cast("Any", self), x, size, state, lengths, detach=detach)

    def stream(self, batch_size: int) -> TransformerStream:
        """A stream that advances one step at a time, as ``Recurrent.stream``.

        Raises:
            RuntimeError: the encoder is not causal.
        """
        self._refuse_unless_causal("stream")
        return TransformerStream(cast("Any", self), batch_size)

    def _run(self, x: Tensor, state: State, lengths: Tensor | None) -> tuple[Tensor, State]:
        """``x`` (batch, T, input_size)."""
        seen = sight(x, lengths, state[0] if state else None)
        beyond = None if seen.valid is None else ~seen.valid.unsqueeze(-1)
        h = self.project(x if beyond is None else x.masked_fill(beyond, 0))
        if self.positions == "sinusoidal":
            h = h + sinusoids(seen.position, self.d_model, h.dtype)
        h = F.dropout(h, self.dropout, self.training)
        final = []
        for number, layer in enumerate(self.layers):
            h, after = layer(h, seen, state[number] if state else None)
            final.append(after)
        h = h if self.norm is None else self.norm(h)
        return (h if beyond is None else h.masked_fill(beyond, 0)), tuple(final) if state else ()

    def _checked_state(self, state: Sequence[Any] | None, x: Tensor) -> State:
        B = x.shape[0]
        if state is None:
            return self.initial_state(B, device=x.device, dtype=x.dtype)
        if not self.causal:
            if len(state):
                raise RuntimeError(
                    f"a Transformer with causal=False keeps no state: expected None or (), got {len(state)} states"
                )
            return ()
        if len(state) != self.num_layers:
            raise RuntimeError(f"Expected {self.num_layers} states, one per layer, got {len(state)}")
        checked = tuple(KeyValueState(*s) for s in state)
        S = checked[0].keys.shape[2:3]
        shape = (B, self.num_heads, *S, self.d_model // self.num_heads)
        for number, s in enumerate(checked):
            if s.keys.shape != shape or s.values.shape != shape or s.length.shape != (B,):
                got = ", ".join(str(tuple(leaf.shape)) for leaf in s)
                raise RuntimeError(f"Expected state[{number}] of shapes {shape}, {shape}, {(B,)}, got {got}")
        return checked

    def _refuse_unless_causal(self, what: str) -> None:
        if not self.causal:
            raise RuntimeError(
                f"a Transformer with causal=False has no {what}: each step attends to those after it, so it needs the "
                "whole sequence. Call it on the whole sequence, or build it with causal=True."
            )

    def extra_repr(self) -> str:
        return f"num_heads={self.num_heads}, causal={self.causal}, positions={self.positions!r}"
