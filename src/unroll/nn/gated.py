"""What the gated cells share: torch's parameters, the two products, and the options inside the equation."""

from __future__ import annotations

import inspect
import math
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from unroll.errors import ConfigError, did_you_mean
from unroll.kernels import Program, StepNoise
from unroll.nn.cell import Cell
from unroll.nn.options.clip import Clip
from unroll.nn.options.dropout import RecurrentDropout
from unroll.nn.options.layer_norm import LayerNorm
from unroll.nn.options.zoneout import Zoneout

_FACTORY = ("device", "dtype")
_WITHOUT_BIAS = ("weight_ih", "weight_hh")
_WITH_BIAS = (*_WITHOUT_BIAS, "bias_ih", "bias_hh")


class GatedCell(Cell):
    """A cell of torch's kind, with gates stacked in the rows of its weights.

    ``weight_ih`` (gates · hidden, input), ``weight_hh`` (gates · hidden, recurrent), ``bias_ih`` and
    ``bias_hh`` (gates · hidden), all drawn from U(-1/√hidden, 1/√hidden) in this order, as torch draws them.

    A step that is written with ``input_product``, ``recurrent_product``, ``clipped``, ``zoned`` and ``projected`` has
    the options of this class: layer normalisation, recurrent dropout, clipping, zoneout and projection.

    Attributes:
        gate_names: the gates in the order of their rows.
        keeps: the gate whose bias says how much is kept, and its sign: 1 where a large one keeps; or None.
        norm_groups: how many gates are normalised together, in order; all of them if empty.
        _as_torch: whether nothing inside the equation differs from torch's, dropout in training aside; a cell with
            options of its own says so too.
    """

    gate_names: tuple[str, ...]
    keeps: tuple[str, int] | None = None
    norm_groups: ClassVar[tuple[int, ...]] = ()
    hidden_size: int
    bias: bool
    weight_ih: Tensor
    weight_hh: Tensor
    bias_ih: Tensor | None
    bias_hh: Tensor | None
    weight_hr: Tensor | None
    gain_ih: Tensor | None
    gain_hh: Tensor | None

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        *,
        device: Any = None,
        dtype: Any = None,
        proj_size: int = 0,
        layer_norm: bool | LayerNorm = False,
        recurrent_dropout: float = 0.0,
        zoneout: float | Sequence[float] | Zoneout = 0.0,
        clip: float | None = None,
        forget_bias: float | None = None,
        **unknown: Any,
    ) -> None:
        super().__init__()
        if unknown:
            raise _unknown_option(type(self), next(iter(unknown)))
        for name, size in (("input_size", input_size), ("hidden_size", hidden_size)):
            if not isinstance(size, int):
                raise TypeError(f"{name} should be of type int, got: {type(size).__name__}")
            if size < 0:
                raise ValueError(f"{name} must be greater than zero")
        if proj_size < 0:
            raise ValueError("proj_size should be a positive integer or zero to disable projections")
        if proj_size >= hidden_size > 0:
            raise ValueError("proj_size has to be smaller than hidden_size")
        self.input_size, self.hidden_size, self.bias, self.proj_size = input_size, hidden_size, bias, proj_size
        self.output_size = proj_size or hidden_size
        self.layer_norm = LayerNorm.of(layer_norm)
        self.recurrent_dropout, self.zoneout = RecurrentDropout(recurrent_dropout), Zoneout.of(zoneout)
        self.clip = None if clip is None else Clip(clip)
        if forget_bias is not None and (isinstance(forget_bias, bool) or not isinstance(forget_bias, (int, float))):
            raise ConfigError(f"forget_bias={forget_bias!r}", expected="a number such as 1.0, or None")
        self.forget_bias = forget_bias
        self._draws = self.recurrent_dropout.p > 0 or self.zoneout != Zoneout()
        # Asked for at every step.
        self._as_torch = self.layer_norm is None and self.clip is None and self.zoneout == Zoneout()
        self._register(device, dtype)

    @property
    def gates(self) -> int:
        """How many gates have rows in the weights."""
        return len(self.gate_names)

    def _register(self, device: Any, dtype: Any) -> None:
        def hold(name: str, *shape: int, wanted: bool = True) -> None:
            empty = torch.empty(shape, device=device, dtype=dtype) if wanted else None
            self.register_parameter(name, None if empty is None else nn.Parameter(empty))

        rows = self.gates * self.hidden_size
        hold("weight_ih", rows, self.input_size)
        hold("weight_hh", rows, self.output_size)
        hold("bias_ih", rows, wanted=self.bias)
        hold("bias_hh", rows, wanted=self.bias)
        hold("weight_hr", self.proj_size, self.hidden_size, wanted=self.proj_size > 0)
        hold("gain_ih", rows, wanted=self.layer_norm is not None)
        hold("gain_hh", rows, wanted=self.layer_norm is not None)

    def reset_parameters(self) -> None:
        """Draw every parameter anew from U(-1/√hidden, 1/√hidden); gains are 1, a forget bias as it was asked for."""
        bound = 1.0 / math.sqrt(self.hidden_size) if self.hidden_size else 0.0
        for name, parameter in self.named_parameters():
            if name.startswith("gain"):
                nn.init.ones_(parameter)
            else:
                nn.init.uniform_(parameter, -bound, bound)
        if self.forget_bias is not None:
            self.set_forget_bias(self.forget_bias)

    @torch.no_grad()
    def set_forget_bias(self, value: float) -> None:
        """Set b_ih of the gate that keeps to ``value``, or -``value`` where a large one overwrites; b_hh is 0 there.

        Raises:
            ConfigError: the cell has no gate that keeps, or no biases.
        """
        if self.keeps is None:
            raise ConfigError(
                f"forget_bias={value:g} for {type(self).__name__}, which has no gate that keeps",
                expected="a cell with a forget or update gate",
                fix="Leave forget_bias out",
            )
        name, sign = self.keeps
        self.gate_bias(name).fill_(sign * value)
        self.gate_bias(name, "bias_hh").zero_()

    def gate_bias(self, gate: str, which: str = "bias_ih") -> Tensor:
        """The view of a bias that belongs to ``gate``.

        Raises:
            ConfigError: the cell has no biases.
        """
        bias: Tensor | None = getattr(self, which)
        if bias is None:
            raise ConfigError(f"{type(self).__name__} has no biases", expected="bias=True")
        return bias.chunk(self.gates)[self.gate_names.index(gate)]

    @property
    def draws(self) -> bool:
        return self._draws

    def draw(self, T: int, x: Tensor) -> StepNoise | None:
        if not self._draws:
            return None
        held = {"h": self.recurrent_dropout.draw(self.output_size, x)} if self.recurrent_dropout.p else {}
        steps = {
            f"zoneout_{name}": self.zoneout.draw(rate, T, shape[0], x)
            for name, shape, rate in self._zoned_leaves()
            if rate
        }
        return StepNoise(held, steps) if held or steps else None

    def _zoned_leaves(self) -> list[tuple[str, tuple[int, ...], float]]:
        kind, shapes = self.layout
        rates = {"h": self.zoneout.h, "c": self.zoneout.c}
        return [(name, shape, rates[name]) for name, shape in zip(kind._fields, shapes) if name in rates]

    def input_product(self, x: Tensor) -> tuple[Tensor, ...]:
        """W_ih x + b_ih, or LN(W_ih x; gain_ih, b_ih), one tensor for each of ``norm_groups``."""
        return self._product(x, self.weight_ih, self.bias_ih, self.gain_ih)

    def recurrent_product(self, h: Tensor, noise: Mapping[str, Tensor], group: int | None = None) -> tuple[Tensor, ...]:
        """W_hh h + b_hh, or its LN, with the mask on h; of one of ``norm_groups`` alone if ``group`` says which."""
        if "h" in noise:
            h = h * noise["h"]
        weights: list[Tensor | None] = [self.weight_hh, self.bias_hh, self.gain_hh]
        if group is not None:
            sizes = self._group_sizes()
            first = sum(sizes[:group])
            weights = [None if w is None else w[first : first + sizes[group]] for w in weights]
            return (self._normed(F.linear(h, weights[0]), *weights[1:]),)  # type: ignore[arg-type]
        return self._product(h, *weights)  # type: ignore[arg-type]

    def _product(self, v: Tensor, weight: Tensor, bias: Tensor | None, gain: Tensor | None) -> tuple[Tensor, ...]:
        if gain is None:
            product = F.linear(v, weight, bias)
            return product.split(self._group_sizes(), -1) if self.norm_groups else (product,)
        sizes = self._group_sizes()
        parts = F.linear(v, weight).split(sizes, -1)
        gains = gain.split(sizes)
        biases = (None,) * len(sizes) if bias is None else bias.split(sizes)
        return tuple([self._normed(*one) for one in zip(parts, biases, gains)])

    def _normed(self, product: Tensor, bias: Tensor | None, gain: Tensor | None) -> Tensor:
        if gain is not None and self.layer_norm is not None:
            return self.layer_norm(product, gain, bias)
        return product if bias is None else product + bias

    def _group_sizes(self) -> list[int]:
        return [n * self.hidden_size for n in self.norm_groups or (self.gates,)]

    def clipped(self, state: Tensor) -> Tensor:
        """``state`` within its bound, if it has one."""
        return state if self.clip is None else self.clip(state)

    def zoned(self, name: str, new: Tensor, old: Tensor, noise: Mapping[str, Tensor]) -> Tensor:
        """``new`` where leaf ``name`` of the state is not held back by zoneout."""
        rate = getattr(self.zoneout, name)
        return self.zoneout(new, old, rate, noise.get(f"zoneout_{name}")) if rate else new

    def projected(self, h: Tensor) -> Tensor:
        """W_hr h, or h where there is no projection."""
        return h if self.weight_hr is None else F.linear(h, self.weight_hr)

    def _weights(self) -> tuple[Tensor, ...]:
        names = _WITH_BIAS if self.bias else _WITHOUT_BIAS
        try:
            return tuple([self._parameters[name] for name in names])  # type: ignore[misc]
        except KeyError:  # one is computed: parametrised, or set as a plain tensor
            return tuple([getattr(self, name) for name in names])

    def _named_weights(self, *more: str) -> dict[str, Tensor]:
        """The tensors of ``_WITH_BIAS`` and ``more`` that there are, by name."""
        found = {name: getattr(self, name) for name in (*_WITH_BIAS, *more)}
        return {name: tensor for name, tensor in found.items() if tensor is not None}

    def _plain_program(self, kind: str, noisy: bool, **numbers: float) -> Program | None:
        """A program without the options of this class; None with them."""
        if noisy or not self._as_torch or self.proj_size:
            return None
        return Program(kind, self._named_weights(), numbers, self)

    def extra_repr(self) -> str:
        text = f"{self.input_size}, {self.hidden_size}"
        for name, value, default in self._options():
            if value != default:
                text += f", {name}={value}"
        return text

    def _options(self) -> list[tuple[str, Any, Any]]:
        """Name, value and default of every option, as ``repr`` shows them."""
        return [
            ("bias", self.bias, True),
            ("proj_size", self.proj_size, 0),
            ("layer_norm", self.layer_norm is not None, False),
            ("recurrent_dropout", self.recurrent_dropout.p, 0.0),
            ("zoneout", (self.zoneout.h, self.zoneout.c), (0.0, 0.0)),
            ("clip", None if self.clip is None else self.clip.bound, None),
            ("forget_bias", self.forget_bias, None),
        ]


def option_names(kind: type[GatedCell]) -> list[str]:
    """The names of the options that ``kind`` takes, its own first."""
    own = [kind] if kind is GatedCell else [kind, GatedCell]
    parameters = [p for cell in own for p in inspect.signature(cell).parameters.values()]
    return list(dict.fromkeys(p.name for p in parameters if p.kind is p.KEYWORD_ONLY and p.name not in _FACTORY))


def _unknown_option(kind: type[GatedCell], name: str) -> TypeError:
    names = option_names(kind)
    return TypeError(f"{kind.__name__} has no option '{name}'.{did_you_mean(name, names)} It has {', '.join(names)}.")
