"""Which backend runs, and which cell a name means."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest
import torch
from test_recurrent import INPUTS, LENGTHS, B, T, build, normal

from unroll import kernels
from unroll import nn as un
from unroll.errors import ConfigError


def test_an_unknown_backend_suggests_the_known_one() -> None:
    with (
        pytest.raises(ConfigError, match=r"unknown backend 'refrence'\. Did you mean 'reference'\?"),
        kernels.use("refrence"),
    ):
        pass
    assert kernels.backend() == "auto"


def test_a_backend_holds_inside_its_block_only() -> None:
    with kernels.use("torch"):
        with kernels.use("reference"):
            assert kernels.backend() == "reference"
        assert kernels.backend() == "torch"
    assert kernels.backend() == "auto"
    with pytest.raises(KeyError), kernels.use("torch"):
        raise KeyError
    assert kernels.backend() == "auto"


@pytest.mark.parametrize("name", ["gru_reset_before", "GRU-before"])
@pytest.mark.parametrize("lengths", [None, LENGTHS], ids=["full", "ragged"])
def test_insisting_on_torch_where_it_has_no_operator_raises(name: str, lengths: list[int] | None) -> None:
    layer, x = build(name, 2), normal(T, B, INPUTS)
    with kernels.use("torch"):
        with pytest.raises(ConfigError, match="torch has no operator for GRU"):
            layer(x, None, lengths)
        with pytest.raises(ConfigError, match="torch has no operator for GRU"):
            layer.step(x[0])
        with pytest.raises(ConfigError, match="torch has no operator for GRUCell"):
            layer.cell_at(0)(x[0])


def test_insisting_on_torch_for_a_step_it_has_no_operator_for_raises() -> None:
    layer, x = build("LSTM-proj", 1), normal(T, B, INPUTS)
    with kernels.use("torch"):
        layer(x)
        with pytest.raises(ConfigError, match="torch has no operator for one step of LSTMCell"):
            layer.step(x[0])


@pytest.mark.parametrize("name", ["lstm", "LSTM", "GRU"])
def test_insisting_on_torch_where_it_has_one_gives_its_numbers(name: str) -> None:
    layer, x = build(name, 2), normal(T, B, INPUTS)
    with kernels.use("torch"):
        insisted = layer(x)[0]
    assert torch.equal(insisted, layer(x)[0])


# Names


def test_every_registered_cell_goes_by_its_name() -> None:
    for name, entry in un.CELLS.items():
        assert un.cell_entry(name) == entry
        assert entry.name == name
        cell = entry.make(3, 4)
        assert (cell.input_size, cell.output_size) == (3, 4)


def test_an_unknown_cell_suggests_the_known_one() -> None:
    with pytest.raises(ConfigError, match=r"unknown cell 'ltsm'\. Did you mean 'lstm'\?") as caught:
        un.cell_entry("ltsm")
    assert all(name in str(caught.value) for name in un.CELLS)
    assert "package.module:Class" in str(caught.value)


def test_a_cell_of_ones_own_goes_by_module_and_class(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "my_cells.py").write_text(
        "from unroll.nn import RNNCell\nclass QuietCell(RNNCell):\n    pass\nloud = 3\n", encoding="utf-8"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    importlib.invalidate_caches()
    entry = un.cell_entry("my_cells:QuietCell")
    assert (entry.name, entry.label) == ("my_cells:QuietCell", "Quiet")
    assert un.Recurrent(entry.make(3, 4), 2)(torch.zeros(5, 2, 3))[0].shape == (5, 2, 4)
    with pytest.raises(ConfigError, match="'my_cells:loud' is not a cell") as caught:
        un.cell_entry("my_cells:loud")
    assert "a subclass of unroll.nn.Cell" in str(caught.value)


@pytest.mark.parametrize("name", ["no_such_module:Cell", "unroll.nn:NoSuchCell", ":Cell", "unroll.nn:", "os:path"])
def test_a_cell_that_cannot_be_imported_is_refused(name: str) -> None:
    with pytest.raises(ConfigError, match=name):
        un.cell_entry(name)
