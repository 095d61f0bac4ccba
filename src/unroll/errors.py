"""What unroll raises: every message says what was received, what was expected and what to change."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from difflib import get_close_matches


class UnrollError(Exception):
    """An error a user can act on.

    ``received`` says what came and where; ``expected`` what would have been right; ``fix`` what to change.
    The command line prints it without a traceback and exits with code 2.
    """

    def __init__(self, received: str, *, expected: str = "", fix: str = "") -> None:
        self.received, self.expected, self.fix = received, expected, fix
        detail = " ".join(_sentence(part) for part in (f"expected {expected}" if expected else "", fix) if part)
        super().__init__(f"{received}\n{detail}" if detail else received)


class DataError(UnrollError, ValueError):
    """The data cannot be used as it is."""


class ConfigError(UnrollError, ValueError):
    """An option or argument is wrong, or options contradict each other."""


class RunError(UnrollError, RuntimeError):
    """A run folder cannot be read or written."""


class LeakageError(UnrollError, AssertionError):
    """Something fitted on the data has seen what it is about to be scored on."""


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """``" Did you mean 'units'?"`` when a known name is close, else ``""``."""
    close = get_close_matches(str(name), [str(k) for k in known], n=1, cutoff=0.6)
    return f" Did you mean '{close[0]}'?" if close else ""


@contextmanager
def reading_record(name: str = "data.json") -> Iterator[None]:
    """While a record of a run folder is read: RunError for what is missing in it or wrong with it."""
    try:
        yield
    except (KeyError, TypeError, ValueError, IndexError) as error:
        if isinstance(error, UnrollError):
            raise
        raise RunError(
            f"{name} is incomplete: {type(error).__name__} {error}",
            expected="the file as the training wrote it",
            fix="Train again, or restore the file",
        ) from error


def _sentence(text: str) -> str:
    return text if text.endswith((".", "?")) else text + "."
