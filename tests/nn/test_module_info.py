"""Every input and error that torch's own module tests hold its layers and cells to, held with ours in their place."""

from __future__ import annotations

import copy
import io
import re
from collections.abc import Iterator
from functools import partial
from typing import Any, NamedTuple

import pytest
import safetensors.torch
import torch
from parity import assert_same, flat, gradients
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence

from unroll import nn as un

pytest.importorskip("expecttest", reason="torch's database of module tests imports the package expecttest")
from torch.testing._internal import common_modules

# The import above forbids every later test to set torch.backends' flags.
torch.backends.flags_frozen.__globals__["__allow_nonbracketed_mutation_flag"] = True

LAYERS, CELLS = ["RNN", "LSTM", "GRU"], ["RNNCell", "LSTMCell", "GRUCell"]
INFOS = {
    i.module_cls.__name__: i for i in common_modules.module_db if i.module_cls.__module__ == "torch.nn.modules.rnn"
}

every_info = pytest.mark.parametrize("name", [*LAYERS, *CELLS])
modes = pytest.mark.parametrize("training", [False, True], ids=["eval", "train"])
NARROW = [torch.float16, torch.bfloat16]
wide = pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=["f32", "f64"])
every_dtype = pytest.mark.parametrize(
    "dtype", [torch.float32, torch.float64, *NARROW], ids=["f32", "f64", "f16", "bf16"]
)


class Case(NamedTuple):
    """torch's module and ours with the same weights, and one input of the database."""

    theirs: Any
    ours: Any
    args: tuple[Any, ...]
    given: Any


def cases(
    name: str, dtype: torch.dtype = torch.float32, *, requires_grad: bool = False, training: bool = False
) -> Iterator[Case]:
    info = INFOS[name]
    torch.manual_seed(3)
    inputs = info.module_inputs_func
    if name in ("RNN", "GRU"):
        inputs = partial(inputs, with_packed_sequence=True)
    for given in inputs(info, device="cpu", dtype=dtype, requires_grad=requires_grad, training=training):
        assert not given.forward_input.kwargs
        args, options = given.constructor_input.args, given.constructor_input.kwargs
        theirs, ours = (getattr(library, name)(*args, **options, dtype=dtype) for library in (nn, un))
        ours.load_state_dict(theirs.state_dict())
        yield Case(theirs.train(training), ours.train(training), given.forward_input.args, given)


def leaves(args: Any) -> list[Tensor]:
    return [leaf for leaf in flat(args) if leaf.is_floating_point()]


def remade(args: Any, make: Any) -> Any:
    """``args`` with each floating-point tensor replaced."""
    if isinstance(args, Tensor):
        return make(args) if args.is_floating_point() else args
    if isinstance(args, PackedSequence):
        return args._replace(data=make(args.data))
    return tuple(remade(part, make) for part in args)


def test_the_database_holds_torchs_six_modules() -> None:
    assert set(INFOS) == {*LAYERS, *CELLS}
    assert all(len(list(cases(name))) >= (16 if name in LAYERS else 2) for name in INFOS)
    assert all(any(isinstance(c.args[0], PackedSequence) for c in cases(name)) for name in ("RNN", "GRU"))


# Forward, backward, errors


@every_info
@every_dtype
@modes
def test_forward_is_torchs_and_the_databases_reference(name: str, dtype: torch.dtype, training: bool) -> None:
    tolerance = {"rtol": 0.0, "atol": {torch.float64: 1e-12, torch.float32: 1e-6}.get(dtype, 4e-3)}
    for theirs, ours, args, given in cases(name, dtype, training=training):
        got = ours(*args)
        assert_same(got, theirs(*args))
        assert theirs.load_state_dict(ours.state_dict()) == ([], [])
        if not isinstance(args[0], PackedSequence):
            torch.testing.assert_close(flat(got), flat(given.reference_fn(ours, *args)), **tolerance)


@every_info
@every_dtype
@modes
def test_gradients_are_torchs(name: str, dtype: torch.dtype, training: bool) -> None:
    for theirs, ours, args, _ in cases(name, dtype, requires_grad=True, training=training):
        expected, got = (gradients(module, module(*args), *leaves(args)) for module in (theirs, ours))
        assert_same(got, expected)


