"""The arithmetic a machine can do, as torch's matrix product reaches it in the same process and minute."""

from __future__ import annotations

from collections.abc import Callable

import torch

from unroll.bench.participant import seconds

SIZES = (96, 192, 384, 768, 1536)
QUICK_SIZES = (96, 384)
REPEATS = 5
SECONDS = 0.05


def gigaflops(now: Callable[[], float], *, quick: bool = False) -> float:
    """The best of a few sizes, small ones too: where every matrix fits the cache may be faster than where none does.

    The best and not the median, because what disturbs a product only ever makes it slower.
    """
    return max(_of_size(size, now) for size in (QUICK_SIZES if quick else SIZES))


def _of_size(n: int, now: Callable[[], float]) -> float:
    draw = torch.Generator().manual_seed(0)
    a, b = (torch.randn(n, n, generator=draw) for _ in range(2))
    out = torch.empty(n, n)

    def product() -> None:
        torch.mm(a, b, out=out)

    product()
    calls = max(1, round(SECONDS / max(1e-6, seconds(product, 1, now))))
    fastest = min(seconds(product, calls, now) for _ in range(REPEATS))
    return 2 * n**3 / fastest / 1e9
