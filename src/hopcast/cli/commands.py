"""The subcommands by name, each imported and built when it is asked for: one that runs does not wait for fifteen others."""

from __future__ import annotations

import importlib
import inspect
from types import ModuleType
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup

from hopcast.cli.grouped import grouped

NAMES = (
    *("run", "evaluate", "demo", "fit", "predict", "dynamics", "score", "compare", "rank"),
    *("check", "convert", "formats", "md", "select", "compute", "harvest"),
)
"""Modules beside this one, in the order of the help; each has a function of its own name and may have `GROUPS` of options."""


class Commands(TyperGroup):
    """The group of all subcommands."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self.commands: Any = dict.fromkeys(NAMES)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Return a subcommand, None where there is no such."""
        if cmd_name in self.commands and self.commands[cmd_name] is None:
            self.commands[cmd_name] = build_command(cmd_name)
        return self.commands.get(cmd_name)

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """List the subcommands by the first sentences of their docstrings, which need no options built."""
        width = formatter.width - 6 - max(map(len, NAMES))
        rows = [(name, TyperCommand(name, help=_help(_module(name), name)).get_short_help_str(width)) for name in NAMES]
        with formatter.section("Commands"):
            formatter.write_dl(rows)


def _module(name: str) -> ModuleType:
    return importlib.import_module(f"{__package__}.{name}")


def _help(module: ModuleType, name: str) -> str | None:
    return inspect.getdoc(getattr(module, name))


def build_command(name: str) -> Any:
    """Return a subcommand with its options."""
    module = _module(name)
    groups = getattr(module, "GROUPS", None)
    alone = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)
    alone.command(name, cls=grouped(groups) if groups else None)(getattr(module, name))
    return typer.main.get_command(alone)
