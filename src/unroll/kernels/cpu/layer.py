"""Layers as a function of autograd: forward and backward by the engine, one direction or two in one call.

In training states are kept, and gates where they take little memory; else the engine computes those of a block anew on
the way back.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from unroll.kernels import fused_layer, reference, transforms
from unroll.kernels.cpu.core import instruction_set, native
from unroll.kernels.cpu.kinds import Kind, bias_gradients, slot_bias
from unroll.kernels.cpu.precision import halved
from unroll.kernels.noise import StepNoise
from unroll.kernels.operator import Operator
from unroll.kernels.program import Program

KEPT = 1 << 26
"""Bytes of gates that training keeps at most; beyond, they are computed anew."""
ALONE = 1 << 21
"""Multiplications below which a second thread is not worth its start."""
BLOCK = 0
"""Steps that the engine walks at a time; 0 leaves it to the engine."""
_FIELDS = {
    "weight_ih": "w_ih",
    "weight_hh": "w_hh",
    "weight_hr": "w_hr",
    "weight_ci": "peep_i",
    "weight_cf": "peep_f",
    "weight_co": "peep_o",
    "gain_ih": "gain_ih",
    "gain_hh": "gain_hh",
    "gain_c": "gain_c",
    "bias_c": "bias_c",
}
_MASKS = {"h": "mask_h", "zoneout_h": "zone_h", "zoneout_c": "zone_c"}


class Direction(NamedTuple):
    """What is not a tensor to differentiate by: one direction's part of a call."""

    program: Program
    kind: Kind
    reverse: bool
    masks: Mapping[str, Tensor]
    noise: StepNoise | None

    @property
    def leaves(self) -> int:
        return 2 if self.kind.cells else 1


class Plan(NamedTuple):
    """A call: its directions, and how it is run.

    Attributes:
        train: whether a gradient may be asked for.
        capture: whether gates and c of every step are wanted.
    """

    directions: tuple[Direction, ...]
    lengths: Tensor | None
    train: bool
    capture: bool

    def parts(self, tensors: Sequence[Any]) -> list[tuple[Any, Any, Any, dict[str, Any]]]:
        """x, h, c and weights of each direction, from one flat sequence."""
        found, at = [], 0
        for direction in self.directions:
            names = direction.program.weights
            x, h = tensors[at], tensors[at + 1]
            c = tensors[at + 2] if direction.leaves == 2 else None
            at += 1 + direction.leaves
            found.append((x, h, c, dict(zip(names, tensors[at : at + len(names)]))))
            at += len(names)
        return found


class Kept(NamedTuple):
    """What a direction leaves for its way back."""

    cells: Tensor | None
    gates: Tensor | None


def run(plan: Plan, tensors: Sequence[Tensor]) -> tuple[tuple[Tensor, ...], list[Kept]]:
    """What ``Layer`` gives, and what each direction leaves for its way back."""
    parts = plan.parts(tensors)
    x = parts[0][0]
    widths = [h.shape[1] for _, h, _, _ in parts]
    y = x.new_empty(x.shape[0], x.shape[1], sum(widths))
    calls, results, kept, seen, begin = [], [y], [], [], 0
    for direction, (source, h, c, weights), width in zip(plan.directions, parts, widths):
        own = Call(direction, plan.lengths, source, h, c, weights, y.narrow(2, begin, width))
        result, keep, inside = own.forward(plan.train, plan.capture)
        calls.append(own)
        results += result
        kept.append(keep)
        seen += [t for t in inside if t is not None]
        begin += width
    _call(calls, y, _threads(parts))
    return (*results, *seen), kept


def _call(calls: Sequence[Call], like: Tensor, threads: int) -> None:
    native().run(instruction_set(), like.dtype is torch.float64, [own.core for own in calls], threads)


