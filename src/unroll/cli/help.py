"""How ``--help`` looks: arguments, then options in sections, each with its default."""

from __future__ import annotations

from typing import Any

from typer.core import TyperCommand, TyperGroup

from unroll.options import RUN


class _Listing:
    """Lists parameters; the classes below take it before typer's."""

    def format_options(self, ctx: Any, formatter: Any) -> None:
        sections: dict[str, list[tuple[str, str]]] = {}
        for param in self.get_params(ctx):  # type: ignore[attr-defined]
            is_argument = param.param_type_name == "argument"
            title = "Arguments" if is_argument else getattr(param, "rich_help_panel", None) or "Options"
            sections.setdefault(title, []).append(_record(param))
        own = sections.pop("Options", [])
        if not sections.keys() - {"Arguments", RUN}:
            own = sections.pop(RUN, []) + own
            sections["Options"] = own
        else:
            sections[RUN] = sections.pop(RUN, []) + own
        for title, records in sections.items():
            with formatter.section(title):
                formatter.write_dl(records)
        if isinstance(self, TyperGroup):
            self.format_commands(ctx, formatter)

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        params = [p for p in self.get_params(ctx) if p.param_type_name == "argument"]  # type: ignore[attr-defined]
        tail = [self.subcommand_metavar] if isinstance(self, TyperGroup) else []
        return [*(p.metavar if p.required else f"[{p.metavar}]" for p in params), "[OPTIONS]", *tail]


class Command(_Listing, TyperCommand):
    """A command whose help is listed as above."""


class Group(_Listing, TyperGroup):
    """The same for a command that has others."""


def _record(param: Any) -> tuple[str, str]:
    if param.param_type_name == "argument":
        return param.metavar, param.help or ""
    takes_value = not getattr(param, "is_flag", False)
    name = ", ".join(sorted(param.opts, key=len)) + (f" {param.metavar}" if takes_value else "")
    default = _default(param) if takes_value else ""
    text = (param.help or "").removesuffix(".")
    return name, f"{text} [default: {default}]." if default else f"{text}."


def _default(param: Any) -> str:
    told = param.show_default if isinstance(param.show_default, str) else param.default
    return "" if told is None else str(told)
