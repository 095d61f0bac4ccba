"""Fields of option dataclasses that are options of the commands too."""

from __future__ import annotations

from dataclasses import field
from typing import Any

DATA, NETWORK, TRAINING, RUN = "Data", "Networks", "Training", "Run"
"""The sections of ``--help``."""


def option(help: str, default: Any = None, *, metavar: str = "", shown: str = "", under: str = DATA) -> Any:
    """A field of an options dataclass that is also an option of the command line.

    ``shown`` is how the help names the default where that is None or empty; ``under`` the section it stands in.
    """
    return field(default=default, metadata={"help": help, "metavar": metavar, "shown": shown, "under": under})
