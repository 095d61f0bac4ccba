"""Scaled dot-product attention in several heads."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from unroll.models.attention import Attention, Memory
from unroll.models.checks import checked_heads, checked_share
from unroll.models.masking import masked_softmax


class MultiHeadAttention(Attention):
    r"""Several scaled dot products side by side: Vaswani et al. 2017 (arXiv:1706.03762), section 3.2.

    .. math::
        \mathrm{head}_i = \mathrm{softmax}\!\left(\frac{q_i k_i^\top}{\sqrt{d}}\right) v_i, \qquad
        q_i = W^Q_i s + b, \quad k_i = W^K_i h + b, \quad v_i = W^V_i h + b

    .. math:: c = W^O [\mathrm{head}_1; \dots; \mathrm{head}_n] + b

    with d the width of a head. Weights are those of each head, (batch, heads, Q, T), or (batch, heads, T) for one
    query per row; dropout acts on those that make the context, not on those returned. With ``need_weights=False``
    torch's fused operator runs: the same context, but on a CPU without a second derivative.

    Args:
        query_size: width of s.
        memory_size: width of h.
        num_heads: how many heads share ``context_size``.
        context_size: width of all heads together and of the context; ``query_size`` unless given.
        dropout: share of the weights zeroed in training.
        bias: whether the four projections have one.

    Example::

        >>> attend = MultiHeadAttention(8, 6, num_heads=2)
        >>> context, weights = attend(torch.randn(3, 4, 8), torch.randn(3, 5, 6), lengths=[5, 0, 2])
        >>> context.shape, weights.shape
        (torch.Size([3, 4, 8]), torch.Size([3, 2, 4, 5]))

    Raises:
        ConfigError: a size is no integer above 0, ``dropout`` no number in 0…1, or ``num_heads`` does not divide
            ``context_size``.
    """

    def __init__(
        self,
        query_size: int,
        memory_size: int,
        num_heads: int = 1,
        context_size: int | None = None,
        *,
        dropout: float = 0.0,
        bias: bool = True,
    ) -> None:
        size = query_size if context_size is None else context_size
        super().__init__(query_size, memory_size, size)
        self.num_heads = checked_heads("context_size", size, num_heads)
        self.head_size = size // num_heads
        self.dropout = checked_share("dropout", dropout)
        self.q_proj = nn.Linear(query_size, size, bias=bias)
        self.k_proj = nn.Linear(memory_size, size, bias=bias)
        self.v_proj = nn.Linear(memory_size, size, bias=bias)
        self.out_proj = nn.Linear(size, size, bias=bias)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw every matrix anew as Glorot & Bengio 2010 do (uniform), biases 0."""
        for projection in (self.q_proj, self.k_proj, self.v_proj, self.out_proj):
            nn.init.xavier_uniform_(projection.weight)
            if projection.bias is not None:
                nn.init.zeros_(projection.bias)

    def queries(self, query: Tensor) -> Tensor:
        """(batch, heads, Q, head_size) from (batch, Q, query_size)."""
        return self._heads(self.q_proj(query))

    def keys_values(self, memory: Tensor) -> tuple[Tensor, Tensor]:
        """Each (batch, heads, T, head_size), from (batch, T, memory_size)."""
        return self._heads(self.k_proj(memory)), self._heads(self.v_proj(memory))

    def scores(self, query: Tensor, keys: Tensor) -> Tensor:
        """(batch, heads, Q, T) from ``query`` (batch, Q, query_size) and ``keys`` of ``keys_values``."""
        return self.queries(query) @ keys.transpose(-2, -1) * self.head_size**-0.5

    def context(
        self, query: Tensor, keys: Tensor, values: Tensor, allowed: Tensor | None = None, *, causal: bool = False
    ) -> Tensor:
        """(batch, Q, context_size) by torch's fused operator, which holds no weights.

        ``allowed`` is (batch, 1 or Q, T); ``causal`` says that query t may attend to the steps 0 … t.
        """
        share = self.dropout if self.training else 0.0
        if allowed is None:
            return self._joined(
                F.scaled_dot_product_attention(self.queries(query), keys, values, dropout_p=share, is_causal=causal)
            )
        # Where a query may attend to nothing it is let attend to all, and its context zeroed: no softmax of nothing.
        nothing = ~allowed.any(-1, keepdim=True)
        mixed = F.scaled_dot_product_attention(
            self.queries(query), keys, values, attn_mask=(allowed | nothing).unsqueeze(1), dropout_p=share
        )
        return self._joined(mixed).masked_fill(nothing, 0)

    def _attend(self, query: Tensor, memory: Memory, need_weights: bool) -> tuple[Tensor, Tensor | None]:
        keys, values, allowed = memory
        if not need_weights:
            return self.context(query, keys, values, allowed), None
        weights = masked_softmax(self.scores(query, keys), None if allowed is None else allowed.unsqueeze(1))
        context = self._joined(F.dropout(weights, self.dropout, self.training) @ values)
        if allowed is not None:  # the projection's bias must not fill a context of nothing
            context = context.masked_fill(~allowed.any(-1, keepdim=True), 0)
        return context, weights

    def _heads(self, x: Tensor) -> Tensor:
        return x.unflatten(-1, (self.num_heads, self.head_size)).transpose(1, 2)

    def _joined(self, mixed: Tensor) -> Tensor:
        joined: Tensor = self.out_proj(mixed.transpose(1, 2).flatten(-2))
        return joined

    def extra_repr(self) -> str:
        return f"{self.query_size}, {self.memory_size}, num_heads={self.num_heads}"
