"""Where torch's fused operators cannot follow: inside ``vmap`` and forward-mode AD."""

from __future__ import annotations

import torch
from torch import Tensor
from torch._C import _functorch
from torch.autograd import forward_ad


def needs_reference() -> bool:
    """Whether a transform is in force that only the step loop goes through on every device.

    torch's recurrent operators have no batching rule, for weights or inputs, and oneDNN's and cuDNN's have no
    forward derivative. Reverse mode alone (``torch.func.grad``, ``vjp``) they serve.
    """
    # Dynamo can trace neither test; a compiled graph runs what is chosen.
    if torch.compiler.is_compiling():
        return False
    if forward_ad._current_level >= 0:
        return True
    if _functorch.maybe_current_level() is None:
        return False
    without_rule = (_functorch.TransformType.Vmap, _functorch.TransformType.Jvp)
    return any(level.key() in without_rule for level in _functorch.get_interpreter_stack() or ())


def in_force() -> bool:
    """Whether any of ``torch.func``'s transforms is in force."""
    return _functorch.maybe_current_level() is not None


def stands_for_many(tensor: Tensor) -> bool:
    """Whether ``tensor`` is one of autograd's batched gradients (``is_grads_batched``), with no memory to read."""
    return bool(_functorch.is_legacy_batchedtensor(tensor))


def is_batched(tensor: Tensor) -> bool:
    """Whether ``tensor`` stands for all members of a ``vmap`` at once, so that its values cannot be read."""
    if torch.compiler.is_compiling():
        return False
    while _functorch.is_functorch_wrapped_tensor(tensor):
        if _functorch.is_batchedtensor(tensor):
            return True
        tensor = _functorch.get_unwrapped(tensor)
    return False
