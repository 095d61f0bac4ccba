"""Parts of a time as points on a circle, so that 23:00 is next to 0:00 and December to January."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from unroll.errors import ConfigError, did_you_mean

_Part = Callable[[np.ndarray], np.ndarray]


def _minute(times: np.ndarray) -> np.ndarray:
    return _within(times, "h", "s") / 60


def _hour(times: np.ndarray) -> np.ndarray:
    return _within(times, "D", "s") / 3600


def _weekday(times: np.ndarray) -> np.ndarray:
    return (times.astype("datetime64[D]").astype(np.int64) + 3) % 7  # 1970-01-01 was a Thursday; Monday is 0


def _day(times: np.ndarray) -> np.ndarray:
    return _within(times, "M", "D")


def _month(times: np.ndarray) -> np.ndarray:
    return times.astype("datetime64[M]").astype(np.int64) % 12


def _yearday(times: np.ndarray) -> np.ndarray:
    return _within(times, "Y", "D")


def _within(times: np.ndarray, whole: str, unit: str) -> np.ndarray:
    """Whole ``unit``s since the last beginning of a ``whole``."""
    begin = times.astype(f"datetime64[{whole}]").astype(f"datetime64[{unit}]")
    return (times.astype(f"datetime64[{unit}]") - begin).astype(np.int64)


PARTS: dict[str, tuple[_Part, float]] = {
    "minute": (_minute, 60),
    "hour": (_hour, 24),
    "weekday": (_weekday, 7),
    "day": (_day, 31),
    "month": (_month, 12),
    "yearday": (_yearday, 365.2425),
}
"""Each part's number, counted from 0, and its period; minute and hour count their fractions."""


def parse_calendar(text: str | Sequence[str] | None) -> tuple[str, ...]:
    """The parts named in "hour,weekday". Raises ConfigError for an unknown or repeated one."""
    words = text.split(",") if isinstance(text, str) else list(text or ())
    parts = tuple(word.strip() for word in words if word.strip())
    for part in parts:
        if part not in PARTS:
            raise ConfigError(
                f"--calendar {part}.{did_you_mean(part, PARTS)}", expected=f"some of {', '.join(PARTS)}, with commas"
            )
    if len(set(parts)) < len(parts):
        raise ConfigError(f"--calendar {','.join(parts)} names a part twice", expected="each part once")
    return parts


def calendar_columns(parts: Sequence[str]) -> tuple[str, ...]:
    """The names of what ``calendar_values`` gives."""
    return tuple(f"{part} {wave}" for part in parts for wave in ("sin", "cos"))


def calendar_values(times: np.ndarray, parts: Sequence[str]) -> np.ndarray:
    r"""(n,) datetime64 to (n, 2 · parts): :math:`\sin(2\pi u / P), \cos(2\pi u / P)` of each part u of period P."""
    angles = [2 * np.pi * part(times) / period for part, period in (PARTS[name] for name in parts)]
    waves = [wave(angle) for angle in angles for wave in (np.sin, np.cos)]
    return np.stack(waves, axis=1) if waves else np.zeros((len(times), 0))
