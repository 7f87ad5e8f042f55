"""Sentences of the library in the words of the command line: options where Python has arguments."""

from __future__ import annotations

import re
from typing import Any

ALIASES = {"format": "form", "n_occupied": "occupied", "ase_format": "form"}
"""Arguments of the library whose option has another name."""

FLAGS = {"pbc=False": "molecule"}
"""Values of arguments for which there is an option."""


def in_options(message: str, command: Any) -> str:
    """Return a sentence in which arguments that a command has options for are called as these.

    `cell` becomes `--cell`, `rule="hefei"` becomes `--rule hefei`, `absorbing=False` becomes `--no-absorbing`.

    Parameters
    ----------
    message
        The sentence.
    command
        The command (of click); None, or one without such options, leaves the sentence as it is: the keys of a study file are
        called as the arguments are.
    """
    options = {one.name: one for one in getattr(command, "params", ()) if _long(one.opts)}

    def named(hit: re.Match[str]) -> str:
        name, value = hit.group(1), hit.group(2)
        if (flag := options.get(FLAGS.get(f"{name}={value}", ""))) is not None:
            return f"`{_long(flag.opts)}`"
        option = options.get(ALIASES.get(name, name))
        if option is None:
            return hit.group(0)
        if value is None:
            return f"`{_long(option.opts)}`"
        if value in ("True", "False"):
            switch = _long(option.opts if value == "True" else option.secondary_opts)
            return f"`{switch}`" if switch else hit.group(0)
        return f"`{_long(option.opts)} {value.strip(chr(34))}`"

    return re.sub(r"`([a-z_]+)(?:=(\"[^\"`]*\"|[A-Za-z0-9_.]+))?`", named, message)


def _long(names: list[str]) -> str:
    return next((name for name in names if name.startswith("--")), "")
