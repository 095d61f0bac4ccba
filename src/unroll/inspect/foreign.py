"""Runs of torch.nn's recurrent modules, seen from outside and told as ``Call``s of equal unroll cells."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.modules.module import register_module_forward_hook, register_module_forward_pre_hook
from torch.nn.utils.rnn import PackedSequence, pad_packed_sequence
from torch.overrides import TorchFunctionMode

from unroll.errors import ConfigError
from unroll.inspect.equal import equal_cell
from unroll.kernels import Operator, torch_op
from unroll.nn import Call

_SEQUENCES: dict[Any, str] = {getattr(torch._VF, name): name for name in ("lstm", "gru", "rnn_tanh", "rnn_relu")}
_CELLS: dict[Any, str] = {getattr(torch._VF, f"{name}_cell"): name for name in _SEQUENCES.values()}

_in_force: ContextVar[object] = ContextVar("unroll_foreign_watch", default=None)


@contextmanager
def watching_torch(watcher: Callable[[Call], None]) -> Iterator[None]:
    """Report every layer, direction and cell of torch.nn that runs inside the ``with`` block to ``watcher``.

    Hooks on all modules say when a recurrent module of torch runs; while it does, the operators it calls are read
    with their arguments. So a call is seen as it reaches the operator: with the weights of that moment, after
    whatever a subclass did to its input. No module is touched. What does not run as Python is not seen; what
    ``torch.compile`` made is run uncompiled, since a compiled graph would take the hooks in.
    """
    watch = _Watch(watcher)
    token = _in_force.set(watch)
    handles = [
        register_module_forward_pre_hook(watch.enter),
        register_module_forward_hook(watch.leave, always_call=True),
    ]
    try:
        with _uncompiled():
            yield
    finally:
        for handle in handles:
            handle.remove()
        watch.stop()
        _in_force.reset(token)


@contextmanager
def _uncompiled() -> Iterator[None]:
    # Nothing is compiled before dynamo is loaded; torch has set_stance from 2.6 on.
    if "torch._dynamo" not in sys.modules or not hasattr(torch.compiler, "set_stance"):
        yield
        return
    with warnings.catch_warnings(), torch.compiler.set_stance("force_eager"):
        warnings.filterwarnings("ignore", message=".*when there are global hooks on modules")
        yield


@dataclass
class _Run:
    """One call of a sequence operator.

    Attributes:
        inputs: what each layer reads: (T, batch, features), or packed rows with ``batch_sizes``.
        state: leaves (layers · directions, batch, features), rows as the operator has them.
        final: the h_n that the operator gave.
        order: puts the operator's rows into the caller's order; None if they are.
    """

    owner: nn.Module
    operator: Operator
    inputs: list[Tensor]
    state: tuple[Tensor, ...]
    batch_sizes: Tensor | None
    final: Tensor
    order: Tensor | None = None

    def calls(self) -> Iterator[Call]:
        count = len(self.state[0])
        each, directions = len(self.operator.weights) // count, count // len(self.inputs)
        for position in range(count):
            layer, direction = divmod(position, directions)
            own = self.operator._replace(weights=self.operator.weights[position * each :][:each])
            state = [leaf[position] for leaf in self.state]
            x, lengths = self.inputs[layer], None
            if self.batch_sizes is not None:
                x, lengths = pad_packed_sequence(PackedSequence(x, self.batch_sizes, None, self.order))
            if self.order is not None:
                state = [leaf.index_select(0, self.order) for leaf in state]
            yield _call(self.owner, own, x, state, layer, direction, lengths)


class _Watch(TorchFunctionMode):
    """Reads operators while a recurrent module of torch runs, and is out of the way otherwise."""

    def __init__(self, watcher: Callable[[Call], None]) -> None:
        super().__init__()
        self.watcher = watcher
        self.running: list[nn.Module] = []
        self.runs: list[_Run] = []

    def enter(self, module: nn.Module, args: Any) -> None:
        """Before a module's forward."""
        if not self._concerns(module):
            return
        if not self.running:
            self.__enter__()
        self.running.append(module)

    def leave(self, module: nn.Module, args: Any, output: Any) -> None:
        """After a module's forward, also if it raised."""
        if not self._concerns(module) or not self.running or self.running[-1] is not module:
            return
        self.running.pop()
        if not self.running:
            self.__exit__(None, None, None)
        self._tell()

    def stop(self) -> None:
        """Out of force, where an interrupt kept a module from leaving."""
        if self.running:
            self.running.clear()
            self.__exit__(None, None, None)

    def _concerns(self, module: nn.Module) -> bool:
        # The hooks are called in other threads too, and inside a trace within this one.
        return (
            isinstance(module, (nn.RNNBase, nn.RNNCellBase))
            and not torch.compiler.is_compiling()
            and _in_force.get() is self
        )

    def _tell(self) -> None:
        runs, self.runs = self.runs, []
        for run in runs:
            for call in run.calls():
                self.watcher(call)

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if not kwargs and func in _SEQUENCES and _in_force.get() is self:
            return self._sequence(func, args)
        if not kwargs and func in _CELLS and _in_force.get() is self:
            self._tell()
            self.watcher(_cell_call(self.running[-1], _CELLS[func], *args))
        elif func is Tensor.index_select and self.runs and args[0] is self.runs[-1].final:
            # A packed batch reaches the operator sorted; this puts its final state back into the caller's order.
            self.runs[-1].order = args[2]
        return func(*args, **(kwargs or {}))

    def _sequence(self, func: Any, args: Sequence[Any]) -> Any:
        batch_sizes, batch_first = None, False
        if isinstance(args[3], (list, tuple)):
            x, batch_sizes, hx, weights, has_biases, num_layers, dropout, training, bidirectional = args
        else:
            x, hx, weights, has_biases, num_layers, dropout, training, bidirectional, batch_first = args
        owner, operator = self.running[-1], Operator(_SEQUENCES[func], _detached(weights), has_biases)
        x, state = _own(x.transpose(0, 1) if batch_first else x), tuple(_own(leaf) for leaf in _leaves(hx))
        share = dropout if training and num_layers > 1 else 0.0
        drawn = _random_state(x.device, owner) if share else None
        result = func(*args)
        with nullcontext() if drawn is None else _drawing_from(drawn, x.device):
            inputs = _inputs(operator, x, state, batch_sizes, num_layers, bidirectional, share)
        self.runs.append(_Run(owner, operator, inputs, state, batch_sizes, result[1]))
        return result


