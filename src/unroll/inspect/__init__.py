"""Seeing inside: traces, gradients by lag, gate timescales."""

from unroll.inspect.gradient import GradientByLag, gradient_by_lag
from unroll.inspect.timescale import KeepTimescale, keep_timescale
from unroll.inspect.tracing import LayerTrace, Trace, trace

__all__ = [
    "GradientByLag",
    "KeepTimescale",
    "LayerTrace",
    "Trace",
    "gradient_by_lag",
    "keep_timescale",
    "trace",
]
