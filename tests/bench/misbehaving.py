"""A library that gives wrong numbers, prints, fails or dies: what the measurement must see."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from unroll.bench.cases import Case
from unroll.bench.participant import Prepared
from unroll.bench.unroll_layers import UnrollLayers

ASKED = "UNROLL_TEST_MISBEHAVE"
"""Names the file that says how, read anew for each case."""


class Misbehaving(UnrollLayers):
    """unroll's layers, with something wrong."""

    def prepare(self, case: Case, variant: str) -> Prepared:
        how = Path(os.environ[ASKED]).read_text(encoding="utf-8")
        if how in CHANGES:
            return changed(super().prepare(case, variant), CHANGES[how])
        if how == "dying":
            os._exit(3)
        if how == "failing":
            raise RuntimeError("no such layer here")
        assert how == "talkative", how
        print('{"seconds": 0}')
        return super().prepare(case, variant)


def changed(prepared: Prepared, change: Callable[[list[Any], int], list[Any]]) -> Prepared:
    """The numbers changed on their way out."""
    numbers, call, results = prepared
    return Prepared(lambda: change([n.detach().clone() for n in numbers()], results), call, results)


def wrong_output(numbers: list[Any], results: int) -> list[Any]:
    numbers[0].view(-1)[0] += 1e-4
    return numbers


def wrong_gradient(numbers: list[Any], results: int) -> list[Any]:
    """The last of the gradients alone, by a thousandth."""
    return [*numbers[:-1], numbers[-1] * 1.001] if len(numbers) > results else numbers


def not_a_number(numbers: list[Any], results: int) -> list[Any]:
    numbers[0].view(-1)[-1] = float("nan")
    return numbers


CHANGES = {"wrong output": wrong_output, "wrong gradient": wrong_gradient, "not a number": not_a_number}
