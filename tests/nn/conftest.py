"""Small tensors: a second thread only waits."""

from collections.abc import Iterator
from typing import Any

import pytest
import torch
from sampling import SEED, WHOLE


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def pytest_terminal_summary(terminalreporter: Any) -> None:
    part = "every combination" if WHOLE else f"a sample of the combinations, UNROLL_LAW_SEED={SEED}"
    terminalreporter.write_line(f"laws: {part}")
