"""unroll's layers: as they choose what runs, and by the loop over steps that every backend is held to."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

from torch import Tensor, nn

import unroll.nn
from unroll import kernels
from unroll.bench.cases import Case, Shape
from unroll.bench.participant import Call, Prepared
from unroll.bench.torch_layers import TorchLayers, made, ragged_lengths, steps
from unroll.nn import Recurrent

OPTIONS: dict[str, dict[str, Any]] = {
    "layer norm": {"layer_norm": True},
    "peephole": {"peepholes": True},
    "CIFG": {"coupled": True},
}


class UnrollLayers(TorchLayers):
    """Runs the cases with ``unroll.nn``; what runs a layer is what the library chooses, or ``UNROLL_BACKEND``."""

    def version(self) -> str:
        from unroll import __version__

        return __version__

    def ran(self, call: Call) -> list[str]:
        with kernels.recording() as heard:
            call()
        return sorted(set(heard))

    def layer(self, family: str, shape: Shape, variant: str) -> Callable[[], nn.Module]:
        return lambda: getattr(unroll.nn, family)(shape.I, shape.H, **OPTIONS.get(variant, {}))

    def runner(self, layer: nn.Module, x: Tensor, case: Case, variant: str) -> Callable[[], Any]:
        if variant == "captured":
            return lambda: cast(Recurrent, layer).with_gates(x)[:2]
        if variant != "ragged":
            return lambda: layer(x)
        lengths = ragged_lengths(case.shape)
        return lambda: layer(x, lengths=lengths)

    def in_float64(self, case: Case, variant: str, timed: Call) -> Callable[[], list[Tensor]]:
        compute = super().in_float64(case, variant, timed)

        def numbers() -> list[Tensor]:
            (backend,) = self.ran(timed)
            with kernels.use(backend):
                return compute()

        return numbers

    def stepping(self, case: Case) -> Prepared:
        layer, sequence, _ = made(self.layer(case.family, case.shape, ""), case.shape)
        stream, x = cast(Recurrent, layer).stream(case.shape.B), sequence[0]
        y = stream.step(x).clone()
        stream.reset()
        return steps(lambda: stream.step(x, y))


class EagerLoop(UnrollLayers):
    """The same by the loop over ``step``, operator by operator: what a cell of one's own costs."""

    def prepare(self, case: Case, variant: str) -> Prepared:
        numbers, call, results = super().prepare(case, variant)
        return Prepared(_by_steps(numbers), _by_steps(call), results)


def _by_steps(call: Callable[[], Any]) -> Callable[[], Any]:
    def run() -> Any:
        with kernels.use("reference"):
            return call()

    return run
