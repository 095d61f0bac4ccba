"""The trace reads what the operator reads: changed inputs, computed weights, other precisions, any nesting."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.utils import parametrizations
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence
from torch_models import HIDDEN, INPUTS, KINDS, B, T, assert_same_trace, condition, normal, pair

from unroll import nn as un
from unroll.errors import ConfigError
from unroll.inspect import trace


class Doubled(nn.LSTM):
    """A subclass that changes what the operator reads, and packs by itself."""

    def forward(self, input: Tensor, lengths: Tensor) -> Tensor:  # type: ignore[override]
        packed = pack_padded_sequence(2 * input, lengths, enforce_sorted=False)
        return pad_packed_sequence(super().forward(packed)[0])[0]


def test_a_subclass_is_seen_at_the_operator() -> None:
    torch.manual_seed(0)
    model = Doubled(INPUTS, HIDDEN, 2, bidirectional=True).double()
    plain = un.LSTM(INPUTS, HIDDEN, 2, bidirectional=True).double()
    plain.load_state_dict(model.state_dict())
    x, lengths = normal(T, B, INPUTS), torch.tensor([4, 6, 1])
    seen = trace(model, x, lengths)
    assert_same_trace(seen, trace(plain, 2 * x, None, lengths))
    forward, backward = seen["l1"], seen["l1_reverse"]
    top = torch.cat([forward.states["h"], backward.states["h"]], -1)
    torch.testing.assert_close(
        top[forward.mask], seen.output.detach().transpose(0, 1)[forward.mask], rtol=0, atol=1e-12
    )


def test_hooks_of_the_user_act_as_they_do_without_a_trace() -> None:
    layer = nn.GRU(INPUTS, HIDDEN).double()
    layer.register_forward_pre_hook(lambda module, args: (3 * args[0],))
    layer.register_forward_hook(lambda module, args, output: (output[0] + 1, output[1]))
    x = normal(T, B, INPUTS)
    seen = trace(layer, x)
    assert torch.equal(seen.output[0], layer(x)[0])
    torch.testing.assert_close(seen["l0"].states["h"].transpose(0, 1) + 1, seen.output[0].detach(), rtol=0, atol=1e-12)


def test_what_a_model_later_does_in_place_does_not_reach_the_trace() -> None:
    class Overwriting(nn.Module):
        def __init__(self, layer: nn.Module) -> None:
            super().__init__()
            self.layer = layer

        def forward(self, x: Tensor) -> Tensor:
            output = self.layer(x)[0]
            x.zero_()
            return output

    for layer in (nn.GRU(INPUTS, HIDDEN), un.GRU(INPUTS, HIDDEN), nn.LSTM(INPUTS, HIDDEN, 2)):
        with torch.no_grad():
            seen = trace(Overwriting(layer.double()), normal(T, B, INPUTS))
        top = list(seen.layers.values())[-1].states["h"]
        torch.testing.assert_close(top.transpose(0, 1), seen.output, rtol=0, atol=1e-12)


@pytest.mark.parametrize("kind", KINDS)
def test_parametrised_weights_are_those_in_force(kind: str) -> None:
    theirs, _ = pair(kind, INPUTS, HIDDEN, bidirectional=True)
    x = normal(T, B, INPUTS)
    for name in ("weight_hh_l0", "weight_ih_l0_reverse"):
        parametrizations.weight_norm(theirs, name)
        with torch.no_grad():
            getattr(theirs.parametrizations, name).original0.mul_(2)
    before = condition(theirs)
    seen = trace(theirs, x)
    assert condition(theirs) == before
    both = torch.cat([seen["l0"].states["h"], seen["l0_reverse"].states["h"]], -1)
    torch.testing.assert_close(both.transpose(0, 1), theirs(x)[0].detach(), rtol=0, atol=1e-12)


@pytest.mark.parametrize(
    "layer", [nn.GRU(INPUTS, HIDDEN, 2), un.GRU(INPUTS, HIDDEN, 2), un.Recurrent(un.MGUCell(INPUTS, HIDDEN), 2)],
    ids=["torch", "drop-in", "Recurrent"],
)  # fmt: skip
def test_functional_call_is_traced_with_the_weights_it_brings(layer: nn.Module) -> None:
    class Scaled(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = layer.double()

        def forward(self, x: Tensor) -> Tensor:
            weights = {name: 3 * value for name, value in self.layer.named_parameters()}
            return functional_call(self.layer, weights, (x,))[0]

    seen = trace(Scaled(), normal(T, B, INPUTS))
    torch.testing.assert_close(seen["layer.l1"].states["h"].transpose(0, 1), seen.output.detach(), rtol=0, atol=1e-12)


class Half(nn.Module):
    """Autocast inside the model: its layer reads bfloat16."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.linear, self.layer = nn.Linear(INPUTS, INPUTS), layer

    def forward(self, x: Tensor) -> Any:
        with torch.autocast("cpu", torch.bfloat16):
            return self.layer(self.linear(x))[0]


@pytest.mark.parametrize("package", [nn, un], ids=["torch", "unroll"])
@pytest.mark.parametrize("kind", KINDS)
def test_autocast_inside_the_model_is_traced_in_the_weights_precision(package: Any, kind: str) -> None:
    torch.manual_seed(0)
    model = Half(getattr(package, kind)(INPUTS, HIDDEN, 2, bidirectional=True))
    seen = trace(model, normal(T, B, INPUTS).float())
    assert torch.equal(seen.output, model(normal(T, B, INPUTS).float()))
    top = torch.cat([seen["layer.l1"].states["h"], seen["layer.l1_reverse"].states["h"]], -1)
    assert top.dtype is torch.float32
    torch.testing.assert_close(top.transpose(0, 1), seen.output.detach().float(), rtol=0, atol=0.03)


@pytest.mark.filterwarnings("ignore")  # torch's own, about scripting
def test_a_scripted_model_is_refused_with_the_way_out() -> None:
    scripted = torch.jit.trace(nn.GRU(INPUTS, HIDDEN), normal(T, B, INPUTS).float())
    with pytest.raises(ConfigError, match=r"TopLevelTracedModule ran no recurrent layer[\s\S]*before it is scripted"):
        trace(scripted, normal(T, B, INPUTS).float())


def test_a_recurrent_module_may_hold_others() -> None:
    class Nested(nn.GRU):
        def __init__(self) -> None:
            super().__init__(HIDDEN, HIDDEN)
            self.below, self.above = nn.LSTM(INPUTS, HIDDEN), nn.RNNCell(HIDDEN, 1)

        def forward(self, input: Any, hx: Any = None) -> Any:
            output, _ = super().forward(self.below(input)[0], hx)
            return self.above(output[-1])

    seen = trace(Nested().double(), normal(T, B, INPUTS))
    assert list(seen.layers) == ["below.l0", "l0", "above.l0"]
    torch.testing.assert_close(seen["above.l0"].states["h"][:, -1], seen.output.detach(), rtol=0, atol=1e-12)