@every_info
@wide
@modes
def test_what_the_database_expects_to_fail_fails_in_those_words(name: str, dtype: torch.dtype, training: bool) -> None:
    info, seen = INFOS[name], 0
    made = info.module_error_inputs_func(info, device="cpu", dtype=dtype, requires_grad=False, training=training)
    for error in made:
        construct, call = error.module_error_input.constructor_input, error.module_error_input.forward_input
        make = partial(getattr(un, name), *construct.args, **construct.kwargs)
        if error.error_on is common_modules.ModuleErrorEnum.FORWARD_ERROR:
            module = make(dtype=dtype) if name in CELLS else make()
            make = partial(module, *call.args, **call.kwargs)
        with pytest.raises(error.error_type) as caught:
            make()
        assert type(caught.value) is error.error_type
        assert re.search(error.error_regex, str(caught.value))
        seen += 1
    assert seen >= 4


# Derivatives


@every_info
def test_first_and_second_derivatives_are_finite_differences(name: str) -> None:
    for _, ours, args, _ in cases(name, torch.float64, requires_grad=True, training=True):
        names = [name for name, _ in ours.named_parameters()]
        inputs = [*leaves(args), *(p.detach().requires_grad_() for p in ours.parameters())]

        def f(*tensors: Tensor, module: Any = ours, args: Any = args, names: Any = names) -> list[Tensor]:
            rest = iter(tensors)
            weights = tensors[len(tensors) - len(names) :]
            given = remade(args, lambda _: next(rest))
            return leaves(torch.func.functional_call(module, dict(zip(names, weights)), given))

        assert torch.autograd.gradcheck(f, inputs, fast_mode=True, check_batched_grad=True)
        if getattr(ours, "nonlinearity", None) != "relu":
            assert torch.autograd.gradgradcheck(f, inputs, fast_mode=True)


# Memory


@every_info
def test_inputs_of_any_stride_give_the_same_numbers(name: str) -> None:
    def spread(tensor: Tensor) -> Tensor:
        wide = torch.full((*tensor.shape[:-1], 2 * tensor.shape[-1]), float("nan"), dtype=tensor.dtype)
        wide[..., ::2] = tensor.detach()
        return wide[..., ::2].requires_grad_()

    for _, ours, args, _ in cases(name, requires_grad=True):
        strided = remade(args, spread)
        assert any(not leaf.is_contiguous() for leaf in leaves(strided))
        expected, got = ours(*args), ours(*strided)
        assert_same(got, expected)
        assert_same(gradients(ours, got, *leaves(strided)), gradients(ours, expected, *leaves(args)))


@every_info
@wide
def test_parameters_of_any_stride_give_the_same_numbers(name: str, dtype: torch.dtype) -> None:
    for theirs, ours, args, _ in cases(name, dtype):
        expected = ours(*args)
        for parameter in (*theirs.parameters(), *ours.parameters()):
            if parameter.dim() == 2:
                parameter.data = parameter.data.t().contiguous().t()
        assert_same(ours(*args), theirs(*args))
        if dtype == torch.float64:
            torch.testing.assert_close(flat(ours(*args)), flat(expected), rtol=0, atol=1e-12)


@every_info
def test_a_memory_format_changes_nothing(name: str) -> None:
    for _, ours, args, _ in cases(name):
        expected = ours(*args)
        assert ours.to(memory_format=torch.channels_last) is ours
        assert_same(ours(*args), expected)


@every_info
def test_a_call_leaves_inputs_and_weights_as_they_were(name: str) -> None:
    for _, ours, args, _ in cases(name, requires_grad=True):
        held = [*flat(args), *ours.parameters()]
        before = [(t.detach().clone(), t._version) for t in held]
        sum(leaf.sum() for leaf in leaves(ours(*args))).backward()
        for tensor, (values, version) in zip(held, before):
            assert tensor._version == version
            assert torch.equal(tensor, values)


# Construction


@every_info
def test_device_and_dtype_hold_for_every_parameter(name: str) -> None:
    for given in cases(name):
        args, options = given.given.constructor_input.args, given.given.constructor_input.kwargs
        make = partial(getattr(un, name), *args, **options)
        for device, dtype in (("meta", torch.float64), ("cpu", torch.bfloat16)):
            module = make(device=device, dtype=dtype)
            assert {(p.device.type, p.dtype) for p in module.parameters()} == {(device, dtype)}
        with torch.device("meta"):
            assert {p.device.type for p in make(device="cpu").parameters()} == {"cpu"}
            assert {p.device.type for p in make().parameters()} == {"meta"}


