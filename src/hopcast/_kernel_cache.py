"""Where compiled kernels are kept between runs: where Numba keeps them, or, in a container without a place for them, elsewhere or nowhere.

Numba looks beside the source and in the user's cache, and gives up where neither can be written: a read-only installation without
a writable HOME. Of kernels that an earlier version left beside a file it reads an index of types before it asks how old they are, and fails
where one of those types has another name or place now.
"""

from __future__ import annotations

import contextlib
import os
import stat
import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any

VARIABLE = "NUMBA_CACHE_DIR"


def choose_folder() -> None:
    """Name a private folder to Numba where none of its own can be written; without any, let kernels be compiled in each run.

    Called before Numba is first imported by the package. Kernels of an earlier version, whose types are no more, count as none.
    """
    caching = sys.modules.get("numba.core.caching")
    if caching is None:
        sys.meta_path.insert(0, _UntilNumbaComes())
    else:
        _forgive_moved_types(caching)
    if any(_is_writable(place) for place in _numba_places()):
        return
    folder = _private_folder()
    if folder is None:
        _compile_each_time()
        return
    os.environ[VARIABLE] = str(folder)
    if "numba" in sys.modules:
        sys.modules["numba"].config.CACHE_DIR = str(folder)


class _UntilNumbaComes:
    """Finds no module; sees that Numba's cache is imported and mends it then."""

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if name != "numba.core.caching":
            return None
        sys.meta_path.remove(self)
        spec = find_spec(name)
        loader: Any = None if spec is None else spec.loader
        if loader is not None:
            run = loader.exec_module

            def run_and_mend(module: ModuleType) -> None:
                run(module)
                _forgive_moved_types(module)

            loader.exec_module = run_and_mend
        return spec


def _forgive_moved_types(caching: ModuleType) -> None:
    """Let an index that names types that are no more count as empty, so that its kernels are compiled anew."""
    index = caching.IndexDataCacheFile
    load = index._load_index

    def load_what_is_known(self: object) -> object:
        try:
            return load(self)
        except (AttributeError, ImportError):
            return {}

    index._load_index = load_what_is_known


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
