"""What can be read: a file or a folder that exists. A pipe has no size and no second reading, and would be waited for."""

from __future__ import annotations

import os
from pathlib import Path

from hopcast.core.errors import ConfigError, InputError


def refuse_pipe(path: str | os.PathLike[str]) -> Path:
    """Return the path, unless it is a pipe, a socket or a device.

    Raises
    ------
    InputError
        If it is, or cannot be a name.
    ConfigError
        If it is something else than a path.
    """
    if not isinstance(path, str | os.PathLike):
        raise ConfigError(f"Argument `path` must be a file or a folder, but is {path!r}.")
    name = path if isinstance(path, Path) else Path(path)  # a temporary copy keeps its name
    try:
        exists = name.exists()
    except (OSError, ValueError) as error:  # a name that is too long, links in a circle
        raise InputError(
            f"File `{str(name)[:80]}` cannot be read ({getattr(error, 'strerror', None) or error}). Check the path."
        ) from None
    if exists and not (name.is_file() or name.is_dir()):
        raise InputError(
            f"File `{name}` is a pipe or a device, and its end is unknown. Copy what it gives into a file, and read that."
        )
    return name
