"""Commands: parse, call, print. No logic lives here."""

from unroll.cli.app import main

__all__ = ["main"]
