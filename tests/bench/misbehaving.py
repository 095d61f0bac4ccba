"""Libraries that give wrong numbers, print, fail or die: what the measurement must see."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from unroll.bench.cases import Case
from unroll.bench.participant import Prepared
from unroll.bench.unroll_layers import UnrollLayers


class Changed(UnrollLayers):
    """unroll's layers, their numbers changed on the way out."""

    def change(self, numbers: list[Any], results: int) -> list[Any]:
        raise NotImplementedError

    def prepare(self, case: Case, variant: str) -> Prepared:
        numbers, call, results = super().prepare(case, variant)
        changed: Callable[[], list[Any]] = lambda: self.change([n.detach().clone() for n in numbers()], results)  # noqa: E731
        return Prepared(changed, call, results)


class WrongOutput(Changed):
    def change(self, numbers: list[Any], results: int) -> list[Any]:
        numbers[0].view(-1)[0] += 1e-4
        return numbers


class WrongGradient(Changed):
    """The last of the gradients alone, by a thousandth."""

    def change(self, numbers: list[Any], results: int) -> list[Any]:
        return [*numbers[:-1], numbers[-1] * 1.001] if len(numbers) > results else numbers


class NotANumber(Changed):
    def change(self, numbers: list[Any], results: int) -> list[Any]:
        numbers[0].view(-1)[-1] = float("nan")
        return numbers


class Talkative(UnrollLayers):
    """Prints where the answers go."""

    def prepare(self, case: Case, variant: str) -> Prepared:
        print('{"seconds": 0}')
        return super().prepare(case, variant)


class Failing(UnrollLayers):
    def prepare(self, case: Case, variant: str) -> Prepared:
        raise RuntimeError("no such layer here")


class Dying(UnrollLayers):
    def prepare(self, case: Case, variant: str) -> Prepared:
        os._exit(3)
