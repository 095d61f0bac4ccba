"""Runs trials in local processes that share the cores without crowding them."""

from __future__ import annotations

import contextlib
import json
import os
import pickle
import selectors
import signal
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO

from unroll.comparison.plan import Trial
from unroll.errors import RunError
from unroll.machine import cores
from unroll.tasks import Task
from unroll.train import FitSettings, RunFolder

OVERHEAD = 1.5
"""Seconds a trial needs beside its training, counted against a budget."""


@dataclass
class Progress:
    """What is going on, for a progress line."""

    done: int = 0
    total: int = 0
    running: dict[str, int] = field(default_factory=dict)
    deadline: float | None = None


class Engine:
    """Worker processes for one task; a context manager.

    As many workers as trials or cores, whichever is fewer; the cores are divided among them, so that the thread
    pools together never ask for more than there are.
    """

    def __init__(
        self,
        task: Task,
        settings: FitSettings,
        folder: Path,
        *,
        trials: int,
        workers: int | None = None,
        deadline: float | None = None,
        on_progress: Callable[[Progress], None] | None = None,
    ) -> None:
        self.workers = max(1, min(workers or cores(), trials))
        self.threads = max(1, cores() // self.workers)
        self.folder, self.deadline = folder, deadline
        self.progress = Progress(total=trials, deadline=deadline)
        self._on_progress = on_progress or (lambda progress: None)
        self._setup = {"task": task, "settings": settings, "threads": self.threads}
        self._workers: list[_Worker] = []

    def __enter__(self) -> Engine:
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, tb: TracebackType | None) -> None:
        for worker in self._workers:
            worker.close(kill=kind is not None)

    def run(self, trials: Sequence[Trial]) -> dict[str, str]:
        """Run the trials that have no result yet.

        Returns:
            why each failed trial failed, by trial id.

        Raises:
            RunError: the run folder cannot be written.
        """
        waiting = deque(t for t in trials if not RunFolder(self._place(t)).has_result())
        self._tell(finished=len(trials) - len(waiting))
        failures: dict[str, str] = {}
        if not waiting:
            return failures
        fresh = [_Worker(self.threads) for _ in range(min(self.workers, len(waiting)) - len(self._workers))]
        self._workers += fresh
        for worker in fresh:  # after all have started: sending waits until a worker has loaded its modules
            worker.send(self._setup)
        with selectors.DefaultSelector() as selector:
            for worker in self._workers:
                selector.register(worker.answers, selectors.EVENT_READ, worker)
                self._give(worker, waiting)
            while any(worker.trial for worker in self._workers):
                for key, _ in selector.select():
                    self._listen(key.data, selector, waiting, failures)
        return failures

    def _listen(
        self, worker: _Worker, selector: selectors.BaseSelector, waiting: deque[Trial], failures: dict[str, str]
    ) -> None:
        for message in worker.listen():
            trial = worker.trial
            if trial is None:
                continue
            if message["event"] == "epoch":
                self.progress.running[trial.id] = message["epoch"]
                self._tell()
            elif message["event"] == "failed":
                if message["kind"] == "unroll":
                    received, _, rest = message["why"].partition("\n")
                    raise RunError(received, fix=rest)
                failures[trial.id] = f"{message['kind']}: {message['why']}"
            else:
                if message["status"] != 0 and not RunFolder(self._place(trial)).has_result():
                    failures.setdefault(trial.id, _died(message["status"]))
                self.progress.running.pop(trial.id, None)
                worker.trial = None
                self._tell(finished=1)
                if message.get("gone"):
                    selector.unregister(worker.answers)
                    self._workers[self._workers.index(worker)] = worker = _Worker(self.threads)
                    worker.send(self._setup)
                    selector.register(worker.answers, selectors.EVENT_READ, worker)
                self._give(worker, waiting)

    def _give(self, worker: _Worker, waiting: deque[Trial]) -> None:
        if not waiting:
            return
        trial = waiting.popleft()
        self.progress.running[trial.id] = 0
        worker.start(trial, self._place(trial), self._share())

    def _share(self) -> float | None:
        """Training time for the next trial: its part of what is left of the budget."""
        if self.deadline is None:
            return None
        left = self.deadline - time.monotonic()
        trials = max(1, self.progress.total - self.progress.done)
        rounds = -(-trials // self.workers)
        return max(0.2, left / rounds - OVERHEAD)

    def _place(self, trial: Trial) -> Path:
        return self.folder / "trials" / trial.id

    def _tell(self, finished: int = 0) -> None:
        self.progress.done += finished
        self._on_progress(self.progress)


class _Worker:
    def __init__(self, threads: int) -> None:
        environment = os.environ | {"OMP_NUM_THREADS": str(threads), "MKL_NUM_THREADS": str(threads)}
        # The caller's import path, so that a cell of the user's own is found.
        environment["PYTHONPATH"] = os.pathsep.join(p or os.getcwd() for p in sys.path)
        self.process = subprocess.Popen(
            [sys.executable, "-m", "unroll.comparison.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=environment,
            start_new_session=True,
        )
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.requests: BinaryIO = self.process.stdin  # type: ignore[assignment]
        self.answers: BinaryIO = self.process.stdout  # type: ignore[assignment]
        self.trial: Trial | None = None
        self._partial = b""

    def start(self, trial: Trial, folder: Path, max_seconds: float | None) -> None:
        self.trial = trial
        self.send({"trial": trial, "folder": str(folder), "max_seconds": max_seconds})

    def listen(self) -> list[dict[str, Any]]:
        data = os.read(self.answers.fileno(), 65536)
        if not data:
            return [{"event": "end", "status": self.process.wait() or 1, "gone": True}]
        *lines, self._partial = (self._partial + data).split(b"\n")
        return [json.loads(line) for line in lines]

    def close(self, *, kill: bool) -> None:
        if kill and self.process.poll() is None:
            # The trial runs in a child of the worker: end the whole session.
            try:
                os.killpg(self.process.pid, signal.SIGKILL)
            except (AttributeError, ProcessLookupError):
                self.process.kill()
        with contextlib.suppress(BrokenPipeError):
            self.requests.close()
        self.process.wait()
        self.answers.close()

    def send(self, message: Any) -> None:
        # A dead worker's end is read from its answers, where every other end is.
        with contextlib.suppress(BrokenPipeError):
            pickle.dump(message, self.requests)
            self.requests.flush()


def _died(status: int) -> str:
    if status < 0:
        name = signal.Signals(-status).name
        return f"its process was killed by {name}" + (" (out of memory?)" if name == "SIGKILL" else "")
    return f"its process ended with status {status}"
