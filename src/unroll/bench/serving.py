"""The process of one library: it answers requests, one JSON value a line, and works only when asked."""

from __future__ import annotations

import importlib
import json
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from unroll.bench import peak
from unroll.bench.cases import Case, Shape
from unroll.bench.participant import Participant, Prepared, clock, seconds
from unroll.machine import peak_memory_mb


def serve(place: str, threads: int) -> None:
    """Answer until stdin ends. ``place`` is ``module:Class`` of a participant.

    The first line says its version, or that it is missing.
    """
    # What a library prints must not stand between the answers; an interrupt is the asking process's to handle.
    channel, sys.stdout = sys.stdout, sys.stderr
    signal.signal(signal.SIGINT, signal.SIG_IGN)

    def answer(value: Any) -> None:
        channel.write(json.dumps(value) + "\n")
        channel.flush()

    try:
        module, _, name = place.partition(":")
        participant: Participant = getattr(importlib.import_module(module), name)(threads)
        answer({"version": participant.version()})
    except ImportError as error:
        answer({"missing": f"{error.name or place} is not installed"})
        return
    now = clock(threads)
    for line in sys.stdin:
        try:
            answer(_answered(participant, json.loads(line), now))
        except Exception as error:  # whatever a library raises, the asking process is to say it
            answer({"error": f"{type(error).__name__}: {error}"})


def _answered(participant: Participant, request: dict[str, Any], now: Callable[[], float]) -> Any:
    """A case with a file to write its numbers to, or with ``calls`` for its time; or the machine's peak.

    Each request builds its layer anew: where the weights happen to lie in memory is worth a few per cent of a step.
    """
    if request["ask"] == "peak":
        found = peak.gigaflops(now, quick=request["quick"])
        return {"gigaflops": {name: float(f"{value:.4g}") for name, value in found.items()}}
    case = Case(request["family"], request["work"], Shape(*request["shape"]))
    prepared = participant.prepare(case, request["variant"])
    if request["ask"] == "numbers":
        return _numbers(participant, prepared.numbers, request["file"]) | {"results": prepared.results}
    if request["ask"] == "once":
        return _once(participant, prepared, request["file"], now)
    prepared.call()
    return {"seconds": seconds(prepared.call, request["calls"], now)}


def _numbers(participant: Participant, compute: Callable[[], Any], file: str) -> dict[str, Any]:
    found: list[Any] = []
    ran = participant.ran(lambda: found.extend(compute()))
    _write(file, found)
    return {"ran": ran}


def _once(participant: Participant, prepared: Prepared, file: str, now: Callable[[], float]) -> dict[str, Any]:
    """Time, memory and numbers of one call, the first."""
    found: list[Any] = []
    before = most_memory_mb()
    begin = now()
    ran = participant.ran(lambda: found.extend(prepared.numbers()))
    taken, memory = now() - begin, most_memory_mb()
    _write(file, found)
    told = {"ran": ran, "results": prepared.results, "seconds": taken}
    return told | {"memory_mb": memory, "memory_before_mb": before}


def most_memory_mb() -> float | None:
    """The most this program has held. The system's own record, ``ru_maxrss``, begins with what the process that
    started this one held, so that it is the second choice."""
    status = Path("/proc/self/status")
    if status.exists():
        for line in status.read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024 / 1e6
    return peak_memory_mb()


def _write(file: str, tensors: list[Any]) -> None:
    arrays = [t.detach().numpy() if hasattr(t, "detach") else np.asarray(t) for t in tensors]
    np.savez(file, *arrays)
