"""The backend in force, from ``use`` or ``UNROLL_BACKEND``, and the record of what ran."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator

import pytest
import torch
from torch import Tensor
from torch.nn.utils.rnn import pack_sequence

from unroll import kernels
from unroll import nn as un
from unroll.errors import ConfigError
from unroll.kernels import cpu

T, B, INPUTS, H = 60, 2, 3, 4


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    """The variable is read once in a process: forget what was read, before and after."""
    kernels._from_environment.cache_clear()
    yield monkeypatch
    monkeypatch.undo()
    kernels._from_environment.cache_clear()


@pytest.mark.parametrize("name", kernels.BACKENDS)
def test_the_environment_forces_what_use_knows(name: str, environment: pytest.MonkeyPatch) -> None:
    environment.setenv("UNROLL_BACKEND", name)
    assert kernels.backend() == name


@pytest.mark.parametrize("value", [None, ""])
def test_without_a_name_the_choice_is_ours(value: str | None, environment: pytest.MonkeyPatch) -> None:
    environment.delenv("UNROLL_BACKEND", raising=False)
    if value is not None:
        environment.setenv("UNROLL_BACKEND", value)
    assert kernels.backend() == "auto"


@pytest.mark.parametrize("name", kernels.BACKENDS)
def test_use_wins_over_the_environment(name: str, environment: pytest.MonkeyPatch) -> None:
    environment.setenv("UNROLL_BACKEND", "reference")
    with kernels.use(name):
        assert kernels.backend() == name
    assert kernels.backend() == "reference"


def test_a_wrong_name_is_told_at_first_use_and_not_before(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("UNROLL_BACKEND", "refrence")
    layer, x = un.GRU(INPUTS, H), torch.randn(T, B, INPUTS)
    for _ in range(2):  # not the first time alone
        with pytest.raises(ConfigError, match=r"UNROLL_BACKEND=refrence\. Did you mean 'reference'\?\n.*one of auto"):
            layer(x)
    with kernels.use("torch"):
        layer(x)


def test_a_process_started_with_the_variable_runs_by_it() -> None:
    code = (
        "import torch, unroll.nn as nn\nfrom unroll import kernels\n"
        "with kernels.recording() as ran: nn.GRU(3, 4)(torch.randn(5, 2, 3))\nprint(ran)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], env=os.environ | {"UNROLL_BACKEND": "reference"}, capture_output=True, text=True
    )
    assert (done.returncode, done.stdout) == (0, "['reference']\n"), done.stderr


def ran(layer: torch.nn.Module, *inputs: object, backend: str = "auto") -> list[str]:
    with kernels.use(backend), kernels.recording() as heard:
        layer(*inputs)
    return heard


def sequence() -> Tensor:
    return torch.randn(T, B, INPUTS)


@pytest.mark.parametrize("kind", ["RNN", "LSTM", "GRU"])
@pytest.mark.parametrize("backend", ["torch", "cpu", "reference"])
def test_what_is_forced_is_what_is_heard(kind: str, backend: str) -> None:
    if backend == "cpu" and cpu.native() is None:
        pytest.skip("this installation has no engine")
    layer, x = getattr(un, kind)(INPUTS, H, num_layers=2, bidirectional=True), sequence()
    heard = ran(layer, x, backend=backend)
    assert set(heard) == {backend}
    # torch runs the stack in one call; elsewhere each layer and direction is one.
    assert len(heard) == (1 if backend == "torch" else 4)
    assert set(ran(layer, x, None, [T, 3], backend=backend)) == {backend}


def test_packed_and_watched_calls_are_heard_too() -> None:
    from unroll.inspect import trace

    layer = un.LSTM(INPUTS, H)
    assert ran(layer, pack_sequence([torch.randn(5, INPUTS), torch.randn(2, INPUTS)]), backend="torch") == ["torch"]
    with kernels.use("torch"), kernels.recording() as heard:
        trace(layer, sequence())
    assert heard == ["torch"]


def test_a_step_is_heard() -> None:
    plain, other = un.GRU(INPUTS, H), un.GRU(INPUTS, H, reset="before")
    for layer, backend, expected in ((plain, "torch", "torch"), (plain, "reference", "reference"),
                                     (other, "auto", "reference")):  # fmt: skip
        with kernels.use(backend), kernels.recording() as heard:
            layer.step(torch.randn(B, INPUTS))
        assert heard == [expected]
        assert ran(layer.cell_at(0), torch.randn(B, INPUTS), backend=backend) == [expected]


def test_the_innermost_recording_hears_and_ends_with_its_block() -> None:
    layer, x = un.LSTM(INPUTS, H), sequence()
    with kernels.recording() as outer:
        layer(x)
        with kernels.recording() as inner:
            layer(x)
            layer(x)
        layer(x)
    layer(x)
    assert (len(outer), len(inner)) == (2, 2)


def test_listening_changes_no_number_and_breaks_no_graph() -> None:
    layer, x = un.GRU(INPUTS, H), sequence()
    with kernels.recording() as heard:
        assert torch.equal(layer(x)[0], layer(x)[0])
        compiled = torch.compile(layer, backend="eager", fullgraph=True)
        graph = compiled(x)[0]
    assert len(heard) == 2
    assert torch.allclose(graph, layer(x)[0], atol=1e-6)