class Layer(torch.autograd.Function):
    """Outputs side by side (T, batch, features); for each direction h, c; then, where wanted, what each held inside.

    That is its gates (T, batch, slots · H), and c of every step (T, batch, H) where it has one.
    """

    @staticmethod
    def forward(ctx: Any, plan: Plan, *tensors: Tensor) -> tuple[Tensor, ...]:
        results, kept = run(plan, tensors)
        ctx.plan = plan
        ctx.save_for_backward(*tensors, results[0], *(t for keep in kept for t in keep))
        ctx.set_materialize_grads(False)
        if plan.capture:
            ctx.mark_non_differentiable(*results[1 + sum(one.leaves for one in plan.directions) :])
        return results

    @staticmethod
    def backward(ctx: Any, grad_y: Tensor | None, *grads: Tensor | None) -> Any:
        if torch.is_autocast_enabled("cpu"):
            with torch.autocast("cpu", enabled=False):
                return Layer.backward(ctx, grad_y, *grads)
        plan = ctx.plan
        saved = list(ctx.saved_tensors)
        count = len(plan.directions)
        kept = [Kept(*saved[len(saved) - 2 * (count - i) :][:2]) for i in range(count)]
        y, tensors = saved[-2 * count - 1], saved[: -2 * count - 1]
        needs = ctx.needs_input_grad[1:]
        many = any(grad is not None and transforms.stands_for_many(grad) for grad in (grad_y, *grads))
        if many or torch.is_grad_enabled() or transforms.in_force():
            return (None, *_differentiably(plan, tensors, needs, (grad_y, *grads)))
        calls, found, begin, at = [], [], 0, 0
        wanted = plan.parts(needs)
        for direction, (x, h, c, weights), own_needs, keep in zip(plan.directions, plan.parts(tensors), wanted, kept):
            end = begin + h.shape[1]
            own = Call(direction, plan.lengths, x, h, c, weights, y[..., begin:end])
            given = grads[at : at + direction.leaves]
            part = None if grad_y is None else grad_y[..., begin:end]
            found.append(own.backward(keep, part, given, own_needs))
            calls.append(own)
            begin, at = end, at + direction.leaves
        _call(calls, y, _threads(plan.parts(tensors)))
        return (None, *(grad for finish in found for grad in finish()))


class Call:
    """One direction's call of the core, and the tensors whose addresses it holds."""

    def __init__(
        self,
        direction: Direction,
        lengths: Tensor | None,
        x: Tensor,
        h: Tensor,
        c: Tensor | None,
        weights: Mapping[str, Tensor],
        y: Tensor,
    ) -> None:
        self.direction, self.kind = direction, direction.kind
        self.x, self.c, self.weights = _rowwise(x), c, weights
        self.held: list[Any] = []
        core = self.core = native().Call()
        core.kind, core.slots = self.kind.number, self.kind.slots
        core.steps, core.batch, core.input = x.shape
        core.output, core.hidden = h.shape[1], weights["weight_hh"].shape[0] // self.kind.gates
        core.block = BLOCK
        core.reverse = int(direction.reverse)
        core.lengths = self._at(lengths)
        core.x, (core.x_step, core.x_row, _) = self.x.data_ptr(), self.x.stride()
        core.y, (core.y_step, core.y_row, _) = y.data_ptr(), y.stride()
        core.h_first, core.c_first = self._at(h), self._at(c)
        core.bias = self._at(slot_bias(self.kind, weights))
        for name, field in _FIELDS.items():
            if name in weights:
                setattr(core, field, self._at(weights[name]))
        if "gain_ih" in weights and "bias_ih" in weights:
            core.bias_ih, core.bias_hh = self._at(weights["bias_ih"]), self._at(weights["bias_hh"])
        for name, value in direction.program.numbers.items():
            if f"zoneout_{name[-1]}" not in direction.masks or not name.startswith("rate"):
                setattr(core, name, value)
        for name, mask in direction.masks.items():
            setattr(core, _MASKS[name], self._at(mask))

    def _at(self, tensor: Tensor | None) -> int:
        """Where the tensor's numbers begin, made contiguous and kept; 0 for none."""
        if tensor is None:
            return 0
        tensor = tensor.contiguous().resolve_neg()
        self.held.append(tensor)
        return tensor.data_ptr()

    def _new(self, *shape: int) -> Tensor:
        return self.x.new_empty(shape)

    def forward(self, train: bool, capture: bool) -> tuple[list[Tensor], Kept, Sequence[Tensor | None]]:
        """The final state, what is kept, and with ``capture`` what was inside."""
        core, (T, B) = self.core, (self.core.steps, self.core.batch)
        H = core.hidden
        h_last = self._new(B, core.output)
        core.h_last = h_last.data_ptr()
        core.half = int(halved() and not train)
        final, cells, gates = [h_last], None, None
        if self.c is not None and (train or capture):
            cells, c_last = self._new(T, B, H), self._new(B, H)
            core.c, core.c_step, core.c_last = cells.data_ptr(), B * H, c_last.data_ptr()
            final.append(c_last)
        elif self.c is not None:
            final.append(self._new(B, H))
            core.c = final[1].data_ptr()
        small = T * B * self.kind.slots * H * self.x.element_size() <= KEPT
        # Captured or not, the way back is the same, to the bit.
        read = train and small and self.kind.gated and "gain_ih" not in self.weights
        if capture or read:
            gates = self._new(T, B, self.kind.slots * H)
            core.gates = gates.data_ptr()
            if capture and core.lengths:
                gates.zero_()
        return final, Kept(cells, gates if read else None), (gates, cells) if capture else ()

    def backward(
        self, kept: Kept, grad_y: Tensor | None, grads: Sequence[Tensor | None], needs: tuple[Any, ...]
    ) -> Callable[[], list[Tensor | None]]:
        """Set up the way back; what is returned gives the gradients once it is run."""
        core, (B, H) = self.core, (self.core.batch, self.core.hidden)
        core.backward = 1
        if kept.cells is not None:
            core.c, core.c_step = kept.cells.data_ptr(), B * H
        if kept.gates is not None:
            core.gates = kept.gates.data_ptr()
        if grad_y is not None:
            grad_y = _rowwise(grad_y)
            self.held.append(grad_y)
            core.grad_y, (core.grad_y_step, core.grad_y_row, _) = grad_y.data_ptr(), grad_y.stride()
        carried = [
            self._new(B, width).zero_() if grad is None else grad.clone(memory_format=torch.contiguous_format)
            for grad, width in zip(grads, (core.output, H))
        ]
        core.grad_h = carried[0].data_ptr()
        if len(carried) > 1:
            core.grad_c = carried[1].data_ptr()
        grad_x = None
        if needs[0]:
            grad_x = self.x.new_empty(self.x.shape)
            core.grad_x, (core.grad_x_step, core.grad_x_row, _) = grad_x.data_ptr(), grad_x.stride()
        own = self._weight_gradients(needs[3])
        return lambda: [grad_x, *carried, *self._by_name(own)]

    def _weight_gradients(self, needs: Mapping[str, bool]) -> dict[str, Tensor]:
        """Zeros for the gradients to be added to, by the core's names."""
        core, own = self.core, {}
        fields = dict(_FIELDS)
        if core.gain_ih:
            fields |= {"bias_ih": "bias_ih", "bias_hh": "bias_hh"}
        elif needs.get("bias_ih") or needs.get("bias_hh"):
            own["bias"] = self.x.new_zeros(self.kind.slots * core.hidden)
        for name, field in fields.items():
            # The core adds to these two together, and to the projection's always.
            pair = ("bias_ih", "bias_hh") if name.startswith("bias_") and name != "bias_c" else (name,)
            if name in self.weights and (any(needs.get(one) for one in pair) or name == "weight_hr"):
                own[field] = self.weights[name].new_zeros(self.weights[name].shape)
        for field, tensor in own.items():
            setattr(core, f"grad_{field}", tensor.data_ptr())
        return own

    def _by_name(self, own: Mapping[str, Tensor]) -> list[Tensor | None]:
        found = {name: own.get(_FIELDS.get(name, name)) for name in self.weights}
        if "bias" in own:
            found["bias_ih"], found["bias_hh"] = bias_gradients(self.kind, own["bias"])
        return list(found.values())


