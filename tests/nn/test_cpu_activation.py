"""The engine's own float32 logistic function and tanh, against float64, over the whole range of float32."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from unroll.kernels import cpu

if cpu.native() is None:
    pytest.skip("this installation has no engine", allow_module_level=True)

Array = Any
SETS = cpu.native().instruction_sets()
STRIDE = int(os.environ.get("UNROLL_ACTIVATION_STRIDE", "97"))
"""Every so many of the 2^32 bit patterns: a prime; 1 for all."""
CHUNK = 1 << 20
LOGISTIC, TANH = False, True
ULP = {LOGISTIC: 2.49, TANH: 2.43}
ULP_AVX512 = {LOGISTIC: 2.49, TANH: 2.95}
"""What ``simd.h`` states."""

every_set = pytest.mark.parametrize("isa", SETS)


def activate(isa: str, which: bool, x: Array) -> Array:
    x, y = np.ascontiguousarray(x, np.float32), np.full(len(x), 7, np.float32)
    cpu.native().activate(isa, which, len(x), x.ctypes.data, y.ctypes.data)
    return y


def patterns() -> Iterator[Array]:
    """Floats of every exponent and both signs, infinities and NaN, in chunks."""
    for begin in range(0, 1 << 32, CHUNK * STRIDE):
        bits = np.arange(begin, min(begin + CHUNK * STRIDE, 1 << 32), STRIDE, dtype=np.int64)
        yield bits.astype(np.uint32).view(np.float32)


def exactly(which: bool, x: Array) -> Array:
    with np.errstate(over="ignore"):
        return np.tanh(x.astype(np.float64)) if which else 1 / (1 + np.exp(-x.astype(np.float64)))


def last_place(exact: Array) -> Array:
    """The distance from one float32 to the next there."""
    return np.spacing(np.abs(exact).astype(np.float32)).astype(np.float64)


@pytest.mark.parametrize("which", [LOGISTIC, TANH], ids=["logistic", "tanh"])
def test_every_set_is_within_its_bound_of_float64(which: bool) -> None:
    seen = 0
    for x in patterns():
        number = ~np.isnan(x)
        exact = exactly(which, x[number])
        places = last_place(exact)
        normal = exact > 1e-37 if which is LOGISTIC else np.full(len(exact), True)
        results = {isa: activate(isa, which, x) for isa in SETS}
        for isa, y in results.items():
            bound = (ULP_AVX512 if isa == "avx512" else ULP)[which]
            assert np.isnan(y[~number]).all()
            off = np.abs(y[number] - exact)
            assert (off[normal] <= bound * places[normal]).all()
            assert (off[~normal] <= 1.7e-38).all()
            if which is TANH:
                assert (np.signbit(y[number]) == np.signbit(x[number])).all()
        seen += len(x)
    assert seen >= (1 << 32) // STRIDE


@every_set
def test_ends_and_the_middle_are_exact(isa: str) -> None:
    far = np.array([20, 88, 89, 1e4, 3e38, np.inf], np.float32)
    assert (activate(isa, LOGISTIC, far) == 1).all()
    assert (activate(isa, TANH, far) == 1).all()
    assert (activate(isa, TANH, -far) == -1).all()
    assert (activate(isa, LOGISTIC, -far[1:]) <= 1.7e-38).all()
    zeros = np.array([0.0, -0.0], np.float32)
    assert (activate(isa, LOGISTIC, zeros) == 0.5).all()
    assert (activate(isa, TANH, zeros) == 0).all()
    assert np.signbit(activate(isa, TANH, zeros)).tolist() == [False, True]


@every_set
def test_tanh_of_the_smallest_numbers_is_the_number(isa: str) -> None:
    smallest = np.float32(2) ** -np.arange(27, 150, dtype=np.float32)
    x = np.concatenate([smallest, -smallest, 3 * smallest])
    small = np.abs(x) < 1e-8
    assert np.array_equal(activate(isa, TANH, x)[small], x[small])


@every_set
@pytest.mark.parametrize("which", [LOGISTIC, TANH], ids=["logistic", "tanh"])
@pytest.mark.parametrize("count", [0, 1, 3, 15, 16, 17, 33])
def test_a_number_gives_the_same_in_every_lane_and_nothing_beyond_the_last_is_touched(
    isa: str, which: bool, count: int
) -> None:
    value = np.float32(0.7310586)
    y = np.full(count + 40, -3, np.float32)
    x = np.full(count, value, np.float32)
    cpu.native().activate(isa, which, count, x.ctypes.data or 1, y.ctypes.data)
    assert (y[:count] == activate(isa, which, np.array([value]))).all()
    assert (y[count:] == -3).all()