def _inputs(
    operator: Operator,
    x: Tensor,
    state: Sequence[Tensor],
    batch_sizes: Tensor | None,
    num_layers: int,
    bidirectional: bool,
    dropout: float,
) -> list[Tensor]:
    """What each layer reads: torch's own operator once more, layer by layer."""
    inputs, directions = [x], 2 if bidirectional else 1
    each = len(operator.weights) // num_layers
    for layer in range(num_layers - 1):
        own = operator._replace(weights=operator.weights[layer * each :][:each])
        leaves = [leaf[layer * directions :][:directions] for leaf in state]
        with warnings.catch_warnings():  # cuDNN's, that one layer's weights are no piece of memory of their own
            warnings.filterwarnings("ignore", message="RNN module weights are not part of single contiguous")
            x, _ = torch_op.run(own, x, leaves, batch_sizes=batch_sizes, bidirectional=bidirectional)
        x = F.dropout(x, dropout)
        inputs.append(x)
    return inputs


def _random_state(device: torch.device, owner: nn.Module) -> Tensor:
    """The state of the generator that dropout on ``device`` draws from."""
    if device.type == "cpu":
        return torch.get_rng_state()
    if device.type == "cuda" and not torch.backends.cudnn.enabled:
        return torch.cuda.get_rng_state(device)
    raise ConfigError(
        f"{type(owner).__name__} is in training, and its dropout between layers on {device} cannot be repeated: "
        "its random numbers are out of reach",
        expected="evaluation mode, or a device whose dropout draws from torch's generator",
        fix="Call eval() first, trace on a CPU, or set torch.backends.cudnn.enabled = False",
    )


@contextmanager
def _drawing_from(state: Tensor, device: torch.device) -> Iterator[None]:
    """Random numbers from ``state`` on inside the ``with`` block; after it, as if nothing had been drawn."""
    on_gpu = device.type == "cuda"
    with torch.random.fork_rng([device] if on_gpu else []):
        torch.cuda.set_rng_state(state, device) if on_gpu else torch.set_rng_state(state)
        yield


def _leaves(hx: Any) -> tuple[Tensor, ...]:
    return (hx,) if isinstance(hx, Tensor) else tuple(hx)


def _own(leaf: Tensor) -> Tensor:
    """A copy that nothing the model does later can change."""
    return leaf.detach().clone()


def _detached(weights: Sequence[Tensor | None]) -> tuple[Tensor, ...]:
    return tuple(weight.detach() for weight in weights if weight is not None)


def _cell_call(owner: nn.Module, name: str, x: Tensor, hx: Any, *weights: Tensor | None) -> Call:
    given = _detached(weights)
    state = [_own(leaf) for leaf in _leaves(hx)]
    return _call(owner, Operator(name, given, len(given) > 2), _own(x).unsqueeze(0), state)


def _call(
    owner: nn.Module,
    operator: Operator,
    x: Tensor,
    state: Sequence[Tensor],
    layer: int = 0,
    direction: int = 0,
    lengths: Tensor | None = None,
) -> Call:
    cell, dtype = equal_cell(operator), operator.weights[0].dtype  # autocast may have brought another one
    return Call(
        owner=owner,
        layer=layer,
        direction=direction,
        cell=cell,
        x=x.to(dtype),
        state=cell.layout.kind(*(leaf.to(dtype) for leaf in state)),
        lengths=None if lengths is None else lengths.to(x.device),
    )


def sequences(calls: Sequence[Call]) -> list[list[Call]]:
    """The calls that belong together: those of one cell of torch, until its batch changes; any other alone."""
    found: list[list[Call]] = []
    open_: dict[int, list[Call]] = {}
    for call in calls:
        if not isinstance(call.owner, nn.RNNCellBase):
            found.append([call])
            continue
        steps = open_.get(id(call.owner))
        if steps is None or _batch(steps[-1]) != _batch(call):
            steps = open_[id(call.owner)] = []
            found.append(steps)
        steps.append(call)
    return found


def _batch(call: Call) -> tuple[Any, ...]:
    return call.x.shape, call.x.dtype, call.x.device
