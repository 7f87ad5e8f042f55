"""Where compiled kernels are kept between runs: where Numba keeps them, or, in a container without a place for them, elsewhere or nowhere.

Numba looks beside the source and in the user's cache, and gives up where neither can be written: a read-only installation without
a writable HOME.
"""

from __future__ import annotations

import contextlib
import os
import stat
import sys
from pathlib import Path

VARIABLE = "NUMBA_CACHE_DIR"


def choose_folder() -> None:
    """Name a private folder to Numba where none of its own can be written; without any, let kernels be compiled in each run.

    Called before Numba is first imported by the package.
    """
    if any(_is_writable(place) for place in _numba_places()):
        return
    folder = _private_folder()
    if folder is None:
        _compile_each_time()
        return
    os.environ[VARIABLE] = str(folder)
    if "numba" in sys.modules:
        sys.modules["numba"].config.CACHE_DIR = str(folder)


def _numba_places() -> list[Path]:
    package = Path(__file__).parent / "core"
    beside = package / "__pycache__"
    users = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    named = os.environ.get(VARIABLE)
    return [*([Path(named)] if named else []), beside if beside.exists() else package, Path(users) / "numba"]


def _is_writable(place: Path) -> bool:
    """Whether a folder can be written, or made."""
    with contextlib.suppress(OSError, ValueError):
        existing = next((one for one in (place, *place.parents) if one.exists()), None)
        return existing is not None and existing.is_dir() and os.access(existing, os.W_OK | os.X_OK)
    return False


def _private_folder() -> Path | None:
    """Return a folder that nobody else can write: what lies in it is run."""
    for base in (*_temporary(), "/dev/shm"):
        folder = Path(base) / f"hopcast-kernels-{os.getuid() if hasattr(os, 'getuid') else 'user'}"
        with contextlib.suppress(OSError):
            folder.mkdir(mode=0o700, exist_ok=True)
            found = folder.lstat()
            own = not hasattr(os, "getuid") or (found.st_uid == os.getuid() and not stat.S_IMODE(found.st_mode) & 0o077)
            if stat.S_ISDIR(found.st_mode) and own and os.access(folder, os.W_OK | os.X_OK):
                return folder
    return None


def _temporary() -> list[str]:
    import tempfile  # brings much, and is needed in few places

    with contextlib.suppress(OSError):
        return [tempfile.gettempdir()]
    return []


def _compile_each_time() -> None:
    from numba.core.dispatcher import Dispatcher

    def no_cache(self: object) -> None:
        """Keep nothing."""

    Dispatcher.enable_caching = no_cache  # type: ignore[method-assign] # Numba has no setting for it
