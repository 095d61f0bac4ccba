"""What ``linear_recurrence`` refuses before a number is read."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from test_linear_recurrence import SETS

from unroll.errors import ConfigError
from unroll.kernels import recur
from unroll.kernels.linear import linear_recurrence

T, B, F = 4, 3, 2
GOOD = {"a": torch.zeros(T, B, F), "b": torch.zeros(T, B, F)}
BAD = {
    "a of other steps": {"a": torch.zeros(T + 1, B, F)},
    "a of fewer dimensions": {"a": torch.zeros(B, F)},
    "a of other features": {"a": torch.zeros(T, B, F + 1)},
    "a in float64": {"a": torch.zeros(T, B, F, dtype=torch.float64)},
    "complex a, real b": {"a": torch.zeros(T, B, F, dtype=torch.complex64)},
    "a elsewhere": {"a": torch.zeros(T, B, F, device="meta")},
    "b without a batch": {"a": torch.zeros(T), "b": torch.zeros(T)},
    "b of integers": {"a": torch.zeros(T, B, F, dtype=torch.int64), "b": torch.zeros(T, B, F, dtype=torch.int64)},
    "h0 with time": {"h0": torch.zeros(1, B, F)},
    "h0 of other rows": {"h0": torch.zeros(B - 1, F)},
    "h0 in float16": {"h0": torch.zeros(B, F, dtype=torch.float16)},
    "resets of other rows": {"resets": torch.zeros(T, B + 1, dtype=torch.bool)},
    "resets of numbers": {"resets": torch.zeros(T, B)},
    "resets elsewhere": {"resets": torch.zeros(T, B, dtype=torch.bool, device="meta")},
}


@pytest.mark.parametrize("what", BAD)
def test_what_does_not_fit_is_refused_before_it_is_read(what: str) -> None:
    given = {"h0": None, "resets": None, **GOOD, **BAD[what]}
    with pytest.raises(ConfigError, match=r"linear_recurrence: .*\n.*expected"):
        linear_recurrence(**given)  # type: ignore[arg-type]
    arguments = [given[name] for name in ("a", "b", "h0", "resets")]
    if all(t is None or t.device.type == "cpu" for t in arguments):
        with pytest.raises(ConfigError, match="linear_recurrence: "):
            torch.ops.unroll.linear_recurrence(*arguments, False)


@pytest.mark.skipif(not SETS, reason="this installation has no C++ core")
@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"kind": 4}, "kind and type"),
        ({"type": -1}, "kind and type"),
        ({"kind": 1, "type": 2}, "only the linear"),
        ({"shape": (0, 1, 1)}, "sizes must be positive"),
        ({"threads": 0}, "sizes must be positive"),
        ({"b": (0, 1, 1)}, "an array is missing"),
        ({"kind": 3}, "an array is missing"),
    ],
    ids=str,
)
def test_the_core_itself_refuses_what_it_cannot_run(changed: dict[str, Any], message: str) -> None:
    block = torch.zeros(8)
    at = (block.data_ptr(), 1, 1)
    given = {"isa": SETS[0], "kind": 0, "type": 0, "shape": (1, 1, 1), "threads": 1, "how": (False, False, False)}
    given |= {"a": at, "b": at, "skip": (0, 0, 0), "first": 0, "resets": 0, "state": block.data_ptr(), "output": 0}
    recur.native().recur(*given.values())
    with pytest.raises(ValueError, match=message):
        recur.native().recur(*(given | changed).values())