@every_info
def test_a_module_on_meta_gives_torchs_shapes_and_fills_in_later(name: str) -> None:
    for theirs, ours, args, given in cases(name):
        options = given.constructor_input
        if isinstance(args[0], PackedSequence):
            continue
        empty = torch.nn.utils.skip_init(getattr(un, name), *options.args, **options.kwargs, device="meta")
        for got, expected in zip(flat(empty(*remade(args, lambda t: t.to("meta")))), flat(theirs(*args)), strict=True):
            assert (got.device.type, got.shape) == ("meta", expected.shape)
        empty = empty.to_empty(device="cpu")
        empty.load_state_dict(ours.state_dict())
        assert_same(empty(*args), ours(*args))


@every_info
def test_repr_is_torchs(name: str) -> None:
    for theirs, ours, _, _ in cases(name):
        assert repr(ours) == repr(theirs)
        assert str(nn.Sequential(ours)) == str(nn.Sequential(theirs))


@every_info
def test_train_and_eval_differ_where_the_database_says_so(name: str) -> None:
    assert INFOS[name].train_and_eval_differ == (name in LAYERS)
    for theirs, ours, args, _ in cases(name, training=True):
        assert_same(ours(*args), ours.eval()(*args))
        if name in LAYERS:
            theirs.dropout = ours.dropout = 0.5
            torch.manual_seed(1)
            before = torch.get_rng_state()
            assert_same(ours(*args), theirs.eval()(*args))
            assert torch.equal(torch.get_rng_state(), before)
            dropped, after = ours.train()(*args), torch.get_rng_state()
            assert not torch.equal(after, before)
            torch.manual_seed(1)
            assert_same(dropped, theirs.train()(*args))
            assert torch.equal(torch.get_rng_state(), after)


# Copies, files, conversions


@every_info
def test_a_deep_copy_is_equal_and_apart_and_leaves_gradients_behind_as_torchs_does(name: str) -> None:
    for theirs, ours, args, _ in cases(name):
        for module in (theirs, ours):
            sum(leaf.sum() for leaf in leaves(module(*args))).backward()
            twin = copy.deepcopy(module)
            assert_same(twin(*args), module(*args))
            assert [p.grad for p in twin.parameters()] == [None] * len(list(module.parameters()))
            held = {p.data_ptr() for p in module.parameters()}
            assert held.isdisjoint(p.data_ptr() for p in twin.parameters())


@every_info
@every_dtype
def test_weights_survive_a_file_that_cannot_execute(name: str, dtype: torch.dtype) -> None:
    for theirs, ours, args, given in cases(name, dtype):
        buffer = io.BytesIO()
        torch.save(ours.state_dict(), buffer)
        buffer.seek(0)
        tensors = safetensors.torch.load(safetensors.torch.save(ours.state_dict()))
        for weights in (torch.load(buffer, weights_only=True), tensors):
            options = given.constructor_input
            for library in (nn, un):
                fresh = getattr(library, name)(*options.args, **options.kwargs, dtype=dtype)
                fresh.load_state_dict(weights)
                assert_same(fresh(*args), theirs(*args))


@every_info
@every_dtype
@pytest.mark.parametrize("swap", [False, True], ids=["set-data", "swap-tensors"])
def test_changing_dtype_is_torchs_forward_and_backward(name: str, dtype: torch.dtype, swap: bool) -> None:
    before = torch.__future__.get_swap_module_params_on_conversion()
    torch.__future__.set_swap_module_params_on_conversion(swap)
    try:
        for theirs, ours, args, _ in cases(name, requires_grad=True):
            held = [id(p) for p in ours.parameters()]
            theirs, ours, args = theirs.to(dtype), ours.to(dtype), remade(args, lambda t: t.detach().to(dtype))
            assert {p.dtype for p in ours.parameters()} == {dtype}
            assert [id(p) for p in ours.parameters()] == held
            for leaf in leaves(args):
                leaf.requires_grad_()
            got, expected = ours(*args), theirs(*args)
            assert_same(got, expected)
            assert_same(gradients(ours, got, *leaves(args)), gradients(theirs, expected, *leaves(args)))
            assert_same(ours.float()(*remade(args, Tensor.float)), theirs.float()(*remade(args, Tensor.float)))
    finally:
        torch.__future__.set_swap_module_params_on_conversion(before)
