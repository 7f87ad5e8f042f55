"""Where results may be written: never over what is read, over nothing without leave, into no folder where another run is at work."""

from __future__ import annotations

import contextlib
import os
import shutil
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from hopcast.core.errors import ConfigError, InputError, OutputError

LONGEST_NAME = 255
"""Bytes of a name on the file systems in use; a temporary name beside it must fit, too."""

WORTH_KEEPING = 10.0
"""Seconds of work, above which what a refused run has finished stays."""
NEVER_READ = (".html", ".csv", ".h5", ".hdf5")
"""Files of these names in a folder are never what is read when the folder is."""
RECORD = "run.json"
"""What a run says of itself before it begins: not worth keeping alone."""


def check_file(
    path: str | Path,
    *,
    inputs: Iterable[str | Path | None] = (),
    overwrite: bool = False,
    leave: str = "replace it with --overwrite",
    suffixes: tuple[str, ...] = (),
) -> None:
    """Refuse a file that must not be written, before any work is done for it.

    Parameters
    ----------
    path
        The file to be written.
    inputs
        What is read; None and what does not exist (a shipped data set) is left out.
    overwrite
        Whether an existing file may be replaced.
    leave
        What gives leave to replace it, for the message; empty where nothing does.
    suffixes
        What its name must end in; empty: in anything.

    Raises
    ------
    OutputError
        If it is one of the inputs, exists without leave, is a folder, a device or a pipe, or cannot be a name.
    """
    target = Path(path)
    if suffixes and target.suffix.lower() not in suffixes:
        raise OutputError(f"The file to write must end in {' or '.join(suffixes)}, but is `{target}`.")
    if not _exists(target):
        return
    if target.is_dir():
        raise OutputError(f"`{target}` must be a file to write, but is a folder. Choose another name.")
    if not target.is_file():
        raise OutputError(f"`{target}` must be a file to write, but is a device or a pipe. Choose another name.")
    for source in _existing(inputs):
        inside = source.is_dir() and source.resolve() in target.resolve().parents
        if target.samefile(source) or (inside and target.suffix.lower() not in NEVER_READ):
            raise OutputError(
                f"File `{target}` is read here, and would be lost. Choose another name for what is written."
            )
    if not overwrite:
        raise OutputError(f"File `{target}` exists. Choose another name{f', or {leave}' if leave else ''}.")


def check_folder(
    path: str | Path,
    *,
    inputs: Iterable[str | Path | None] = (),
    overwrite: bool = False,
    leave: str = "replace its files with --overwrite",
) -> None:
    """Refuse a folder into which no files must be written.

    Parameters
    ----------
    path
        The folder; it need not exist.
    inputs, overwrite, leave
        As of `check_file`.

    Raises
    ------
    OutputError
        If it is one of the inputs or holds one, holds anything without leave, is no folder, or cannot be a name.
    """
    target = Path(path)
    if not _exists(target):
        return
    if not target.is_dir():
        raise OutputError(f"`{target}` must be a folder to write into, but is a file. Choose another name.")
    for source in _existing(inputs):
        if target.samefile(source) or target.resolve() in source.resolve().parents:
            raise OutputError(
                f"Folder `{target}` holds what is read here (`{source}`), and its files would be lost. Choose another folder."
            )
    if not overwrite and any(target.iterdir()):
        raise OutputError(f"`{target}` exists and is not empty. Choose another name{f', or {leave}' if leave else ''}.")


def _exists(target: Path) -> bool:
    try:
        os.stat(target)
        return True
    except FileNotFoundError:
        if len(os.fsencode(target.name)) <= LONGEST_NAME - 20:
            return False
        why = f"its name has more than {LONGEST_NAME - 20} bytes"
    except (OSError, ValueError) as error:  # names too long, links in circles, files as folders, zero bytes
        why = getattr(error, "strerror", None) or str(error)
    shown = str(target)
    shown = shown if len(shown) < 80 else f"{shown[:40]}...{shown[-30:]}"
    raise OutputError(f"`{shown}` cannot be written: {why}. Choose another name.")


