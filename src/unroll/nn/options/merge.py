"""How the outputs of both directions become one."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from unroll.errors import ConfigError, did_you_mean

MERGES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "concat": lambda forward, backward: torch.cat([forward, backward], dim=-1),
    "sum": lambda forward, backward: forward + backward,
    "mean": lambda forward, backward: (forward + backward) / 2,
    "product": lambda forward, backward: forward * backward,
}


class Merge:
    """[forward; backward], their sum, mean or product (Schuster & Paliwal 1997 join; Graves et al. 2005 sum).

    Raises:
        ConfigError: no such mode.
    """

    def __init__(self, mode: str) -> None:
        if mode not in MERGES:
            raise ConfigError(
                f"unknown merge '{mode}'.{did_you_mean(mode, MERGES)}", expected=f"one of {', '.join(MERGES)}"
            )
        self.mode = mode

    def width(self, output_size: int, directions: int) -> int:
        """Features of the merged output."""
        return output_size * (directions if self.mode == "concat" else 1)

    def halves(self, output: Tensor) -> Tensor:
        """The same of both outputs as they lie side by side."""
        return output if self.mode == "concat" else MERGES[self.mode](*output.chunk(2, dim=-1))

    def __call__(self, outputs: Sequence[Tensor]) -> Tensor:
        return outputs[0] if len(outputs) == 1 else MERGES[self.mode](*outputs)
