"""unroll: recurrent networks for PyTorch, exact, fast, visible, and compared on your own sequences.

Names below are imported when first used, so that ``import unroll`` costs nothing beyond Python itself and
``import unroll.nn`` needs torch alone.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

_HOME = {
    "Backtest": "unroll.comparison",
    "Classifier": "unroll.tasks",
    "Comparison": "unroll.comparison",
    "Forecaster": "unroll.tasks",
    "Tagger": "unroll.tasks",
    "Trace": "unroll.inspect",
    "UnrollError": "unroll.errors",
    "backtest": "unroll.api",
    "compare": "unroll.api",
    "trace": "unroll.inspect",
}
_PACKAGES = ("bench", "comparison", "data", "inspect", "kernels", "models", "nn", "report", "tasks", "train")

__all__ = ["__version__", *_HOME, *_PACKAGES]

if TYPE_CHECKING:
    from unroll.api import backtest, compare
    from unroll.comparison import Backtest, Comparison
    from unroll.errors import UnrollError
    from unroll.inspect import Trace, trace
    from unroll.tasks import Classifier, Forecaster, Tagger


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(importlib.import_module(_HOME[name]), name)
    if name in _PACKAGES:
        return importlib.import_module(f"unroll.{name}")
    raise AttributeError(f"module 'unroll' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
