"""One layer of a Transformer encoder, and what it remembers of the steps before."""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from unroll.models.masking import valid_steps
from unroll.models.multihead import MultiHeadAttention


class KeyValueState(NamedTuple):
    """What one causal layer remembers: the keys and values of every step so far.

    Attributes:
        keys, values: (batch, heads, S, head_size). A row's own steps stand first, zeros behind them.
        length: (batch,) int64, how many steps each row has had: where its own keys end, and its next position.
    """

    keys: Tensor
    values: Tensor
    length: Tensor


class Sight(NamedTuple):
    """Which steps each of T new ones may attend to: the same in every layer.

    Attributes:
        position: (1 or batch, T), where the new steps stand in their own row.
        valid: (batch, T), which new steps exist; None if all.
        causal: whether torch's own causal mask says it all.
        allowed: (batch, 1 or T, S + T), True where a step may be attended; None where ``causal`` or all may.
        place: (batch, 1, T, 1), where the new steps' keys go in what is remembered; None if nothing is yet.
        behind: (batch, 1, S + T, 1), True behind a row's own old keys; None if there are none.
    """

    position: Tensor
    valid: Tensor | None
    causal: bool
    allowed: Tensor | None = None
    place: Tensor | None = None
    behind: Tensor | None = None


def sight(x: Tensor, lengths: Tensor | None, before: KeyValueState | None) -> Sight:
    """For ``x`` (batch, T, …) after ``before``; without ``before`` every step may attend to every one.

    A row's new keys stand right behind its own old ones, so rows of different age need no mask but their position.
    """
    T = x.shape[1]
    t = torch.arange(T, device=x.device).unsqueeze(0)
    valid = None if lengths is None else valid_steps(lengths, T)
    if before is None:
        return Sight(t, valid, causal=False, allowed=None if valid is None else valid.unsqueeze(1))
    S = before.keys.shape[2]
    if S == 0:
        return Sight(t, valid, causal=True)
    position = before.length.unsqueeze(1) + t
    remembered = torch.arange(S + T, device=x.device)
    allowed = remembered <= position.unsqueeze(-1)
    behind = remembered >= before.length.unsqueeze(1)
    return Sight(position, valid, False, allowed, _as_keys(position), _as_keys(behind))


class EncoderLayer(nn.Module):
    r"""Self-attention and a network of each step, both residual: Vaswani et al. 2017, section 3.1.

    .. math:: x' = x + \mathrm{attention}(N_1 x), \qquad y = x' + W_2\,\mathrm{relu}(W_1 N_2 x' + b_1) + b_2

    with N a layer normalisation (``norm_first``), or, as published, after each sum instead:
    :math:`x' = N_1(x + \dots)`, :math:`y = N_2(x' + \dots)`.
    """

    def __init__(
        self, d_model: int, num_heads: int, feedforward_size: int, *, dropout: float, norm_first: bool
    ) -> None:
        super().__init__()
        self.norm_first, self.dropout = norm_first, dropout
        self.attention = MultiHeadAttention(d_model, d_model, num_heads, dropout=dropout)
        self.linear1 = nn.Linear(d_model, feedforward_size)
        self.linear2 = nn.Linear(feedforward_size, d_model)
        self.norm1, self.norm2 = nn.LayerNorm(d_model), nn.LayerNorm(d_model)

    def forward(self, x: Tensor, seen: Sight, before: KeyValueState | None) -> tuple[Tensor, KeyValueState | None]:
        """``x`` (batch, T, d_model) to output and, given a state, the state after it."""
        if self.norm_first:
            attended, after = self._attend(self.norm1(x), seen, before)
            x = x + attended
            return x + self._feed(self.norm2(x)), after
        attended, after = self._attend(x, seen, before)
        x = self.norm1(x + attended)
        return self.norm2(x + self._feed(x)), after

    def _attend(self, x: Tensor, seen: Sight, before: KeyValueState | None) -> tuple[Tensor, KeyValueState | None]:
        keys, values = self.attention.keys_values(x)
        after = None
        if before is not None:
            keys, values = _appended(before.keys, keys, seen), _appended(before.values, values, seen)
            steps = x.shape[1] if seen.valid is None else seen.valid.sum(1)
            after = KeyValueState(keys, values, before.length + steps)
        context = self.attention.context(x, keys, values, seen.allowed, causal=seen.causal)
        return F.dropout(context, self.dropout, self.training), after

    def _feed(self, x: Tensor) -> Tensor:
        inner = F.dropout(self.linear1(x).relu(), self.dropout, self.training)
        return F.dropout(self.linear2(inner), self.dropout, self.training)


def _appended(old: Tensor, new: Tensor, seen: Sight) -> Tensor:
    """``new`` (batch, heads, T, head_size) behind each row's own ``old`` ones; zeros behind both.

    Steps that do not exist are zeros, and are written where the row's next ones will go.
    """
    if seen.valid is not None:
        new = new.masked_fill(~_as_keys(seen.valid), 0)
    if seen.place is None or seen.behind is None:
        return new
    longer = F.pad(old, (0, 0, 0, new.shape[2]))  # a copy, so that the rest may work in place
    return longer.masked_fill_(seen.behind, 0).scatter_(2, seen.place.expand_as(new), new)


def _as_keys(x: Tensor) -> Tensor:
    """``x`` (batch, steps) shaped to go with keys (batch, heads, steps, head_size)."""
    return x.unsqueeze(1).unsqueeze(-1)