def _existing(inputs: Iterable[str | Path | None]) -> list[Path]:
    found = []
    for one in inputs:
        with contextlib.suppress(OSError, ValueError):
            if one is not None and Path(one).exists():
                found.append(Path(one))
    return found


def check_outside(folder: str | Path, inputs: Iterable[str | Path | None]) -> None:
    """Refuse inputs that lie in the folder of a run: its files are replaced and removed.

    Raises
    ------
    OutputError
        Naming the input.
    """
    target = Path(folder).resolve()
    for source in _existing(inputs):
        if target == source.resolve() or target in source.resolve().parents:
            raise OutputError(
                f"Folder `{folder}` holds what is read here (`{source}`), which the run may replace. Choose another folder for its output."
            )


@contextmanager
def run_folder(path: str | Path) -> Iterator[Path]:
    """Make a folder for a run and hold it: one run at a time works in it, and one that is refused leaves none behind.

    The lock is the system's and ends with the process, however that ends. A folder that this run made is removed
    where its data or settings are refused within seconds, or before any work was kept; else what was kept stays, to go on from.

    Raises
    ------
    OutputError
        If it cannot be made, or another process holds it.
    """
    folder = Path(path)
    if _exists(folder) and not folder.is_dir():
        raise OutputError(f"Output `{folder}` must be a folder, but is a file. Choose another place.")
    try:
        made = [one for one in (folder, *folder.parents) if not one.exists()]
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(
            f"Cannot make the output folder `{folder}`: {error.strerror or error}. Choose another place."
        ) from error
    start = time.monotonic()
    with held(folder):
        try:
            yield folder
        except (InputError, ConfigError):
            kept = any(one.is_file() and one.name != RECORD for one in folder.rglob("*"))
            if made and not (kept and time.monotonic() - start > WORTH_KEEPING):
                shutil.rmtree(folder, ignore_errors=True)
                for parent in made[1:]:
                    with contextlib.suppress(OSError):
                        parent.rmdir()
            raise


@contextmanager
def held(folder: Path) -> Iterator[None]:
    """Hold a folder, so that no other run works in it at the same time.

    Raises
    ------
    OutputError
        If another process holds it.
    """
    try:
        import fcntl
    except ImportError:  # a system without such locks
        yield
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise OutputError(
                f"Another run of hopcast is at work in `{folder}`. Wait until it ends, or choose another folder."
            ) from None
        except OSError:
            pass  # a file system without locks
        yield
    finally:
        os.close(handle)


@contextmanager
def held_part(path: Path, first: int, last: int, sentence: str, *, wait: bool = False) -> Iterator[None]:
    """Hold the units of work `first` to `last` of what is written beside a lock file, so that no other process works on any of them.

    Parts that do not overlap are held at the same time, on one machine or several. The file is removed with the last of them.

    Raises
    ------
    OutputError
        With `sentence`, if another process holds one of the units, and it is not to `wait` for it.
    """
    try:
        import fcntl
    except ImportError:  # a system without such locks
        yield
        return
    handle = _locked(path, first, last - first + 1, sentence, wait)
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            fcntl.lockf(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)  # all of it: nobody else is at work
            path.unlink()
        os.close(handle)


def _locked(path: Path, start: int, length: int, sentence: str, wait: bool) -> int:
    """Return the handle of a file of which a range is locked."""
    import fcntl

    while True:
        try:
            handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        except OSError as error:
            raise OutputError(f"File `{path}` cannot be written: {error.strerror or error}.") from error
        try:
            fcntl.lockf(handle, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB), length, start)
        except (BlockingIOError, PermissionError):
            os.close(handle)
            raise OutputError(sentence) from None
        except OSError:
            return handle  # a file system without locks
        with contextlib.suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(handle), os.stat(path)):
                return handle
        os.close(handle)  # the run that ended meanwhile removed the file
