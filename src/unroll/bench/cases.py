"""What is measured: kinds of layer, kinds of work, sizes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from unroll.errors import ConfigError, did_you_mean

FAMILIES = ("RNN", "LSTM", "GRU")
GATES = {"RNN": 1, "LSTM": 4, "GRU": 3}
WORKS = {
    "forward": "the layer over whole sequences, without gradients",
    "training": "forward, backward, all gradients",
    "step": "one step of a stream beside one call of torch's cell",
    "ragged": "a training step of rows that are 62 % full, as a cost over the same rows padded",
    "options": "a training step of an LSTM with an option, as a cost over a plain one; equal in float64",
    "captured": "a training step with every gate captured, as a cost over the same without",
    "long": "one training step over 20,000 steps: its time and the most memory of its process",
}
ON_REQUEST = ("long",)
"""Works that take minutes and gigabytes."""
IN_FLOAT64 = ("options",)
"""Works whose numbers are compared in float64. A layer norm divides by what may be small: in float32 the loop over
steps alone is up to 2e-3 from what it computes in float64."""


class Shape(NamedTuple):
    """Batch, steps, input size, hidden size."""

    B: int
    T: int
    I: int  # noqa: E741  the field's symbol
    H: int

    def __str__(self) -> str:
        return ",".join(map(str, self))


class Case(NamedTuple):
    """One row of the measurement."""

    family: str
    work: str
    shape: Shape

    @property
    def compared_in(self) -> str:
        """The dtype of the numbers that must be equal; times are those of float32."""
        return "float64" if self.work in IN_FLOAT64 else "float32"

    def operations(self) -> int | None:
        """Floating-point operations of its matrix products, 2·G·H·(I + H) for each row and step.

        In training three times as many: those of the forward pass, of the gradient of its inputs and of its weights.
        None for works that are not compared with a peak.
        """
        times = {"forward": 1, "step": 1, "training": 3}.get(self.work)
        B, T, I, H = self.shape  # noqa: E741
        return None if times is None else times * 2 * GATES[self.family] * H * (I + H) * B * T


GRID = tuple(
    Shape(*sizes)
    for sizes in (
        (32, 100, 10, 20),
        (100, 2000, 1, 50),
        (32, 128, 128, 128),
        (64, 35, 200, 200),
        (20, 35, 650, 650),
        (1, 1000, 64, 128),
        (128, 784, 1, 128),
        (8, 512, 256, 512),
        (1, 1000, 64, 64),
    )
)
STEPS = (Shape(1, 1, 32, 32), Shape(1, 1, 128, 128))
SHAPES = {
    "forward": GRID,
    "training": GRID,
    "step": STEPS,
    "ragged": (Shape(8, 1000, 64, 64),),
    "options": (Shape(32, 128, 128, 128),),
    "captured": (Shape(32, 128, 128, 128),),
    "long": (Shape(100, 20_000, 1, 50),),
}
_SMALL = (Shape(4, 16, 16, 32), Shape(1, 100, 32, 32), Shape(8, 40, 10, 20))
QUICK = {
    "forward": _SMALL,
    "training": _SMALL,
    "step": STEPS,
    "ragged": (Shape(4, 50, 8, 16),),
    "options": (Shape(4, 32, 16, 32),),
    "captured": (Shape(4, 32, 16, 32),),
    "long": (Shape(10, 200, 1, 50),),
}
OPTIONS_FAMILY = "LSTM"


def chosen(
    families: Sequence[str] = (), works: Sequence[str] = (), shapes: Sequence[str] = (), *, quick: bool = False
) -> list[Case]:
    """The cases of a selection, work by work; by default all but those that run on request.

    Raises:
        ConfigError: a family or work is unknown, a shape cannot be read, or nothing is left.
    """
    asked_families = [_named(name, "family", FAMILIES) for name in families] or list(FAMILIES)
    asked_works = [_named(name, "work", tuple(WORKS)) for name in works] or [w for w in WORKS if w not in ON_REQUEST]
    own = [read_shape(text) for text in shapes]
    given = {work: _of_one_step(own) if work == "step" else tuple(own) for work in WORKS}
    sizes = given if own else QUICK if quick else SHAPES
    cases = list(_cases(asked_families, asked_works, sizes))
    if not cases:
        raise ConfigError(
            f"no case is left of family {', '.join(asked_families)} and work {', '.join(asked_works)}",
            expected=f"the family {OPTIONS_FAMILY} for the work options",
        )
    return cases


def _cases(families: Sequence[str], works: Sequence[str], sizes: dict[str, tuple[Shape, ...]]) -> Iterator[Case]:
    for work in dict.fromkeys(works):
        for shape in sizes[work]:
            for family in dict.fromkeys(families):
                if work != "options" or family == OPTIONS_FAMILY:
                    yield Case(family, work, shape)


def read_shape(text: str) -> Shape:
    """``"32,100,10,20"`` as a shape.

    Raises:
        ConfigError: it is something else than four whole numbers above 0.
    """
    parts = text.split(",")
    try:
        sizes = [int(part) for part in parts]
    except ValueError:
        sizes = []
    if len(sizes) != 4 or min(sizes) < 1:
        raise ConfigError(
            f"shape '{text}'", expected="batch,steps,input,hidden as four whole numbers above 0", fix="Try 32,100,10,20"
        )
    return Shape(*sizes)


def _of_one_step(shapes: Sequence[Shape]) -> tuple[Shape, ...]:
    return tuple(dict.fromkeys(shape._replace(T=1) for shape in shapes))


def _named(name: str, what: str, known: Sequence[str]) -> str:
    """``name`` as it is known, whatever its case."""
    for own in known:
        if own.lower() == name.lower():
            return own
    raise ConfigError(
        f"unknown {what} '{name}'.{did_you_mean(name.lower(), [k.lower() for k in known])}",
        expected=f"one of {', '.join(known)}",
    )
