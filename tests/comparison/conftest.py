"""One comparison that was never interrupted, for all tests here."""

import pytest
import torch

from comparison.making import compared, write_rows


@pytest.fixture(autouse=True, scope="package")
def _one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="package")
def whole(tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole")
    return compared(write_rows(folder), folder / "run")
