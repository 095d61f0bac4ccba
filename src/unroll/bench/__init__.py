"""This machine measured: unroll's layers beside torch.nn's, ONNX Runtime's, a JAX scan and the eager loop."""

from unroll.bench.cases import FAMILIES, WORKS, Case, Shape
from unroll.bench.contenders import OTHERS
from unroll.bench.run import measure
from unroll.bench.table import closing, heading, line, opening

__all__ = [
    "FAMILIES",
    "OTHERS",
    "WORKS",
    "Case",
    "Shape",
    "closing",
    "heading",
    "line",
    "measure",
    "opening",
]
