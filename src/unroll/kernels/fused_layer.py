"""One layer in one direction by torch's operator: full batches and ragged ones, forwards and backwards."""

from __future__ import annotations

from torch import Tensor

from unroll.kernels import ragged, torch_op
from unroll.kernels.operator import Operator, State


def run(
    operator: Operator, x: Tensor, state: State, *, lengths: Tensor | None = None, reverse: bool = False
) -> tuple[Tensor, State]:
    """``x`` (T, batch, features), with T and batch above 0 and zeros in its padding; leaves (batch, …).

    Returns:
        output (T, batch, output) and the final leaves.
    """
    if lengths is not None:
        return ragged.run(operator, x, state, lengths, reverse=reverse)
    output, final = torch_op.run(operator, x.flip(0) if reverse else x, [leaf.unsqueeze(0) for leaf in state])
    return output.flip(0) if reverse else output, tuple(leaf.squeeze(0) for leaf in final)
