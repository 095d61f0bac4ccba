"""Weights that are tied, pruned, normalised, computed or assigned: those in force run and learn, as in torch."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from parity import HIDDEN, INPUTS, B, Kind, T, assert_same, every_layer, every_module, flat, gradients, normal, pair
from torch import Tensor, nn
from torch.nn.utils import parametrizations, parametrize, prune
from torch.nn.utils.rnn import pack_padded_sequence

from unroll import kernels

TWO = {"num_layers": 2, "bidirectional": True}
WEIGHTS = ["weight_ih_l0", "weight_hh_l1", "weight_hh_l0_reverse"]


def built(kind: Kind) -> tuple[Any, Any, Tensor, str]:
    """torch's module, ours, an input, and the recurrent weight's name."""
    cell = kind.name.endswith("Cell")
    theirs, ours = pair(kind, **({} if cell else TWO))
    return theirs, ours, normal(B, INPUTS) if cell else normal(T, B, INPUTS), "weight_hh" if cell else "weight_hh_l1"


def assert_learn_alike(theirs: Any, ours: Any, x: Tensor, steps: int = 2) -> None:
    """Outputs and gradients of all leaves, at each step of SGD."""
    for _ in range(steps):
        results = []
        for module in (theirs, ours):
            output = module(x)
            grads = gradients(module, output)
            with torch.no_grad():
                for parameter, grad in zip(module.parameters(), grads):
                    parameter.sub_(0.001 * grad)
            results.append((output, grads))
        assert_same(results[1], results[0])


@every_layer
def test_tied_weights_are_one_parameter_that_gathers_both_gradients(kind: Kind) -> None:
    theirs, ours, x, _ = built(kind)
    for module in (theirs, ours):
        module.weight_hh_l0_reverse = module.weight_hh_l0
        module.weight_hh_l1 = module.weight_hh_l0
    assert len(list(ours.parameters())) == len(list(theirs.parameters())) == len(ours.state_dict()) - 2
    assert_learn_alike(theirs, ours, x)
    assert ours.weight_hh_l1 is ours.weight_hh_l0_reverse is ours.weight_hh_l0


@every_layer
def test_weights_tied_across_two_layers_learn_as_torchs(kind: Kind) -> None:
    stacks = []
    for library in (0, 1):
        first, second = (pair(kind, INPUTS, HIDDEN)[library] for _ in range(2))
        second.weight_ih_l0, second.weight_hh_l0 = first.weight_ih_l0, first.weight_hh_l0
        stacks.append(nn.ModuleList([first, second]))
    x = normal(T, B, INPUTS)
    found = []
    for stack in stacks:
        output = [layer(x, None)[0] for layer in stack]
        found.append((output, gradients(stack, output)))
    assert_same(found[1], found[0])


@every_module
def test_pruned_weights_run_and_learn_as_torchs(kind: Kind) -> None:
    theirs, ours, x, name = built(kind)
    for module in (theirs, ours):
        prune.l1_unstructured(module, name, amount=0.5)
    assert list(ours.state_dict()) == list(theirs.state_dict())
    assert_learn_alike(theirs, ours, x)
    assert (getattr(ours, name) == 0).sum() >= getattr(ours, name).numel() // 2
    for module in (theirs, ours):
        prune.remove(module, name)
    assert_learn_alike(theirs, ours, x)


@every_module
@pytest.mark.filterwarnings("ignore:.*weight_norm. is deprecated:FutureWarning")
def test_weight_norm_by_hooks_runs_and_learns_as_torchs_and_can_be_removed(kind: Kind) -> None:
    theirs, ours, x, name = built(kind)
    plain = ours(x)
    for module in (theirs, ours):
        nn.utils.weight_norm(module, name)
    torch.testing.assert_close(flat(ours(x)), flat(plain), rtol=0, atol=1e-6)
    assert_learn_alike(theirs, ours, x)
    for module in (theirs, ours):
        nn.utils.remove_weight_norm(module, name)
    assert list(ours.state_dict()) == list(theirs.state_dict())
    assert_learn_alike(theirs, ours, x)


@every_module
@pytest.mark.parametrize("how", ["weight_norm", "spectral_norm", "orthogonal"])
def test_parametrised_weights_run_and_learn_as_torchs_and_can_be_removed(kind: Kind, how: str) -> None:
    """Cached, since torch reads a weight more than once a call, and spectral_norm steps on at each reading."""
    theirs, ours, x, name = built(kind)
    for module in (theirs, ours):
        torch.manual_seed(2)
        getattr(parametrizations, how)(module, name)
    assert list(ours.state_dict()) == list(theirs.state_dict())
    for _ in range(2):
        with parametrize.cached():
            assert_learn_alike(theirs, ours, x, steps=1)
    assert_same(ours.eval()(x), theirs.eval()(x))
    for module in (theirs, ours):
        parametrize.remove_parametrizations(module, name)
    assert_same([p for _, p in sorted(ours.named_parameters())], [p for _, p in sorted(theirs.named_parameters())])


class Counting(nn.Module):
    """A weight times a number that moves at each reading."""

    readings = 0

    def forward(self, weight: Tensor) -> Tensor:
        self.readings += 1
        return weight * self.readings


@every_module
@pytest.mark.parametrize("backend", ["auto", "reference"])
@pytest.mark.parametrize("source", ["ih", "hh"])
def test_a_computed_weight_is_read_once_a_call(kind: Kind, backend: str, source: str) -> None:
    _, ours, x, _ = built(kind)
    name = f"weight_{source}" + ("" if kind.name.endswith("Cell") else "_l0")
    parametrize.register_parametrization(ours, name, Counting(), unsafe=True)
    counter = ours.parametrizations[name][0]
    calls: list[Any] = [lambda: ours(x), lambda: torch.func.vmap(ours)(x.unsqueeze(0))]
    if not kind.name.endswith("Cell"):
        calls += [lambda: ours(x, None, [3, T, 0, 5]), lambda: ours(pack_padded_sequence(x, [T, 5, 3, 1]))]
    for call in calls:
        counter.readings = 0
        with kernels.use(backend):
            call()
        assert counter.readings == 1


@every_module
def test_assigned_weights_are_the_very_tensors_given(kind: Kind) -> None:
    theirs, ours, x, name = built(kind)
    for module in (theirs, ours):
        given = {n: normal(*w.shape, seed=7) for n, w in ours.state_dict().items()}
        module.load_state_dict(given, assign=True)
    assert getattr(ours, name).data_ptr() == given[name].data_ptr()
    assert_learn_alike(theirs, ours, x)


@every_module
def test_weights_changed_in_place_or_by_data_are_the_ones_that_run(kind: Kind) -> None:
    theirs, ours, x, name = built(kind)
    for module in (theirs, ours):
        module(x)
        getattr(module, name).data = normal(*getattr(module, name).shape, seed=8)
    assert_same(ours(x), theirs(x))
    for module in (theirs, ours):
        nn.utils.vector_to_parameters(normal(sum(p.numel() for p in module.parameters()), seed=6), module.parameters())
    assert_same(ours(x), theirs(x))


@every_module
def test_a_weight_of_the_wrong_shape_raises_torchs_error_when_it_runs(kind: Kind) -> None:
    """In double precision: oneDNN's LSTM, which runs in single, does not look."""
    theirs, ours, x, name = built(kind)
    errors = []
    for module in (theirs.double(), ours.double()):
        rows, columns = getattr(module, name).shape
        setattr(module, name, nn.Parameter(normal(rows, columns + 1, dtype=torch.float64)))
        with pytest.raises(RuntimeError) as caught:
            module(x.double())
        errors.append(str(caught.value))
    assert errors[1] == errors[0]
