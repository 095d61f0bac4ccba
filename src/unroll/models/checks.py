"""What sizes, widths and lengths must be, said in one place."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from unroll.errors import ConfigError


def checked_size(name: str, size: Any) -> int:
    """``size`` if it is an integer above 0.

    Raises:
        ConfigError: it is not; ``name`` says which option it is.
    """
    if isinstance(size, bool) or not isinstance(size, int) or size < 1:
        raise ConfigError(f"{name}={size!r}", expected="an integer of 1 or more")
    return size


def checked_share(name: str, share: Any) -> float:
    """``share`` if it is a number in 0…1, as a probability is.

    Raises:
        ConfigError: it is not.
    """
    if isinstance(share, bool) or not isinstance(share, (int, float)) or not 0 <= share <= 1:
        raise ConfigError(f"{name}={share!r}", expected="a number from 0 to 1")
    return float(share)


def checked_heads(size_name: str, size: int, num_heads: Any) -> int:
    """``num_heads`` if that many heads share ``size`` equally.

    Raises:
        ConfigError: it is no integer above 0, or does not divide ``size``.
    """
    num_heads = checked_size("num_heads", num_heads)
    if size % num_heads:
        raise ConfigError(
            f"{size_name}={size} cannot be shared by num_heads={num_heads}",
            expected=f"a num_heads that divides {size}",
            fix=f"Change num_heads, or {size_name} to a multiple of {num_heads}",
        )
    return num_heads


def check_width(name: str, x: Tensor, width: int) -> None:
    """Raises RuntimeError if the last dimension of ``x`` is not ``width``."""
    if x.shape[-1] != width:
        raise RuntimeError(f"{name} must have {width} features in its last dimension, got {tuple(x.shape)}")
