"""What a figure was measured on: processor, memory, versions."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import sys
from pathlib import Path
from typing import Any


def cores() -> int:
    """Processor cores this process may use."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:
        return os.cpu_count() or 1


def native_core() -> dict[str, Any] | None:
    """Compiler and instruction sets of the C++ core, or None where it was not built."""
    try:
        from unroll import _native
    except ImportError:
        return None
    return {"compiler": _native.compiler(), "instruction_sets": list(_native.instruction_sets())}


def machine() -> dict[str, Any]:
    """The machine, for a run's record."""
    native = native_core()
    return {
        "processor": _processor(),
        "cores": cores(),
        "memory_gb": _memory_gb(),
        "system": f"{platform.system()} {platform.machine()}",
        "instruction_sets": native["instruction_sets"] if native else [],
    }


def versions() -> dict[str, str]:
    """Versions that numbers can depend on."""
    from unroll import __version__

    found = {"unroll": __version__, "python": platform.python_version()}
    for package in ("torch", "accelerate", "polars", "numpy", "scikit-learn"):
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def peak_memory_mb() -> float | None:
    """The most memory this process has held so far, in MB; None where the system does not say."""
    try:
        import resource
    except ImportError:
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return float(peak / 1e6 if sys.platform == "darwin" else peak * 1024 / 1e6)


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text(errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _memory_gb() -> float | None:
    try:
        return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9, 1)
    except (AttributeError, ValueError, OSError):
        return None
