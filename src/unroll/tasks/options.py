"""Options as people write them."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from unroll.data.registry.resolve import resolve
from unroll.errors import ConfigError, did_you_mean

_UNITS = {"s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0}


def names(given: str | Sequence[str] | None) -> tuple[str, ...]:
    """One name or several, as a tuple."""
    if given is None:
        return ()
    return (given,) if isinstance(given, str) else tuple(given)


def check_known(given: Iterable[str], known: Sequence[str]) -> None:
    """Raises ConfigError where ``given`` holds a name that is not ``known``."""
    for name in given:
        if name not in known:
            raise ConfigError(
                f"unknown option '{name}'.{did_you_mean(name, known)}", expected=f"one of {', '.join(known)}"
            )


def duration(given: float | str | None) -> float | None:
    """Seconds from a number or from text: "90", "90s", "2m", "1.5h".

    Raises:
        ConfigError: the text is none of these.
    """
    if given is None or isinstance(given, (int, float)):
        return given
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*(s|m|min|h)?\s*", given)
    if match is None:
        raise ConfigError(f"--budget {given}", expected="a time such as 90s, 2m or 1h")
    return float(match[1]) * _UNITS[match[2] or "s"]


def source_name(source: Any) -> str:
    """How a run's record names its data: the path or data set as given, or "dataframe"."""
    return str(source) if isinstance(source, (str, Path)) else "dataframe"


def located(source: Any) -> Any:
    """``source`` itself, or the file of the data set it names.

    Raises:
        DataError: no such file, and no data set of this name is here.
    """
    return resolve(str(source), "train")[0] if isinstance(source, (str, Path)) else source


def stem(source: Any) -> str:
    """A short name for a run of ``source``, fit for a folder."""
    text = Path(source_name(source)).stem
    clean = re.sub(r"[^\w.-]+", "-", text).strip("-.")
    return clean or "run-" + hashlib.sha256(text.encode()).hexdigest()[:8]
