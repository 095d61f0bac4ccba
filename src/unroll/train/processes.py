"""The processes of one training: started by ``torchrun`` or ``accelerate launch``, found through Accelerate."""

from __future__ import annotations

import atexit
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from unroll.errors import ConfigError, RunError

PATIENCE = timedelta(days=1)
"""How long one process waits for another that lives: the first alone scores baselines, which may take hours. That one
has died is told at once."""
_START = "Start them with torchrun --nproc-per-node N --no-python unroll train … or with accelerate launch"
_T = TypeVar("_T")


class Processes:
    """Those that train one network together, or the only one.

    Attributes:
        count, index: how many, and which of them this is; the first, ``index`` 0, alone writes and reports.
        device: this one's.

    Raises (every method that talks to the others):
        RunError: another process has failed.
    """

    def __init__(self) -> None:
        from accelerate import PartialState

        try:
            self._state = PartialState(cpu=_on_cpu(), timeout=PATIENCE)
        except (RuntimeError, ValueError) as error:
            raise RunError(f"cannot join the other processes of this training: {error}", fix=_START) from error
        self.count: int = self._state.num_processes
        self.index: int = self._state.process_index
        if self.count > 1:
            # A process that exits inside its group is at times aborted, and the launcher then kills the others.
            atexit.register(self._state.destroy_process_group)
        self.device: torch.device = self._state.device
        if self.count < started():
            # Each would train all by itself, into the same folder.
            raise RunError(
                f"{started()} processes were started, but Accelerate was set up for {self.count} before",
                expected="no PartialState or Accelerator made before unroll on a machine without a GPU",
                fix="Make it with cpu=True, or let unroll make it",
            )

    @property
    def is_main(self) -> bool:
        return self.index == 0

    def add_(self, tensors: Sequence[Tensor]) -> None:
        """Replace each tensor by its sum over the processes, in one exchange for each type of number."""
        if self.count == 1:
            return
        for dtype in dict.fromkeys(tensor.dtype for tensor in tensors):
            own = [tensor for tensor in tensors if tensor.dtype == dtype]
            flat = torch.cat([tensor.reshape(-1) for tensor in own])
            self._exchange(torch.distributed.all_reduce, flat)
            for tensor, part in zip(own, flat.split([tensor.numel() for tensor in own])):
                tensor.copy_(part.view_as(tensor))

    def any(self, flag: bool) -> bool:
        """Whether ``flag`` holds in any process."""
        if self.count == 1:
            return flag
        votes = torch.tensor([float(flag)], device=self.device)
        self.add_([votes])
        return bool(votes > 0)

    def from_main(self, make: Callable[[], _T]) -> _T:
        """What ``make`` gives in the first process, in all; where it fails, all of them do."""
        if self.count == 1:
            return make()
        found: list[Any] = [None, ""]
        if self.is_main:
            try:
                found[0] = make()
            except Exception as error:
                self._tell([None, str(error).partition("\n")[0] or type(error).__name__])
                raise
        self._tell(found)
        if found[1]:
            raise RunError(f"process {self.index + 1} of {self.count} stops, as the first one failed: {found[1]}")
        made: _T = found[0]
        return made

    def same_weights(self, network: nn.Module) -> None:
        """Give all the weights of the first process, those it holds twice once."""
        if self.count > 1:
            for tensor in [*network.parameters(), *network.buffers()]:
                self._exchange(torch.distributed.broadcast, tensor.detach(), 0)

    @contextmanager
    def together(self) -> Iterator[None]:
        """Where this process fails, leave the others, so that they fail too instead of waiting for it."""
        try:
            yield
        except BaseException:
            if self.count > 1:
                self._state.destroy_process_group()
            raise

    def _tell(self, found: list[Any]) -> None:
        self._exchange(torch.distributed.broadcast_object_list, found, 0, device=self.device)

    def _exchange(self, call: Callable[..., Any], *arguments: Any, **options: Any) -> None:
        try:
            call(*arguments, **options)
        except (RuntimeError, ValueError) as error:
            raise RunError(
                f"process {self.index + 1} of {self.count} stops: another one has failed",
                fix="Its own message says why; start them all again, and they continue from the last checkpoint",
            ) from error


def started() -> int:
    """How many processes a launcher says it has started."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def _on_cpu() -> bool:
    """Whether to say that the CPU computes: Accelerate joins processes on it only where it is told."""
    asked = os.environ.get("ACCELERATE_USE_CPU", "").lower() in ("1", "true", "yes", "y", "on", "t")
    return asked or (started() > 1 and not (torch.cuda.is_available() or torch.xpu.is_available()))


def assert_alone(what: str, why: str) -> None:
    """Raises ConfigError where this is one of several processes."""
    if started() > 1:
        came = f"{what} was started in {started()} processes"
        raise ConfigError(came, expected=f"one: {why}", fix="Start it by itself")
