"""Sentences of the library in the words of the command line: options where Python has arguments."""

from __future__ import annotations

import re
from typing import Any

ALIASES = {"format": "form", "n_occupied": "occupied", "pbc=False": "molecule", "ase_format": "form"}
"""Arguments of the library whose option has another name."""


def in_options(message: str, command: Any) -> str:
    """Return a sentence in which arguments that a command has options for are called as these: `cell` becomes `--cell`.

    Parameters
    ----------
    message
        The sentence.
    command
        The command (of click); None, or one without such options, leaves the sentence as it is: the keys of a study file are
        called as the arguments are.
    """
    options = {
        parameter.name: next(opt for opt in parameter.opts if opt.startswith("--"))
        for parameter in getattr(command, "params", ())
        if any(opt.startswith("--") for opt in parameter.opts)
    }

    def named(hit: re.Match[str]) -> str:
        option = options.get(ALIASES.get(hit.group(1), hit.group(1)))
        return hit.group(0) if option is None else f"`{option}`"

    return re.sub(r"`([a-z_]+(?:=False)?)`", named, message)
