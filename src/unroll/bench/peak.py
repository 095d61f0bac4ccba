"""The arithmetic a machine can do, as a matrix product reaches it in the same process and minute.

Two products are timed, because neither is the faster everywhere: torch.mm, by the BLAS that torch was built with, and
oneDNN's, which torch's own LSTM runs on. On an AMD processor with AVX-512 torch.mm gave 99 GFLOP/s and oneDNN's 204:
against the first alone an LSTM would reach 170 % of the "peak".
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch.nn.functional import linear

from unroll.bench.participant import Call, seconds

SIZES = (96, 192, 384, 768, 1536)
QUICK_SIZES = (384,)
REPEATS = 5
SECONDS = 0.05


def gigaflops(now: Callable[[], float], *, quick: bool = False) -> dict[str, float]:
    """The best of a few sizes by product; small ones too: where every matrix fits the cache may be faster.

    The best and not the median, because what disturbs a product only ever makes it slower.
    """
    sizes = QUICK_SIZES if quick else SIZES
    return {name: max(_of_size(make, size, now) for size in sizes) for name, make in products().items()}


def products() -> Mapping[str, Callable[[int], Call]]:
    """What makes a call of n³ multiplications, by name."""
    found = {"torch.mm": _mm}
    if torch.backends.mkldnn.is_available():
        found["oneDNN"] = _onednn
    return found


def _of_size(make: Callable[[int], Call], n: int, now: Callable[[], float]) -> float:
    product = make(n)
    with torch.no_grad():
        product()
        calls = max(1, round(SECONDS / max(1e-6, seconds(product, 1, now))))
        fastest = min(seconds(product, calls, now) for _ in range(REPEATS))
    return 2 * n**3 / fastest / 1e9


def _matrices(n: int) -> Any:
    return torch.randn(2, n, n, generator=torch.Generator().manual_seed(0)).unbind()


def _mm(n: int) -> Call:
    a, b = _matrices(n)
    out = torch.empty(n, n)
    return lambda: torch.mm(a, b, out=out)


def _onednn(n: int) -> Call:
    a, b = _matrices(n)
    x, weight = a.to_mkldnn(), b.t().contiguous().to_mkldnn()
    return lambda: linear(x, weight)