def _rowwise(tensor: Tensor) -> Tensor:
    """The tensor with its features side by side in memory."""
    if tensor.stride(-1) != 1 or tensor.is_neg():
        return tensor.contiguous().resolve_neg()
    return tensor


def _threads(parts: Sequence[tuple[Any, ...]]) -> int:
    x, _, _, weights = parts[0]
    work = x.shape[0] * x.shape[1] * weights["weight_hh"].numel() * len(parts)
    rows = x.shape[1] * len(parts)
    return min(torch.get_num_threads(), rows) if work > ALONE else 1


def _differentiably(
    plan: Plan, tensors: Sequence[Any], needs: Sequence[bool], grads: Sequence[Tensor | None]
) -> list[Tensor | None]:
    """The gradient as something to differentiate again, by torch's operator or by the equation."""
    with torch.enable_grad():
        # As views: one input may be another, or be made of it, and each is to have its own share alone.
        inputs = [t.view_as(t) if needed else t for t, needed in zip(tensors, needs)]
        outputs: list[Tensor] = []
        finals: list[Tensor] = []
        for direction, (x, h, c, weights) in zip(plan.directions, plan.parts(inputs)):
            output, final = _again(direction, x, (h,) if c is None else (h, c), weights, plan.lengths)
            outputs.append(output)
            finals += final
        results = [torch.cat(outputs, -1), *finals]
        known = [(result, grad) for result, grad in zip(results, grads) if grad is not None]
        wanted = [t for t, needed in zip(inputs, needs) if needed]
        found = iter(
            torch.autograd.grad(
                [result for result, _ in known],
                wanted,
                [grad for _, grad in known],
                create_graph=True,
                allow_unused=True,
            )
        )
    return [next(found) if needed else None for needed in needs]


def _again(
    direction: Direction, x: Tensor, state: tuple[Tensor, ...], weights: Mapping[str, Tensor], lengths: Tensor | None
) -> tuple[Tensor, Sequence[Tensor]]:
    program = direction.program
    if program.cell is None:
        operator = Operator(program.kind, tuple(weights.values()), "bias_ih" in weights)
        return fused_layer.run(operator, x, state, lengths=lengths, reverse=direction.reverse)
    cell = program.cell.with_parameters(weights)
    state = program.cell.layout.kind(*state)
    how: dict[str, Any] = {"lengths": lengths, "reverse": direction.reverse, "noise": direction.noise}
    output, final = reference.run(cell, x, state, **how)
    return output, tuple(final)
