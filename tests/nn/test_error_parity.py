"""What torch refuses is refused here, by the same error and, where torch's words are stable, in the same words."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from parity import normal
from torch.nn.utils.rnn import pack_padded_sequence

from unroll import nn as un


def hx_for(name: str, *shape: int, dtype: torch.dtype = torch.float32) -> Any:
    h = normal(*shape, dtype=dtype)
    return (h, h) if name.startswith("LSTM") else h


Mistake = Callable[[Any, str], Any]


CONSTRUCTION: dict[str, Mistake] = {
    "bias is text": lambda make, _: make(3, 4, bias="yes"),
    "bias is a number": lambda make, _: make(3, 4, bias=1),
    "batch_first is a number": lambda make, _: make(3, 4, batch_first=1),
    "input_size is text": lambda make, _: make("3", 4),
    "hidden_size is a float": lambda make, _: make(3, 4.0),
    "input_size zero": lambda make, _: make(0, 4),
    "hidden_size zero": lambda make, _: make(3, 0),
    "hidden_size negative": lambda make, _: make(3, -1),
    "num_layers zero": lambda make, _: make(3, 4, 0),
    "num_layers negative": lambda make, _: make(3, 4, -2),
    "num_layers is a float": lambda make, _: make(3, 4, 2.0),
    "dropout above one": lambda make, _: make(3, 4, 2, dropout=1.5),
    "dropout negative": lambda make, _: make(3, 4, 2, dropout=-0.1),
    "dropout is a bool": lambda make, _: make(3, 4, 2, dropout=True),
}


CALL: dict[str, Mistake] = {
    "one dimension": lambda make, _: make(3, 4)(normal(3)),
    "four dimensions": lambda make, _: make(3, 4)(normal(1, 5, 2, 3)),
    "wrong width": lambda make, _: make(3, 4)(normal(5, 2, 4)),
    "wrong width unbatched": lambda make, _: make(3, 4)(normal(5, 4)),
    "double into float": lambda make, _: make(3, 4)(normal(5, 2, 3, dtype=torch.float64)),
    "integers": lambda make, _: make(3, 4)(torch.ones(5, 2, 3, dtype=torch.long)),
    "a list": lambda make, _: make(3, 4)([1.0, 2.0, 3.0]),
    "hx of another batch": lambda make, n: make(3, 4)(normal(5, 2, 3), hx_for(n, 1, 3, 4)),
    "hx of more layers": lambda make, n: make(3, 4)(normal(5, 2, 3), hx_for(n, 2, 2, 4)),
    "hx too wide": lambda make, n: make(3, 4)(normal(5, 2, 3), hx_for(n, 1, 2, 5)),
    "hx without layers": lambda make, n: make(3, 4)(normal(5, 2, 3), hx_for(n, 2, 4)),
    "hx with a batch for one sequence": lambda make, n: make(3, 4)(normal(5, 3), hx_for(n, 1, 1, 4)),
    "hx in batch-first order": lambda make, n: make(3, 4, batch_first=True)(normal(5, 2, 3), hx_for(n, 1, 2, 4)),
    "hx of another dtype": lambda make, n: make(3, 4)(normal(5, 2, 3), hx_for(n, 1, 2, 4, dtype=torch.float64)),
}


PACKED_CALL: dict[str, Mistake] = {
    "wrong width": lambda make, _: make(3, 4)(pack_padded_sequence(normal(5, 2, 4), [5, 3])),
    "no features": lambda make, _: make(3, 4)(pack_padded_sequence(normal(5, 2), [5, 3])),
    "too many dimensions": lambda make, _: make(3, 4)(pack_padded_sequence(normal(5, 2, 3, 3), [5, 3])),
    "hx of another batch": lambda make, n: make(3, 4)(
        pack_padded_sequence(normal(5, 2, 3), [5, 3]), hx_for(n, 1, 3, 4)
    ),
}


CELL_CALL: dict[str, Mistake] = {
    "no dimensions": lambda make, _: make(3, 4)(torch.tensor(1.0)),
    "three dimensions": lambda make, _: make(3, 4)(normal(1, 2, 3)),
    "wrong width": lambda make, _: make(3, 4)(normal(2, 4)),
    "wrong width unbatched": lambda make, _: make(3, 4)(normal(4)),
    "double into float": lambda make, _: make(3, 4)(normal(2, 3, dtype=torch.float64)),
    "hx of another batch": lambda make, n: make(3, 4)(normal(2, 3), hx_for(n, 3, 4)),
    "hx too wide": lambda make, n: make(3, 4)(normal(2, 3), hx_for(n, 2, 5)),
    "hx of three dimensions": lambda make, n: make(3, 4)(normal(2, 3), hx_for(n, 1, 2, 4)),
    "hx without a batch": lambda make, n: make(3, 4)(normal(2, 3), hx_for(n, 4)),
    "hx with a batch for one row": lambda make, n: make(3, 4)(normal(3), hx_for(n, 1, 4)),
}


OWN_WORDS = {"a list", "no features", "too many dimensions"}


"""Mistakes where torch's text is that of an internal failure."""


