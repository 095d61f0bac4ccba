"""Who runs a kind of work, whose numbers it must give, and whose time it is set against."""

from __future__ import annotations

from typing import NamedTuple

from unroll.bench.cases import Case
from unroll.errors import ConfigError, did_you_mean

PARTICIPANTS = {
    "torch": "unroll.bench.torch_layers:TorchLayers",
    "unroll": "unroll.bench.unroll_layers:UnrollLayers",
    "onnx": "unroll.bench.onnx_layers:OnnxLayers",
    "jax": "unroll.bench.jax_layers:JaxLayers",
    "eager": "unroll.bench.unroll_layers:EagerLoop",
}
"""Libraries by name: the class that runs cases with one of them, in a process of its own."""
LABELS = {
    "torch": "torch.nn",
    "unroll": "unroll",
    "onnx": "ONNX Runtime",
    "jax": "a JAX scan",
    "eager": "the eager loop over steps",
}
OTHERS = ("onnx", "jax", "eager")
"""Those beside torch and unroll, who may be left out."""


class Contender(NamedTuple):
    """One way to do a case's work.

    Attributes:
        name: how the result calls it.
        participant: the library that runs it.
        variant: what of the case it runs, where a library runs several.
        equals: the contender whose numbers it must give.
        against: the contender whose time its own is set against.
        timed: False for one that gives numbers alone.
    """

    name: str
    participant: str
    variant: str = ""
    equals: str | None = None
    against: str | None = None
    timed: bool = True


_TORCH = Contender("torch", "torch")
_VARIANTS = ("plain", "layer norm", "peephole", "CIFG")


def _beside_torch(*others: str) -> tuple[Contender, ...]:
    return (_TORCH, *(Contender(name, name, "", "torch", "torch") for name in others))


_CONTENDERS = {
    "forward": _beside_torch("unroll", "onnx", "jax", "eager"),
    "training": _beside_torch("unroll", "jax", "eager"),
    "step": _beside_torch("unroll", "eager"),
    "long": _beside_torch("unroll"),
    "ragged": (
        Contender("torch padded", "torch", "padded"),
        Contender("torch packed", "torch", "ragged", None, "torch padded"),
        Contender("unroll padded", "unroll", "padded", "torch padded"),
        Contender("unroll ragged", "unroll", "ragged", "torch packed", "unroll padded"),
    ),
    "options": (
        *(Contender(f"{variant} by steps", "eager", variant, timed=False) for variant in _VARIANTS),
        Contender("plain", "unroll", "plain", "plain by steps"),
        *(Contender(variant, "unroll", variant, f"{variant} by steps", "plain") for variant in _VARIANTS[1:]),
    ),
    "captured": (
        Contender("torch", "torch", timed=False),
        Contender("unroll", "unroll", "plain", "torch"),
        Contender("captured", "unroll", "captured", "unroll", "unroll"),
    ),
}


def contenders(case: Case, present: set[str]) -> list[Contender]:
    """Those of ``case`` whose library is ``present``, every one after the one it must equal."""
    return [one for one in _CONTENDERS[case.work] if one.participant in present]


def participants(cases: list[Case], beside: list[str] | None = None) -> list[str]:
    """The libraries that ``cases`` ask for; of ``OTHERS`` those in ``beside``, or all.

    Raises:
        ConfigError: ``beside`` names none of them.
    """
    for name in beside or ():
        if name not in OTHERS:
            raise ConfigError(
                f"unknown library '{name}'.{did_you_mean(name, OTHERS)}", expected=f"one of {', '.join(OTHERS)}"
            )
    # torch in any case: its matrix product is the peak.
    needed = {"torch"} | {one.participant for case in cases for one in _CONTENDERS[case.work]}
    indispensable = {one.participant for case in cases for one in _CONTENDERS[case.work] if not one.timed}
    left_out = set(OTHERS) - set(OTHERS if beside is None else beside) - indispensable
    return [name for name in PARTICIPANTS if name in needed - left_out]
