"""Checks that the options of several tasks share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from unroll.data.series.split import Split, parse_split
from unroll.errors import ConfigError, did_you_mean


def check_choice(option: str, value: str | None, known: Sequence[str]) -> None:
    """Raises ConfigError where ``value`` is given and not ``known``."""
    if value is not None and value not in known:
        raise ConfigError(f"--{option} '{value}'.{did_you_mean(value, known)}", expected=f"one of {', '.join(known)}")


def check_counts(options: Any, names: Sequence[str]) -> None:
    """Raises ConfigError where one of the fields ``names`` is no whole number above 0."""
    for name in names:
        value = getattr(options, name)
        if not isinstance(value, int) or value < 1:
            raise ConfigError(f"--{name.replace('_', '-')} {value}", expected="a whole number above 0")


def check_share(option: str, value: float) -> None:
    """Raises ConfigError where ``value`` is no share below all."""
    if not isinstance(value, (int, float)) or not 0 <= value < 1:
        raise ConfigError(f"--{option} {value}", expected=f"a share from 0 to below 1, as --{option} 0.1")


class RandomSplit:
    """Of options with ``split`` and ``split_seed``: parts drawn at random."""

    split: str
    split_seed: int

    def shares(self) -> Split:
        """The split. Raises ConfigError."""
        if self.split_seed < 0:
            raise ConfigError(f"--split-seed {self.split_seed}", expected="0 or more")
        return parse_split(self.split)