def error_of(mistake: Mistake, make: Any, name: str) -> Exception | None:
    try:
        mistake(make, name)
    except Exception as error:
        return error
    return None


def assert_same_error(mistake: Mistake, name: str, *, same_text: bool) -> None:
    expected = error_of(mistake, getattr(torch.nn, name), name)
    got = error_of(mistake, getattr(un, name), name)
    assert expected is not None
    assert type(got) is type(expected)
    if same_text:
        assert str(got).replace("D instead", "D tensor instead") == str(expected).replace(
            "D instead", "D tensor instead"
        )


@pytest.mark.parametrize("name", ["RNN", "LSTM", "GRU"])
@pytest.mark.parametrize("mistake", [*CONSTRUCTION, *CALL])
def test_a_layers_mistakes_raise_torchs_error(name: str, mistake: str) -> None:
    assert_same_error({**CONSTRUCTION, **CALL}[mistake], name, same_text=mistake not in OWN_WORDS)


@pytest.mark.parametrize("name", ["RNN", "LSTM", "GRU"])
@pytest.mark.parametrize("mistake", PACKED_CALL)
def test_mistakes_in_packed_sequences_raise_torchs_error(name: str, mistake: str) -> None:
    # torch's LSTM does not check a packed input itself, so its text is that of the product that fails.
    assert_same_error(PACKED_CALL[mistake], name, same_text=name != "LSTM" and mistake not in OWN_WORDS)


@pytest.mark.parametrize("name", ["RNNCell", "LSTMCell", "GRUCell"])
@pytest.mark.parametrize("mistake", CELL_CALL)
def test_a_cells_mistakes_raise_torchs_error(name: str, mistake: str) -> None:
    assert_same_error(CELL_CALL[mistake], name, same_text=True)


@pytest.mark.parametrize("proj_size", [-1, 4, 5])
def test_projections_that_do_not_fit_raise_torchs_error(proj_size: int) -> None:
    assert_same_error(lambda make, _: make(3, 4, proj_size=proj_size), "LSTM", same_text=True)


def test_an_unknown_nonlinearity_raises_torchs_error() -> None:
    assert_same_error(lambda make, _: make(3, 4, nonlinearity="tnah"), "RNN", same_text=True)


@pytest.mark.parametrize("name", ["RNN", "LSTM", "GRU"])
def test_dropout_on_one_layer_warns_as_torch_does(name: str) -> None:
    said = []
    for library in (torch.nn, un):
        with pytest.warns(UserWarning, match="dropout option adds dropout") as caught:
            getattr(library, name)(3, 4, dropout=0.5)
        said.append([str(w.message) for w in caught])
    assert said[0] == said[1]
    assert caught[0].filename == __file__
