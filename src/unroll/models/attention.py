"""Attention over recurrent states: the published scores, one way to call them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from unroll.errors import ConfigError
from unroll.models.checks import check_width, checked_size
from unroll.models.masking import allowed_steps, masked_softmax


class Memory(NamedTuple):
    """A memory read once, for many calls with one query each. Made by ``Attention.remember``.

    Attributes:
        keys: what a query is scored against, batch first.
        values: what the context is a weighted sum of, batch first.
        allowed: (batch, 1 or Q, T), True where a query may attend; None where all may.
    """

    keys: Tensor
    values: Tensor
    allowed: Tensor | None


class Attention(nn.Module):
    r"""A weighted sum of a memory's states, the weights from a score of each state against the query.

    .. math:: e_t = \mathrm{score}(s, h_t), \quad \alpha = \mathrm{softmax}(e), \quad c = \sum_t \alpha_t h_t

    A subclass gives ``scores``. Every attention is called alike: ``attend(query, memory, lengths, mask)``.

    Attributes:
        query_size, memory_size: widths of what goes in.
        context_size: width of the context.
    """

    def __init__(self, query_size: int, memory_size: int, context_size: int | None = None) -> None:
        super().__init__()
        self.query_size = checked_size("query_size", query_size)
        self.memory_size = checked_size("memory_size", memory_size)
        self.context_size = memory_size if context_size is None else checked_size("context_size", context_size)

    def forward(
        self,
        query: Tensor,
        memory: Tensor | Memory,
        lengths: Tensor | Sequence[int] | None = None,
        mask: Tensor | None = None,
        *,
        need_weights: bool = True,
    ) -> tuple[Tensor, Tensor | None]:
        """Attend from each query to the memory.

        A query that may attend to nothing (a row of length 0, a mask without True) gets a context and weights of
        exactly 0. What lies where no query of its row may attend reaches neither a value nor a gradient, NaN included.

        Args:
            query: (batch, Q, query_size), or (batch, query_size) for one query per row.
            memory: (batch, T, memory_size), recurrent states: both keys and values. Or what ``remember`` made of it.
            lengths: (batch,) how many steps of each row exist, zero allowed.
            mask: bool (batch, T) or (batch, Q, T), **True where a query may attend**. Given both, a step must be
                within ``lengths`` and True.
            need_weights: if False, the second result is None.

        Returns:
            context (batch, Q, context_size) and weights (batch, Q, T), without Q for a query without it.

        Raises:
            ValueError: a dimension, the batch, ``lengths`` or ``mask`` do not fit.
            RuntimeError: ``query`` or ``memory`` has another width than it should.
            TypeError: ``mask`` is not bool.
        """
        if query.dim() not in (2, 3):
            raise ValueError(
                f"query must be (batch, {self.query_size}), with Q between or not, got {tuple(query.shape)}"
            )
        check_width("query", query, self.query_size)
        if isinstance(memory, Memory):
            if lengths is not None or mask is not None:
                raise ValueError("a remembered memory has its lengths and mask already: give them to remember()")
        else:
            memory = self.remember(memory, lengths, mask)
        one = query.dim() == 2
        query = query.unsqueeze(1) if one else query
        _check_fit(query, memory)
        context, weights = self._attend(query, memory, need_weights)
        if one:
            context, weights = context.squeeze(1), None if weights is None else weights.squeeze(-2)
        return context, weights

    def remember(
        self, memory: Tensor, lengths: Tensor | Sequence[int] | None = None, mask: Tensor | None = None
    ) -> Memory:
        """``memory`` read once, its projections made: for a decoder that asks it at every step.

        Example::

            >>> attend = AdditiveAttention(4, 6)
            >>> memory = attend.remember(torch.randn(2, 5, 6), lengths=[5, 3])
            >>> context, weights = attend(torch.randn(2, 4), memory)

        Raises:
            ValueError, RuntimeError, TypeError: as ``forward``.
        """
        if memory.dim() != 3:
            raise ValueError(f"memory must be (batch, T, {self.memory_size}), got {tuple(memory.shape)}")
        check_width("memory", memory, self.memory_size)
        allowed = allowed_steps(memory, lengths, mask)
        if allowed is not None:  # a weight of 0 would still make NaN of a NaN
            memory = memory.masked_fill(~allowed.any(1).unsqueeze(-1), 0)
        return Memory(*self.keys_values(memory), allowed)

    def keys_values(self, memory: Tensor) -> tuple[Tensor, Tensor]:
        """What queries are scored against, and what is summed: here the states themselves."""
        return memory, memory

    def scores(self, query: Tensor, keys: Tensor) -> Tensor:
        """(batch, Q, T) from ``query`` (batch, Q, query_size) and ``keys``."""
        raise NotImplementedError(f"{type(self).__name__} must define scores(query, keys)")

    def _attend(self, query: Tensor, memory: Memory, need_weights: bool) -> tuple[Tensor, Tensor | None]:
        weights = masked_softmax(self.scores(query, memory.keys), memory.allowed)
        return weights @ memory.values, weights if need_weights else None

    def extra_repr(self) -> str:
        return f"{self.query_size}, {self.memory_size}"


class AdditiveAttention(Attention):
    r"""A small network scores each state: Bahdanau et al. 2015 (arXiv:1409.0473), section 3.1 and appendix A.1.2.

    .. math:: e_t = v^\top \tanh(W s + U h_t)

    v is drawn from U(-1/√n, 1/√n), n its width; W and U as ``nn.Linear`` draws them.

    Args:
        query_size: width of s.
        memory_size: width of h.
        attention_size: width of the hidden layer; ``query_size`` unless given.

    Example::

        >>> attend = AdditiveAttention(4, 6)
        >>> context, weights = attend(torch.randn(2, 4), torch.randn(2, 5, 6), lengths=[5, 0])
        >>> context.shape, weights.shape
        (torch.Size([2, 6]), torch.Size([2, 5]))

    Raises:
        ConfigError: a size is no integer above 0.
    """

    def __init__(self, query_size: int, memory_size: int, attention_size: int | None = None) -> None:
        super().__init__(query_size, memory_size)
        size = query_size if attention_size is None else checked_size("attention_size", attention_size)
        self.W = nn.Linear(query_size, size, bias=False)
        self.U = nn.Linear(memory_size, size, bias=False)
        self.v = nn.Parameter(torch.empty(size))
        nn.init.uniform_(self.v, -(size**-0.5), size**-0.5)

    def keys_values(self, memory: Tensor) -> tuple[Tensor, Tensor]:
        return self.U(memory), memory

    def scores(self, query: Tensor, keys: Tensor) -> Tensor:
        return torch.tanh(self.W(query).unsqueeze(2) + keys.unsqueeze(1)) @ self.v


class DotAttention(Attention):
    r"""The product scores each state: "dot" of Luong et al. 2015 (arXiv:1508.04025), eq. 8. No parameters.

    .. math:: e_t = s^\top h_t

    Args:
        query_size: width of s.
        memory_size: width of h, which must be the same.

    Example::

        >>> context, weights = DotAttention(6, 6)(torch.randn(2, 3, 6), torch.randn(2, 5, 6))
        >>> context.shape, weights.shape
        (torch.Size([2, 3, 6]), torch.Size([2, 3, 5]))

    Raises:
        ConfigError: the widths differ, or one is no integer above 0.
    """

    def __init__(self, query_size: int, memory_size: int) -> None:
        super().__init__(query_size, memory_size)
        if query_size != memory_size:
            raise ConfigError(
                f"dot attention between a query of {query_size} and a memory of {memory_size}",
                expected="the same width",
                fix="Use 'general', which has a matrix between the two",
            )

    def scores(self, query: Tensor, keys: Tensor) -> Tensor:
        return query @ keys.transpose(1, 2)


class GeneralAttention(Attention):
    r"""A bilinear form scores each state: "general" of Luong et al. 2015 (arXiv:1508.04025), eq. 8.

    .. math:: e_t = s^\top W h_t

    Args:
        query_size: width of s.
        memory_size: width of h.

    Example::

        >>> context, weights = GeneralAttention(4, 6)(torch.randn(2, 4), torch.randn(2, 5, 6))
        >>> context.shape, weights.shape
        (torch.Size([2, 6]), torch.Size([2, 5]))

    Raises:
        ConfigError: a size is no integer above 0.
    """

    def __init__(self, query_size: int, memory_size: int) -> None:
        super().__init__(query_size, memory_size)
        self.W = nn.Linear(memory_size, query_size, bias=False)

    def scores(self, query: Tensor, keys: Tensor) -> Tensor:
        # sᵀ W first: there are fewer queries than states, so the smaller product is theirs.
        return query @ self.W.weight @ keys.transpose(1, 2)


def _check_fit(query: Tensor, memory: Memory) -> None:
    B, Q = query.shape[:2]
    if memory.values.shape[0] != B:
        raise ValueError(f"query and memory must hold the same rows, got {B} and {memory.values.shape[0]}")
    if memory.allowed is not None and memory.allowed.shape[1] not in (1, Q):
        raise ValueError(f"mask must be (batch, T) or (batch, Q, T) with Q={Q}, got one of Q={memory.allowed.shape[1]}")
