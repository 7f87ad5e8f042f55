"""Trajectories compressed with gzip, unpacked beside nothing of the user's: into a temporary folder."""

from __future__ import annotations

import gzip
import shutil
import tempfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hopcast.core.errors import InputError, OutputError
from hopcast.io.copies import standing_for

SUFFIX = ".gz"


def is_compressed(path: Path) -> bool:
    """Whether a file is named as one of gzip."""
    return path.suffix.lower() == SUFFIX and path.is_file()


@contextmanager
def unpacked(path: Path, size: int = -1) -> Iterator[Path]:
    """Yield a copy of a compressed file under its name without ``.gz``, with CP2K's files beside it; errors name the user's file.

    Parameters
    ----------
    path
        The file.
    size
        Bytes to unpack; all of them where negative.

    Raises
    ------
    InputError
        If it is damaged.
    OutputError
        If the temporary folder is full.
    """
    with tempfile.TemporaryDirectory(prefix="hopcast-") as folder:
        copy = Path(folder) / path.name[: -len(SUFFIX)]
        _unpack(path, copy, size)
        if size < 0:
            _unpack_companions(path, copy)
        with standing_for(copy, path) as named:
            yield named


def _unpack(path: Path, copy: Path, size: int) -> None:
    try:
        with gzip.open(path, "rb") as source:
            content = source.read(size) if size >= 0 else None
            with copy.open("wb") as target:
                if content is None:
                    shutil.copyfileobj(source, target, 1 << 20)
                else:
                    target.write(content)
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise InputError(
            f"File `{path}` cannot be unpacked ({error}). It is cut short or damaged: copy it again."
        ) from error
    except OSError as error:
        raise OutputError(
            f"Cannot unpack `{path}` into `{copy.parent}`: {error.strerror or error}. Free space, or set TMPDIR to another place."
        ) from error


def _unpack_companions(path: Path, copy: Path) -> None:
    """Put CP2K's velocities and cells where the reader of positions looks for them."""
    if "-pos-" not in copy.name:
        return
    stem, number = copy.stem.rsplit("-pos-", 1)
    for name in (f"{stem}-vel-{number}.xyz", f"{stem}-{number}.cell"):
        if (path.parent / name).is_file():
            shutil.copy(path.parent / name, copy.parent / name)
        elif is_compressed(path.parent / f"{name}{SUFFIX}"):
            _unpack(path.parent / f"{name}{SUFFIX}", copy.parent / name, -1)
