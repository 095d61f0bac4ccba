"""Libraries whose package is not installed: ``lacking:jax=module:Class`` is ``module:Class`` where ``jax`` is not."""

from __future__ import annotations

import importlib
import sys
from typing import Any


def __getattr__(told: str) -> Any:
    package, _, place = told.partition("=")
    if not place:
        raise AttributeError(told)
    sys.modules[package] = None  # type: ignore[assignment]  # so that an import of it raises
    module, _, name = place.partition(":")
    return getattr(importlib.import_module(module), name)
