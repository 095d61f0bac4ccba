"""Models of torch.nn's modules as users write them, and what a trace must leave alone in them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules import module as hooks
from torch.nn.utils.rnn import pack_padded_sequence, pack_sequence

from unroll import nn as un
from unroll.inspect import LayerTrace, Trace

T, B, INPUTS, HIDDEN = 6, 3, 2, 4
KINDS = ["RNN", "LSTM", "GRU"]
CELLS = [f"{kind}Cell" for kind in KINDS]


def normal(*shape: int, seed: int = 1, dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def pair(kind: str, *sizes: Any, **options: Any) -> tuple[Any, Any]:
    """torch's module and its drop-in, in float64 and with the same weights."""
    torch.manual_seed(3)
    theirs, ours = getattr(nn, kind)(*sizes, **options).double(), getattr(un, kind)(*sizes, **options).double()
    ours.load_state_dict(theirs.state_dict())
    return theirs, ours


def assert_same(one: LayerTrace, other: LayerTrace, atol: float = 1e-12) -> None:
    assert one.mask.equal(other.mask)
    assert one.keep_gate == other.keep_gate
    for values, expected in ((one.signals, other.signals), (one.states, other.states)):
        assert list(values) == list(expected)
        for name, value in values.items():
            assert value.shape == expected[name].shape
            torch.testing.assert_close(value[one.mask], expected[name][one.mask], rtol=0, atol=atol, msg=name)


def assert_same_trace(one: Trace, other: Trace) -> None:
    assert list(one.layers) == list(other.layers)
    for name, layer in one.layers.items():
        assert_same(layer, other[name])


def ends(layer: LayerTrace, name: str, reverse: bool) -> Tensor:
    """The state after the last step of each row."""
    last = torch.zeros_like(layer.mask.sum(1)) if reverse else layer.mask.sum(1) - 1
    return layer.states[name][torch.arange(len(last)), last]


class Model(nn.Module):
    """What a user has: an embedding, torch's layers somewhere below, a linear readout."""

    def __init__(self, kind: str = "LSTM", again: int = 1, **options: Any) -> None:
        super().__init__()
        torch.manual_seed(5)
        self.again = again
        self.embedding = nn.Embedding(11, INPUTS)
        encoder = getattr(nn, kind)(INPUTS, HIDDEN, 2, batch_first=True, **options)
        self.body = nn.ModuleDict({"encoder": encoder, "second": nn.GRU(HIDDEN, HIDDEN, bidirectional=True)})
        self.readout = nn.Linear(HIDDEN, 1)

    def forward(self, tokens: Tensor) -> Tensor:
        x, _ = self.body["encoder"](self.embedding(tokens))
        x = x.transpose(0, 1)
        for _ in range(self.again):
            x = self.body["second"](x)[0][..., :HIDDEN]
        return self.readout(x[-1])


TOKENS = torch.arange(B * T).reshape(B, T) % 11


class Loop(nn.Module):
    """A torch cell in the user's own loop."""

    def __init__(self, cell: nn.Module, change: Callable[[Any], Any] = lambda state: state) -> None:
        super().__init__()
        self.cell, self.change = cell, change

    def forward(self, x: Tensor) -> list[Any]:
        states: list[Any] = [None]
        for step in x:
            states.append(self.change(self.cell(step, states[-1])))
        return states[1:]


INPUT: dict[str, Any] = {
    "padded": normal(T, T, INPUTS),
    "one": normal(T, INPUTS),
    "one-step": normal(1, 1, INPUTS),
    "strided": normal(T, 2 * T, 2 * INPUTS)[:, ::2, ::2],
    "sorted": pack_sequence([normal(6, INPUTS), normal(4, INPUTS), normal(4, INPUTS), normal(1, INPUTS)]),
    "unsorted": pack_padded_sequence(normal(T, 4, INPUTS), [2, 6, 1, 4], enforce_sorted=False),
}


def condition(model: nn.Module) -> dict[str, Any]:
    """Everything a trace must leave alone."""
    return {
        "training": [part.training for part in model.modules()],
        "own hooks": [[list(part._forward_hooks), list(part._forward_pre_hooks)] for part in model.modules()],
        "hooks": [list(d) for d in (hooks._global_forward_hooks, hooks._global_forward_pre_hooks)],
        "always": [list(hooks._global_forward_hooks_always_called), list(hooks._global_forward_hooks_with_kwargs)],
        "function modes": torch._C._len_torch_function_stack(),
        "flags": (torch.is_grad_enabled(), torch.is_autocast_enabled("cpu"), torch.get_default_dtype()),
        "parameters": [(id(p), p._version, p.requires_grad, p.grad is None) for p in model.parameters()],
        "attributes": [sorted(vars(part)) for part in model.modules()],
    }


class Fault(nn.GRU):
    """Raises inside the forward of a recurrent module, after the operator ran."""

    fault: BaseException = RuntimeError("broken here")

    def forward(self, input: Any, hx: Any = None) -> Any:
        super().forward(input, hx)
        raise self.fault
