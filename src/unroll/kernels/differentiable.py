"""Derivatives for an operator of our own, inside ``torch.func``'s transforms too."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch.library import CustomOpDef

from unroll.kernels import transforms


def differentiable(
    operator: CustomOpDef,
    keep: Callable[..., None],
    differentiate: Callable[..., Any],
    members: Callable[..., Any] | None = None,
) -> Callable[..., Any]:
    """``operator`` as what a caller calls, differentiated by ``differentiate`` from what ``keep`` has kept.

    An operator with a rule for autograd cannot be called while ``torch.func.grad`` is in force; a function of
    autograd's with the same rules can. ``members`` is the rule for ``vmap``. Rules call what this returns, never the
    operator.
    """
    operator.register_autograd(differentiate, setup_context=keep)
    rules: dict[str, Callable[..., Any]] = {"forward": operator, "setup_context": keep, "backward": differentiate}
    if members is not None:
        rules["vmap"] = members
        if hasattr(operator, "register_vmap"):  # torch 2.5 and later
            operator.register_vmap(members)
    names: dict[str, Any] = {name: staticmethod(rule) for name, rule in rules.items()}
    function: Any = type(operator._name, (torch.autograd.Function,), names)

    def call(*arguments: Any) -> Any:
        if not torch.compiler.is_compiling() and transforms.in_force():
            return function.apply(*arguments)
        return operator(*arguments)

    return call
