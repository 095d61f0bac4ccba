"""A worker process: ``python -m unroll.comparison.worker``, driven over its standard streams.

It reads one pickled setup from its parent, then one pickled request at a time, and answers in JSON lines. Where
the system can fork, every trial runs in a child of its own: modules are loaded once, peak memory is the
trial's own, and a trial that dies takes nothing with it. It ends when the process that asked for it does.
"""

from __future__ import annotations

import json
import os
import pickle
import select
import sys
import threading
from pathlib import Path
from typing import Any, BinaryIO


def main() -> int:
    """Serve requests until the parent closes the pipe."""
    stream, answers = sys.stdin.buffer, os.fdopen(os.dup(1), "wb", buffering=0)
    # Whatever a library prints must not be taken for an answer.
    os.dup2(2, 1)
    _load_modules()
    setup = _read(stream)
    while setup is not None and (request := _read(stream)) is not None:
        _say(answers, {"event": "end", "status": _in_child(setup, request, answers)})
    return 0


def _load_modules() -> None:
    """Import, once and before any fork, what every trial needs; torch loads much of it with its first optimizer."""
    import accelerate  # noqa: F401
    import torch

    from unroll.comparison.trial import run_trial  # noqa: F401

    torch.optim.AdamW([torch.nn.Parameter(torch.zeros(1))])


def _in_child(setup: dict[str, Any], request: dict[str, Any], answers: BinaryIO) -> int:
    if not hasattr(os, "fork"):
        return _run(setup, request, answers)
    child = os.fork()
    if child == 0:
        status = 1
        threading.Thread(target=_end_with_parent, daemon=True).start()
        try:
            status = _run(setup, request, answers)
        finally:
            os._exit(status)
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status)


def _end_with_parent() -> None:
    """End this process when the pipe closes: while a trial runs, nothing is sent through it."""
    select.select([0], [], [])
    os._exit(1)


def _run(setup: dict[str, Any], request: dict[str, Any], answers: BinaryIO) -> int:
    import torch

    from unroll.comparison.trial import run_trial
    from unroll.errors import UnrollError

    torch.set_num_threads(setup["threads"])
    try:
        run_trial(
            setup["task"],
            request["trial"],
            setup["settings"],
            Path(request["folder"]),
            max_seconds=request["max_seconds"],
            progress=lambda record: _say(answers, {"event": "epoch", "epoch": record["epoch"]}),
        )
    except BrokenPipeError:
        return 1
    except Exception as error:
        kind = "unroll" if isinstance(error, UnrollError) else type(error).__name__
        _say(answers, {"event": "failed", "kind": kind, "why": str(error) or type(error).__name__})
        return 1
    return 0


def _read(stream: BinaryIO) -> Any:
    try:
        return pickle.load(stream)
    except EOFError:
        return None


def _say(answers: BinaryIO, message: dict[str, Any]) -> None:
    answers.write(json.dumps(message).encode() + b"\n")


if __name__ == "__main__":
    os._exit(main())  # at once: to take torch down in order takes a second
