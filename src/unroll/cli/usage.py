"""What a person typed wrong, said as every other error is."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from difflib import get_close_matches
from typing import Any

import typer

from unroll.errors import ConfigError

# Typer brings its own copy of click, or uses the installed one, depending on its version.
_click: Any = importlib.import_module(typer.BadParameter.__module__)
UsageError: Any = _click.UsageError
_EXTRA = "Got unexpected extra argument"


def in_our_words(error: Any, typed: Sequence[str]) -> ConfigError:
    """The ConfigError that says what ``error``, a ``UsageError`` over the words ``typed``, says."""
    # Some errors do not know their command: it is the first word.
    command = error.ctx.command_path if error.ctx is not None else " ".join(["unroll", *typed[:1]])
    fix = f"See {command} --help"
    if isinstance(error, _click.NoSuchOption):
        return ConfigError(f"no such option {error.option_name}{_near(error)}", fix=fix)
    if isinstance(error, _click.MissingParameter):
        name, help = _named(error.param)
        return ConfigError(f"no {name} given", expected=f"{command} {name}, {name} being: {help}", fix=fix)
    if isinstance(error, _click.BadParameter) and error.param is not None:
        return _bad_value(error, fix)
    if isinstance(error, _click.BadOptionUsage) and "requires" in error.message:
        return ConfigError(f"{error.option_name} has no value", expected=f"{error.option_name} VALUE", fix=fix)
    message = error.format_message().removesuffix(".")
    if message.startswith(_EXTRA):
        return ConfigError(f"unexpected argument {message.partition('(')[2].rpartition('(')[2].rstrip(')')}", fix=fix)
    return ConfigError(_lower(message), fix=fix)


def _near(error: Any) -> str:
    known = [name for param in error.ctx.command.get_params(error.ctx) for name in param.opts if name.startswith("--")]
    close = get_close_matches(error.option_name, known, n=1)
    return f". Did you mean {close[0]}?" if close else ""


def _bad_value(error: Any, fix: str) -> ConfigError:
    name, help = _named(error.param)
    found: list[Any] = getattr(error.__cause__, "errors", list)()
    value = f" {found[0]['input']}" if found else ""
    kind = "a whole number" if "integer" in error.message else "a number" if "number" in error.message else ""
    if value and kind:
        return ConfigError(f"{name}{value}", expected=f"{kind}: {help}", fix=fix)
    return ConfigError(f"{name}{value}: {_lower(error.message.removesuffix('.'))}", fix=fix)


def _named(param: Any) -> tuple[str, str]:
    """The name a person types or reads in the help, and its help."""
    name = param.opts[0] if param.param_type_name == "option" else param.metavar or param.name.upper()
    return name, _lower((param.help or "").removesuffix("."))


def _lower(text: str) -> str:
    """Without the capital it begins with, unless its first word is in capitals."""
    return text if text[1:2].isupper() else text[:1].lower() + text[1:]
