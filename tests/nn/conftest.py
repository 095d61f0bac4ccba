"""Small tensors: a second thread only waits."""

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from sampling import SEED, WHOLE

from unroll import kernels


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def pytest_terminal_summary(terminalreporter: Any) -> None:
    part = "every combination" if WHOLE else f"a sample of the combinations, UNROLL_LAW_SEED={SEED}"
    terminalreporter.write_line(f"laws: {part}")


SLOW = {"test_compile": 0.25, "test_export": 0.4, "test_onnx": 0.6, "test_functional_transforms": 0.5}
"""Modules that make a graph or a transform for every case, and the share of their cases that a run takes."""


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """A seeded part of the slow modules' cases, unless one is asked for by name or all are."""
    if WHOLE or any("::" in argument for argument in config.args):
        return
    kept, left = [], []
    for item in items:
        share = SLOW.get(Path(str(item.fspath)).stem, 1.0)
        (kept if random.Random(f"{SEED} {item.name}").random() < share else left).append(item)
    items[:] = kept
    config.hook.pytest_deselected(items=left)


@pytest.fixture(params=["torch", "auto"])
def both_backends(request: pytest.FixtureRequest) -> Iterator[None]:
    """torch's operators, whose bits are compared, and what is chosen by itself."""
    with kernels.use(request.param):
        yield
