"""torch.compile takes the classic layers whole: one graph, the same numbers."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from unroll import nn as un


@pytest.mark.parametrize("make", [un.RNN, un.LSTM, un.GRU])
@pytest.mark.parametrize("options", [{}, {"num_layers": 2, "bidirectional": True, "batch_first": True}], ids=str)
def test_a_layer_compiles_without_a_graph_break(make: Any, options: dict[str, Any]) -> None:
    torch.manual_seed(0)
    layer = make(3, 4, **options)
    x = torch.randn(5, 2, 3)
    compiled = torch.compile(layer, fullgraph=True, backend="eager")
    got, expected = compiled(x), layer(x)
    assert torch.allclose(got[0], expected[0], atol=1e-6)
    for a, b in zip(*(s if isinstance(s, tuple) else (s,) for s in (got[1], expected[1]))):
        assert torch.allclose(a, b, atol=1e-6)
