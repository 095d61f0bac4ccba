"""The process of a library: its memory is its own, and its threads are as many as asked for."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from unroll.bench.cases import Case, Shape
from unroll.bench.contenders import PARTICIPANTS
from unroll.bench.library import Library
from unroll.errors import RunError

MEASURED = "from unroll.bench.serving import most_memory_mb as m; before = m(); {work}; print(before, m())"


def memory(*works: str) -> list[tuple[float, float]]:
    """Before and after each work, in processes that run beside each other."""
    commands = [[sys.executable, "-c", MEASURED.format(work=work)] for work in works]
    running = [subprocess.Popen(command, stdout=subprocess.PIPE) for command in commands]
    found = [tuple(map(float, process.communicate()[0].split())) for process in running]
    return [(before, after) for before, after in found]


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the memory of the starting process counts too")
def test_the_most_memory_is_that_of_the_process_alone() -> None:
    """300 MB held here count for nothing there; 200 MB held there count, given back or not."""
    held = np.ones(300_000_000, dtype=np.uint8)
    quiet, loud = memory("pass", "import numpy; numpy.ones(200_000_000, dtype=numpy.uint8)")
    assert held.all()
    assert quiet[1] - quiet[0] < 10
    assert abs(loud[1] - loud[0] - 200) < 20
    assert abs(loud[0] - quiet[0]) < 50


def test_each_library_runs_on_as_many_threads_as_asked(tmp_path, monkeypatch) -> None:
    (tmp_path / "counting.py").write_text(
        "import torch\nfrom unroll.bench.torch_layers import TorchLayers\n"
        "class Counting(TorchLayers):\n"
        "    def version(self): return str(torch.get_num_threads())\n",
        encoding="utf-8",
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    monkeypatch.setitem(PARTICIPANTS, "torch", "counting:Counting")
    with Library("torch", 1) as one, Library("torch", 2) as two:
        assert (one.version, two.version) == ("1", "2")


def test_answers_come_in_the_order_of_the_requests(running, tmp_path) -> None:
    """Also after one that failed: the process goes on."""
    case = Case("LSTM", "forward", Shape(2, 3, 4, 5))
    with running("torch", 1) as library:
        with pytest.raises(RunError, match=r"torch\.nn failed at LSTM forward 2,3,4,5\nFileNotFoundError"):
            library.about("numbers", case, "", file=str(tmp_path / "no" / "file.npz"))
        assert library.about("time", case, "", calls=3)["seconds"] > 0
        told = library.about("numbers", case, "", file=str(tmp_path / "file.npz"))
    assert told == {"ran": ["torch"], "results": 3}
    with np.load(tmp_path / "file.npz") as numbers:
        assert [numbers[name].shape for name in numbers.files] == [(3, 2, 5), (1, 2, 5), (1, 2, 5)]
