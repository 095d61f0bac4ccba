"""Networks built from recurrent layers."""

from unroll.models.forecast import DirectForecast

__all__ = ["DirectForecast"]
