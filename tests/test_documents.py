"""What the documents say must hold: their links, and the cell that CONTRIBUTING.md builds."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch
from torch import Tensor, nn

from unroll.inspect import trace
from unroll.nn import Cell, GRUCell, LSTMCell, Recurrent, RNNCell, Step
from unroll.nn.classic import LAYER_OPTIONS
from unroll.nn.gated import option_names
from unroll.testing import check_cell

ROOT = Path(__file__).parent.parent
DOCUMENTS = [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")]


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Iterator[None]:
    """Small tensors: a second thread only waits."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_link_leads_to_a_file(document: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)[^)]*\)", document.read_text(encoding="utf-8")):
        if "://" not in target:
            assert (document.parent / target).exists(), f"{document.name} links to {target}"


def documented_cell() -> type[Cell]:
    """The class that CONTRIBUTING.md shows, from its own text."""
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    (block,) = [b for b in re.findall(r"```python\n(.*?)```", text, flags=re.S) if "class MGUCell" in b]
    names: dict[str, Any] = {
        "Cell": Cell, "Step": Step, "NamedTuple": NamedTuple, "torch": torch, "nn": nn, "Tensor": Tensor,
    }  # fmt: skip
    exec(block, names)
    made: type[Cell] = names["MGUCell"]
    return made


def test_the_documented_cell_is_stacked_ragged_and_traced() -> None:
    torch.manual_seed(0)
    layer = Recurrent(documented_cell()(3, 4), num_layers=2, bidirectional=True, batch_first=True).double()
    x = torch.randn(3, 6, 3, dtype=torch.float64)
    lengths = [6, 0, 4]
    output, state = layer(x, lengths=lengths)
    alone, alone_state = layer(x[2:, :4])
    assert torch.allclose(output[2, :4], alone[0], atol=1e-12)
    assert torch.allclose(state[3].h[2], alone_state[3].h[0], atol=1e-12)
    assert not output[1].any()
    assert not output[2, 4:].any()
    traced = trace(layer, x, lengths=lengths)
    assert torch.equal(traced.output[0], output)
    assert set(traced["l1_reverse"].signals) == {"f", "k", "n"}


def test_the_documented_cell_keeps_the_contract() -> None:
    check_cell(documented_cell())


def test_the_documented_cell_equals_the_published_equation() -> None:
    """Zhou et al. 2016, eq. 4-6: f = σ(W_f [x, h]), h̃ = tanh(W_h [x, f ⊙ h]), h = (1 - f) h + f h̃."""
    torch.manual_seed(0)
    cell = documented_cell()(3, 4).double()
    x, h = torch.randn(2, 3, dtype=torch.float64), torch.randn(2, 4, dtype=torch.float64)
    W_f, b_f, W_h, b_h = (p.detach() for p in cell.parameters())
    f = 1 / (1 + (-(x @ W_f[:, :3].T + h @ W_f[:, 3:].T + b_f)).exp())
    candidate = (x @ W_h[:, :3].T + (f * h) @ W_h[:, 3:].T + b_h).tanh()
    state = type(cell.initial_state(2))(h)
    assert torch.allclose(cell.step(x, state).output, (1 - f) * h + f * candidate, atol=1e-14)


def test_the_page_on_attention_runs_and_its_classifier_finds_the_step_that_decides() -> None:
    text = (ROOT / "docs" / "attention-and-pooling.md").read_text(encoding="utf-8")
    names: dict[str, Any] = {}
    for block in re.findall(r"```python\n(.*?)```", text, flags=re.S):
        exec(block, names)
    assert names["right"] > 0.9
    assert (names["heaviest"] == names["marked"]).float().mean() > 0.9


@pytest.mark.parametrize(
    "page",
    [
        "cell-options.md",
        "classify.md",
        "compile-and-export.md",
        "cpu-engine.md",
        "data-sets.md",
        "measure-this-machine.md",
        "tag.md",
        "training.md",
    ],
)
def test_every_block_of_the_page_runs(page: str) -> None:
    text = (ROOT / "docs" / page).read_text(encoding="utf-8")
    names: dict[str, Any] = {}
    blocks = re.findall(r"```python\n(.*?)```", text, flags=re.S)
    assert blocks
    for block in blocks:
        exec(block, names)


def test_the_table_of_options_names_every_option_there_is() -> None:
    text = (ROOT / "docs" / "cell-options.md").read_text(encoding="utf-8")
    known = {name for cell in (RNNCell, LSTMCell, GRUCell) for name in option_names(cell)} | set(LAYER_OPTIONS)
    assert [name for name in known if f"`{name}=" not in text and f", {name}=" not in text] == []
