"""The options of a task: read off its dataclasses once the task is known, so that no command knows any task."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Sequence, Set
from dataclasses import fields
from pathlib import Path
from typing import Annotated, Any, get_type_hints

import typer

from unroll.cli.help import Command
from unroll.errors import UnrollError

_KIND, _OWN, _TYPED = "unroll.kind", "unroll.own", "unroll.typed"
AS_TRAINED = "as the run's own data"
DEFAULT = "forecast"
"""The task most of whose options every command declares; no other needs a line of code here."""
_RENAMED = {"feature": "features", "target": "targets", "cells": "cell"}


class TaskCommand(Command):
    """A command that takes the options of the task asked for by ``--task``, ``--config`` or a run's folder.

    The commands that read a run take only what may differ when it reads new data.
    """

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        ctx.meta[_KIND] = _kind(args, trains=self._trains())
        rest: list[str] = super().parse_args(ctx, args)
        # No command declares the generated options: they are kept beside the parameters it is called with.
        made = {param.name for param in ctx.meta.get(_OWN, ())}
        values = {name: ctx.params.pop(name) for name in made & ctx.params.keys()}
        ctx.meta[_TYPED] = {n: v for n, v in values.items() if ctx.get_parameter_source(n).name != "DEFAULT"}
        return rest

    def get_params(self, ctx: Any) -> list[Any]:
        declared: list[Any] = super().get_params(ctx)
        kind = ctx.meta.get(_KIND)
        if kind is None:
            return declared
        kept = [param for param in declared if kind.name == DEFAULT or _of_no_task(param.name)]
        if _OWN not in ctx.meta:
            ctx.meta[_OWN] = _made(kind, self._trains(), {_RENAMED.get(param.name, param.name) for param in kept})
        return kept + ctx.meta[_OWN]

    def _trains(self) -> bool:
        """Whether it makes a run, of the task it is told, or reads one, of the task that is in it."""
        return any(param.name == "task" for param in self.params)


def typed_options(context: typer.Context) -> dict[str, Any]:
    """The generated options that a person typed."""
    return dict(context.meta.get(_TYPED) or {})


def _kind(args: Sequence[str], *, trains: bool) -> Any:
    """The registered task that ``args`` ask for; None where they name no run yet."""
    name = next(_named(args), DEFAULT) if trains else next(_held(args), None)
    if name is None:
        return None
    from unroll.tasks import task_kind

    return task_kind(name)


def _named(args: Sequence[str]) -> Iterator[str]:
    for option in ("--task", "--config"):
        for k, word in enumerate(args):
            value = word.partition("=")[2] if word.startswith(f"{option}=") else None
            value = args[k + 1] if word == option and k + 1 < len(args) else value
            if value is not None:
                yield value if option == "--task" else _task_of(Path(value))


def _held(args: Sequence[str]) -> Iterator[str]:
    for word in args:
        if not word.startswith("-") and (Path(word) / "config.yaml").is_file():
            yield _task_of(Path(word))


def _task_of(path: Path) -> str:
    """The task of a config.yaml or of the run folder that holds it; what is wrong with it is told later."""
    from unroll.train.run_folder import read_config

    try:
        return str(read_config(path / "config.yaml" if path.is_dir() else path).get("task", DEFAULT))
    except UnrollError:
        return DEFAULT


def _of_no_task(name: str) -> bool:
    """Whether a declared option is one of the command itself, not of the task it is declared with."""
    from unroll.tasks import TASKS

    return _RENAMED.get(name, name) not in TASKS[DEFAULT].names()


def _made(kind: Any, trains: bool, declared: Set[str]) -> list[Any]:
    """Click's options for the fields of the option dataclasses; of a run that is read, those that may differ."""
    parameters, annotations = [], {}
    for group in kind.groups() if trains else (kind.data, kind.options):
        hints = get_type_hints(group)
        for field in fields(group):
            if "help" not in field.metadata or field.name in declared or not (trains or field.name in kind.reading):
                continue
            annotation, default = _option(field, hints[field.name], None if trains else AS_TRAINED)
            annotations[field.name] = annotation
            parameters.append(
                inspect.Parameter(field.name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation)
            )

    def command(**_: Any) -> None: ...

    command.__annotations__ = annotations
    command.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    app = typer.Typer(add_completion=False)
    app.command()(command)
    return list(typer.main.get_command(app).params)


def _option(field: Any, hint: Any, shown: str | None) -> tuple[Any, Any]:
    told = field.metadata
    several = field.default == () or isinstance(field.default, tuple)
    made = typer.Option(
        f"--{field.name.replace('_', '-')}",
        help=told["help"],
        metavar=told["metavar"] or None,
        show_default=shown or told["shown"] or True,
        rich_help_panel=told["under"],
    )
    default = (list(field.default) or None) if several else field.default
    return Annotated[(list[str] | None) if several else hint, made], default
