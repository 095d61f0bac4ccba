"""The C++ engine on shapes drawn at random: the first of those that ``benchmarks/fuzz_cpu_engine.py`` draws.

``UNROLL_FUZZ_COUNT`` draws more, ``UNROLL_LAW_SEED`` others.
"""

from __future__ import annotations

import os
import runpy
from pathlib import Path
from typing import Any

import pytest
import torch
from sampling import SEED

from unroll.kernels import cpu

if cpu.native() is None:
    pytest.skip("this installation has no engine", allow_module_level=True)

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "fuzz_cpu_engine.py"
COUNT = int(os.environ.get("UNROLL_FUZZ_COUNT", "2000"))
PARTS = 8


@pytest.fixture(scope="module")
def fuzz() -> dict[str, Any]:
    return runpy.run_path(str(SCRIPT))


@pytest.mark.parametrize("part", range(PARTS))
def test_engine_equals_reference_on_random_shapes(fuzz: dict[str, Any], part: int) -> None:
    numbers = range(COUNT * part // PARTS, COUNT * (part + 1) // PARTS)
    assert not [*fuzz["failures"](SEED, numbers)]


def test_random_shapes_reach_every_corner(fuzz: dict[str, Any]) -> None:
    cases = [fuzz["case"](SEED, number) for number in range(4000)]
    assert cases[:5] == [fuzz["case"](SEED, number) for number in range(5)]
    assert {(c.kind, c.dtype, c.isa, c.reverse, c.lengths is None) for c in cases} >= {
        (kind, dtype, isa, reverse, full)
        for kind in fuzz["CELLS"]
        for dtype in (torch.float32, torch.float64)
        for isa in cpu.native().instruction_sets()
        for reverse in (False, True)
        for full in (False, True)
    }
    assert any(1 in (c.T, c.B) and c.H == 1 for c in cases)
    assert any(c.lengths is not None and not any(c.lengths) for c in cases)
    assert any(c.steps < c.T and c.threads > 1 and c.B > 8 for c in cases)


def test_a_wrong_number_is_found(fuzz: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    run = cpu.run

    def wrong(*args: Any, **options: Any) -> Any:
        output, final = run(*args, **options)
        return output * (1 + 1e-5), final

    monkeypatch.setattr(cpu, "run", wrong)
    found = [number for number in range(50) if [*fuzz["failures"](SEED, range(number, number + 1))]]
    assert len(found) > 25
