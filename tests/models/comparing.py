"""What the tests of this folder share: inputs, losses, and comparison to 1e-10."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

EXACT = 1e-10


def normal(*shape: int, seed: int = 0) -> Tensor:
    """A non-contiguous float64 tensor that needs a gradient."""
    wide = torch.randn(*shape, 2, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return wide[..., 0].detach().requires_grad_()


def poisoned(x: Tensor, lengths: Sequence[int]) -> Tensor:
    """``x`` (batch, T, features) with NaN beyond each length."""
    bad = x.detach().clone()
    for row, length in enumerate(lengths):
        bad[row, length:] = float("nan")
    return bad.requires_grad_()


def loss(parts: Sequence[Tensor]) -> Tensor:
    """Every element of every part weighs differently."""
    generator = torch.Generator().manual_seed(11)
    weighed = [(p * torch.randn(p.shape, generator=generator, dtype=p.dtype)).sum() for p in parts]
    return torch.stack(weighed).sum()


def gradients(parts: Sequence[Tensor], wanted: Sequence[Tensor]) -> list[Tensor]:
    return list(torch.autograd.grad(loss(parts), wanted, allow_unused=True, materialize_grads=True))


def assert_close(got: Sequence[Tensor], expected: Sequence[Tensor], tolerance: float = EXACT) -> None:
    for g, e in zip(got, expected, strict=True):
        torch.testing.assert_close(g.detach(), e.detach(), rtol=0, atol=tolerance)


def drawn(module: nn.Module) -> nn.Module:
    """``module`` in float64 with every parameter, biases and norms too, away from its initial value."""
    generator = torch.Generator().manual_seed(7)
    module.double()
    for parameter in module.parameters():
        noise = torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
        parameter.data.add_(0.3 * noise)
    return module
